"""Homes with a study that was searched, or finalized too, with a stub in place of training."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.experiments.run import execution
from assay.experiments.tracking.addresses import update_addresses
from assay.experiments.workspace import Workspace
from assay.search.journal import read_events
from tests.helpers.command import Done, invoke
from tests.helpers.once import once

UNITS = (24, 40, 56, 72)
BASELINE_UNITS = 32  # of digits-mlp


@pytest.fixture
def finalist_training(quick_training: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:FinalistTrainer")


@dataclass(frozen=True)
class Decided:
    """A home with a study that was finalized once, and what `--json` said."""

    home: Path
    answer: dict[str, Any]


@pytest.fixture
def searched(finalist_training: None, shared: Path, home: Path) -> Path:
    """Return a home with a study of the baseline and one trial for each of `UNITS`."""
    template = shared / "searched" / "home"
    with once(template.parent) as new:
        if new:
            shutil.copytree(home, template)
            queue = template.with_name("queue.json")
            fixed = {"activation": "relu", "batch_size": 32, "learning_rate": 0.01}
            queue.write_text(json.dumps([{"hidden_units": units, **fixed} for units in UNITS]))
            done = sweep(template, "--enqueue", str(queue))
            assert done.code == 0, done.err
    return copy_home(template, home)


@pytest.fixture
def decided(searched: Path, shared: Path) -> Decided:
    """Return such a home after `assay finalize --top 1 --seeds 3`."""
    template = shared / "decided" / "home"
    answer = template.with_name("answer.json")
    with once(template.parent) as new:
        if new:
            copy_home(searched, template)
            answer.write_text(json.dumps(finalized(template, "--top", "1", "--seeds", "3")))
    return Decided(copy_home(template, searched), json.loads(answer.read_text()))


def copy_home(template: Path, home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    update_addresses(Workspace(home))
    return home


def sweep(home: Path, *more: str) -> Done:
    sized = ("--trials", "5", "--epochs", "2", "--workers", "2", "--pruner", "none")
    return invoke("sweep", "digits-mlp", *sized, "--home", str(home), *more)


def finalized(home: Path, *more: str, **environment: str) -> dict[str, Any]:
    done = invoke(
        "finalize", "digits-mlp", "--no-report", "--home", str(home), "--workers", "2", "--json",
        *more,
        STORE=str(home / "mlflow.db"), **environment,
    )  # fmt: skip
    assert done.code == 0, done.err
    return done.answer


def qualities(**by_units: float | None) -> str:
    return json.dumps({name.removeprefix("of_"): value for name, value in by_units.items()})


def by_units(answer: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {one["params"]["hidden_units"]: one for one in answer["finalists"]}


def journal(home: Path) -> Path:
    return Workspace(home).finalize_journal("digits-mlp")


def events(home: Path, kind: type) -> list[Any]:
    return [event for event, _ in read_events(journal(home), only=[kind])]
