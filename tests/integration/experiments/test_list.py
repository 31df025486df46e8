"""`assay list` prints one line per item."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from assay.experiments.api import load_study
from assay.experiments.results.listing import StudySummary, summarize_studies
from assay.experiments.tracking import lookup
from assay.experiments.workspace import StorePaths
from assay.search.events import StudyOpened
from assay.search.journal import Journal
from tests.helpers.command import Swept, invoke


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    return StorePaths.choose(home=tmp_path)


def study(
    store_paths: StorePaths,
    name: str,
    ends: list[tuple[TrialState, list[float] | None]],
    *directions: str,
) -> None:
    made = optuna.create_study(
        study_name=name, storage=store_paths.storage, directions=directions or ("maximize",)
    )
    for state, values in ends:
        made.add_trial(create_trial(state=state, values=values))


COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


def test_a_study_shows_trial_states_best_value_and_experiment(
    store_paths: StorePaths,
) -> None:
    study(
        store_paths, "mine", [(COMPLETE, [0.25]), (COMPLETE, [0.5]), (PRUNED, None), (FAIL, None)]
    )
    study(store_paths, "loss", [(COMPLETE, [0.25]), (COMPLETE, [0.5])], "minimize")
    with Journal(store_paths.workspace.journal("mine")) as journal:
        journal.append(
            StudyOpened(
                study="mine", study_id="1d", experiment="e", provenance={}, text="", data={}
            )
        )
    found = summarize_studies(store_paths)
    assert found == {
        "mine": StudySummary(
            "e", complete=2, pruned=1, failed=1, interrupted=0, best=0.5, pareto=None
        ),
        "loss": StudySummary(
            None, complete=2, pruned=0, failed=0, interrupted=0, best=0.25, pareto=None
        ),
    }
    assert str(found["mine"]) == "2 complete, 1 pruned, 1 failed; best 0.5; e"
    assert str(found["loss"]) == "2 complete, 0 pruned, 0 failed; best 0.25; of another home"


def test_interrupted_trials_are_counted_apart(store_paths: StorePaths) -> None:
    study(store_paths, "mine", [(COMPLETE, [0.25]), (FAIL, None)])
    stored = optuna.load_study(study_name="mine", storage=store_paths.storage)
    for label in ("failed: interrupted", "failed: crashed (SIGKILL)", "failed: interrupted"):
        attributes = {"assay.state": label}
        stored.add_trial(create_trial(state=FAIL, user_attrs=attributes))
    found = summarize_studies(store_paths)["mine"]
    assert (found.complete, found.failed, found.interrupted) == (1, 2, 2)
    assert str(found).startswith("1 complete, 0 pruned, 2 failed, 2 interrupted; best 0.25")


def test_a_study_without_a_complete_trial_has_no_best(store_paths: StorePaths) -> None:
    study(store_paths, "bad", [(PRUNED, None), (FAIL, None)])
    study(store_paths, "empty", [])
    assert [summary.best for summary in summarize_studies(store_paths).values()] == [None, None]
    assert "0 complete, 1 pruned, 1 failed; none complete" in str(
        summarize_studies(store_paths)["bad"]
    )


def test_several_objectives_show_the_pareto_front(store_paths: StorePaths) -> None:
    ends = [(COMPLETE, [0.9, 10.0]), (COMPLETE, [0.8, 5.0]), (COMPLETE, [0.7, 20.0])]
    study(store_paths, "two", ends, "maximize", "minimize")
    study(store_paths, "none", [(FAIL, None)], "maximize", "minimize")
    found = summarize_studies(store_paths)
    assert (found["two"].best, found["two"].pareto, found["none"].pareto) == (None, 2, 0)
    assert "2 on the Pareto front" in str(found["two"])


def test_equal_trials_count_once_on_the_front_of_a_study_made_by_optuna(
    store_paths: StorePaths,
) -> None:
    ends = [(COMPLETE, [0.9, 10.0]), (COMPLETE, [0.9, 10.0]), (COMPLETE, [0.8, 5.0])]
    study(store_paths, "two", ends, "maximize", "minimize")
    by_optuna = optuna.load_study(study_name="two", storage=store_paths.storage).best_trials
    assert [trial.number for trial in by_optuna] == [0, 1, 2]
    assert summarize_studies(store_paths)["two"].pareto == 2
    read = load_study("two", home=store_paths.workspace.path)
    assert read.objectives == ("maximize value_0", "minimize value_1")
    assert read.pareto is not None
    assert [trial["number"] for trial in read.pareto] == [0, 2]
    shown = invoke("show", "two", "--home", str(store_paths.workspace.path)).out
    marked = [line.split()[1] for line in shown.splitlines() if line.startswith("* ")]
    assert marked == ["0", "2", "on"]


def test_of_equal_trials_the_lowest_number_is_the_best(store_paths: StorePaths) -> None:
    study(store_paths, "one", [(COMPLETE, [0.5]), (COMPLETE, [0.9]), (COMPLETE, [0.9])])
    assert summarize_studies(store_paths)["one"].best == 0.9
    read = load_study("one", home=store_paths.workspace.path)
    assert (read.objectives, read.best and read.best["number"]) == (("maximize value",), 1)


def test_every_kind_fits_a_terminal_of_a_hundred_columns(store_paths: StorePaths) -> None:
    study(store_paths, "a-study-with-a-rather-long-name", [(COMPLETE, [0.123456789])] * 3)
    done = invoke("list", "--home", str(store_paths.workspace.path))
    assert done.code == 0, done.err
    assert "a-study-with-a-rather-long-name" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_json_lists_every_kind_by_name(store_paths: StorePaths) -> None:
    study(store_paths, "mine", [(COMPLETE, [0.5])])
    answer = invoke("list", "--json", "--home", str(store_paths.workspace.path)).answer
    kinds = ["experiments", "models", "datasets", "samplers", "pruners"]
    assert [*answer] == [*kinds, "studies"]
    assert all(isinstance(line, str) for kind in kinds for line in answer[kind].values())
    assert answer["studies"]["mine"]["best"] == 0.5


def test_a_study_is_listed_with_its_best_trial(swept: Swept) -> None:
    done = invoke("list", "studies", "--home", str(swept.home), "--json")
    best = swept.answer["best"]["value"]
    known = {"experiment": "digits-mlp", **swept.answer["trials"], "best": best, "pareto": None}
    assert done.answer == {"studies": {"digits-mlp": known}}
    said = invoke("list", "studies", "--home", str(swept.home)).out
    assert "0 failed; best " in said
    assert said.rstrip().endswith("; digits-mlp")


def test_a_home_without_studies_lists_none_and_stays_empty(tmp_path: Path) -> None:
    done = invoke("list", "--home", f"{tmp_path}/home")
    assert done.code == 0
    assert "none yet" in done.out
    assert "mnist-mlp" in done.out
    assert not (tmp_path / "home").exists()


def test_every_tracked_study_is_found_however_many_runs_there_are(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_paths = StorePaths.choose(swept.home)
    runs = lookup.find_run_ids_by_name(store_paths, "digits-mlp")
    monkeypatch.setattr(lookup, "_PAGE_RUNS", 1)  # the study's own run is the oldest
    assert lookup.list_tracked_studies(store_paths) == ["digits-mlp"]
    assert len(runs) > 2
    assert set(lookup.find_run_ids_by_name(store_paths, "digits-mlp")) == set(runs)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_json_has_no_infinity(store_paths: StorePaths, value: float) -> None:
    study(store_paths, "infinite", [(COMPLETE, [value])])
    listed = invoke("list", "studies", "--json", "--home", str(store_paths.workspace.path))
    assert "Infinity" not in listed.out
    assert listed.answer["studies"]["infinite"]["best"] is None


def test_a_list_of_everything_needs_no_tracking_server(tmp_path: Path) -> None:
    away = ("--home", str(tmp_path), "--tracking-uri", "http://127.0.0.1:9", "--json")
    done = invoke("list", *away)
    assert (done.code, {"studies", "samplers"} <= set(done.answer)) == (0, True), done.err
    assert "runs" not in done.answer
