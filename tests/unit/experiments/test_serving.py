"""The served model: raw inputs, probabilities, names of columns, requirements, settings."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.experiments.data import DataSettings
from assay.experiments.data.raw_inputs import RawInputs, describe_raw_inputs
from assay.experiments.serving import served_model
from assay.experiments.serving.requirements import list_requirements
from assay.experiments.serving.settings import (
    Activation,
    find_activation,
    name_columns,
    needs_code,
    read_served_settings,
)
from assay.models.code_files import CodeFile
from assay.search.events import RecordedExperiment, StudyOpened
from tests.helpers.own_data import prepare_arrays, prepare_here, with_test
from tests.helpers.small_sets import make_arrays, make_tree

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(0)


def opened(data: Mapping[str, Any], **changes: Any) -> StudyOpened:
    fields: dict[str, Any] = {
        "study": "s",
        "study_id": "1d",
        "experiment": "mine",
        "provenance": {"assay.backend": "tensorflow"},
        "text": "",
        "data": data,
    }
    return StudyOpened(**{**fields, **changes})


def record(raw: Mapping[str, Any] | None, shape: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    """Return a study's data as `StudyOpened.data` has it."""
    return {
        "input_shape": list(shape),
        "outputs": 2,
        "task": "classification",
        "classes": ["cat", "dog"],
        "target_offset": None,
        **({} if raw is None else {"raw": json.loads(json.dumps(raw))}),
        **changes,
    }


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "network.keras", {})


def write_network(file: Path, config: object) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return file


def own_arrays(x: Array, targets: Array | None = None) -> dict[str, Array]:
    y = np.arange(len(x)) % 2 if targets is None else targets
    arrays = with_test(x, y)
    # With a validation set of their own, whose order is kept.
    return {**arrays, "x_val": x[:8], "y_val": y[:8]}


TIMES = (1_700_000_000 + RANDOM.integers(0, 60, (48, 2))) * np.array([1, 10**9])
CASES: dict[str, tuple[Array, dict[str, Any]]] = {
    "grey bytes": (RANDOM.integers(0, 256, (48, 8, 8)).astype(np.uint8), {}),
    "dark bytes": (RANDOM.integers(0, 17, (48, 8, 8, 1)).astype(np.uint8), {}),
    "channels first": (
        RANDOM.integers(0, 256, (48, 3, 5, 6)).astype(np.uint8),
        {"layout": "channels_first"},
    ),
    "float images": (RANDOM.random((48, 5, 5, 3)), {"layout": "channels_last"}),
    "sequences": (RANDOM.normal(size=(48, 4, 3)).astype(np.float32), {"layout": "sequence"}),
    "token ids": (RANDOM.integers(0, 500, (48, 12)), {}),
    "rows of bytes": (RANDOM.integers(0, 256, (48, 7)).astype(np.uint8), {}),
    "flags": (RANDOM.integers(0, 2, (48, 7)).astype(bool), {}),
    "latitudes": (52.5 + 1e-6 * RANDOM.normal(size=(48, 3)), {}),
    "times": (TIMES.astype(np.int64), {}),
    "images far from zero": (1e7 + RANDOM.random((48, 4, 4, 1)), {}),
}


@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
@pytest.mark.parametrize("case", CASES)
def test_raw_examples_are_prepared_as_those_of_the_training(
    case: str, scale: str, tmp_path: Path, network: Path
) -> None:
    from assay.models.data import load_training_data

    x, keys = CASES[case]
    data = prepare_arrays(own_arrays(x), tmp_path, **keys)
    settings = DataSettings.read({"name": "npz:own.npz", **keys}, "[data]")
    raw = describe_raw_inputs(data, settings, scale)
    served = read_served_settings(opened(record(raw, data.input_shape)), network, {})
    prepared = served_model.prepare_inputs(x[:8], vars(served))
    loaded = load_training_data(data.folder, scale)
    np.testing.assert_array_equal(prepared, loaded.scale.apply(loaded.x_validation))
    assert prepared.dtype == np.float32
    assert served.batch_shape == (-1, *x.shape[1:])
    assert served.dtype == x.dtype.name
    assert "inputs" in vars(served)
    # The example is one that trained, and gives what the network saw of it.
    example = RawInputs.model_validate(raw).read_example()
    assert example is not None
    assert (example.dtype, example.shape) == (x.dtype, x.shape[1:])
    np.testing.assert_allclose(
        served_model.prepare_inputs(example[np.newaxis], vars(served))[0],
        loaded.scale.apply(loaded.x_train[:1])[0],
        rtol=1e-5,
        atol=1e-5,
    )


def test_images_are_resized_as_in_preparation(tmp_path: Path, network: Path) -> None:
    from PIL import Image

    from assay.models.data import load_training_data

    folder = make_tree(tmp_path / "pets", make_arrays(classes=2), ("cat", "dog"))
    (folder / "val" / "cat").mkdir(parents=True)
    shots = [RANDOM.integers(0, 256, (9 + i, 20 - i, 3)).astype(np.uint8) for i in range(3)]
    for number, shot in enumerate(shots):
        Image.fromarray(shot).save(folder / "val" / "cat" / f"{number}.png")
    for file in (folder / "train").rglob("*.png"):  # colour decides by the training images
        Image.open(file).convert("RGB").save(file)
        Image.fromarray(RANDOM.integers(0, 256, (4, 4, 3)).astype(np.uint8)).save(file)
    settings = DataSettings.read({"name": "folder:pets", "size": [6, 5]}, "[data]")
    data = prepare_here(settings, tmp_path)
    raw = describe_raw_inputs(data, settings, "unit")
    served = read_served_settings(opened(record(raw, data.input_shape)), network, {})
    assert served.batch_shape == (-1, -1, -1, 3)
    loaded = load_training_data(data.folder, "unit")
    expected = loaded.scale.apply(loaded.x_validation)
    for number, shot in enumerate(shots):
        one = served_model.prepare_inputs(shot[np.newaxis], vars(served))
        np.testing.assert_array_equal(one[0], expected[number])
    # MLflow passes images of several sizes on as an array of objects.
    ragged = np.empty(3, object)
    ragged[:] = shots
    np.testing.assert_array_equal(served_model.prepare_inputs(ragged, vars(served)), expected)
    with pytest.raises(ValueError, match=r"images must be uint8"):
        served_model.prepare_inputs(shots[0][np.newaxis].astype(np.float32), vars(served))


def test_examples_of_another_shape_or_with_nan_are_refused(tmp_path: Path, network: Path) -> None:
    x = RANDOM.normal(size=(48, 3))
    data = prepare_arrays(own_arrays(x), tmp_path)
    raw = describe_raw_inputs(data, DataSettings.read({"name": "npz:own.npz"}, "[data]"), "unit")
    served = vars(read_served_settings(opened(record(raw, (3,))), network, {}))
    with pytest.raises(ValueError, match=r"shape \(3,\); received \(4,\)"):
        served_model.prepare_inputs(np.zeros((2, 4)), served)
    with pytest.raises(ValueError, match="finite"):
        served_model.prepare_inputs(np.array([[1.0, np.nan, 0.0]]), served)


@pytest.mark.parametrize(
    ("largest", "layout", "dtype", "kept"),
    [
        (255, "channels_last", "uint8", 255.0),
        (1, "channels_last", "uint8", 1.0),
        (255.0, "channels_last", "float32", None),
        (255, None, "uint8", None),
        (float("nan"), "channels_last", "uint8", None),
    ],
)
def test_settings_have_the_range_of_images_of_whole_numbers(
    largest: float, layout: str | None, dtype: str, kept: float | None, network: Path
) -> None:
    shape = (2, 2) if layout else (4,)
    raw = {"dtype": dtype, "shape": shape, "layout": layout, "factor": (1,), "offset": (0,)}
    stored = (2, 2, 1) if layout else (4,)
    preflight = json.dumps({"input_range": [0, largest]})
    provenance = {"assay.backend": "tensorflow", "assay.preflight": preflight}
    found = read_served_settings(opened(record(raw, stored), provenance=provenance), network, {})
    assert found.largest == kept


def test_scaled_images_are_refused() -> None:
    settings = {"largest": 255.0}
    dark = np.zeros((2, 8, 8), np.uint8)
    dark[1, 3, 3] = 1
    for scaled in (dark, np.array([*dark, None], object)[:2]):
        with pytest.raises(ValueError, match="up to 255; the largest received is 1: do not scale"):
            served_model.check_range(scaled, settings)
    bright = dark.copy()
    bright[1, 3, 3] = 2  # one of a request is enough
    for given, known in (
        (bright, settings),
        (dark, {"largest": 1.0}),
        (dark, {"largest": None}),
        (dark, {}),
        (dark[:0], settings),
    ):
        served_model.check_range(given, known)


def test_a_journal_without_raw_inputs_serves_the_stored_axes(network: Path) -> None:
    preflight = json.dumps({"input_type": "uint8", "model_gives": "scores"})
    provenance = {"assay.backend": "jax", "assay.preflight": preflight}
    data = record(None, (8, 8, 1), factor=[0.0625], offset=[-1.0])
    served = read_served_settings(opened(data, provenance=provenance), network, {})
    assert (served.dtype, served.batch_shape) == ("uint8", (-1, 8, 8, 1))
    assert "does not say which axes" in served.inputs
    x = RANDOM.integers(0, 17, (4, 8, 8, 1)).astype(np.uint8)
    np.testing.assert_allclose(served_model.prepare_inputs(x, vars(served)), x / 16 - 1)
    oldest = read_served_settings(opened(record(None, (8, 8, 1))), network, {})
    assert (oldest.dtype, oldest.in_float64) == ("float32", False)
    assert "how they were scaled" in oldest.inputs


@pytest.mark.parametrize(
    "changes",
    [
        {"input_shape": [4]},
        {"input_shape": []},
        {"classes": ["one"]},
        {"raw": {"dtype": "object", "shape": [3], "layout": None, "factor": [1], "offset": [0]}},
        {"raw": "yes"},
    ],
)
def test_a_journal_that_contradicts_itself_is_refused(
    changes: dict[str, Any], network: Path
) -> None:
    raw = {"dtype": "float32", "shape": [3], "layout": None, "factor": [1.0], "offset": [0.0]}
    read_served_settings(opened(record(raw, (3,))), network, {})
    with pytest.raises(ValueError, match=r".+"):
        read_served_settings(opened({**record(raw, (3,)), **changes}), network, {})


def test_no_column_occurs_twice() -> None:
    odd = ["label", "", "label (0)", "<b>", "class 1", " ", "label"]
    names = name_columns(odd, len(odd))
    assert len({"label", *names}) == len(odd) + 1
    assert names[3] == "<b>"
    assert name_columns(["0", "1"], 2) == ["0", "1"]
    assert name_columns(None, 1) == ["value"]
    assert name_columns(None, 2) == ["value_0", "value_1"]


def loss(name: str, **config: Any) -> dict[str, Any]:
    return {"compile_config": {"loss": {"class_name": name, "config": config}}}


@pytest.mark.parametrize(
    ("config", "gives", "activation"),
    [
        (loss("SparseCategoricalCrossentropy", from_logits=True), "scores", "softmax"),
        (loss("CategoricalCrossentropy", from_logits=True), None, "softmax"),
        (loss("BinaryCrossentropy", from_logits=True), "scores", "sigmoid"),
        (loss("Hinge"), "scores", "softmax"),
        (loss("MeanSquaredError"), "scores", "clip"),
        (loss("MeanAbsoluteError"), None, "clip"),
        (loss("SparseCategoricalCrossentropy", from_logits=False), None, "clip"),
        (loss("SparseCategoricalCrossentropy", from_logits=False), "probabilities", "none"),
        ({"compile_config": {"loss": "sparse_categorical_crossentropy"}}, "probabilities", "none"),
        ({"compile_config": {"loss": "binary_crossentropy"}}, None, "none"),
        ({"compile_config": {"loss": ["odd"]}}, "fractions", "none"),
        ({}, "scores", "softmax"),
        ({}, None, "softmax"),
    ],
)
def test_the_loss_and_the_check_say_what_outputs_are(
    config: Mapping[str, Any], gives: str | None, activation: Activation
) -> None:
    assert find_activation(config, gives) == activation


def test_outputs_become_probabilities() -> None:
    scores = np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]])
    soft = served_model.to_probabilities(scores, "softmax")
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    np.testing.assert_allclose(soft[0], [1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0])
    each = served_model.to_probabilities(scores, "sigmoid")
    np.testing.assert_allclose(each, [[1, 1, 0], [0.5, 0.5, 0.5]])
    clipped = served_model.to_probabilities(np.array([[1.2, 0.25, -0.1], [-1, -2, 0]]), "clip")
    np.testing.assert_allclose(clipped, [[0.8, 0.2, 0], [1 / 3, 1 / 3, 1 / 3]])
    with pytest.raises(ValueError, match="must be probabilities"):
        served_model.to_probabilities(scores, "none")


def test_the_label_is_that_of_the_largest_output(network: Path) -> None:
    data = record(None, (3,), classes=["<b>", "label"])
    settings = vars(read_served_settings(opened(data), network, {}))
    frame = served_model.to_frame(np.array([[1.0, 2.0], [4.0, 3.0]]), settings)
    assert list(frame.columns) == ["label", "<b>", "label (1)"]
    assert list(frame["label"]) == ["label", "<b>"]
    with pytest.raises(ValueError, match="example 1 is not finite"):
        served_model.to_frame(np.array([[1.0, 2.0], [np.nan, 3.0]]), settings)


def test_values_have_their_offset_added_in_float64(network: Path) -> None:
    data = record(None, (3,), task="regression", classes=[], target_offset=[1e12, 0.0])
    settings = vars(read_served_settings(opened(data), network, {}))
    frame = served_model.to_frame(np.array([[0.5, 2.0]]), settings)
    assert frame.to_dict("list") == {"value_0": [1e12 + 0.5], "value_1": [2.0]}


def test_requirements_are_those_of_the_training_and_of_the_users_code() -> None:
    packages = {
        "tensorflow": "2.21.0+cpu",
        "keras": "3.15.1",
        "einops": "0.8.0",
        "scikit-learn": "1.9.1",
        "numpy": "2.0.0\n--index-url http://evil",
    }
    text = "import os, einops\nimport sklearn.svm\nfrom blocks import head\nimport nets.more\n"
    code = [
        CodeFile("nets.py", "0", text),
        CodeFile("blocks.py", "0", "import ("),
        CodeFile("w", "0"),
    ]
    found = list_requirements("tensorflow", packages, code, needs_pillow=True)
    names = [one.partition("==")[0] for one in found]
    assert names == [
        "einops", "keras", "mlflow", "numpy", "pandas", "pillow", "scikit-learn", "tensorflow",
    ]  # fmt: skip
    assert {"tensorflow==2.21.0", "keras==3.15.1", "scikit-learn==1.9.1", "numpy"} <= set(found)
    assert "jax" in list_requirements("jax", {"jax": "0.10"}, (), needs_pillow=False)[0]
    with pytest.raises(ValueError, match="no backend"):
        list_requirements("-r evil", {}, (), needs_pillow=False)


def layer(class_name: str, module: str) -> dict[str, Any]:
    return {"class_name": class_name, "module": module, "config": {"units": 3}}


def test_code_is_needed_for_what_is_not_kerass_own() -> None:
    keras_own = {"config": {"layers": [layer("Dense", "keras.layers")]}}
    assert not needs_code(keras_own)
    assert not needs_code({"config": {"x": {"class_name": "__tensor__", "config": {}}}})
    assert needs_code({"config": {"layers": [layer("Scale", "_own_1_nets")]}})
    assert needs_code({"a": [{"class_name": "function", "module": "builtins", "config": "act"}]})
    assert needs_code({"a": layer("Trap", "kerasx")})


@pytest.mark.parametrize(
    ("family", "files", "code", "missing"),
    [
        ("nets.py:net", {"blocks.py": "", "nets.py": ""}, ("nets.py", None), None),
        ("../x/nets.py:net", {"nets.py": ""}, ("nets.py", None), None),
        ("pkg.nets:net", {"pkg/nets.py": ""}, (None, "pkg.nets"), None),
        ("nets.py:net", {"nets.py": None}, None, "the text of nets.py"),
        ("mlp", {}, None, "which function"),
    ],
)
def test_the_users_code_is_located(
    family: str,
    files: dict[str, str | None],
    code: tuple[str | None, str | None] | None,
    missing: str | None,
    tmp_path: Path,
) -> None:
    network = write_network(tmp_path / "n.keras", {"layers": [layer("Scale", "_own_1_nets")]})
    kept = {name: CodeFile(name, "0", text) for name, text in files.items()}
    resolved = RecordedExperiment(f'[model]\nfamily = "{family}"\n')
    served = read_served_settings(opened(record(None, (3,)), resolved=resolved), network, kept)
    expected = None if code is None else dict(zip(("file", "module"), code, strict=True))
    assert served.code == expected
    assert (missing is None) == (served.missing_code is None)
    assert (missing or "") in (served.missing_code or "")
