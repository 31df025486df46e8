"""`assay finalize`: what it trains, records and says, with a stub in place of training."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from assay import finalize, load_study
from assay.experiments.formatting import escape_markdown
from assay.experiments.workspace import Workspace
from assay.search.events import TestSetOpened, TrialBegun
from tests.helpers.command import invoke
from tests.helpers.runs import optuna_trials, runs, store, trial_runs
from tests.helpers.stub_finalize import (
    BASELINE_UNITS,
    UNITS,
    Decided,
    by_units,
    decided,
    events,
    finalist_training,
    finalized,
    journal,
    qualities,
    searched,
    sweep,
)

__all__ = ["decided", "finalist_training", "searched"]  # fixtures

pytestmark = pytest.mark.usefixtures("finalist_training")


def test_a_clearly_worse_configuration_is_called_worse(searched: Path) -> None:
    answer = finalized(searched, QUALITIES=qualities(of_24=0.95, of_40=0.95, of_32=0.5))
    found = by_units(answer)
    assert answer["study"] == "digits-mlp"
    assert answer["openings"] == 1
    assert found[BASELINE_UNITS]["verdict"] == "worse"
    assert found[BASELINE_UNITS]["baseline"]
    leader = next(one for one in answer["finalists"] if one["verdict"] == "leader")
    assert leader["trial"] == answer["leader"] == answer["finalists"][0]["trial"]
    for one in answer["finalists"]:
        assert one["seeds"] == 5
        assert set(one["validation"]) == set(one["test"]) == {"mean", "sd", "low", "high"}
        assert one["optimism"] == pytest.approx(one["search_value"] - one["validation"]["mean"])


def test_the_best_and_every_baseline_are_trained_again(searched: Path) -> None:
    answer = finalized(searched, "--top", "2", "--seeds", "3")
    best = sorted(optuna_trials(searched), key=lambda trial: -(trial.value or 0))
    expected = [trial.number for trial in best[:2]]
    baseline = next(
        trial.number for trial in best if trial.params["hidden_units"] == BASELINE_UNITS
    )
    trained = {one["trial"] for one in answer["finalists"]}
    assert trained == {*expected, baseline}
    begun = [(event.finalist, event.seed) for event in events(searched, TrialBegun)]
    assert sorted(finalist for finalist, _ in begun) == sorted(3 * [*trained])


def test_the_same_networks_under_two_names_are_not_separable(searched: Path) -> None:
    same = qualities(**{f"of_{units}": -0.8 for units in (*UNITS, BASELINE_UNITS)})
    answer = finalized(searched, QUALITIES=same)
    verdicts = [one["verdict"] for one in answer["finalists"]]
    assert sorted(set(verdicts)) == ["leader", "not separable"]
    assert all(one["p_value"] is None for one in answer["comparisons"])


def test_equal_procedures_are_not_separable(searched: Path) -> None:
    answer = finalized(searched)
    assert {one["verdict"] for one in answer["finalists"]} == {"leader", "not separable"}


def test_no_seed_is_that_of_a_trial(searched: Path) -> None:
    finalized(searched, "--seeds", "3")
    seeds = [event.seed for event in events(searched, TrialBegun)]
    assert len(set(seeds)) == len(seeds)
    assert (
        min(seeds)
        >= 2**31
        > max(trial.user_attrs["assay.seed"] for trial in optuna_trials(searched))
    )


def test_a_second_finalize_says_that_it_is_the_second(searched: Path) -> None:
    first = finalized(searched, "--seeds", "3")
    seeds = {event.seed for event in events(searched, TrialBegun)}
    wanted = ("--no-report", "--home", str(searched), "--seeds", "3", "--json")
    done = invoke("finalize", "digits-mlp", *wanted, UNSAVED="its layers\nhave no get_config")
    assert done.answer["openings"] == first["openings"] + 1 == 2
    before, announced, after = done.err.partition("digits-mlp is finalized already")
    assert announced, done.err
    assert "[1/" in after  # it is said before anything is trained
    assert "[1/" not in before
    assert "2nd time" in done.err
    assert "2.5 %" in done.err
    assert all(one["alpha"] == 0.025 for one in done.answer["comparisons"])
    again = {event.seed for event in events(searched, TrialBegun)} - seeds
    assert len(again) == len(seeds)
    (parent,) = [run for run in runs(searched) if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["assay.test_set.openings"] == "2"
    opened = json.loads(parent.data.tags["assay.test_set.opening.1"])
    assert {one["trial"] for one in opened["configurations"]} == {
        one["trial"] for one in first["finalists"]
    }
    assert opened["time"].startswith("20")
    # Its network can't be saved, so the first one stays.
    assert done.answer["registered"] is None
    assert "can't be saved: its layers have no get_config" in done.answer["not_registered"]
    assert "not registered: the network of training" in done.err
    assert first["registered"]["version"] == 1
    assert store(searched).get_registered_model("digits-mlp").aliases == {"champion": 1}
    assert invoke("doctor", "--home", str(searched)).code == 0


def test_the_leaders_best_network_on_validation_is_registered(decided: Decided) -> None:
    home, answer = decided.home, decided.answer
    registered, leader = answer["registered"], answer["finalists"][0]
    frame = load_study("digits-mlp", home=home).finalists
    networks = frame[frame["trial"] == leader["trial"]].sort_values("training")
    best = networks.loc[networks["val_accuracy"].idxmax()]
    assert (registered["training"], registered["run_id"]) == (best["training"], best["run_id"])
    assert (registered["uri"], registered["version"]) == ("models:/digits-mlp@champion", 1)
    version = store(home).get_model_version_by_alias("digits-mlp", "champion")
    assert version.run_id == registered["run_id"]
    assert float(version.tags["assay.test.accuracy"]) == pytest.approx(leader["test"]["mean"], 1e-5)
    shown_value = f"its val&#95;accuracy, {best['val_accuracy']:.4f}, is the highest"
    assert shown_value in version.description
    assert escape_markdown(answer["text"][1]) in version.description
    # The worker saved that network; MLflow has it now.
    (model,) = (home / "artifacts").rglob(f"{registered['run_id']}/**/model.keras")
    assert model.read_text() == f"model of seed {best['seed']}"
    assert not list(Workspace(home).finalists("digits-mlp").rglob("*.keras"))


def test_show_says_what_became_of_the_registered_network(decided: Decided) -> None:
    home, client = decided.home, store(decided.home)
    line = "registered: models:/digits-mlp@champion (version 1, trial"
    shown = invoke("show", "digits-mlp", "--home", str(home)).out
    (found,) = [one for one in shown.splitlines() if one.startswith(line)]
    others = [one["trial"] for one in decided.answer["finalists"][1:]]
    assert f"is not separable from trial {others[0]}" in found
    record = invoke("show", "digits-mlp", "--home", str(home), "--json").answer["finalize"]
    assert record["registered"] == decided.answer["registered"]
    assert record["registered_since"] is None
    client.create_model_version("digits-mlp", "runs:/mine/model")
    client.set_registered_model_alias("digits-mlp", "champion", "2")
    shown = invoke("show", "digits-mlp", "--home", str(home)).out
    assert "; since then: the alias champion is on version 2" in shown


def test_what_an_earlier_finalize_registered_is_not_shown_of_the_last_one(decided: Decided) -> None:
    options = ("--seeds", "3", "--top", "1", "--no-register", "--no-report")
    done = invoke("finalize", "digits-mlp", "--home", str(decided.home), *options)
    assert done.code == 0, done.err
    found = invoke("show", "digits-mlp", "--home", str(decided.home), "--json").answer["finalize"]
    assert (found["openings"], found["registered"]) == (2, None)
    assert "registered:" not in invoke("show", "digits-mlp", "--home", str(decided.home)).out


def test_doctor_registers_again_what_is_gone(decided: Decided) -> None:
    home, client = str(decided.home), store(decided.home)
    client.delete_model_version("digits-mlp", "1")
    told = invoke("doctor", "--home", home)
    assert told.code == 1
    assert "version 1 of 'digits-mlp', which finalize registered, is not in MLflow's" in told.out
    mended = invoke("doctor", "--home", home, "--fix", "--json")
    assert (mended.code, mended.answer["differences"]) == (0, [])
    assert client.get_registered_model("digits-mlp").aliases == {"champion": 2}
    version = client.get_model_version("digits-mlp", "2")
    assert version.run_id == decided.answer["registered"]["run_id"]


def test_each_re_training_has_a_run(decided: Decided) -> None:
    searched, answer = decided.home, decided.answer
    trials = trial_runs(searched)
    found = [run for run in runs(searched) if "assay.finalist" in run.data.tags]
    assert len(found) == 3 * len(answer["finalists"])
    for run in found:
        tags = run.data.tags
        assert "assay.trial" not in tags
        assert tags["mlflow.parentRunId"] == trials[0].data.tags["mlflow.parentRunId"]
        assert tags["assay.study"] == "digits-mlp"
        assert run.info.status == "FINISHED"
        searched_trial = trials[int(tags["assay.finalist"])]
        assert run.data.params == searched_trial.data.params
        assert {"test_accuracy", "test_loss", "val_accuracy", "value"} <= set(run.data.metrics)
    assert all(run.info.status != "RUNNING" for run in runs(searched))
    doctor = invoke("doctor", "--home", str(searched), "--json")
    assert (doctor.code, doctor.answer["differences"]) == (0, [])


def test_the_report_by_class_is_that_of_the_predictions(decided: Decided) -> None:
    searched = decided.home
    folder = Workspace(searched).finalists("digits-mlp") / "training-0000"
    report = json.loads((folder / "test.json").read_text())
    with np.load(folder / "predictions.npz") as file:
        predictions, targets = file["predictions"], file["targets"]
    is_three, says_three = targets == 3, predictions == 3
    hits = int((is_three & says_three).sum())
    assert report["recall"][3] == pytest.approx(hits / is_three.sum())
    assert report["precision"][3] == pytest.approx(hits / says_three.sum())
    assert report["confusion_matrix"][3][3] == hits
    assert sum(map(sum, report["confusion_matrix"])) == len(targets)
    assert not list(folder.parent.glob("seed-*"))


def test_a_configuration_that_diverges_is_judged_not_at_all(searched: Path) -> None:
    answer = finalized(searched, QUALITIES=qualities(of_32=None))
    worst = by_units(answer)[BASELINE_UNITS]
    assert worst["verdict"] == "not judged"
    assert worst["failed"] == 5 * ["failed: diverged"]
    assert worst["test"] is None
    measured = events(searched, TestSetOpened)[0].trials
    assert worst["trial"] not in measured
    shown = invoke("show", "digits-mlp", "--home", str(searched)).out
    assert (
        f"Trial {worst['trial']} is not judged: none of its networks could be trained to its end."
        in shown
    )


def test_a_baseline_that_did_not_begin_is_no_finalist(home: Path, tmp_path: Path) -> None:
    text = Path("experiments/catalog/digits-mlp.toml").read_text(encoding="utf-8")
    second = text[text.index("[[baseline]]") :].replace("32", "48", 1)
    (tmp_path / "two.toml").write_text(f"{text}\n{second}")
    sized = ("--trials", "1", "--epochs", "2", "--workers", "1", "--pruner", "none")
    swept = invoke("sweep", str(tmp_path / "two.toml"), *sized, "--home", str(home))
    assert swept.code == 0, swept.err
    done = invoke("finalize", "two", "--no-report", "--home", str(home), "--seeds", "3", "--json")
    assert done.code == 0, done.err
    assert [one["params"] != {} for one in done.answer["finalists"]] == [True]
    assert "warning: 1 baseline of the study did not begin" in done.err
    assert "only one configuration" in done.err


def test_splits_are_not_drawn_of_a_validation_set_of_the_user(home: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    y = np.arange(120) % 2
    arrays = {
        f"{name}_{part}": array[span]
        for part, span in (("train", slice(80)), ("val", slice(80, 100)), ("test", slice(100, 120)))
        for name, array in (("x", x), ("y", y))
    }
    np.savez(tmp_path / "own.npz", **arrays)
    (tmp_path / "own.toml").write_text(
        f'title = "x"\n[data]\nname = "npz:{tmp_path / "own.npz"}"\n[model]\nfamily = "mlp"\n'
        "[train]\nepochs = 1\n[space]\nhidden_units = [2, 3]\n"
    )
    sized = ("--trials", "2", "--workers", "1", "--home", str(home))
    swept = invoke("sweep", str(tmp_path / "own.toml"), *sized)
    assert swept.code == 0, swept.err
    done = invoke("finalize", "own", "--no-report", "--splits", "--home", str(home))
    assert done.code == 2
    assert "these data have a validation set of their own" in done.err


def test_a_network_that_guesses_is_said_to(searched: Path) -> None:
    guessing = qualities(**{f"of_{units}": 0.05 for units in (*UNITS, BASELINE_UNITS)})
    answer = finalized(searched, "--seeds", "3", QUALITIES=guessing)
    assert answer["chance"]["value"] == pytest.approx(0.1)
    assert answer["chance"]["is_beaten"] is False
    assert any("is no better on the test set than 0.1000" in text for text in answer["text"])


def test_a_baseline_that_leads_is_said_to(searched: Path) -> None:
    worse = qualities(of_32=0.95, **{f"of_{units}": 0.5 for units in UNITS})
    answer = finalized(searched, "--seeds", "3", QUALITIES=worse)
    assert answer["text"][1] == (
        "It is a baseline: nothing that the search found has a better mean."
    )
    html = load_study("digits-mlp", home=searched)._repr_html_()
    assert answer["text"][1] in html


def test_lost_predictions_leave_the_recorded_verdicts(decided: Decided) -> None:
    searched, answer = decided.home, decided.answer
    shutil.rmtree(Workspace(searched).finalists("digits-mlp"))
    stores = ("--home", str(searched))
    shown = invoke("show", "digits-mlp", *stores)
    assert shown.code == 0, shown.err
    assert f"Opening 1 found: trial {answer['leader']} leads; trial " in shown.out
    assert "can't be read" in shown.out
    record = invoke("show", "digits-mlp", *stores, "--json").answer["finalize"]
    assert (record["leader"], record["finalists"]) == (answer["leader"], [])
    assert "can't be read" in record["error"]
    decision = load_study("digits-mlp", home=searched).decision
    assert decision is not None
    assert decision["verdicts"] == {
        str(one["trial"]): one["verdict"] for one in answer["finalists"]
    }
    told = invoke("doctor", *stores)
    assert (told.code, "its predictions, " in told.out) == (1, True)


def test_a_damaged_journal_of_finalizes_does_not_fail_a_sweep(searched: Path) -> None:
    journal(searched).write_text("damaged\n")
    done = sweep(searched, "--json")
    assert (done.code, done.answer["trials"]["complete"]) == (0, 5)
    assert invoke("show", "digits-mlp", "--home", str(searched)).code == 2


@pytest.mark.parametrize("is_same", [True, False], ids=["same data", "other data"])
def test_other_studies_that_opened_the_test_set_are_named(is_same: bool, decided: Decided) -> None:
    searched = decided.home
    assert sweep(searched, "--study", "other").code == 0
    if not is_same:
        text = journal(searched).read_text()
        journal(searched).write_text(text.replace('"digest":"', '"digest":"0'))
    done = invoke(
        "finalize", "other", "--no-report", "--home", str(searched), "--top", "1", "--seeds", "3"
    )
    assert done.code == 0, done.err
    assert ("have opened the same test set (digits-mlp 1 time)" in done.err) is is_same


def test_earlier_verdicts_and_a_later_best_are_shown(decided: Decided, tmp_path: Path) -> None:
    searched, first = decided.home, decided.answer
    second = finalized(searched, "--top", "2", "--seeds", "3")
    stores = ("--home", str(searched))
    record = invoke("show", "digits-mlp", *stores, "--json").answer
    (earlier,) = record["earlier_finalizes"]
    assert (earlier["opening"], earlier["leader"]) == (1, first["leader"])
    (parent,) = [run for run in runs(searched) if "mlflow.parentRunId" not in run.data.tags]
    tag = json.loads(parent.data.tags["assay.verdicts.1"])
    assert tag == {"leader": first["leader"], "verdicts": earlier["verdicts"]}
    assert parent.data.tags["assay.leader"] == str(second["leader"])
    shown = invoke("show", "digits-mlp", *stores).out
    assert f"Opening 1 found: trial {first['leader']} leads" in shown
    assert "was not trained again: it came later" not in shown
    best = max(optuna_trials(searched), key=lambda trial: trial.value or 0).number
    text = (
        journal(searched).read_text().replace(f'"trial":{best},"searched"', '"trial":99,"searched"')
    )
    journal(searched).write_text(text)  # as if the best had come after the finalize
    shown = invoke("show", "digits-mlp", *stores).out
    assert f"Trial {best}, now the best of the search, was not trained again" in shown
    assert " finalize digits-mlp" in sweep(searched).out.partition("decide:")[2]


def test_doctor_sees_a_run_that_was_changed(decided: Decided) -> None:
    searched = decided.home
    changed, other = [run for run in runs(searched) if "assay.finalist" in run.data.tags][:2]
    store(searched).log_metric(other.info.run_id, "test_accuracy", math.nan)
    store(searched).set_tag(changed.info.run_id, "assay.state", "failed: other")
    told = invoke("doctor", "--home", str(searched), "--json")
    training = changed.data.tags["assay.training"]
    found = "\n".join(difference["what"] for difference in told.answer["differences"])
    assert len(told.answer["differences"]) == 2
    assert f"training {training}: complete in the journal" in found
    assert f"training {other.data.tags['assay.training']}: test_accuracy" in found
    assert invoke("doctor", "--home", str(searched), "--fix").code == 0


def test_doctor_restores_a_run_that_a_user_deleted(decided: Decided) -> None:
    searched = decided.home
    deleted = next(run for run in runs(searched) if "assay.finalist" in run.data.tags)
    store(searched).delete_run(deleted.info.run_id)
    told = invoke("doctor", "--home", str(searched))
    training = deleted.data.tags["assay.training"]
    expected = f"training {training}: complete in the journal, no run in MLflow, a user deleted it"
    assert (told.code, expected in told.out) == (1, True)
    mended = invoke("doctor", "--home", str(searched), "--fix", "--json")
    assert (mended.code, mended.answer["differences"]) == (0, [])
    assert deleted.info.run_id in {run.info.run_id for run in runs(searched)}


def test_show_and_load_study_have_the_finalists(searched: Path) -> None:
    answer = finalized(searched, "--seeds", "3")
    shown = invoke("show", "digits-mlp", "--home", str(searched))
    assert "opened once" in shown.out
    assert f"Trial {answer['leader']} leads" in shown.out
    of_leader = [
        run.info.run_id
        for run in runs(searched)
        if run.data.tags.get("assay.finalist") == str(answer["leader"])
    ]
    assert sorted(answer["finalists"][0]["runs"]) == sorted(of_leader)
    assert any(f"run --like {run_id} --home" in shown.out for run_id in of_leader)
    record = invoke("show", "digits-mlp", "--home", str(searched), "--json").answer["finalize"]
    assert record["finalists"] == answer["finalists"]
    frame = load_study("digits-mlp", home=searched).finalists
    assert len(frame) == 3 * len(answer["finalists"])
    assert set(frame[frame["trial"] == answer["leader"]]["run_id"]) == set(of_leader)
    means = frame.groupby("trial")["test_accuracy"].mean()
    for one in answer["finalists"]:
        assert means[one["trial"]] == pytest.approx(one["test"]["mean"])
    run = next(run for run in runs(searched) if "assay.finalist" in run.data.tags)
    of_run = invoke("show", run.info.run_id, "--home", str(searched), "--json").answer
    assert of_run["values"]["test_accuracy"] == run.data.metrics["test_accuracy"]


def test_the_function_returns_the_study(searched: Path) -> None:
    without = {"register": False, "report": False, "progress": False}
    study = finalize("digits-mlp", home=searched, seeds=3, top=1, **without)
    assert set(study.finalists["seed"].value_counts()) == {1}
    assert study.finalists["test_accuracy"].notna().all()
    assert study.decision is not None
    assert (study.decision["registered"], study.decision["not_registered"]) == (
        None,
        "--no-register",
    )
    assert store(searched).search_registered_models() == []
    assert invoke("doctor", "--home", str(searched)).code == 0


def test_delete_removes_the_finalists(decided: Decided) -> None:
    searched = decided.home
    Workspace(searched).finalists("digits-mlp").joinpath("mine.txt").write_text("of the user")
    store(searched).create_model_version("digits-mlp", "runs:/mine/model")
    done = invoke("delete", "digits-mlp", "--home", str(searched), "--yes")
    assert done.code == 0, done.err
    assert "finalists" in done.out + done.err
    assert runs(searched) == []
    left = sorted(path.name for path in Workspace(searched).finalists("digits-mlp").rglob("*"))
    assert left == ["mine.txt"]
    assert not journal(searched).exists()
    assert "1 version in its model registry" in done.out
    (kept,) = store(searched).search_model_versions()
    assert kept.source == "runs:/mine/model"


@pytest.mark.parametrize(("gap", "is_found"), [("0.05", False), ("60", True)])
def test_a_gap_is_answered(gap: str, is_found: bool, searched: Path) -> None:
    answer = finalized(searched, "--seeds", "3", "--gap", gap)
    assert answer["gap"]["gap"] == pytest.approx(float(gap) / 100)
    # A tiny gap takes more than 50 seeds, or more examples; a huge one the fewest seeds.
    assert answer["gap"]["seeds"] == (3 if is_found else None)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--seeds", "2"), "x>=3"),
        (("--gap", "100"), "below 100 points"),
        (("--top", "0"), "x>=1"),
        (("--gap", "-1"), "a number above 0"),
        (("--backend", "nothing"), "backend"),
        (("--precision", "mixed_bfloat16"), "precision = float32"),
    ],
)
def test_a_wrong_option_opens_nothing(options: tuple[str, str], rule: str, searched: Path) -> None:
    done = invoke("finalize", "digits-mlp", "--no-report", "--home", str(searched), *options)
    assert done.code == 2
    assert rule in done.err.splitlines()[-1]
    assert not journal(searched).exists()


def test_a_study_without_a_complete_trial_is_refused(home: Path) -> None:
    done = invoke("finalize", "digits-mlp", "--no-report", "--home", str(home))
    assert done.code == 2
    assert "there is no study" in done.err


def test_a_study_of_another_home_is_refused(searched: Path, tmp_path: Path) -> None:
    shutil.rmtree(searched / "journal")
    done = invoke("finalize", "digits-mlp", "--no-report", "--home", str(searched))
    assert done.code == 2
    assert "must have been run from this home" in done.err


def test_the_front_of_several_objectives_is_finalized(home: Path, tmp_path: Path) -> None:
    text = Path("experiments/catalog/digits-mlp.toml").read_text(encoding="utf-8")
    text += "\n" if "objectives" in text else ""
    file = tmp_path / "two.toml"
    file.write_text(
        text.replace(
            "[search]", '[search]\nobjectives = ["minimize parameters", "maximize val_accuracy"]', 1
        )
    )
    sized = ("--trials", "5", "--epochs", "2", "--workers", "2", "--pruner", "none")
    swept = invoke("sweep", str(file), *sized, "--home", str(home), "--json")
    assert swept.code == 0, swept.err
    sized = ("--seeds", "3", "--top", "2", "--no-report")
    done = invoke("finalize", "two", *sized, "--home", str(home), "--json")
    assert done.code == 0, done.err
    front = {one["number"] for one in swept.answer["pareto"]}
    chosen = [one["trial"] for one in done.answer["finalists"] if not one["baseline"]]
    assert set(chosen) <= front
    assert done.answer["objective"] == "maximize val_accuracy"
    accuracies = {one["number"]: one["values"][1] for one in swept.answer["pareto"]}
    for one in done.answer["finalists"]:
        if one["trial"] in front:
            assert one["search_value"] == accuracies[one["trial"]]
