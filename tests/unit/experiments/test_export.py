"""Export: what is refused before anything is converted, and the lines beside the file."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.export import export as exporting
from assay.experiments.export.export import ExportRequest, check_format
from assay.experiments.export.lines import write_program
from assay.models.errors import RequestError

HOSTILE = 'a"""\n__import__("os")\\x\u2028\ud800'


def refusal(request: ExportRequest) -> str:
    with pytest.raises(RequestError) as refused:
        exporting._check_request(request)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_format_that_there_is_not_is_named_with_those_that_there_are() -> None:
    assert check_format("onnx") == "onnx"
    with pytest.raises(RequestError, match=r"keras, onnx, savedmodel; received 'tflite'"):
        check_format("tflite")


def test_files_are_named_after_the_study_and_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = ExportRequest("../mine", "keras")
    assert request.file.parent == tmp_path
    assert [path.parent for path in request.files.values()] == [tmp_path] * 3
    exporting._check_request(request)


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "assay[export]" in refusal(ExportRequest("s", "onnx", tmp_path / "s.onnx"))
    exporting._check_request(ExportRequest("s", "keras", tmp_path / "s.keras"))


def test_a_keras_file_must_be_called_one(tmp_path: Path) -> None:
    assert "end in .keras" in refusal(ExportRequest("s", "keras", tmp_path / "s.h5"))


def test_the_folder_must_exist(tmp_path: Path) -> None:
    assert "create" in refusal(ExportRequest("s", "keras", tmp_path / "no" / "s.keras"))


@pytest.mark.parametrize("name", ["s.keras", "s.keras.py", "s.keras.npy"])
def test_existing_files_are_replaced_only_by_force(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert "--force" in refusal(ExportRequest("s", "keras", tmp_path / "s.keras"))
    exporting._check_request(ExportRequest("s", "keras", tmp_path / "s.keras", force=True))


def test_force_replaces_neither_a_link_nor_a_folder_that_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").touch()
    (tmp_path / "s.keras").symlink_to(tmp_path / "thesis")
    forced: dict[str, Any] = {"force": True}
    assert "remove it" in refusal(ExportRequest("s", "keras", tmp_path / "s.keras", **forced))
    assert "remove it" in refusal(ExportRequest("s", "onnx", tmp_path / "precious", **forced))
    assert "remove it" in refusal(ExportRequest("s", "savedmodel", tmp_path / "precious", **forced))
    (tmp_path / "precious" / "saved_model.pb").touch()
    exporting._check_request(ExportRequest("s", "savedmodel", tmp_path / "precious", **forced))


@pytest.mark.parametrize("to", ["keras", "onnx", "savedmodel"])
def test_the_lines_hold_texts_of_the_user_as_literals(to: str) -> None:
    settings = {
        "labels": [HOSTILE, "dog"],
        "backend": "jax",
        "shape": [12, 10, 3],
        "dtype": "uint8",
        "size": [12, 10],
        "resize": "bilinear",
        "centre": None,
        "target_offset": None,
        "in_float64": False,
    }
    names = {"network": HOSTILE, "example": HOSTILE}
    program = write_program(to, HOSTILE, names, settings)
    assert program.isascii()
    tree = ast.parse(program)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "__import__" not in called
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert texts.count(HOSTILE) == 3
    assert len([line for line in program.splitlines() if line and line[0] != "#"]) <= 14
    assert ("'jax'" in program) == (to == "keras")
    wide = write_program(to, "s", names, {**settings, "centre": [1.0], "labels": None})
    assert ("'tensorflow'" in wide) == (to == "keras")
    assert "value" in wide
