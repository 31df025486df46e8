"""Studies: order of trials, resuming, fingerprint, and recovery."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from assay.models.errors import DamagedFile, RequestError
from assay.search.events import StudyOpened, TrialBegun, TrialEnded
from assay.search.journal import Journal
from assay.search.storage.opening import open_storage
from assay.search.storage.stored_values import (
    ORIGIN,
    SAMPLERS,
    SEED,
    STATE,
    check_study_attributes,
)
from assay.search.study import StudyTrials
from assay.search.workers.protocol import Trial
from tests.helpers.lab import Lab


def settle(study: StudyTrials, lab: Lab) -> int:
    return lab.try_again(study, retries=1)


def opened(study_id: str) -> StudyOpened:
    return StudyOpened(
        study="study", study_id=study_id, experiment="mine", provenance={}, text="", data={}
    )


def ended(trial: Trial, value: float = 0.5) -> TrialEnded:
    return TrialEnded(trial=trial.number, state="complete", values=(value,))


def test_a_baseline_and_its_retries_are_never_pruned(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: True)
    study = lab.study()
    study.enqueue([{"units": 7, "kind": "a"}], "baseline")
    baseline, other = study.ask(), study.ask()
    assert baseline is not None
    assert other is not None
    assert not study.report(baseline.number, 1, 0.1)
    assert study.report(other.number, 1, 0.1)
    study.tell(TrialEnded(trial=baseline.number, state="failed", reason="crashed (SIGKILL)"))
    study.enqueue_retry(baseline)
    retry = study.ask()
    assert retry is not None
    assert retry.retry_of == baseline.number
    assert not study.report(retry.number, 1, 0.1)
    study.tell(TrialEnded(trial=retry.number, state="failed", reason="interrupted"))
    again = lab.study()
    assert lab.try_again(again, retries=1) == 2  # the supervisor of the other trial has ended too
    redone = {trial.origin: trial for trial in (again.ask(), again.ask()) if trial is not None}
    assert not again.report(redone[f"redo of {retry.number}"].number, 1, 0.1)
    assert again.report(redone[f"redo of {other.number}"].number, 1, 0.1)


def test_enqueued_trials_precede_baselines_and_sampled_trials(lab: Lab) -> None:
    study = lab.study()
    study.enqueue([{"units": 5, "kind": "a"}, {"units": 6, "kind": "b"}], "enqueued")
    study.enqueue([{"units": 7, "kind": "a"}], "baseline")
    trials = [study.ask() for _ in range(4)]
    assert [(trial.searched["units"], trial.origin) for trial in trials[:3]] == [
        (5, "enqueued"),
        (6, "enqueued"),
        (7, "baseline"),
    ]
    assert trials[3].origin == "random"


def test_a_configuration_is_enqueued_once(lab: Lab) -> None:
    for _ in range(3):
        lab.study().enqueue([{"units": 5, "kind": "a"}, {"units": 5, "kind": "a"}], "baseline")
    assert len(lab.study().study.trials) == 1


def test_a_resumed_sampler_does_not_repeat_its_draws(lab: Lab) -> None:
    first = lab.run(3, workers=1)
    second = lab.run(6, workers=1)
    drawn = [trial.params["units"] for trial in second.study.trials]
    assert len(drawn) == 6
    assert second.study_id == first.study_id
    assert drawn[:3] != drawn[3:]


def test_every_trial_has_its_own_seed(lab: Lab) -> None:
    seeds = [trial.user_attrs[SEED] for trial in lab.run(4).study.trials]
    assert len(set(seeds)) == 4
    assert lab.study().seed == 0


def test_the_seed_of_a_study_is_kept(lab: Lab) -> None:
    lab.study(seed=11)
    assert lab.study().seed == 11
    assert lab.study(seed=0).seed == 0


def test_a_study_names_the_samplers_that_it_was_opened_with(lab: Lab) -> None:
    for sampler in ("random", "tpe", "random"):
        study = lab.study(sampler=sampler)
    assert study.study.user_attrs[SAMPLERS] == ["random", "tpe"]


def test_the_samplers_of_a_study_of_an_earlier_release_are_not_known(lab: Lab) -> None:
    lab.run(2, workers=1)
    storage = open_storage(f"sqlite:///{lab.folder / 'optuna.db'}")
    study_id = storage.get_study_id_from_name("study")
    storage.set_study_user_attr(study_id, SAMPLERS, [])
    for _ in range(2):
        opened_again = lab.study()
        assert opened_again.study.user_attrs[SAMPLERS] == ["unknown", "random"]


def test_a_study_reports_the_importance_of_what_its_sampler_drew(lab: Lab) -> None:
    study = lab.study()
    study.enqueue([{"units": 7, "kind": "a"}], "baseline")
    for _ in range(31):
        trial = study.ask()
        assert trial is not None
        study.tell(ended(trial, float(str(trial.searched["units"]))))
    report = study.report_importances()["val_accuracy"]
    assert (report.trials, report.given, report.pruned) == (31, 1, 0)
    assert list(report.shown) == ["units"]
    assert report.shares["units"].p_value == 0.001


def test_a_study_with_another_fingerprint_is_refused_with_every_difference(lab: Lab) -> None:
    lab.study()
    with pytest.raises(RequestError, match=r"epochs = 4, this asks for 9.*--study NAME") as caught:
        lab.study(epochs=9, space={"width": [1, 2]})
    assert "space" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://assay:secret@127.0.0.1:1/nowhere",
        "sqlite:////nonexistent/folder/optuna.db",
        "no url at all",
        "nosuchdb://assay:secret@host/db",
    ],
)
def test_an_unreachable_storage_is_named_without_its_password(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


class TestAfterADeath:
    """Each test stops at a point where a supervisor could die, then opens the study again."""

    def test_created_but_not_in_the_journal(self, lab: Lab) -> None:
        asked = lab.study().ask()
        study = lab.study()
        assert settle(study, lab) == 1
        assert [type(event) for event in lab.events()] == [TrialBegun, TrialEnded]
        self.is_interrupted_and_redone(study, asked)

    def test_begun(self, lab: Lab) -> None:
        study = lab.study()
        asked = study.ask()
        with Journal(lab.journal_file) as journal:
            journal.append(opened(study.study_id))
            journal.append(asked.begun_event(asked.searched))
        study = lab.study()
        assert settle(study, lab) == 1
        assert [type(event) for event in lab.events()] == [StudyOpened, TrialBegun, TrialEnded]
        self.is_interrupted_and_redone(study, asked)

    def test_the_journal_also_has_a_deleted_study_of_this_name(self, lab: Lab) -> None:
        study = lab.study()
        asked = study.ask()
        with Journal(lab.journal_file) as journal:
            for study_id in ("0" * 32, study.study_id):
                journal.append(opened(study_id))
                journal.append(asked.begun_event(asked.searched))
                if study_id != study.study_id:
                    journal.append(ended(asked, 0.99))
        study = lab.study()
        assert settle(study, lab) == 1
        self.is_interrupted_and_redone(study, asked)

    def test_ended_in_the_journal_but_not_in_the_storage(self, lab: Lab) -> None:
        study = lab.study()
        asked = study.ask()
        with Journal(lab.journal_file) as journal:
            journal.append(opened(study.study_id))
            journal.append(asked.begun_event(asked.searched))
            journal.append(ended(asked, 0.75))
        study = lab.study()
        assert settle(study, lab) == 0
        (trial,) = study.study.trials
        assert (trial.state, trial.value, trial.user_attrs[STATE]) == (
            TrialState.COMPLETE,
            0.75,
            "complete",
        )
        assert (study.count_done(), study.best_trials()) == (1, {0: (0.75,)})

    def test_told(self, lab: Lab) -> None:
        first = lab.study()
        asked = first.ask()
        first.tell(ended(asked))
        study = lab.study()
        assert settle(study, lab) == 0
        assert study.count_done() == 1

    def test_a_second_recovery_changes_nothing(self, lab: Lab) -> None:
        lab.study().ask()
        assert settle(lab.study(), lab) == 1
        before = lab.events()
        assert settle(lab.study(), lab) == 0
        assert lab.events() == before

    def test_a_baseline_that_died_before_it_had_its_parameters_is_not_lost(self, lab: Lab) -> None:
        study = lab.study()
        study.enqueue([{"units": 5, "kind": "a"}], "baseline")
        study.study.ask()  # the part that Optuna does first
        again = lab.study()
        assert settle(again, lab) == 1
        assert again.ask().searched == {"units": 5, "kind": "a"}

    def is_interrupted_and_redone(self, study: StudyTrials, asked: Trial) -> None:
        left = study.study.trials[asked.number]
        assert (left.state, left.user_attrs[STATE]) == (TrialState.FAIL, "failed: interrupted")
        redone = study.ask()
        assert (redone.searched, redone.seed) == (asked.searched, asked.seed)
        assert study.study.trials[redone.number].user_attrs[ORIGIN] == f"redo of {asked.number}"


def test_an_unfinished_line_is_removed(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with Journal(lab.journal_file) as journal:
        journal.append(TrialEnded(trial=0, state="complete", values=(1.0,)))
    with lab.journal_file.open("ab") as file:
        file.write(b'{"event":"trial_en')
    assert len(lab.events()) == 1
    with Journal(lab.journal_file) as journal:
        journal.append(TrialEnded(trial=1, state="complete", values=(1.0,)))
    assert [event.trial for event in lab.events() if isinstance(event, TrialEnded)] == [0, 1]


@pytest.mark.parametrize("samplers", ["tpe", [3], [["tpe"]]])
def test_samplers_of_another_form_are_refused(samplers: object) -> None:
    with pytest.raises(DamagedFile, match="must have what Optuna and Assay have written"):
        check_study_attributes("optuna.db", {SAMPLERS: samplers})
