"""Which model `assay export` takes, and what it refuses before it converts anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import assay
from assay.experiments.export import export as exporting
from assay.experiments.export.export import ExportRequest
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError, SearchError, WorkerBug
from tests.helpers.command import Swept, invoke
from tests.helpers.finalized_studies import Configuration, FinalizedStudy, record
from tests.helpers.recorded_studies import record_study
from tests.integration.experiments.test_show import ONE, ONE_ENDS, TWO, TWO_ENDS


def refused(home: Path, *arguments: str) -> str:
    done = invoke("export", *arguments, "--home", str(home))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1, done.err
    return done.err


def test_a_trial_without_a_model_names_those_that_have_one(swept: Swept, tmp_path: Path) -> None:
    best = swept.answer["best"]["number"]
    out = str(tmp_path / "d.onnx")
    said = refused(swept.home, "digits-mlp", "--to", "onnx", "--trial", "999", "--out", out)
    assert f"trials that have one: {best}" in said
    assert "nothing" in refused(swept.home, "nothing", "--to", "onnx", "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_studies_without_a_single_best_ask_for_a_trial(tmp_path: Path) -> None:
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    record_study(store_paths, "two", TWO, TWO_ENDS)
    record_study(store_paths, "one", ONE, ONE_ENDS[2:])
    to = ("--to", "keras", "--out", str(tmp_path / "s.keras"))
    assert "several objectives" in refused(tmp_path / "home", "two", *to)
    assert "no complete trial" in refused(tmp_path / "home", "one", *to)


@pytest.mark.parametrize("has_predictions", [True, False])
def test_the_leader_of_a_finalize_is_taken_and_not_another_model(
    has_predictions: bool, tmp_path: Path
) -> None:
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    configurations = [
        Configuration(0, {"family": "mlp"}, 0.80, 0.80, True, draw=1),
        Configuration(7, {"family": "mlp", "hidden_units": 64}, 0.95, 0.96, draw=2),
    ]
    record(FinalizedStudy("a", configurations), store_paths)
    if not has_predictions:
        shutil.rmtree(store_paths.workspace.finalists("a"))
    said = refused(tmp_path / "home", "a", "--to", "keras", "--out", str(tmp_path / "a.keras"))
    assert "MLflow has no model of trial 7 of a, the leader of its last finalize;" in said


@pytest.fixture
def request_of(swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExportRequest:
    return ExportRequest("digits-mlp", "onnx", tmp_path / "d.onnx")


def answer_with(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let a program take the place of the process that converts."""
    run = exporting.subprocess.run

    def replaced(command: list[str], **options: object) -> object:
        return run([command[0], "-c", program], **options)

    monkeypatch.setattr(exporting.subprocess, "run", replaced)


WRITE = """
import json, pathlib, sys
job = json.loads(sys.stdin.readline())
for name in job["names"].values():
    (pathlib.Path(job["folder"]) / name).write_text(job["study"])
"""


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ('print(\'{"error": "no\\\\nway"}\')', SearchError, "exported to onnx: no way"),
        ("import os; os.kill(os.getpid(), 9)", SearchError, "signal 9"),
        ("raise ValueError('a bug')", WorkerBug, "a bug"),
    ],
)
def test_a_conversion_that_fails_leaves_nothing(
    program: str,
    error: type[Exception],
    message: str,
    request_of: ExportRequest,
    swept: Swept,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_with(monkeypatch, WRITE + program)
    with pytest.raises(error, match=message):
        exporting.export(request_of, StorePaths.choose(home=swept.home))
    assert list(tmp_path.iterdir()) == []


def test_files_appear_together_and_replace_others_by_force(
    request_of: ExportRequest, swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, WRITE + "print('{}')")
    given = {"to": "onnx", "out": request_of.out, "home": swept.home}
    result = assay.export("digits-mlp", **given)
    assert result.trial == swept.answer["best"]["number"]
    assert result.model == swept.answer["model"]
    written = [result.file, result.program, result.example]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    result.file.write_text("mine")
    with pytest.raises(RequestError, match="--force"):
        assay.export("digits-mlp", **given)
    assert result.file.read_text() == "mine"
    assay.export("digits-mlp", **given, force=True)
    assert [path.read_text() for path in written] == ["digits-mlp"] * 3
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_settings_from_the_store_are_checked_and_its_code_runs_only_if_asked(
    tmp_path: Path, swept: Swept
) -> None:
    stored = next((swept.home / "artifacts").rglob("serving.json"))
    settings = json.loads(stored.read_text())
    file = tmp_path / "serving.json"

    def check(to: exporting.Format, run_code: bool = False, **changes: object) -> None:
        file.write_text(json.dumps({**settings, **changes}))
        exporting._check_settings(ExportRequest("s", to, run_code=run_code), file)

    check("keras")
    own = {"file": "nets.py", "module": None}
    check("onnx", run_code=True, code=own)
    with pytest.raises(RequestError, match="--run-code"):
        check("onnx", code=own)
    with pytest.raises(RequestError, match=r"a \.keras file does not hold"):
        check("keras", run_code=True, code=own)
    with pytest.raises(RequestError, match="must lie beside it"):
        check("onnx", run_code=True, code={"file": "../nets.py", "module": None})
    for wrong in ({"shape": "x"}, {"columns": None}, {"activation": "exec"}):
        with pytest.raises(RequestError, match="damaged"):
            check("onnx", **wrong)
