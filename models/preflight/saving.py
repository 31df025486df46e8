"""Whether a model can be saved, and loaded again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.models.architectures.custom_import import FactoryReference, format_error
from assay.models.data import Array
from assay.models.files import temporary_folder
from assay.models.preflight.outputs import compute_outputs
from assay.models.preflight.user_code import iter_user_modules

if TYPE_CHECKING:
    import keras

_TOLERANCE = 1e-3  # relative; numbers of 16 bits have three digits


def find_saving_problem(model: keras.Model, x: Array, reference: FactoryReference) -> str | None:
    """Save a model, load it, and compare the outputs of both.

    Args:
        model: compiled and built.
        x: some scaled inputs.
        reference: the factory; classes and functions of its modules are known when loading.

    Returns:
        What will not work and how to mend it; None if all works.
    """
    with temporary_folder("preflight") as folder:
        path = folder / "model.keras"
        try:
            model.save(path)
        except Exception as error:
            return (
                f"no model will be kept, since that of {reference.text} can't be saved "
                f"({format_error(error, None)}): give its classes a get_config"
            )
        return _find_loading_problem(model, x, path, reference)


def _find_loading_problem(
    model: keras.Model, x: Array, path: Path, reference: FactoryReference
) -> str | None:
    import keras  # not at the top: settings are checked without a backend

    custom_objects = _list_custom_objects(reference)
    try:
        loaded = keras.saving.load_model(path, custom_objects=custom_objects)
        outputs, again = compute_outputs(model, x), compute_outputs(model, x)
        difference = np.abs(compute_outputs(loaded, x) - outputs).max()
    except Exception as error:
        if "safe_mode" in str(error):
            mend = "load it with safe_mode=False, or make the lambda a layer or a function"
        elif _loads_uncompiled(path, custom_objects):
            mend = (
                "load it with compile=False, or make its loss and metrics functions of the file, "
                "or classes with a get_config"
            )
        else:
            mend = "give its classes a get_config and from_config that restore them"
        return (
            f"the kept model of {reference.text} can't be loaded again "
            f"({format_error(error, None)}): {mend}"
        )
    tolerance = _TOLERANCE * max(1.0, float(np.abs(outputs).max()))
    is_random = np.abs(again - outputs).max() > tolerance  # such as a sampling layer
    if difference > tolerance and not is_random:
        return (
            f"the kept model of {reference.text} gives other outputs once it is loaded, up to "
            f"{difference:.3g} apart: make its layers in __init__, and keep them as attributes"
        )
    return None


def _loads_uncompiled(path: Path, custom_objects: Mapping[str, Any]) -> bool:
    import keras  # not at the top: settings are checked without a backend

    try:
        keras.saving.load_model(path, custom_objects=custom_objects, compile=False)
    except Exception:
        return False
    return True


def _list_custom_objects(reference: FactoryReference) -> dict[str, Any]:
    """Return the classes and functions of the user's modules by name."""
    return {
        name: value
        for module, _ in iter_user_modules(reference)
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
