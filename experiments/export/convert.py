"""The main module of the process that converts a network; it imports Keras.

    python -m assay.experiments.export.convert

It reads a job as one line of JSON and answers with one line: {} or {"error": why the network can't
be converted}. TensorFlow is the backend whatever the network was trained on: it alone has 64 bits,
in which inputs far from zero are prepared, and writes every format.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from assay.experiments.export.lines import write_program
from assay.experiments.serving import served_model
from assay.experiments.serving.model_folder import (
    CODE_FOLDER,
    EXAMPLE_FILE,
    NETWORK_FILE,
    SETTINGS_FILE,
)

Array = np.ndarray[Any, np.dtype[Any]]

INPUT_NAME = "raw"
_LARGEST_DIFFERENCE = 1e-4
_EXACT_INTEGERS = 2.0**53


class ExportError(Exception):
    """The network can't be converted; the message is for the user."""


def main() -> None:
    """Run one job."""
    # Libraries that print would spoil the answer: their standard output goes to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.stdin.readline())
    try:
        convert(job)
        answer: dict[str, str] = {}
    except ExportError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), file=answers, flush=True)


def convert(job: Mapping[str, Any]) -> None:
    """Write the network, a program that uses it, and an example.

    Args:
        job: "model" is the folder of a model in MLflow, "folder" where to write, "to" the format,
            "study" the name of the study, "names" the names of the files: "network", "program" and
            "example".

    Raises:
        ExportError: the network can't be converted.
    """
    model, folder, to, names = Path(job["model"]), Path(job["folder"]), job["to"], job["names"]
    settings = json.loads((model / SETTINGS_FILE).read_text("utf-8"))
    _check_convertible(settings)
    network = load_network(model, settings)
    file, example = folder / names["network"], read_example(model, settings)
    try:
        whole = add_preparation(network, settings)
        whole(example)  # Keras exports what was called
        _WRITERS[to](whole, file)
        outputs = _READERS[to](file, example)
    except Exception as error:  # of any library that takes part
        raise ExportError(f"{type(error).__name__}: {error}") from error
    expected = compute_expected(network, example, settings)
    difference = float(np.max(np.abs(outputs.reshape(expected.shape) - expected), initial=0.0))
    if not difference <= _LARGEST_DIFFERENCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
        raise ExportError(f"its outputs differ by {difference:.3g} from those of the model itself")
    np.save(folder / names["example"], example, allow_pickle=False)
    program = write_program(to, job["study"], names, settings)
    (folder / names["program"]).write_text(program, encoding="utf-8")


def _check_convertible(settings: Mapping[str, Any]) -> None:
    if settings["missing_code"] is not None:
        raise ExportError(f"your code was not kept with the model: {settings['missing_code']}")
    centre = settings["centre"] or [0.0]
    if settings["dtype"] in ("int64", "uint64") and max(map(abs, centre)) >= _EXACT_INTEGERS:
        raise ExportError(
            "its inputs are integers beyond 2**53, which no layer of Keras subtracts exactly: take "
            "the model from MLflow"
        )


def load_network(model: Path, settings: Mapping[str, Any]) -> keras.Model:
    """Load the network from the folder of a model.

    Raises:
        ExportError: it can't be loaded.
    """
    code = settings["code"]
    try:
        known = {} if code is None else served_model.import_code(model / CODE_FOLDER, code)
        return served_model.load_network(model / NETWORK_FILE, known)
    except Exception as error:  # of the user's code too
        raise ExportError(f"it can't be loaded ({type(error).__name__}: {error})") from error


def read_example(model: Path, settings: Mapping[str, Any]) -> Array:
    """Return the raw example of a model, (1, ...); zeros if it has none.

    Raises:
        ExportError: it is damaged.
    """
    file = model / EXAMPLE_FILE
    shape = (1, *settings["shape"])
    if not file.is_file():
        return np.zeros(shape, settings["dtype"])
    try:
        return np.array(json.loads(file.read_text("utf-8")), settings["dtype"]).reshape(shape)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ExportError(f"its example is damaged ({error})") from error


def add_preparation(network: keras.Model, settings: Mapping[str, Any]) -> keras.Model:
    """Return a model from raw examples to probabilities, or to values.

    Images that are resized must have been: Keras has no filter that is exactly Pillow's.
    """
    shape, centre = tuple(settings["shape"]), settings["centre"]
    is_wide = centre is not None or settings["in_float64"]
    raw = keras.Input(shape, dtype=settings["dtype"], name=INPUT_NAME)
    # Cast first: not every layer takes integers. In 64 bits as long as something is far from zero.
    precision = "float64" if is_wide else "float32"
    x = keras.layers.Rescaling(1.0, dtype=precision, name="cast")(raw)
    if settings["layout"] == "channels_first":
        x = keras.layers.Permute((2, 3, 1), dtype=precision, name="channels_last")(x)
    elif settings["layout"] == "channels_last" and len(shape) == 2:
        x = keras.layers.Reshape((*shape, 1), dtype=precision, name="channel_axis")(x)
    if centre is not None:
        offset = [-number for number in centre]
        x = keras.layers.Rescaling(1.0, offset=offset, dtype="float64", name="centre")(x)
    x = keras.layers.Rescaling(
        settings["factor"],
        offset=settings["offset"],
        dtype="float64" if settings["in_float64"] else "float32",
        name="scale",
    )(x)
    outputs = network(x)
    return keras.Model(raw, add_activation(outputs, settings["activation"]), name=network.name)


def add_activation(outputs: Any, activation: str | None) -> Any:
    """Return outputs as probabilities; see `served_model.to_probabilities`."""
    if activation == "softmax":
        return keras.layers.Softmax(dtype="float32", name="probabilities")(outputs)
    if activation == "sigmoid":
        return keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")(outputs)
    if activation == "clip":
        clipped = keras.ops.clip(outputs, 0.0, 1.0)
        # Equal ones where all are 0.
        total = keras.ops.sum(clipped, axis=-1, keepdims=True)
        is_zero = keras.ops.cast(keras.ops.equal(total, 0.0), "float32")
        return (clipped + is_zero) / (total + is_zero * outputs.shape[-1])
    return outputs


def compute_expected(network: keras.Model, raw: Array, settings: Mapping[str, Any]) -> Array:
    """Return what the served model gives for raw examples, float64 (examples, outputs)."""
    # Examples have the last size already.
    x = served_model.prepare_inputs(raw, {**settings, "size": None})
    inner = served_model.without_target_offset(network, settings)
    outputs = np.asarray(keras.ops.convert_to_numpy(inner(x, training=False)), np.float64)
    frame = served_model.to_frame(outputs.reshape(len(x), -1), settings)
    return np.asarray(frame[settings["columns"]], np.float64)


def _write_keras(whole: keras.Model, file: Path) -> None:
    # Keras tells the format by the name.
    whole.save(file)


def _write_onnx(whole: keras.Model, file: Path) -> None:
    whole.export(file, format="onnx", verbose=False)


def _write_savedmodel(whole: keras.Model, folder: Path) -> None:
    whole.export(folder, format="tf_saved_model", verbose=False)


def _run_keras(file: Path, example: Array) -> Array:
    loaded = keras.saving.load_model(file, safe_mode=True)
    return np.asarray(loaded.predict(example, verbose=0), np.float64)


def _run_onnx(file: Path, example: Array) -> Array:
    try:
        import onnxruntime  # here, since only what runs the file needs it
    except ModuleNotFoundError:
        raise ExportError(
            "onnxruntime, which checks the file, is not installed: install the extra 'export'"
        ) from None
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {INPUT_NAME: example})[0], np.float64)


def _run_savedmodel(folder: Path, example: Array) -> Array:
    import tensorflow  # here, since only this format needs it

    loaded = tensorflow.saved_model.load(str(folder))  # kept: its variables live as long
    return np.asarray(loaded.serve(example), np.float64)


_WRITERS: Mapping[str, Callable[[Any, Path], None]] = {
    "keras": _write_keras,
    "onnx": _write_onnx,
    "savedmodel": _write_savedmodel,
}
_READERS: Mapping[str, Callable[[Path, Array], Array]] = {
    "keras": _run_keras,
    "onnx": _run_onnx,
    "savedmodel": _run_savedmodel,
}


if __name__ == "__main__":
    main()
