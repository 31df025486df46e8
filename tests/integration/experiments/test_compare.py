"""`assay compare` of finalized studies and of runs."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from assay import RequestError, compare
from assay.experiments.decision.files import predictions_file
from assay.experiments.decision.load import load_finalizes
from assay.experiments.decision.outcome import evaluate, find_leader
from assay.experiments.decision.sentences import describe_evaluation
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.results.finalizes import read_finalizes
from assay.experiments.tracking.addresses import update_addresses
from assay.experiments.workspace import StorePaths
from assay.search.events import StudyClosed, StudyOpened, TrialBegun, TrialEnded
from assay.search.objective import Objectives
from tests.helpers.command import Done, invoke
from tests.helpers.finalized_studies import Configuration, FinalizedStudy, record, targets, track
from tests.helpers.refusals import Fails
from tests.helpers.runs import runs, store
from tests.helpers.tracking import opened

WIDE = Configuration(7, {"family": "mlp", "hidden_units": 64}, 0.95, 0.96, draw=2)
NARROW = Configuration(3, {"family": "mlp", "hidden_units": 8}, 0.80, 0.90, draw=3)
BASELINE = Configuration(0, {"family": "mlp", "hidden_units": 100}, 0.85, 0.86, True, draw=1)
SAME = Configuration(1, {"family": "cnn", "hidden_units": 64}, 0.95, 0.955, draw=2)

A = FinalizedStudy("a", [BASELINE, WIDE, NARROW])
B = FinalizedStudy("b", [SAME])
TWO = ["minimize parameters", "maximize val_accuracy"]
FRONT = FinalizedStudy("front", [NARROW], seeds=3, objectives=TWO)


@pytest.fixture
def store_paths(tmp_path: Path) -> StorePaths:
    """Return a home with two finalized studies on the same data."""
    store_paths = StorePaths.choose(home=tmp_path / "home")
    store_paths.workspace.create()
    for study in (A, B):
        record(study, store_paths)
    return store_paths


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> StorePaths:
    """Return such a home whose runs are in MLflow, with a trial and a single run; only read."""
    home = tmp_path_factory.mktemp("tracked")
    shutil.copy(empty_store, home / "mlflow.db")
    store_paths = StorePaths.choose(home=home)
    for study in (A, B, FRONT):
        record(study, store_paths, in_mlflow=True)
    record(dataclasses.replace(FRONT, opening=2), store_paths)
    sweep = A.opened(finalize=False)
    single = opened(None, "single", **sweep.provenance)
    ends: dict[int, tuple[StudyOpened, float]] = {
        9: (sweep, 0.99),
        0: (dataclasses.replace(single, resolved=sweep.resolved), 0.94),
    }
    for number, (first, value) in ends.items():
        params, origin = dict(WIDE.params), "run" if number == 0 else "tpe"
        begun = TrialBegun(trial=number, seed=1, params=params, searched={}, origin=origin)
        end = TrialEnded(trial=number, state="complete", values=(value,))
        track([first, begun, end, StudyClosed(closing="finished")], store_paths)
    return store_paths


def run_ids(store_paths: StorePaths, **tags: str) -> list[str]:
    """Return the runs with these tags, without `assay.` before their names."""
    return [
        str(run.info.run_id)
        for run in runs(store_paths.workspace.path)
        if all(run.data.tags.get(f"assay.{name}") == value for name, value in tags.items())
    ]


def compared(store_paths: StorePaths, *arguments: str) -> Done:
    done = invoke("compare", *arguments, "--home", str(store_paths.workspace.path))
    assert done.code == 0, done.err
    return done


def by_name(answer: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {one["name"]: one for one in answer["configurations"]}


def test_the_same_configuration_of_two_studies_is_not_separable_and_a_worse_one_is_worse(
    store_paths: StorePaths,
) -> None:
    answer = compared(store_paths, "a", "b", "--json").answer
    found = by_name(answer)
    assert [*found] == ["a/7", "b/1", "a/3", "a/0"]
    assert {name: one["verdict"] for name, one in found.items()} == {
        "a/7": "leader",
        "b/1": "not separable",
        "a/3": "worse",
        "a/0": "worse",
    }
    assert (answer["leader"], answer["metric"]) == ("a/7", "test_accuracy")
    assert (answer["objective"], answer["openings"]) == ("maximize val_accuracy", 1)
    assert found["a/7"]["validation"]["mean"] == pytest.approx(0.96)
    assert [name for name, one in found.items() if one["baseline"]] == ["a/0"]
    assert found["b/1"]["comparison"]["differing_examples"] == 0
    names = ["a/7", "b/1", "a/3", "a/0"]
    pairs = {frozenset((one["name"], one["with"])) for one in answer["comparisons"]}
    assert pairs == {frozenset(pair) for pair in itertools.combinations(names, 2)}
    assert 0 < answer["smallest_gap"] < 0.2


def test_the_table_shows_what_differs_and_says_the_rest_once(store_paths: StorePaths) -> None:
    out = compared(store_paths, "a", "b").out
    (header,) = [line for line in out.splitlines() if "configuration " in line]
    assert header.split()[:3] == ["configuration", "family", "hidden_units"]
    assert "same in all: epochs 2, assay.backend tensorflow" in out
    assert "a/3 is worse than a/7 on the test set:" in out
    assert "b/1 is not separable from a/7 on the test set:" in out


def test_optimism_is_positive_where_the_search_score_was_better(store_paths: StorePaths) -> None:
    # The recorded search score is that of the mean; five seeds scatter evenly around it.
    scores = (("up", "maximize val_auc", 0.1), ("low", "minimize val_loss", -0.1))
    for name, objective, better in scores:
        values = {NARROW.trial: NARROW.validation + better}
        study = FinalizedStudy(name, [NARROW, WIDE], objectives=[objective], search_values=values)
        record(study, store_paths)
        finalized, _ = load_finalizes(name, store_paths)
        assert finalized is not None
        found = {one.trial: one for one in finalized.evaluate().finalists}
        assert found[NARROW.trial].optimism == pytest.approx(0.1)
        assert found[WIDE.trial].optimism == pytest.approx(0.0)


def test_before_all_trainings_have_ended_nothing_leads(store_paths: StorePaths) -> None:
    journal = store_paths.workspace.finalize_journal("a")
    lines = journal.read_bytes().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if b'"event":"trial_ended"' in line]
    for kept, trained in ((ends[-2], False), (ends[-1], True)):
        journal.write_bytes(b"".join(lines[: kept + 1]))
        (unfinished,) = read_finalizes(journal, A.study_id)
        found = evaluate(
            unfinished, journal.parent, Objectives.read(A.objectives), "classification"
        )
        assert (found.leader, found.is_trained) == (7 if trained else None, trained)
        sentences = describe_evaluation(found)
        assert sentences[0].startswith("Trial 7 leads" if trained else "No configuration leads yet")


def test_the_leader_is_the_one_at_the_opening(store_paths: StorePaths) -> None:
    journal = store_paths.workspace.finalize_journal("a")
    text = journal.read_text()
    changed = text.replace('"leader":7,"trials"', '"leader":3,"trials"')
    assert changed != text
    journal.write_text(changed)
    finalized, _ = load_finalizes("a", store_paths)
    assert finalized is not None
    assert finalized.evaluate().leader == 3


def test_one_seed_leads_only_where_no_other_has_three(store_paths: StorePaths) -> None:
    lucky = Configuration(9, {"family": "mlp", "hidden_units": 9}, 0.7, 0.99, failing=4)
    record(FinalizedStudy("c", [lucky, NARROW, BASELINE]), store_paths)
    assert compared(store_paths, "c", "--json").answer["leader"] == "c/3"
    assert (
        "trained again, of those with 3 complete trainings or more."
        in compared(store_paths, "c").out
    )
    finalized, _ = load_finalizes("a", store_paths)
    assert finalized is not None
    assert describe_evaluation(finalized.evaluate())[0].endswith("over the seeds is the highest.")
    interval = {name: mean_interval([0.9] * seeds) for name, seeds in (("a", 1), ("b", 2))}
    maximize = Objectives.read(["maximize val_accuracy"]).each[0]
    assert find_leader(interval, maximize) == "a"
    assert find_leader({}, maximize) is None


def test_runs_with_and_without_splits_are_not_one_configuration(
    tracked: StorePaths, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(tracked.workspace.path, home)
    store_paths = StorePaths.choose(home=home)
    one, other, *_ = run_ids(store_paths, study="a", finalist="7")
    (another, *_) = run_ids(store_paths, study="a", finalist="3")
    store(home).set_tag(other, "assay.split_seed", "3")
    for order in ((one, other, another), (other, one, another)):
        done = invoke("compare", *order, "--home", str(home))
        assert done.code == 2
        assert "compared on one kind of validation split" in done.err


def test_csv_and_latex_have_standard_output_for_themselves(store_paths: StorePaths) -> None:
    done = compared(store_paths, "a", "b", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["configuration"] for row in rows] == ["a/7", "b/1", "a/3", "a/0"]
    assert "a/7 leads" in done.err
    done = compared(store_paths, "a", "b", "--latex")
    assert done.out.startswith("\\begin{tabular}")
    assert done.out.endswith("\\end{tabular}\n")


def test_python_returns_a_frame(store_paths: StorePaths) -> None:
    frame = compare("a", "b", home=store_paths.workspace.path)
    assert [*frame.index] == ["a/7", "b/1", "a/3", "a/0"]
    assert frame.loc["a/3", "verdict"] == "worse"
    assert frame.attrs["leader"] == "a/7"
    with pytest.raises(TypeError, match="did you mean 'home'"):
        compare("a", "b", hom=store_paths.workspace.path)  # type: ignore[call-arg]
    with pytest.raises(RequestError, match="as text; received \\['a', 'b'\\]"):
        compare(["a", "b"])  # type: ignore[arg-type]


def test_a_failed_seed_is_counted_and_the_others_are_judged(store_paths: StorePaths) -> None:
    some = Configuration(5, NARROW.params, 0.7, 0.7, failing=1, draw=8)
    none = Configuration(6, WIDE.params, 0.7, 0.7, failing=5)
    record(FinalizedStudy("c", [some, none]), store_paths)
    found = by_name(compared(store_paths, "a", "c", "--json").answer)
    assert (found["c/5"]["seeds"], found["c/5"]["failed"]) == (4, ["failed: diverged"])
    assert found["c/5"]["verdict"] == "worse"
    assert (found["c/6"]["seeds"], found["c/6"]["verdict"]) == (0, "not judged")
    assert found["c/6"]["reason"] == "no network was measured on the test set (failed: diverged)"


def test_a_test_set_that_was_opened_twice_makes_verdicts_sharper(store_paths: StorePaths) -> None:
    record(FinalizedStudy("b", [SAME], opening=2), store_paths)
    done = compared(store_paths, "a", "b", "--json")
    assert done.answer["openings"] == 2
    assert {one["alpha"] for one in done.answer["comparisons"]} == {0.025}
    assert "Verdicts are judged at 2.5 % in place of 5 %" in done.err


def test_re_trainings_are_grouped_into_configurations(tracked: StorePaths) -> None:
    chosen = [
        *run_ids(tracked, study="a", finalist="7"),
        *run_ids(tracked, study="b", finalist="1"),
        *run_ids(tracked, study="a", finalist="3"),
    ]
    by_runs = by_name(compared(tracked, *chosen, "--json").answer)
    by_study = by_name(compared(tracked, "a", "b", "--json").answer)
    assert {name: one["verdict"] for name, one in by_runs.items()} == {
        "a/7": "leader",
        "b/1": "not separable",
        "a/3": "worse",
    }
    for name, one in by_runs.items():
        assert sorted(one["runs"]) == sorted(
            run_ids(tracked, study=name[0], finalist=name.split("/")[1])
        )
        for key in ("params", "seeds", "test", "validation"):
            assert one[key] == pytest.approx(by_study[name][key]), key
        assert one["notes"] == []


def test_seeds_that_are_left_out_are_said(tracked: StorePaths) -> None:
    chosen = run_ids(tracked, study="b", finalist="1")[:3]
    done = compared(tracked, "a", *chosen, "--json")
    assert by_name(done.answer)["b/1"]["seeds"] == 3
    assert "b/1 is judged on 3 of its 5 complete re-trainings" in done.err


def test_trials_and_single_runs_are_shown_without_a_verdict(tracked: StorePaths) -> None:
    (trial,) = run_ids(tracked, study="a", trial="9")
    (single,) = run_ids(tracked, origin="run")
    done = compared(tracked, "b", trial, single, "--json")
    found = by_name(done.answer)
    assert [*found] == ["b/1", trial[:8], single[:8]]
    assert [one["verdict"] for one in found.values()] == ["leader", "not judged", "not judged"]
    assert (found[trial[:8]]["study"], found[trial[:8]]["trial"]) == ("a", 9)
    assert found[trial[:8]]["validation"]["mean"] == 0.99
    assert found[single[:8]]["validation"] == {"mean": 0.94, "sd": None, "low": None, "high": None}
    assert found[single[:8]]["test"] is None
    assert f"{single[:8]} is not judged: it is one training" in done.err


def test_with_several_objectives_the_first_that_is_no_cost_is_read_from_the_epochs(
    tracked: StorePaths,
) -> None:
    chosen = run_ids(tracked, study="front", finalist="3")
    found = by_name(compared(tracked, "b", *chosen, "--json").answer)
    assert found["front/3"]["validation"]["mean"] == pytest.approx(0.899)
    assert found["front/3"]["seeds"] == 3


def test_two_finalizes_of_one_configuration_have_two_names(tracked: StorePaths) -> None:
    chosen = run_ids(tracked, study="front", finalist="3")
    answer = compared(tracked, "front", *chosen, "--json").answer
    assert {*by_name(answer)} == {"front/3", f"front/3 ({chosen[0]})"}
    assert answer["openings"] == 2


def test_the_run_of_a_study_stands_for_the_study(tracked: StorePaths) -> None:
    (parent,) = run_ids(tracked, study="b", objective="maximize val_accuracy")
    assert by_name(compared(tracked, "a", parent, "--json").answer).keys() == {
        *("a/0", "a/3", "a/7", "b/1")
    }


def test_artifacts_of_another_home_are_not_read(tracked: StorePaths, tmp_path: Path) -> None:
    shutil.copytree(tracked.workspace.path, tmp_path / "copy")
    copy = StorePaths.choose(home=tmp_path / "copy")
    chosen = run_ids(copy, study="b", finalist="1")
    done = invoke("compare", "a", *chosen, "--home", str(copy.workspace.path))
    assert (done.code, done.out) == (2, "")
    assert "home's store has an address outside of home" in done.err
    assert "'assay doctor --fix'" in done.err.splitlines()[-1]


# What is refused.


def refused(store_paths: StorePaths, *arguments: str) -> str:
    done = invoke("compare", *arguments, "--home", str(store_paths.workspace.path))
    assert (done.code, done.out) == (2, ""), done
    (line,) = done.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (FinalizedStudy("c", [SAME], digest="d2"), "compared with the same data"),
        (FinalizedStudy("c", [SAME], validation_examples=90), "the same validation split"),
        (FinalizedStudy("c", [SAME], split_seed=4), "drawn with split_seed 4"),
        (FinalizedStudy("c", [SAME], splits=True), "drawn anew for every seed"),
        (FinalizedStudy("c", [SAME], objectives=["maximize val_auc"]), "the same objective"),
        (FinalizedStudy("c", [SAME], task="regression"), "the same test metric"),
        (FinalizedStudy("c", [SAME], targets=targets(300)), "400 of a/0 and 300 of c/1"),
        (FinalizedStudy("c", [SAME], provenance={"assay.preflight": "{}"}), "is not recorded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_studies_that_differ_are_refused(
    store_paths: StorePaths, other: FinalizedStudy, message: str
) -> None:
    record(other, store_paths)
    assert message in refused(store_paths, "a", "c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b"], "two or more configurations are compared: received 1 (b/1)"),
        (["a", "a"], "each study and each run is named once: received 'a' more than once"),
        (["a", "c"], "there is no study 'c'"),
        (["a", "0" * 32], f"there is no run {'0' * 32}"),
        (["a", "b", "--csv", "--json"], "one format: received --json and --csv"),
    ],
)
def test_wrong_requests_are_refused(
    store_paths: StorePaths, arguments: list[str], message: str
) -> None:
    assert message in refused(store_paths, *arguments)


def test_a_study_that_is_not_finalized_is_refused(store_paths: StorePaths) -> None:
    store_paths.workspace.finalize_journal("b").unlink()
    assert "'b' is not finalized; run 'assay finalize b'" in refused(store_paths, "a", "b")


def test_nothing_is_written_to_an_empty_home(fails: Fails) -> None:
    assert "there is no study 'a'" in fails("compare", "a", "b")


def test_a_network_is_compared_once(tracked: StorePaths) -> None:
    chosen = run_ids(tracked, study="b", finalist="1")
    assert "'b' has the runs of b/1 already" in refused(tracked, "a", "b", *chosen)


def test_damaged_predictions_are_one_line(store_paths: StorePaths) -> None:
    file = predictions_file(store_paths.workspace.finalists("a"), 0)
    file.write_bytes(b"no array")
    assert f"{file} must hold the predictions of a finalist" in refused(store_paths, "a", "b")


def test_text_of_a_store_can_not_control_the_terminal(tracked: StorePaths, tmp_path: Path) -> None:
    shutil.copytree(tracked.workspace.path, tmp_path / "copy")
    hostile = StorePaths.choose(home=tmp_path / "copy")
    update_addresses(hostile.workspace)
    (single,) = run_ids(hostile, origin="run")
    MlflowClient(hostile.tracking_uri).log_param(single, "hostile", "=\x1b[31m1\n")
    done = compared(hostile, "b", single, "--csv")
    assert "\x1b" not in done.out + done.err
    (_, row) = csv.DictReader(io.StringIO(done.out))
    assert row["hostile"] == "'=1\n"  # click drops colors where there is no terminal
