"""Settings of a served model: what it must know of its study."""

from __future__ import annotations

import json
import math
import re
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from assay.experiments.data.raw_inputs import DTYPE_PATTERN, RawInputs
from assay.models.architectures.custom_import import is_reference
from assay.models.code_files import CodeFile
from assay.models.tasks import Task
from assay.search.events import StudyOpened

Activation: TypeAlias = Literal["softmax", "sigmoid", "clip", "none"]
"""What turns outputs into probabilities; see `served_model.to_probabilities`."""

LABEL_COLUMN = "label"
VALUE_COLUMN = "value"

_CONFIG = "config.json"
_MOST_CONFIG_BYTES = 64 << 20
_FROM_FILE = "as recorded"
_FROM_STORED = (
    "with the axes of the stored arrays: the journal of this study does not say which axes they had"
)
_SCALED = "as the network takes them: the journal of this study does not say how they were scaled"


class _RecordedData(BaseModel):
    """What `StudyOpened.data` must have, and what it has since which release."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input_shape: tuple[int, ...] = Field(min_length=1)
    outputs: int = Field(ge=1)
    task: Task = "classification"
    classes: tuple[str, ...] = ()
    factor: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    target_offset: tuple[float, ...] | None = None
    raw: RawInputs | None = None


@dataclass(frozen=True)
class ServedSettings:
    """The content of `serving.json`.

    Attributes:
        backend: the Keras backend that the network was trained on.
        labels: names of the classes; None in regression.
        columns: names of the columns of numbers.
        activation: what turns outputs into probabilities; None in regression.
        dtype: type of a raw example.
        shape: its shape; of images that are resized, that after it.
        layout: its layout; None for rows.
        size: (height, width) to which images are resized; None if they are not.
        resize: filter of Pillow by which they are.
        centre: what is subtracted before the cast to float32; None for nothing.
        largest: largest training input, if inputs are images of whole numbers; else None.
        factor: of the scale.
        offset: of the scale.
        in_float64: whether the scale is applied in float64, since it contains the centre.
        target_offset: what is added to the outputs in regression; None for nothing.
        code: the user's own code, as `served_model.import_code` takes it; None if the network has
            no part of it.
        missing_code: why that code is not beside the network, although it has parts of it.
        inputs: where all this is from: "as recorded", or what the journal does not have.
    """

    backend: str
    labels: Sequence[str] | None
    columns: Sequence[str]
    activation: Activation | None
    dtype: str
    shape: Sequence[int]
    layout: str | None
    size: Sequence[int] | None
    resize: str | None
    centre: Sequence[float] | None
    largest: float | None
    factor: Sequence[float]
    offset: Sequence[float]
    in_float64: bool
    target_offset: Sequence[float] | None
    code: Mapping[str, str | None] | None
    missing_code: str | None
    inputs: str

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of raw examples, in which -1 stands for any number."""
        shape = tuple(self.shape)
        return (-1, *shape) if self.size is None else (-1, -1, -1, *shape[2:])


def read_served_settings(
    opened: StudyOpened, network: Path, code: Mapping[str, CodeFile]
) -> ServedSettings:
    """Return the settings of a study's model.

    Args:
        opened: the study.
        network: the `.keras` file.
        code: the files of the user's own code, by the names that they have beside the model.

    Raises:
        ValueError: the journal contradicts itself.
    """
    data = _RecordedData.model_validate(dict(opened.data))
    config = read_network_config(network)
    backend = opened.provenance.get("assay.backend")
    if backend is None:
        raise ValueError("the journal does not name the backend")
    own_code: dict[str, str | None] | None = None
    missing_code = None
    if needs_code(config):
        try:
            own_code = _locate_code(opened, code)
        except ValueError as error:
            missing_code = str(error)
    preflight = _read_preflight(opened)
    is_regression = data.task == "regression"
    labels = None if is_regression else [*data.classes]
    if labels is not None and len(labels) != data.outputs:
        raise ValueError(f"{data.outputs} outputs can't have {len(labels)} classes")
    inputs = _read_inputs(data, preflight.get("input_type"))
    return ServedSettings(
        backend=backend,
        labels=labels,
        columns=name_columns(labels, data.outputs),
        activation=None if is_regression else find_activation(config, preflight.get("model_gives")),
        **inputs,
        largest=_read_largest(inputs, preflight.get("input_range")),
        target_offset=data.target_offset,
        code=own_code,
        missing_code=missing_code,
    )


def name_columns(labels: Sequence[str] | None, outputs: int) -> list[str]:
    """Return the names of the columns of numbers; no name occurs twice.

    Args:
        labels: names of the classes; None in regression.
        outputs: number of outputs.

    Example:
        >>> name_columns(["cat", "label", ""], 3)
        ['cat', 'label (1)', 'class 2']
    """
    if labels is None:
        return [VALUE_COLUMN] if outputs == 1 else [f"{VALUE_COLUMN}_{i}" for i in range(outputs)]
    taken = {LABEL_COLUMN, *labels}
    columns: list[str] = []
    for number, label in enumerate(labels):
        name = label if label.strip() else f"class {number}"
        # A class keeps its name, unless an earlier column has it.
        while name == LABEL_COLUMN or name in columns or (name != label and name in taken):
            name = f"{name} ({number})"
        columns.append(name)
    return columns


def find_activation(config: Mapping[str, Any], gives: object) -> Activation:
    """Return what turns a classifier's outputs into probabilities.

    Args:
        config: of the saved model.
        gives: what the preflight check measured of its outputs: "scores", "probabilities" or
            "fractions"; None if unknown.
    """
    if gives in ("probabilities", "fractions"):
        return "none"
    name, takes_logits = _read_loss(config)
    if name.startswith("binary"):
        return "sigmoid" if takes_logits or gives == "scores" else "none"
    if name in _FITTED_TO_TARGETS or ("crossentropy" in name and not takes_logits):
        return "clip"
    # Logits, and other scores: their order is that of the classes, whatever the loss.
    return "softmax"


_PLAIN_CLASSES = {
    "__bytes__",
    "__ellipsis__",
    "__keras_tensor__",
    "__lambda__",
    "__numpy__",
    "__slice__",
    "__tensor__",
    "__typespec__",
}

_FITTED_TO_TARGETS = {
    "kldivergence",
    "kld",
    "meansquarederror",
    "mse",
    "squarederror",
    "meanabsoluteerror",
    "mae",
    "absoluteerror",
    "huber",
    "logcosh",
}


def _read_loss(config: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the name of a saved model's loss, without underscores, and whether it takes logits."""
    compiled = config.get("compile_config")
    loss = compiled.get("loss") if isinstance(compiled, Mapping) else None
    if isinstance(loss, str):
        return loss.replace("_", "").lower(), False
    if not isinstance(loss, Mapping):
        return "", True
    settings = loss.get("config")
    if isinstance(settings, str):  # a function
        return settings.replace("_", "").lower(), False
    takes_logits = isinstance(settings, Mapping) and settings.get("from_logits") is True
    return str(loss.get("class_name", "")).replace("_", "").lower(), takes_logits


def read_network_config(file: Path) -> Mapping[str, Any]:
    """Return the configuration of a `.keras` file, without Keras.

    It is empty if the file is damaged: what loads the model will say so.
    """
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_CONFIG) as opened:
            config = json.loads(opened.read(_MOST_CONFIG_BYTES))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _read_inputs(data: _RecordedData, input_type: object) -> dict[str, Any]:
    if (raw := data.raw) is not None:
        if raw.stored_shape != data.input_shape:
            raise ValueError(f"inputs {raw.shape} can't be stored as {data.input_shape}")
        return {
            **raw.model_dump(mode="json", exclude={"example"}),
            "in_float64": False,
            "inputs": _FROM_FILE,
        }
    # Journals of earlier releases have the axes of the stored arrays only.
    shape = [*data.input_shape]
    known: dict[str, Any] = {
        "shape": shape,
        "layout": None,
        "size": None,
        "resize": None,
        "centre": None,
    }
    if data.factor is None or data.offset is None:
        known |= {"factor": [1.0] * shape[-1], "offset": [0.0] * shape[-1]}
        return {**known, "dtype": "float32", "in_float64": False, "inputs": _SCALED}
    is_known = isinstance(input_type, str) and re.fullmatch(DTYPE_PATTERN, input_type)
    return {
        **known,
        "factor": [*data.factor],
        "offset": [*data.offset],
        "dtype": input_type if is_known else "float32",
        "in_float64": True,
        "inputs": _FROM_STORED,
    }


def _read_largest(inputs: Mapping[str, Any], input_range: object) -> float | None:
    """Return the largest training input, if inputs are images of whole numbers."""
    is_image = inputs["layout"] in ("channels_last", "channels_first")
    if not is_image or "int" not in inputs["dtype"]:
        return None
    if not isinstance(input_range, list) or len(input_range) != 2:
        return None
    largest = input_range[1]
    is_known = isinstance(largest, int | float) and math.isfinite(largest)
    return float(largest) if is_known else None


def _read_preflight(opened: StudyOpened) -> Mapping[str, Any]:
    try:
        record = json.loads(opened.provenance.get("assay.preflight", "{}"))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def needs_code(config: object) -> bool:
    """Return whether a saved model has classes or functions that are not Keras' own.

    Args:
        config: of the saved model, or a part of it.
    """
    waiting = [config]
    while waiting:  # not recursive: configurations may be nested deeply
        part = waiting.pop()
        if isinstance(part, Mapping):
            module = part.get("module")
            is_object = "class_name" in part and "config" in part
            if is_object and part["class_name"] in _PLAIN_CLASSES:
                pass  # values that Keras writes in this form, such as tensors and slices
            elif is_object and not f"{module}.".startswith("keras."):
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False


def _locate_code(opened: StudyOpened, code: Mapping[str, CodeFile]) -> dict[str, str | None]:
    """Return which of the user's files, or which module, made the network.

    Raises:
        ValueError: it is not among the files.
    """
    family = _read_family(opened)
    place = family.rpartition(":")[0]
    if not is_reference(family) or not place:
        raise ValueError("the study does not say which function made the network")
    if not place.endswith(".py"):
        return {"file": None, "module": place}
    named = [name for name, file in code.items() if file.name == place] or [
        name for name, file in code.items() if Path(file.name).name == Path(place).name
    ]
    if not named or code[named[0]].text is None:
        raise ValueError(f"the study does not have the text of {place}")
    return {"file": named[0], "module": None}


def _read_family(opened: StudyOpened) -> str:
    texts: Iterable[str] = (
        *(() if opened.resolved is None else (opened.resolved.toml,)),
        opened.text,
    )
    for text in texts:
        try:
            model = tomllib.loads(text).get("model")
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        if isinstance(model, dict) and isinstance(model.get("family"), str):
            return str(model["family"])
    return ""
