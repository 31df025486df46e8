"""Whether a model can be saved, and loaded again."""

from __future__ import annotations

import inspect
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

    try:
        loaded = keras.saving.load_model(path, custom_objects=_list_custom_objects(reference))
        difference = np.abs(compute_outputs(loaded, x) - compute_outputs(model, x)).max()
    except Exception as error:
        mend = (
            "load it with safe_mode=False, or make the lambda a layer or a function of its own"
            if "safe_mode" in str(error)
            else "give its classes a get_config and from_config that restore them"
        )
        return (
            f"the kept model of {reference.text} can't be loaded again "
            f"({format_error(error, None)}): {mend}"
        )
    if difference > _TOLERANCE * max(1.0, float(np.abs(compute_outputs(model, x)).max())):
        return (
            f"the kept model of {reference.text} gives other outputs once it is loaded, up to "
            f"{difference:.3g} apart: make its layers in __init__, and keep them as attributes"
        )
    return None


def _list_custom_objects(reference: FactoryReference) -> dict[str, Any]:
    """Return the classes and functions of the user's modules by name."""
    return {
        name: value
        for module, _ in iter_user_modules(reference)
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
