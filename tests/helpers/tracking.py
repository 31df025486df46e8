"""A journal that is passed on to a real MLflow store, and a snapshot of the store."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from assay.experiments.tracking.follower import MlflowTracker
from assay.search.events import (
    BestTrial,
    EpochEnded,
    Event,
    StudyClosed,
    StudyOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.journal import Journal

PARAMS = {"hidden_units": 32, "activation": "relu"}


def opened(study: str | None = "study", study_id: str = "5eed", **provenance: str) -> StudyOpened:
    return StudyOpened(
        study=study,
        study_id=study_id,
        experiment="experiment",
        provenance={
            "assay.backend": "tensorflow",
            "assay.objective": "maximize val_accuracy",
            **provenance,
        },
        text="title = 'x'",
        data={"input_shape": [8, 8, 1], "outputs": 2, "classes": ["0", "1"]},
    )


BEST = (BestTrial(0, (0.9,)),)


def trial(number: int, end: TrialEnded, epochs: int = 3) -> list[Event]:
    return [
        TrialBegun(trial=number, seed=number + 100, params=PARAMS, searched=PARAMS, origin="tpe"),
        *(
            EpochEnded(trial=number, epoch=n, metrics={"loss": 1 / n}, seconds=0.1)
            for n in range(1, epochs + 1)
        ),
        end,
    ]


STORY: list[Event] = [
    opened(),
    *trial(0, TrialEnded(trial=0, state="complete", values=(0.9,), metrics={"parameters": 26})),
    *trial(1, TrialEnded(trial=1, state="pruned", values=(0.5,))),
    *trial(2, TrialEnded(trial=2, state="failed", reason="crashed (SIGKILL)"), epochs=1),
    *trial(3, TrialEnded(trial=3, state="failed", reason="interrupted"), epochs=0),
    *trial(
        4,
        TrialEnded(
            trial=4, state="failed", reason="diverged", error="loss is <script>nan</script>"
        ),
    ),
    StudyClosed(closing="finished", best=BEST),
]


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@contextmanager
def tracked(folder: Path, store: str) -> Iterator[Journal]:
    with Journal(folder / "journal.jsonl") as journal:
        tracker = MlflowTracker(journal.path, store, folder / "artifacts")
        journal.subscribe(tracker.on_event)
        tracker.start()
        tracker.wait_until_open()
        yield journal
        assert tracker.close(hurry=False) is None


def tell(folder: Path, store: str, events: Sequence[Event]) -> None:
    with tracked(folder, store) as journal:
        for event in events:
            journal.append(event)


def snapshot(store: str) -> list[tuple[object, ...]]:
    """Return all data of all runs, except their ids."""
    client = MlflowClient(store)
    (experiment,) = [found for found in client.search_experiments() if found.name == "experiment"]
    runs: Sequence[Run] = client.search_runs([experiment.experiment_id], max_results=1000)
    ids = {str(run.info.run_id): str(run.info.run_name) for run in runs}
    return sorted(
        (
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            sorted(run.data.params.items()),
            sorted((name, _name_runs(value, ids)) for name, value in run.data.tags.items()),
            [
                (point.key, point.step, point.value, point.timestamp)
                for name in sorted(run.data.metrics)
                for point in client.get_metric_history(run.info.run_id, name)
            ],
            sorted(
                (used.dataset.name, used.dataset.digest, used.tags[0].value)
                for used in run.inputs.dataset_inputs
            ),
        )
        for run in runs
    )


def _name_runs(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the ids of runs, which each store draws at random, as their names."""
    return re.sub(r"[0-9a-f]{32}", lambda found: names.get(found[0], found[0]), text)
