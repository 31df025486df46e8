"""Export of a study's network, without Keras: that is in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from assay.experiments.config.options import EXPORT_FORMATS
from assay.experiments.config.text_file import read_utf8
from assay.experiments.decision.load import load_finalizes
from assay.experiments.results.load import read_study
from assay.experiments.results.study import StudyResult
from assay.experiments.serving.model_folder import SETTINGS_FILE
from assay.experiments.serving.settings import ServedSettings
from assay.experiments.tracking.artifacts import download_folder
from assay.experiments.tracking.lookup import find_model_runs
from assay.experiments.tracking.schema import MODEL_FOLDER
from assay.experiments.workspace import StorePaths, file_name
from assay.models.errors import RequestError, SearchError, WorkerBug
from assay.models.files import check_path_length, temporary_folder
from assay.search.system.files import unwritable_error

Format: TypeAlias = Literal["keras", "onnx", "savedmodel"]

_SUFFIXES: dict[Format, str] = {"keras": ".keras", "onnx": ".onnx", "savedmodel": "-savedmodel"}
_PACKAGES: dict[Format, tuple[str, ...]] = {
    "keras": (),
    "onnx": ("onnx", "tf2onnx"),
    "savedmodel": (),
}
"""Packages of the extra `export` that write a format."""

_MOST_ERROR_CHARACTERS = 300


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        study: name of the study.
        to: the format.
        out: the file, or for savedmodel the folder; None to name it after the study.
        trial: the trial whose model is exported; None for the leader, or the best trial.
        force: whether existing files are replaced.
        run_code: whether the user's own code beside the model may be run.
    """

    study: str
    to: Format
    out: Path | None = None
    trial: int | None = None
    force: bool = False
    run_code: bool = False

    @property
    def file(self) -> Path:
        """The file or folder that is written."""
        named = (
            Path(f"{file_name(self.study)}{_SUFFIXES[self.to]}") if self.out is None else self.out
        )
        return named.absolute()

    @property
    def files(self) -> dict[str, Path]:
        """What is written: the network, the program that uses it, and an example."""
        file = self.file
        return {
            "network": file,
            "program": file.with_name(f"{file.name}.py"),
            "example": file.with_name(f"{file.name}.npy"),
        }


@dataclass(frozen=True)
class ExportResult:
    """What was exported.

    Attributes:
        study: name of the study.
        model: address of the model in MLflow.
        trial: number of the trial whose configuration it has.
        origin: which model it is, for people.
        to: the format.
        file: the file, or the folder.
        program: a program that loads it and classifies an example.
        example: that example, a raw one.
    """

    study: str
    model: str
    trial: int
    origin: str
    to: Format
    file: Path
    program: Path
    example: Path

    def to_record(self) -> dict[str, Any]:
        """Return what `assay export --json` prints."""
        return {
            "study": self.study,
            "model": self.model,
            "trial": self.trial,
            "origin": self.origin,
            "to": self.to,
            "file": str(self.file),
            "program": str(self.program),
            "example": str(self.example),
        }


def check_format(to: object) -> Format:
    """Return `to` if it is a format.

    Raises:
        RequestError: it is not.
    """
    match to:
        case "keras" | "onnx" | "savedmodel":
            return to
        case _:
            known = ", ".join(EXPORT_FORMATS)
            raise RequestError(f"an export is to {known}; received {to!r:.80}: choose one.")


def export(request: ExportRequest, store_paths: StorePaths) -> ExportResult:
    """Export the network of a study: that of the leader of its last finalize, or the best trial's.

    Raises:
        RequestError: there is no such model, or the files can't be written; nothing was.
        SearchError: the network can't be converted, or the disk is full.
    """
    _check_request(request)
    chosen = _choose_model(request, store_paths)
    with temporary_folder("artifact") as folder, _partial_folder(request.file) as partial:
        model = download_folder(store_paths, chosen.run_id, MODEL_FOLDER, folder)
        if model is None or not (model / SETTINGS_FILE).is_file():
            raise RequestError(
                f"the model of {chosen.origin} was logged by an earlier release, which did not "
                "keep how its inputs are prepared: sweep or finalize again, and export then."
            )
        _check_settings(request, model / SETTINGS_FILE)
        _convert(request, model, partial)
        _move(request, partial)
    return ExportResult(
        request.study,
        f"runs:/{chosen.run_id}/{MODEL_FOLDER}",
        chosen.trial,
        chosen.origin,
        request.to,
        *(request.files[name] for name in ("network", "program", "example")),
    )


def _check_request(request: ExportRequest) -> None:
    missing = [name for name in _PACKAGES[request.to] if importlib.util.find_spec(name) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise RequestError(
            f"--to {request.to} needs {' and '.join(missing)}, which {are} not installed: install "
            "the extra 'export', as in pip install 'assay[export]'."
        )
    file = request.file
    check_path_length(file, "the exported file")
    if request.to == "keras" and file.suffix != ".keras":
        raise RequestError(f"the name of a Keras file must end in .keras; received {file}.")
    if not file.parent.is_dir():
        raise RequestError(
            f"the exported file must be in a folder that exists; received {file}: create "
            f"{file.parent}."
        )
    taken = [path for path in request.files.values() if os.path.lexists(path)]
    if taken and not request.force:
        raise RequestError(
            f"export does not replace existing files: {taken[0]} exists; choose another with "
            "--out, or give --force."
        )
    for path in taken:
        # --force must not delete a folder that no export wrote.
        is_folder = request.to == "savedmodel" and path == file
        is_ours = (path / "saved_model.pb").is_file() if is_folder else path.is_file()
        if path.is_symlink() or not is_ours:
            raise RequestError(
                f"--force replaces only what an export wrote; {path} is something else: choose "
                "another with --out, or remove it."
            )


def _check_settings(request: ExportRequest, file: Path) -> None:
    """Check what the store has of a model, which may come from elsewhere."""
    try:
        settings = TypeAdapter(ServedSettings).validate_json(read_utf8(file))
    except (OSError, ValueError):
        raise RequestError(
            f"the model of {request.study} can't be exported: its {file.name} is damaged."
        ) from None
    if settings.code is None:
        return
    if request.to == "keras":
        raise RequestError(
            "a .keras file does not hold classes or functions of your own, which this network has: "
            "export it to onnx or savedmodel, or take the model from MLflow, with its code."
        )
    place = Path(settings.code.get("file") or "")
    if place.is_absolute() or ".." in place.parts:
        raise RequestError(f"the model's code must lie beside it; received {str(place)!r:.80}.")
    # Elsewhere too no code is run that lies in a store: it may be another person's.
    if not request.run_code:
        raise RequestError(
            "the network has classes or functions of your own, which code "
            "beside the model in MLflow defines; say --run-code if you trust that code to run."
        )


# Which model


@dataclass(frozen=True)
class _Chosen:
    """A model in MLflow.

    Attributes:
        run_id: the run that has it.
        trial: number of the trial whose configuration it has.
        origin: which it is, for people.
    """

    run_id: str
    trial: int
    origin: str


def _choose_model(request: ExportRequest, store_paths: StorePaths) -> _Chosen:
    name = request.study
    study = read_study(name, store_paths)
    models = _list_models(study)
    if request.trial is not None:
        return _get_model(models, request.trial, f"trial {request.trial} of {name}", study)
    finalized, _ = load_finalizes(name, store_paths)
    leader = None if finalized is None else finalized.verdicts.leader
    if finalized is not None and leader is not None:
        origin = f"trial {leader} of {name}, the leader of its last finalize"
        # Of what finalize trains, MLflow has the registered network alone.
        registered = finalized.registered_run(study.finalist_runs)
        if registered is not None and find_model_runs(store_paths, [registered]):
            return _Chosen(registered, leader, f"{origin}, trained again")
        return _get_model(models, leader, origin, study)
    if study.pareto is not None:
        front = ", ".join(str(one["number"]) for one in study.pareto)
        raise RequestError(
            f"{name} has several objectives, so that no trial is the best: name one of its Pareto "
            f"front with --trial ({front or 'it is empty'})."
        )
    if study.best is None:
        raise RequestError(f"{name} has no complete trial, so there is no model to export.")
    best = int(study.best["number"])
    return _get_model(models, best, f"trial {best} of {name}, the best of its search", study)


def _list_models(study: StudyResult) -> dict[int, str]:
    """Return the addresses of the models of a study by trial."""
    front = [] if study.pareto is None else study.pareto
    models = {int(one["number"]): one.get("model") for one in front}
    if study.best is not None:
        models[int(study.best["number"])] = study.model
    return {trial: address for trial, address in models.items() if address is not None}


def _get_model(models: dict[int, str], trial: int, origin: str, study: StudyResult) -> _Chosen:
    if trial not in models:
        known = ", ".join(map(str, sorted(models))) or "none"
        reason = study.missing_models.get(trial)
        raise RequestError(
            f"MLflow has no model of {origin}{f' ({reason})' if reason else ''}; "
            f"trials that have one: {known}; name one with --trial."
        )
    return _Chosen(models[trial].removeprefix("runs:/").partition("/")[0], trial, origin)


# Conversion


@contextlib.contextmanager
def _partial_folder(file: Path) -> Iterator[Path]:
    """Create a folder beside the file, from which it is renamed; remove it at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{file.name[:100]}-", dir=file.parent))
    except OSError as error:
        raise _unwritable(file, error) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _convert(request: ExportRequest, model: Path, partial: Path) -> None:
    """Write network, program and example into a folder, under their last names.

    Raises:
        SearchError: the network can't be converted.
        WorkerBug: the process failed.
    """
    names = {name: path.name for name, path in request.files.items()}
    job = {
        "model": str(model),
        "folder": str(partial),
        "to": request.to,
        "study": request.study,
        "names": names,
    }
    done = subprocess.run(
        # -P: nothing in the current folder shadows a module.
        [sys.executable, "-P", "-m", "assay.experiments.export.convert"],
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": _python_path(), "KERAS_BACKEND": "tensorflow"},
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        if done.returncode < 0:
            raise SearchError(
                f"the export ended with signal {-done.returncode}: is there enough memory?"
            ) from None
        raise WorkerBug(
            f"the export ended with exit code {done.returncode}\n{done.stderr}".rstrip()
        ) from None
    if "error" in answer:
        reason = " ".join(str(answer["error"]).split())[:_MOST_ERROR_CHARACTERS]
        raise SearchError(f"{request.study} can't be exported to {request.to}: {reason}")


def _move(request: ExportRequest, partial: Path) -> None:
    """Rename what was written; the network comes last, so that it is never without the rest."""
    try:
        for path in reversed(request.files.values()):
            if path.is_dir():
                # A folder can't be replaced: it is moved away first.
                path.rename(partial / f"{path.name}.replaced")
            (partial / path.name).replace(path)
    except OSError as error:
        raise _unwritable(request.file, error) from None


def _unwritable(file: Path, error: OSError) -> Exception:
    failure = unwritable_error(f"the folder of {file}", error)
    if failure is not None:
        return failure
    return RequestError(
        f"the exported file must be in a folder that can be written; received {file} "
        f"({error.strerror or error})."
    )


def _python_path() -> str:
    """Return PYTHONPATH without empty entries, each of which is the current folder."""
    return os.pathsep.join(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
