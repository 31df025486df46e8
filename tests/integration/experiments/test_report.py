"""Records of a report, and the commands that write it: studies are recorded without training."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mlflow.tracking._tracking_service import utils as mlflow_utils
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from PIL import Image

from assay import report
from assay.experiments.decision import finalize as finalizing
from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.load import load_finalizes
from assay.experiments.report import write
from assay.experiments.report.collection import random_search
from assay.experiments.report.collection import sources as sources_module
from assay.experiments.report.collection.collect import collect
from assay.experiments.report.collection.sources import read_sources
from assay.experiments.report.records import (
    ClassRecord,
    EffectRecord,
    ExampleRecord,
    ExpectedBestRecord,
    FinalistRecord,
    HyperparameterRecord,
    IsolationRecord,
    ReportRecords,
    StudyRecord,
    TrainingRecord,
    TrialRecord,
    from_lines,
    to_lines,
)
from assay.experiments.report.store import read_report
from assay.experiments.results.listing import storages_kept_open
from assay.experiments.results.load import read_trials
from assay.experiments.run.result import RunStatus
from assay.experiments.workspace import StorePaths, Workspace
from assay.models.data import RecordedOpening, open_test_set
from assay.models.errors import RequestError
from assay.search.events import (
    EpochEnded,
    RecordedExperiment,
    StudyClosed,
    StudyOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.journal import Journal
from tests.helpers.command import invoke
from tests.helpers.finalized_studies import Configuration, FinalizedStudy, record, targets
from tests.helpers.recorded_studies import (
    ONE,
    ONE_ENDS,
    TWO,
    TWO_ENDS,
    complete,
    failed,
    record_study,
)
from tests.helpers.runs import runs, store, trial_runs
from tests.helpers.stub_finalize import (
    Decided,
    decided,
    finalist_training,
    searched,
)

__all__ = ["decided", "finalist_training", "searched"]  # fixtures

WIDE = Configuration(7, {"hidden_units": 64}, 0.95, 0.96, draw=2)
BASELINE = Configuration(0, {"hidden_units": 8}, 0.80, 0.86, baseline=True, draw=1)
TEN = [str(label) for label in range(10)]
PAGES = {"report.html": b"", "report.md": b""}
TOML = """title = "{title}"
[data]
name = "digits"
[model]
family = "mlp"
[space]
learning_rate = {{ low = 1e-4, high = 0.1, log = true }}
activation = ["relu", "tanh"]
[search]
{search}
"""


@pytest.fixture
def store_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StorePaths:
    monkeypatch.chdir(tmp_path)
    found = StorePaths.choose()
    found.workspace.create()
    return found


def collected(store_paths: StorePaths, *names: str) -> ReportRecords:
    """Return the records after a way through their file."""
    with storages_kept_open():
        sources = [read_sources(name, store_paths) for name in names]
        found, _ = collect(sources, store_paths)
    lines = list(to_lines(found))
    assert from_lines(lines, "records.jsonl") == found
    return found


def the_study(store_paths: StorePaths, name: str) -> StudyRecord:
    (study,) = collected(store_paths, name).studies
    return study


# Searched studies of every kind.


def test_trials_of_every_kind_are_collected(store_paths: StorePaths) -> None:
    record_study(store_paths, "x", ONE, ONE_ENDS)
    found = collected(store_paths, "x")
    trials = found.of(TrialRecord, "x")
    assert [trial.state for trial in trials] == [
        *("complete", "complete", "pruned", "failed: crashed", "running"),
    ]
    assert [trial.values for trial in trials] == [(0.5,), (0.9,), (0.5,), (None,), (None,)]
    assert trials[0].params == {"hidden_units": [8, 4], "batch_size": 16}
    assert trials[0].train_seconds == trials[3].train_seconds == pytest.approx(0.4)
    assert trials[3].error == "second line"
    (study,) = found.studies
    assert study.best == 1
    counts = study.counts
    assert (counts.complete, counts.pruned, counts.failed, counts.running) == (2, 1, 1, 1)
    assert study.costs.training == pytest.approx(5 * 0.4)
    assert study.leader is None
    assert study.decision == ()
    assert any("was trained again" in sentence for sentence in study.untried)
    names = [one.name for one in found.of(HyperparameterRecord, "x")]
    assert names == ["hidden_units", "batch_size"]


def test_a_study_with_several_objectives_has_a_front_and_no_best(store_paths: StorePaths) -> None:
    record_study(store_paths, "x", TWO, TWO_ENDS)
    found = collected(store_paths, "x")
    (study,) = found.studies
    assert study.best is None
    assert set(study.pareto) == {0, 1}
    assert study.expected_best == "With several objectives there is no single best value to expect."
    assert set(study.importance) == {"val_accuracy", "parameters"}
    assert {one.metric for one in found.of(EffectRecord, "x")} == {"val_accuracy", "parameters"}
    assert found.of(TrialRecord, "x")[0].values == (0.5, 10.0)
    lines = {one.purpose: one.line for one in study.commands}
    assert lines["export"] == f"assay export x --trial {study.pareto[0]} --to keras"


def test_a_study_with_nothing_but_failures_says_so(store_paths: StorePaths) -> None:
    record_study(store_paths, "x", ONE, [failed(0), failed(1)])
    found = collected(store_paths, "x")
    (study,) = found.studies
    assert (study.best, study.claim, study.counts.failed) == (None, (), 2)
    assert study.expected_best == "No trial was trained to its end, so there is no value to expect."
    assert any("2 configurations gave no result" in one for one in study.untried)
    assert [one.purpose for one in study.commands] == ["search", "ui", "report"]
    assert found.of(EffectRecord, "x") == []


def test_values_that_are_not_finite_are_unknown(store_paths: StorePaths) -> None:
    record_study(store_paths, "x", ONE, [complete(0, 0.5), complete(1, float("-inf"))])
    assert [one.values for one in collected(store_paths, "x").of(TrialRecord, "x")] == [
        (0.5,),
        (None,),
    ]


def test_a_study_of_another_home_has_what_optuna_knows(
    store_paths: StorePaths, tmp_path: Path
) -> None:
    record_study(store_paths, "x", ONE, ONE_ENDS)
    elsewhere = StorePaths.choose(home=tmp_path / "elsewhere", storage=store_paths.storage)
    elsewhere.workspace.create()
    found = collected(elsewhere, "x")
    (study,) = found.studies
    assert (study.best, study.sampler, study.toml) == (1, "unknown", "")
    assert study.costs.sweep is None
    assert [trial.train_seconds for trial in found.of(TrialRecord, "x")] == [None] * 5
    names = {one.name for one in found.of(HyperparameterRecord, "x")}
    assert names == {"batch_size", "hidden_units"}


def test_text_of_users_is_text_and_no_secret_is_kept(store_paths: StorePaths) -> None:
    name = "<script>alert(1)</script>\u202e\n"
    record_study(store_paths, name, ONE, [])
    hostile = "{{7*7}} \ud800 postgresql://ann:s3cret-of-this-test@db/x"
    StorePaths.choose(
        home=store_paths.workspace.path, storage="postgresql://a:s3cret-of-this-test@db/x"
    )
    provenance = {"assay.title": hostile, "assay.source": hostile, "assay.dataset.verified": "no"}
    opened = StudyOpened(
        study=name,
        study_id="1d",
        experiment=hostile,
        provenance=provenance,
        text="",
        resolved=RecordedExperiment(toml='name = "npz:/home/ann/x.npz"\n\ud800'),
        data={"classes": [hostile, 3], "input_shape": ["x", -1], "train_examples": "many"},
    )
    with Journal(store_paths.workspace.journal(name)) as journal:
        journal.append(opened)
    found = collected(store_paths, name)
    (study,) = found.studies
    assert study.study == name
    assert study.title == "{{7*7}} \\ud800 postgresql://ann:***@db/x"
    assert study.data.input_shape == ()
    assert study.toml == 'name = "npz:<path>"\n\\ud800'
    text = "\n".join(to_lines(found))
    assert "s3cret-of-this-test" not in text
    assert "/home/ann" not in text
    assert text.isascii()


def test_mlflow_that_is_away_costs_the_run_ids_alone(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_study(store_paths, "x", ONE, ONE_ENDS)
    monkeypatch.setattr(write, "render", lambda *given: PAGES)
    home = str(store_paths.workspace.path)
    away = ("--tracking-uri", "http://127.0.0.1:9")
    done = invoke("report", "x", "--home", home, *away, "--json")
    assert done.code == 0, done.err
    assert done.answer["address"] is None
    assert "warning: MLflow does not answer" in done.err
    records, _ = read_report(Path(done.answer["folder"]))
    assert all(trial.run_id is None for trial in records.all_of(TrialRecord))


def test_mlflow_that_is_away_is_said_once_of_several_studies(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x", "y"):
        record_study(store_paths, name, ONE, ONE_ENDS)
    monkeypatch.setattr(write, "render", lambda *given: PAGES)
    home, out = str(store_paths.workspace.path), str(store_paths.workspace.path / "both")
    away = ("--tracking-uri", "http://127.0.0.1:9", "--out", out)
    done = invoke("report", "x", "y", "--home", home, *away)
    assert done.code == 0, done.err
    assert done.err.count("MLflow does not answer") == 1
    records, _ = read_report(Path(out))
    assert {trial.run_id for trial in records.all_of(TrialRecord)} == {None}


# Questions, random search, and the best value to expect.


def record_search(
    store_paths: StorePaths,
    name: str,
    values: Sequence[float | None],
    sampler: str = "random",
    pruned: int = 0,
    seconds: float = 1.0,
    search: str = "",
    given: Mapping[int, str] = {},
    home: str = "",
    began: float = 100.0,
    closed: float = 150.0,
    epochs: bool = False,
) -> None:
    """Record a search of two hyperparameters; None is a trial that failed."""
    fingerprint = {
        "task": "classification",
        "objectives": ["maximize val_accuracy"],
        "space": {"activation": "['relu', 'tanh']", "learning_rate": "0.0001 to 0.1, log"},
        "data": {"name": "digits", "digest": "d", "scale": "unit"},
        "split": {"train": 500, "validation": 100, "seed": 0},
        "fixed": {"family": "mlp", "epochs": 2, "dropout": 0.0, "optimizer": "adam"},
        "family": "mlp",
    }
    study = optuna.create_study(study_name=name, storage=store_paths.storage, direction="maximize")
    attributes = {"assay.study_id": f"id-{name}", "assay.identity": fingerprint}
    for key, value in {**attributes, "assay.samplers": [sampler]}.items():
        study.set_user_attr(key, value)
    opened = StudyOpened(
        study=name,
        study_id=f"id-{name}",
        experiment="mine",
        provenance={
            **{"assay.sampler": sampler, "assay.pruner": "none"},
            "assay.command": f"assay x --home {home}" if home else "assay x",
        },
        text="",
        resolved=RecordedExperiment(TOML.format(title=name, search=search)),
        data={"validation_examples": 100, "train_examples": 500, "input_shape": [8, 8, 1]},
        time=began,
    )
    distributions = {
        "learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "activation": CategoricalDistribution(["relu", "tanh"]),
    }
    with Journal(store_paths.workspace.journal(name)) as journal:
        journal.append(opened)
        for number, value in enumerate(values):
            is_pruned = number >= len(values) - pruned
            state = "failed" if value is None else "pruned" if is_pruned else "complete"
            params = {
                "learning_rate": 1e-3 * (1 + number % 90),
                "activation": ("relu", "tanh")[number % 2],
            }
            origin = given.get(number, sampler)
            journal.append(
                TrialBegun(
                    trial=number, seed=number, params=params, searched=params, origin=origin,
                    time=100.0 + number,
                )
            )  # fmt: skip
            if epochs and value is not None:
                metrics = {"val_accuracy": value}
                journal.append(
                    EpochEnded(trial=number, epoch=1, metrics=metrics, seconds=0.1, time=100.0)
                )
            end = TrialEnded(
                trial=number,
                state=state,  # type: ignore[arg-type]
                values=(value,) if state == "complete" and value is not None else (),
                reason="diverged" if value is None else None,
                metrics={"train_seconds": seconds},
                time=101.0 + number,
            )
            journal.append(end)
            states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
            study.add_trial(
                create_trial(
                    state=TrialState[states[state]],
                    values=list(end.values) or None,
                    params=params,
                    distributions=distributions,
                    user_attrs={
                        **{"assay.seed": number, "assay.origin": origin},
                        **{"assay.state": end.label, "assay.baseline": origin == "baseline"},
                    },
                )
            )
        journal.append(StudyClosed(closing="finished", time=closed))


def test_a_random_study_has_the_best_value_to_expect(store_paths: StorePaths) -> None:
    values = [0.99, 0.5, 0.6, None, 0.7, 0.8, 0.55, 0.65]
    record_search(store_paths, "x", values, given={0: "baseline"})
    found = collected(store_paths, "x")
    (study,) = found.studies
    assert study.expected_best is None
    assert "from 7 trials that the sampler drew" in study.expected_best_note
    assert "1 trial of them failed" in study.expected_best_note
    curve = found.of(ExpectedBestRecord, "x")
    assert [point.trials for point in curve] == [1, 2, 3, 4, 5, 6, 7]
    # Neither the baseline's value nor anything better than what was drawn.
    assert all(point.median <= 0.8 for point in curve)
    assert curve[-1].median == 0.8
    assert curve[-1].high is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampler": "tpe"}, "Trials of the sampler tpe are no independent draws"),
        ({"pruned": 3}, "3 trials were pruned: the value after a full training is not known"),
        ({"values": [0.5, 0.6]}, "At least 5 trials that the sampler drew are needed"),
    ],
)
def test_a_curve_that_would_not_be_true_is_explained(
    changes: dict[str, Any], reason: str, store_paths: StorePaths
) -> None:
    record_search(store_paths, "x", **{"values": [0.1 * n for n in range(1, 9)], **changes})
    found = collected(store_paths, "x")
    assert (found.studies[0].expected_best or "").startswith(reason)
    assert found.of(ExpectedBestRecord, "x") == []


def test_random_search_is_compared_at_equal_budget(store_paths: StorePaths) -> None:
    # Neither is finalized: there is nothing to compare them by.
    record_search(store_paths, "tuned", [0.7, 0.9, 0.8], "tpe", seconds=1.0)
    record_search(store_paths, "lots", [0.5, 0.6, 0.7, 0.95], seconds=1.5)
    tuned, lots = collected(store_paths, "tuned", "lots").studies
    found = tuned.random_search
    assert found is not None
    assert (found.study, found.trials, found.best, found.train_seconds) == ("lots", 3, 0.7, 4.5)
    assert "0.2000 better here" in found.sentence
    assert "3 s, it trains 2 trials and reaches 0.6000" in found.sentence
    assert "runed" not in found.sentence
    assert lots.random_search is None
    alone = the_study(store_paths, "tuned")
    assert alone.random_search is None
    # The page says so at the place of the comparison, once.
    assert not any("andom search" in one for one in (*tuned.untried, *alone.untried))


def test_random_search_says_what_makes_the_budgets_unequal(store_paths: StorePaths) -> None:
    record_search(store_paths, "tuned", [0.7, 0.9, 0.8], "tpe", pruned=1, seconds=9.0)
    record_search(store_paths, "few", [0.5, 0.6])
    tuned, _ = collected(store_paths, "tuned", "few").studies
    assert tuned.random_search is not None
    sentence = tuned.random_search.sentence
    assert "Here 1 of 3 trials was pruned, there 0 of 2." in sentence
    # It has no trials left for the rest of the time.
    assert "training time" not in sentence


def test_a_pruned_trial_as_good_as_the_best_is_no_finalist(store_paths: StorePaths) -> None:
    record_search(store_paths, "x", [0.7, 0.9, 0.9, 0.8], pruned=2, epochs=True)
    (said,) = [one for one in the_study(store_paths, "x").untried if "pruned" in one]
    assert said == (
        "Trial 2 was pruned at a val_accuracy as good as the best, 0.9000, or better: pruned "
        "trials are no finalists."
    )


def test_trials_that_were_done_again_are_one_configuration(store_paths: StorePaths) -> None:
    record_search(store_paths, "x", [0.7, None, None])
    study = optuna.load_study(study_name="x", storage=store_paths.storage)
    again = {"assay.redo_of": 2, "assay.state": "failed: diverged"}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=again))
    untried = the_study(store_paths, "x").untried
    assert "2 configurations gave no result: training failed." in untried
    again_said = "1 trial was interrupted or failed, and tried again with the same configuration."
    assert again_said in untried


@pytest.mark.parametrize(
    ("name", "recorded", "said"),
    [
        ("digits", "yes", "its digest is the published one"),
        ("npz:x.npz", "no: your own data", "not compared: no digest is published"),
        ("mnist", "no: y differs", "not the published one: y differs"),
        ("digits", None, "not recorded"),
    ],
)
def test_what_was_verified_is_said(
    name: str, recorded: str | None, said: str, store_paths: StorePaths
) -> None:
    provenance = {} if recorded is None else {"assay.dataset.verified": recorded}
    study = FinalizedStudy("x", [BASELINE], provenance=provenance, data={"name": name})
    record(study, store_paths)
    assert the_study(store_paths, "x").data.verified == said


def test_a_clock_that_was_far_off_gives_no_time(store_paths: StorePaths) -> None:
    record_search(store_paths, "x", [0.7], began=0.0)
    assert the_study(store_paths, "x").costs.sweep is None
    # As of a test's clock, and of a machine that has the right time since.
    record_search(store_paths, "y", [0.7], closed=1.79e9)
    assert the_study(store_paths, "y").costs.sweep is None


def test_a_question_has_the_best_of_each_value(store_paths: StorePaths) -> None:
    values = [0.7, 0.6, 0.9, 0.8, 0.5, None]
    record_search(store_paths, "x", values, "tpe", search='question = "activation"')
    found = collected(store_paths, "x")
    assert found.studies[0].question == "activation"
    relu, tanh = found.of(IsolationRecord, "x")
    assert (relu.group, relu.trials, relu.trial, relu.best) == ("relu", 3, 2, 0.9)
    assert (tanh.group, tanh.trials, tanh.trial, tanh.best) == ("tanh", 2, 3, 0.8)
    for one in (relu, tanh):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.best < one.high


def test_what_was_not_tried_follows_from_the_space(store_paths: StorePaths) -> None:
    record_search(store_paths, "x", [0.7, 0.6], "tpe")
    text = " ".join(the_study(store_paths, "x").untried)
    assert "did not vary optimizer = adam." in text
    assert "Not used by any trial: dropout." in text
    assert "learning_rate 0.0001 to 0.1; activation relu, tanh." in text
    study = the_study(store_paths, "x")
    assert [one.line for one in study.commands if one.purpose == "search"] == ["assay x"]
    assert study.costs.sweep == 50.0


def test_commands_that_follow_have_the_home_of_those_that_were_given(
    store_paths: StorePaths,
) -> None:
    record_search(store_paths, "x", [0.7, 0.6], "tpe", home="./all")
    lines = {one.purpose: one.line for one in the_study(store_paths, "x").commands}
    assert lines == {
        "search": "assay x --home ./all",
        "finalize": "assay finalize x --home ./all",
        "export": "assay export x --to keras --home ./all",
        "ui": "assay ui x --home ./all",
        "report": "assay report x --home ./all",
    }


def test_commands_that_follow_name_a_home_that_is_not_the_default_one(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_search(store_paths, "x", [0.7, 0.6], "tpe")
    folder = store_paths.workspace.path.parent
    (folder / "b").mkdir()
    inside, elsewhere = f" --home ./{folder.name}/mlruns", " --home '<path>'"
    for current, named in ((folder, ""), (folder.parent, inside), (folder / "b", elsewhere)):
        monkeypatch.chdir(current)
        lines = {one.purpose: one.line for one in the_study(store_paths, "x").commands}
        # As it was typed, with the home that ASSAY_HOME must have given then.
        home = named.replace(" --home ", "ASSAY_HOME=")
        assert lines["search"] == f"{home} assay x".strip()
        assert lines["ui"] == f"assay ui x{named}"


# Finalized studies.


def test_the_decision_is_in_the_records(store_paths: StorePaths) -> None:
    study = FinalizedStudy("x", [BASELINE, WIDE], data={"classes": TEN, "digest": "d1"})
    record(study, store_paths)
    found = collected(store_paths, "x")
    (record_of_study,) = found.studies
    assert (record_of_study.leader, record_of_study.openings) == (7, 1)
    assert record_of_study.decision[0].startswith("Trial 7 leads")
    leader, baseline = found.of(FinalistRecord, "x")
    assert (leader.trial, leader.verdict, leader.difference) == (7, "leader", None)
    assert (baseline.trial, baseline.baseline, baseline.verdict) == (0, True, "worse")
    assert baseline.difference is not None
    assert baseline.difference.mean == pytest.approx(-0.15, abs=0.03)
    trainings = found.of(TrainingRecord, "x")
    assert len(trainings) == 10
    assert trainings[0].curves == {"val_accuracy": (trainings[0].validation,)}
    classes = found.of(ClassRecord, "x")
    true = targets()
    assert [one.examples for one in classes] == np.bincount(true).tolist()
    for label, one in enumerate(classes[:-1]):  # what is taken for an 11th class is in no column
        assert sum(one.predicted) == 5 * one.examples
        assert one.recall == pytest.approx(one.predicted[label] / sum(one.predicted))
        assert one.recall_low <= one.recall <= one.recall_high
    for example in found.of(ExampleRecord, "x"):
        assert 2 * example.wrong > example.networks == 5
        assert (example.png, example.width) == ("", 0)


def test_regression_has_intervals_and_no_classes(store_paths: StorePaths) -> None:
    numbers = np.random.default_rng(0).normal(size=300)
    study = FinalizedStudy(
        "x",
        [WIDE, BASELINE],
        seeds=3,
        task="regression",
        objectives=["minimize val_loss"],
        targets=numbers,
    )
    record(study, store_paths)
    found = collected(store_paths, "x")
    (of_study,) = found.studies
    assert (of_study.task, of_study.test_metric) == ("regression", "mae")
    assert not of_study.greater_is_better
    assert not of_study.is_share
    assert found.of(ClassRecord, "x") == found.of(ExampleRecord, "x") == []
    assert all(one.test is not None for one in found.of(FinalistRecord, "x"))


def test_lost_predictions_leave_what_the_journal_has(store_paths: StorePaths) -> None:
    study = FinalizedStudy("x", [BASELINE, WIDE], data={"classes": TEN})
    record(study, store_paths)
    predictions_file(store_paths.workspace.finalists("x"), 3).write_bytes(b"PK damaged")
    found = collected(store_paths, "x")
    (of_study,) = found.studies
    assert of_study.leader == 7
    assert of_study.decision[0] == "Opening 1 found: trial 7 leads."
    assert "can't be read" in of_study.decision[1]
    assert str(store_paths.workspace.path) not in of_study.decision[1]
    by_trial = {one.trial: one for one in found.of(FinalistRecord, "x")}
    assert (by_trial[7].verdict, by_trial[0].verdict) == ("leader", "not judged")
    assert by_trial[7].test is not None
    assert by_trial[7].test.mean == pytest.approx(0.95)
    assert found.of(ClassRecord, "x") == []


def test_an_interrupted_finalize_is_in_words(store_paths: StorePaths) -> None:
    record(FinalizedStudy("x", [BASELINE, WIDE]), store_paths)
    second = FinalizedStudy("x", [BASELINE, WIDE], opening=2)
    with Journal(store_paths.workspace.finalize_journal("x")) as journal:
        journal.append(second.opened(finalize=True))
    study = the_study(store_paths, "x")
    assert study.leader == 7
    assert study.openings == 1
    assert study.unfinished == (
        "The 2nd finalize was interrupted: 0 of 10 trainings have ended, and the test set was not "
        "opened yet for it. It goes on with: assay finalize x --top 3 --seeds 5"
    )


def with_real_targets(home: Path, wrong: Sequence[int] = (5, 9)) -> list[int]:
    """Let all networks be wrong about images of the real test set; return their indices."""
    workspace = Workspace(home)
    (folder,) = workspace.path.glob("data/digits-*")
    journal = str(workspace.finalize_journal("digits-mlp"))
    true = np.asarray(open_test_set(folder, RecordedOpening(journal, 1), "none").y)
    given = true.copy()
    indices = list(wrong)
    given[indices] = (true[indices] + 1) % 10
    for file in workspace.finalists("digits-mlp").glob("training-*/predictions.npz"):
        np.savez_compressed(file, predictions=given, targets=true)
    return indices


def test_confused_images_are_those_of_the_test_set(decided: Decided) -> None:
    indices = with_real_targets(decided.home)
    store_paths = StorePaths.choose(home=decided.home)
    found = collected(store_paths, "digits-mlp")
    examples = found.of(ExampleRecord, "digits-mlp")
    assert [one.index for one in examples] == indices
    assert found.studies[0].examples_note == ""
    many = with_real_targets(decided.home, range(30))
    few = collected(store_paths, "digits-mlp")
    assert [one.index for one in few.of(ExampleRecord, "digits-mlp")] == many[:24]
    assert few.studies[0].examples_note.startswith("24 of 30 are shown: those that most networks")
    with_real_targets(decided.home)
    (folder,) = store_paths.workspace.path.glob("data/digits-*")
    pixels = np.load(folder / "test" / "x.npy")[indices[0], ..., 0]
    picture = Image.open(io.BytesIO(base64.b64decode(examples[0].png)))
    assert np.array_equal(np.asarray(picture), np.round(pixels / 16 * 255))
    # Without the prepared data nothing is prepared.
    shutil.rmtree(folder)
    found = collected(store_paths, "digits-mlp")
    assert [one.png for one in found.of(ExampleRecord, "digits-mlp")] == ["", ""]
    assert "no longer in home" in found.studies[0].examples_note
    assert not folder.exists()


# The commands.


def test_report_writes_and_logs_the_page_of_a_study(decided: Decided) -> None:
    home = str(decided.home)
    # MLflow remembers where the artifacts of a run are; the fixture has copied the home since.
    mlflow_utils._artifact_repos_cache.clear()
    done = invoke("report", "digits-mlp", "--home", home, "--json")
    assert done.code == 0, done.err
    folder = decided.home / "reports" / "digits-mlp"
    (parent,) = [run for run in runs(decided.home) if "mlflow.parentRunId" not in run.data.tags]
    address = f"runs:/{parent.info.run_id}/report/report.html"
    assert done.answer == {
        "folder": str(folder),
        "page": str(folder / "report.html"),
        "markdown": str(folder / "report.md"),
        "studies": ["digits-mlp"],
        "address": address,
    }
    assert parent.data.tags["assay.report"] == address
    written = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    client, logged = store(decided.home), set[Path]()
    for place in ("report", "report/figures"):
        listed = client.list_artifacts(parent.info.run_id, place)
        logged |= {Path(one.path).relative_to("report") for one in listed if not one.is_dir}
    assert logged == written
    records, environment = read_report(folder)
    (study,) = records.studies
    assert (study.leader, study.openings) == (decided.answer["leader"], 1)
    by_trial = {one.trial: one for one in records.all_of(FinalistRecord)}
    for one in decided.answer["finalists"]:
        assert by_trial[one["trial"]].verdict == one["verdict"]
    known = {number: run.info.run_id for number, run in trial_runs(decided.home).items()}
    assert {one.trial: one.run_id for one in records.all_of(TrialRecord)} == known
    assert {stage.stage for stage in environment.stages} == {"search", "finalize"}
    # What is served and trained again is the network that is registered.
    lines = {one.purpose: one.line for one in study.commands}
    registered = decided.answer["registered"]["run_id"]
    assert f"runs:/{registered}/model" in lines["serve"]
    assert registered in lines["ask"]
    assert f"assay reproduce {registered}" in lines["reproduce"]
    trainings = {one.run_id: one for one in records.all_of(TrainingRecord)}
    number, measured = trainings[registered].training, trainings[registered].test["test_accuracy"]
    assert f"training {number} of trial {study.leader}, the best of its" in study.network
    assert f"By itself it has a test accuracy of {measured:.4f}:" in study.network
    (asked,) = [one.note for one in study.commands if one.purpose == "ask"]
    assert '{"inputs": [example, ...]}, each 8 x 8 of uint8, as they are in the data' in asked
    for one in decided.answer["finalists"]:
        bounds = by_trial[one["trial"]].generalization
        assert bounds is not None
        assert bounds.model_dump() == one["generalization"]
        assert bounds.low < one["test"]["mean"] < bounds.high
    text = (folder / "records.jsonl").read_text() + (folder / "environment.json").read_text()
    assert home not in text
    assert str(Path.home()) not in text
    # Drawn again, it is the same.
    again = decided.home.parent / "again"
    done = invoke("report", "--from", str(folder), "--out", str(again))
    assert (done.code, done.out) == (0, f"{again / 'report.html'}\n")
    for path in written:
        assert (again / path).read_bytes() == (folder / path).read_bytes()


def test_a_network_that_was_not_saved_is_not_served(decided: Decided) -> None:
    store_paths = StorePaths.choose(home=decided.home)
    sources = read_sources("digits-mlp", store_paths)
    finalized = sources.finalized
    assert finalized is not None
    assert finalized.verdicts.registration is not None
    unsaved = dataclasses.replace(finalized.verdicts.registration, unsaved="no room")
    verdicts = dataclasses.replace(finalized.verdicts, registration=unsaved)
    changed = dataclasses.replace(
        sources, finalized=dataclasses.replace(finalized, verdicts=verdicts)
    )
    records, _ = collect([changed], store_paths)
    lines = {one.purpose: one.line for one in records.studies[0].commands}
    assert not {"serve", "ask"} & set(lines)
    leader = decided.answer["leader"]
    (runs_of_leader,) = [
        one["runs"] for one in decided.answer["finalists"] if one["trial"] == leader
    ]
    assert lines["reproduce"].split()[2] in runs_of_leader


def test_a_network_that_mlflow_does_not_have_is_not_served(decided: Decided) -> None:
    registered = decided.answer["registered"]["run_id"]
    (model,) = (decided.home / "artifacts").rglob(f"{registered}/artifacts/model")
    shutil.rmtree(model)
    mlflow_utils._artifact_repos_cache.clear()
    found = the_study(StorePaths.choose(home=decided.home), "digits-mlp")
    purposes = {one.purpose for one in found.commands}
    assert "reproduce" in purposes
    assert not {"serve", "ask"} & purposes


def test_a_trial_that_ends_while_the_stores_are_read_is_in_no_part(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_search(store_paths, "x", [0.7, 0.6, 0.9])
    monkeypatch.setattr(sources_module, "read_trials", lambda study: read_trials(study)[:-1])
    found = collected(store_paths, "x")
    (study,) = found.studies
    assert (study.best, study.counts.complete) == (0, 2)
    assert [one.trial for one in found.of(TrialRecord, "x")] == [0, 1]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ([], "received neither"),
        (["x", "--from", "."], "received both"),
        (["nothing"], "there is no study 'nothing'"),
        (["--from", "missing"], "there is no folder"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str], rule: str, store_paths: StorePaths, tmp_path: Path
) -> None:
    done = invoke("report", *words, "--home", str(store_paths.workspace.path), cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert rule in line


def test_several_studies_are_compared_and_not_logged(
    store_paths: StorePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study in (FinalizedStudy("a", [BASELINE, WIDE]), FinalizedStudy("b", [WIDE])):
        record(study, store_paths)
    monkeypatch.setattr(write, "render", lambda *given: PAGES)
    result = report("a", "b", home=store_paths.workspace.path)
    assert result.folder == store_paths.workspace.path / "reports" / "a+b"
    assert result.address is None
    records, _ = read_report(result.folder)
    assert records.report.studies == ("a", "b")
    assert records.report.comparison[0].startswith("a/7 leads")
    assert records.report.comparison[-1] == (
        "The test set was opened 2 times for this report (a 1, b 1). The verdicts are not "
        "corrected for that, but for the openings of one study, so false ones may be more frequent "
        "than their level says."
    )
    with pytest.raises(RequestError, match="names of studies or a source: received both"):
        report("a", source=result.folder)


def test_a_study_that_was_not_finalized_is_named_beside_those_that_are_compared(
    store_paths: StorePaths,
) -> None:
    record(FinalizedStudy("a", [BASELINE, WIDE]), store_paths)
    record_search(store_paths, "luck", [0.7, 0.97], "random", home="./all")
    record_search(store_paths, "none", [None])
    scored = optuna.load_study(study_name="luck", storage=store_paths.storage)
    tuned = optuna.load_study(study_name="a", storage=store_paths.storage)
    tuned.set_user_attr("assay.identity", scored.user_attrs["assay.identity"])
    for value in (0.95, 0.91):
        tuned.add_trial(create_trial(state=TrialState.COMPLETE, values=[value]))
    report = collected(store_paths, "a", "luck", "none").report
    assert report.not_compared == ""
    assert report.comparison[0].startswith("a/7 leads")
    assert report.comparison[-2:] == (
        "Study luck was not finalized: its best search score is a val_accuracy of 0.9700, higher "
        "than the best of the same model family, 0.9500 (a). To compare it, run 'assay finalize "
        "luck --home ./all'.",
        "Study none was not finalized, and has no complete trial to be finalized.",
    )
    # Other data: the score alone.
    tuned.set_user_attr("assay.identity", {"data": {"name": "cifar10"}})
    assert "of 0.9700. To compare" in collected(store_paths, "a", "luck").report.comparison[-1]
    # Nothing is compared: the reason says so first.
    reason = collected(store_paths, "luck", "none").report.not_compared
    assert reason.startswith("fewer than two configurations were trained again. Study luck was")


def test_a_report_that_fails_costs_no_finalize(
    decided: Decided, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_paths = StorePaths.choose(home=decided.home)
    finalized, _ = load_finalizes("digits-mlp", store_paths)
    assert finalized is not None
    result = finalizing.FinalizeResult(
        RunStatus("finished"), "digits-mlp", "sqlite:///x", finalized.evaluate(), {}, None, 1.0
    )
    monkeypatch.setattr(finalizing, "finalize", lambda *given: result)

    def fail(*given: object) -> None:
        raise RuntimeError("a \x1b[31mbug\nof two lines")

    monkeypatch.setattr(write, "render", fail)
    done = invoke("finalize", "digits-mlp", "--home", str(decided.home), "--json")
    assert done.code == 0, done.err
    assert done.answer["leader"] == decided.answer["leader"]
    assert done.answer["report"] is None
    (line,) = [line for line in done.err.splitlines() if line.startswith("warning:")]
    assert line == (
        "warning: the report was not written (a \\x1b[31mbug); 'assay report digits-mlp' tries "
        "again"
    )
    monkeypatch.setattr(write, "render", lambda *given: PAGES)
    done = invoke("finalize", "digits-mlp", "--home", str(decided.home), "--json")
    assert done.answer["report"] == str(decided.home / "reports" / "digits-mlp" / "report.html")
    assert json.loads(done.out)["report"].endswith("report.html")


def test_trials_that_a_search_shares_with_random_search_are_counted() -> None:
    space = {"x": FloatDistribution(0, 1)}
    mine, theirs = (
        [create_trial(params={"x": x}, distributions=space, value=0.5) for x in values]
        for values in ((0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.9, 0.4))
    )
    assert random_search._describe_shared(mine, theirs) == (
        " The first 2 trials are the same in both."
    )
    assert random_search._describe_shared(mine[2:], theirs[2:]) == ""
