"""A network as MLflow serves it: from raw inputs to labels and probabilities.

This file is kept beside the network, with its settings in `serving.json`, and is run wherever the
model is loaded. So it imports nothing of the project that trained the network.

Input: an array of raw examples, (examples, ...), as the signature of the model says: pixels or
features in the type and with the axes of the data set that the network was trained on. Images that
were resized for training may have any height and width.

Output: a DataFrame with a row for each example. In classification the first column, `label`, is the
name of the class with the largest output, and every class has a column with its probability. In
regression the column `value`, or the columns `value_0`, `value_1`, ..., have the predictions.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

BATCH_EXAMPLES = 256
"""Number of examples that the network computes at a time."""

TARGET_OFFSET_LAYER = "target_offset"
"""Name of the last layer, which adds the offset that targets were trained without."""

_EXACT_DIFFERENCES = 2.0**62
_FEWEST_LEVELS = 16  # of images whose pixels are no more than that, 1 is a bright one
_SLACK = 1e-3  # of probabilities in 16 bits


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A network with what comes before and after it.

    Attributes:
        network: the Keras model, from scaled inputs to outputs.
        custom_objects: the user's own classes and functions by name, as
            `mlflow.keras.load_model(..., custom_objects=...)` takes them.
        settings: the content of `serving.json`.
    """

    def load_context(self, context: Any) -> None:
        """Load the network; MLflow calls this."""
        self.settings = json.loads(Path(context.artifacts["settings"]).read_text("utf-8"))
        if self.settings["missing_code"] is not None:
            raise ValueError(
                "the network has parts that are the user's own code, and "
                f"{self.settings['missing_code']}: load it with mlflow.keras.load_model and "
                "custom_objects"
            )
        use_backend(self.settings["backend"])
        code = self.settings["code"]
        self.custom_objects = (
            {} if code is None else import_code(Path(context.artifacts["code"]), code)
        )
        self.network = load_network(Path(context.artifacts["network"]), self.custom_objects)
        self._inner = without_target_offset(self.network, self.settings)

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> pd.DataFrame:
        """Return labels and probabilities, or values, of raw examples.

        Args:
            context: of MLflow; not used.
            model_input: raw examples.
            params: not used.

        Raises:
            ValueError: an example has another shape, or a number that is not finite; or the
                examples were scaled.
        """
        raw = np.asarray(model_input)
        check_range(raw, self.settings)
        return to_frame(self._compute_outputs(raw), self.settings)

    def _compute_outputs(self, raw: Array) -> Array:
        """Return the outputs for raw examples, float64 (examples, outputs)."""
        import keras  # here, since its backend must be chosen first

        parts = [np.zeros((0, len(self.settings["columns"])))]
        for start in range(0, len(raw), BATCH_EXAMPLES):
            x = prepare_inputs(raw[start : start + BATCH_EXAMPLES], self.settings)
            outputs = self._inner(keras.ops.convert_to_tensor(x), training=False)
            if keras.backend.standardize_dtype(outputs.dtype) in ("float16", "bfloat16"):
                outputs = keras.ops.cast(outputs, "float32")
            part = np.asarray(keras.ops.convert_to_numpy(outputs), np.float64)
            parts.append(part.reshape(len(x), -1))
        return np.concatenate(parts)


# Loading
# -------


def use_backend(backend: str) -> None:
    """Choose the backend of Keras, unless the process has imported Keras already."""
    keras = sys.modules.get("keras")
    if keras is None:
        os.environ["KERAS_BACKEND"] = backend
    elif (other := keras.backend.backend()) != backend:
        warnings.warn(
            f"The network was trained on {backend}, and Keras runs on {other} in this process: "
            "the last digits of its outputs may differ.",
            stacklevel=2,
        )


def load_network(file: Path, custom_objects: Mapping[str, Any]) -> Any:
    """Load a `.keras` file, without its optimizer and loss. Nothing is unpickled."""
    import keras  # here, since its backend must be chosen first

    return keras.saving.load_model(
        file, custom_objects=dict(custom_objects), compile=False, safe_mode=True
    )


def without_target_offset(network: Any, settings: Mapping[str, Any]) -> Any:
    """Return the network without the layer that adds the targets' offset, if there is one.

    The offset is added to its outputs in float64 afterwards: not every backend has that.
    """
    if settings["target_offset"] is None:
        return network
    import keras  # here, since its backend must be chosen first

    return keras.Model(network.inputs, network.get_layer(TARGET_OFFSET_LAYER).input)


def import_code(folder: Path, code: Mapping[str, Any]) -> dict[str, Any]:
    """Import the user's own code, and return its classes and functions by name.

    Args:
        folder: the folder with the user's files.
        code: {"file": name of the file, "module": None}, or {"file": None, "module": its name}.
    """
    folder = folder.resolve()
    places = [folder]
    if code["file"] is not None:
        places.append((folder / code["file"]).parent)
    # Last on the path, so that no file of the user hides a library.
    sys.path.extend(str(place) for place in places if str(place) not in sys.path)
    if code["file"] is None:
        importlib.import_module(code["module"])
    else:
        _import_file(folder / code["file"])
    return {
        name: value
        for module in list(sys.modules.values())
        if str(getattr(module, "__file__", None)).startswith(f"{folder}{os.sep}")
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def _import_file(file: Path) -> None:
    # A name that no library has: the file may be called models.py or random.py.
    name = f"_served_{file.stem}_{abs(hash(str(file))):x}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


# Inputs
# ------


def check_range(raw: Array, settings: Mapping[str, Any]) -> None:
    """Check that images of whole numbers were not scaled to [0, 1].

    MLflow's server makes whole numbers of what it receives: scaled pixels come as zeros and ones,
    and the answer would be that for a black image.

    Args:
        raw: all examples of a request.
        settings: of the model.

    Raises:
        ValueError: all of their numbers are 0 or 1, although those of training went far beyond.
    """
    largest = settings.get("largest")
    if largest is None or largest < _FEWEST_LEVELS or raw.size == 0:
        return
    images = raw.ravel() if raw.dtype == object else [raw]  # of several sizes
    most = max((np.asarray(image).max(initial=0) for image in images), default=0)
    if most <= 1:
        raise ValueError(
            f"images must have raw pixels, in training up to {largest:g}; the largest received is "
            f"{most}: do not scale them (a request of black images alone is refused too)"
        )


def prepare_inputs(raw: Array, settings: Mapping[str, Any]) -> Array:
    """Return raw examples as the network takes them: resized, channels last, scaled.

    Args:
        raw: (examples, ...) of the raw shape and type; of images that are resized also an array of
            objects, each of which is an image.
        settings: of the model.

    Returns:
        float32 (examples, *input_shape).

    Raises:
        ValueError: an example has another shape, or a number that is not finite.
    """
    if settings["size"] is not None:
        raw = resize_images(raw, settings)
    expected = tuple(settings["shape"])
    if raw.shape[1:] != expected:
        raise ValueError(f"examples must have the shape {expected}; received {raw.shape[1:]}")
    if not np.isfinite(raw).all():
        raise ValueError("examples must have finite numbers; received NaN or infinity")
    if settings["layout"] == "channels_first":
        raw = np.moveaxis(raw, 1, -1)
    elif settings["layout"] == "channels_last" and raw.ndim == 3:
        raw = raw[..., np.newaxis]
    if settings["in_float64"]:
        wide = (np.asarray(settings[name], np.float64) for name in ("factor", "offset"))
        return scale(raw.astype(np.float64), *wide).astype(np.float32)
    stored = raw.astype(np.float32)
    if settings["centre"] is not None:
        centre = np.broadcast_to(np.asarray(settings["centre"], np.float64), raw.shape[-1:])
        columns = np.flatnonzero(centre)
        stored[..., columns] = subtract(raw[..., columns], centre[columns])
    return scale(stored, *(np.asarray(settings[name], np.float32) for name in ("factor", "offset")))


def scale(x: Array, factor: Array, offset: Array) -> Array:
    """Return x * factor + offset, along the last axis."""
    return x * factor + offset


def resize_images(raw: Array, settings: Mapping[str, Any]) -> Array:
    """Return uint8 images of any size as (examples, *shape), resized by Pillow."""
    from PIL import Image  # here, since few models need it

    height, width = settings["size"]
    shape = tuple(settings["shape"])
    images = np.empty((len(raw), *shape), np.uint8)
    for index, example in enumerate(raw):
        image = np.asarray(example)
        if image.dtype != np.uint8 or image.ndim != len(shape) or image.shape[2:] != shape[2:]:
            raise ValueError(
                f"images must be uint8 {('height', 'width', *shape[2:])}; received {image.dtype} "
                f"{image.shape}"
            )
        if 0 in image.shape:
            raise ValueError(f"images must have pixels; received {image.shape}")
        if image.shape[:2] != (height, width):
            image = np.asarray(
                Image.fromarray(np.ascontiguousarray(image)).resize(
                    (width, height), Image.Resampling[settings["resize"].upper()]
                )
            )
        images[index] = image
    return images


def subtract(x: Array, centre: Array) -> Array:
    """Return x - centre as float64; exact for 64-bit integers before that conversion."""
    difference: Array = x.astype(np.float64) - centre
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        # Modulo 2**64, which is right for every difference that int64 can hold.
        modulus = np.array([int(number) % 2**64 for number in centre.tolist()], np.uint64)
        exact = (x.astype(np.uint64) - modulus).view(np.int64)
        difference = np.where(np.abs(difference) < _EXACT_DIFFERENCES, exact, difference)
    return difference


# Outputs
# -------


def to_frame(outputs: Array, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return outputs of the network as a DataFrame.

    Args:
        outputs: float64 (examples, outputs), without the targets' offset.
        settings: of the model.

    Raises:
        ValueError: an output is not finite, or no probability although it should be one.
    """
    wrong = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(wrong) > 0:
        raise ValueError(f"the network's output for example {wrong[0]} is not finite")
    if settings["labels"] is None:
        offset = settings["target_offset"]
        values = outputs if offset is None else outputs + np.asarray(offset, np.float64)
        return pd.DataFrame(values, columns=settings["columns"])
    labels = np.array(settings["labels"], dtype=object)[outputs.argmax(axis=1)]
    frame = pd.DataFrame(
        to_probabilities(outputs, settings["activation"]), columns=settings["columns"]
    )
    frame.insert(0, "label", pd.Series(labels, dtype=object))
    return frame


def to_probabilities(outputs: Array, activation: str) -> Array:
    """Return outputs of a classifier as probabilities.

    Args:
        outputs: float64 (examples, classes).
        activation: "softmax" of logits; "sigmoid" of each class against the rest; "clip" to [0, 1]
            and division by the sum, for outputs that were fitted to 0 and 1; "none" for outputs
            that are probabilities.
    """
    if activation == "softmax":
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * outputs)))
    if activation == "clip":
        clipped = np.clip(outputs, 0.0, 1.0)
        total = clipped.sum(axis=1, keepdims=True)
        uniform = np.full_like(clipped, 1.0 / clipped.shape[1])
        return np.where(total > 0, clipped / np.where(total > 0, total, 1.0), uniform)
    if outputs.size and (outputs.min() < -_SLACK or outputs.max() > 1.0 + _SLACK):
        raise ValueError(
            "the network's outputs must be probabilities, as its loss says; received numbers from "
            f"{outputs.min():.3g} to {outputs.max():.3g}"
        )
    return outputs


mlflow.models.set_model(ServedModel())
