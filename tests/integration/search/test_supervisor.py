"""The supervisor with real worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from assay.models.errors import SearchError
from assay.search import supervisor
from assay.search.events import EpochEnded, TrialBegun, TrialEnded
from assay.search.storage.stored_values import STATE
from assay.search.study import StudyTrials
from assay.search.system import hardware
from assay.search.system.signals import StopRequest
from assay.search.workers.protocol import Trial
from tests.helpers.clock import Clock
from tests.helpers.lab import Lab


def curve(*values: float) -> dict[str, list[float]]:
    return {"curve": list(values)}


def test_the_journal_has_all_events_of_each_trial_in_order(lab: Lab) -> None:
    lab.run(3)
    for number in range(3):
        own = [event for event in lab.events() if getattr(event, "trial", None) == number]
        assert [type(event) for event in own] == [TrialBegun, *[EpochEnded] * 4, TrialEnded]
        assert [event.epoch for event in own if isinstance(event, EpochEnded)] == [1, 2, 3, 4]
        end = own[-1]
        assert isinstance(end, TrialEnded)
        assert end.state == "complete"
        assert end.metrics["parameters"] == 26
        assert end.metrics["peak_memory_bytes"] == 1000


def test_the_journal_records_an_end_before_the_storage(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, in_time = StudyTrials.tell, []

    def watched(self: StudyTrials, end: TrialEnded) -> None:
        in_time.append(end in lab.events())
        tell(self, end)

    monkeypatch.setattr(StudyTrials, "tell", watched)
    lab.run(4, lambda trial: {"raises": "odd"} if trial.number == 1 else curve(1, 1, 1, 1))
    assert in_time == [True] * 5


def test_a_trial_has_the_value_of_its_last_epoch(lab: Lab) -> None:
    study = lab.run(1, lambda trial: curve(0.1, 0.9, 0.5, 0.4))
    assert study.study.trials[0].value == 0.4


def test_a_pruned_trial_counts_as_done(lab: Lab) -> None:
    def script(trial):
        return curve(0.1, 0.1, 0.1, 0.1) if trial.number >= 6 else curve(0.5, 0.6, 0.7, 0.8)

    study = lab.run(8, script, workers=1, study=lab.study(pruner="median"))
    assert study.count_by_state() == {"complete": 6, "pruned": 2, "failed": 0, "interrupted": 0}
    assert [
        event.epoch for event in lab.events() if isinstance(event, EpochEnded) and event.trial == 7
    ] == [1, 2]


def test_an_exception_fails_the_trial_and_keeps_the_worker(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def script(trial):
        return (
            curve(1, 1, 1, 1)
            | {"log": str(log)}
            | ({"raises": "no such layer"} if trial.number == 1 else {})
        )

    lab.run(3, script, workers=1)
    ends = [event for event in lab.events() if isinstance(event, TrialEnded)]
    assert [end.label for end in ends][1] == "failed: error: ValueError: no such layer"
    assert "stub_trainer.py" in str(ends[1].error)
    assert len({line.split()[-1] for line in log.read_text().splitlines()}) == 1


def test_out_of_memory_fails_the_trial_and_replaces_the_worker(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def script(trial):
        return curve(1, 1, 1, 1) | {"log": str(log), "exhausts": trial.number == 1}

    study = lab.run(3, script, workers=1)
    assert study.count_by_state() == {"complete": 3, "pruned": 0, "failed": 1, "interrupted": 0}
    assert study.study.trials[1].user_attrs[STATE] == "failed: out of memory"
    (end,) = [
        event for event in lab.events() if isinstance(event, TrialEnded) and event.state == "failed"
    ]
    assert end.reason == "out of memory"
    assert "no room for it" in str(end.error)
    pids = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("begin")]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_repeated_out_of_memory_ends_the_search(lab: Lab) -> None:
    with pytest.raises(SearchError, match="last 3 trials all failed; the last one: out of memory"):
        lab.run(10, lambda trial: {"exhausts": True}, max_failures=3, workers=2)


def test_a_possible_kill_by_the_oom_killer_is_reported(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([4, 4, 5, 5])
    monkeypatch.setattr(hardware, "count_oom_kills", lambda: next(counts))
    lab.run(
        2,
        lambda trial: curve(1, 1, 1, 1) | ({"signal": "SIGKILL"} if trial.number < 2 else {}),
        workers=1,
    )
    ends = [
        event for event in lab.events() if isinstance(event, TrialEnded) and event.state == "failed"
    ]
    assert [end.label for end in ends] == ["failed: crashed (SIGKILL)"] * 2
    assert [end.error is not None and "memory ran out" in end.error for end in ends] == [
        False,
        True,
    ]


def test_a_loss_that_is_not_finite_fails_the_trial_in_that_epoch(lab: Lab) -> None:
    lab.run(
        2,
        lambda trial: (
            curve(0.1, float("nan"), 0.3, 0.4) if trial.number == 0 else curve(1, 1, 1, 1)
        ),
    )
    own = [event for event in lab.events() if getattr(event, "trial", None) == 0]
    assert len([event for event in own if isinstance(event, EpochEnded)]) == 2
    assert isinstance(own[-1], TrialEnded)
    assert own[-1].label == "failed: diverged"


def test_a_search_of_failures_stops_with_the_reason(lab: Lab) -> None:
    with pytest.raises(SearchError, match=r"last 3 trials all failed.*broken net"):
        lab.run(10, lambda trial: {"raises": "broken net"}, max_failures=3, workers=1)
    assert lab.study().count_by_state() == {
        "complete": 0,
        "pruned": 0,
        "failed": 3,
        "interrupted": 0,
    }


def test_failures_that_are_not_consecutive_do_not_stop_the_search(lab: Lab) -> None:
    def script(trial):
        return {"raises": "odd"} if trial.number % 2 else curve(1, 1, 1, 1)

    assert lab.run(5, script, max_failures=2, workers=1).count_by_state()["complete"] == 5


def test_no_trial_starts_after_the_timeout_and_running_trials_finish(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(supervisor, "time", clock)

    def script(trial: Trial) -> dict[str, list[float]]:
        if trial.number == 5:
            clock.advance(0.6)
        return curve(1, 1, 1, 1)

    study = lab.run(1000, script, timeout_seconds=0.5)
    assert study.count_by_state() == {"complete": 6, "pruned": 0, "failed": 0, "interrupted": 0}


def test_a_stop_records_running_trials_as_interrupted(lab: Lab) -> None:
    stop = StopRequest()

    def script(trial):
        if trial.number == 3:
            stop.signal = 15
        return curve(1, 1, 1, 1) | {"seconds": 0.2}

    study = lab.run(10, script, stop=stop)
    assert {
        trial.user_attrs[STATE] for trial in study.study.trials if trial.state == TrialState.FAIL
    } == {"failed: interrupted"}
    assert not study.study.get_trials(states=(TrialState.RUNNING,))


def test_of_equal_trials_the_lowest_number_is_the_best_and_has_its_model(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trial 0 ends after trial 1."""
    told, tell = tmp_path / "told", StudyTrials.tell

    def watched(self: StudyTrials, end: TrialEnded) -> None:
        tell(self, end)
        told.touch()

    monkeypatch.setattr(StudyTrials, "tell", watched)

    def script(trial: Trial) -> dict[str, object]:
        return curve(0, 0, 0, 0.5) | ({"awaits": str(told)} if trial.number == 0 else {})

    study = lab.run(2, script, workers=2)
    ends = [event.trial for event in lab.events() if isinstance(event, TrialEnded)]
    assert ends == [1, 0]
    assert study.best_trials() == lab.study().best_trials() == {0: (0.5,)}
    kept = lab.model_store.find_model(0)
    assert kept is not None
    assert kept.read_text() == "model of 0"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_only_the_best_trials_model_is_kept(lab: Lab) -> None:
    values = [0.3, 0.9, 0.5, 0.7]
    study = lab.run(4, lambda trial: curve(0, 0, 0, values[trial.number]), workers=1)
    ((best, values_of_best),) = study.best_trials().items()
    assert (best, values_of_best) == (1, (0.9,))
    kept = lab.model_store.find_model(best)
    assert kept is not None
    assert kept.read_text() == "model of 1"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_trial_whose_model_cannot_be_kept_is_complete(lab: Lab) -> None:
    study = lab.run(1, lambda trial: curve(0, 0, 0, 0.9) | {"unsaved": "no space left"})
    assert study.count_by_state() == {"complete": 1, "pruned": 0, "failed": 0, "interrupted": 0}
    (end,) = [event for event in lab.events() if isinstance(event, TrialEnded)]
    assert end.error == "the model could not be kept: no space left"
    assert "unsaved" not in end.metrics


def test_no_trial_is_left_running_after_any_end(lab: Lab) -> None:
    def script(trial):
        if trial.number == 1:
            raise ZeroDivisionError("a bug")
        return curve(1, 1, 1, 1) | {"seconds": 1.0}

    with pytest.raises(ZeroDivisionError):
        lab.run(4, script)
    assert lab.study().study.trials[0].state == TrialState.FAIL


def test_a_model_that_is_being_written_is_not_deleted(lab: Lab) -> None:
    """One trial ends while the worker of another saves its model."""
    values = {0: 0.9, 1: 0.1, 2: 0.2}
    study = lab.run(
        3,
        lambda trial: (
            curve(0, 0, 0, values[trial.number])
            | ({"save_seconds": 1.0} if trial.number == 0 else {})
        ),
    )
    assert study.count_by_state() == {"complete": 3, "pruned": 0, "failed": 0, "interrupted": 0}
    assert lab.model_store.find_model(0) is not None


def test_with_one_worker_and_one_seed_everything_repeats(tmp_path: Path) -> None:
    stories = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        lab = Lab(folder)
        study = lab.run(5, workers=1, study=lab.study(seed=7))
        stories.append(
            [(trial.params, trial.value, trial.user_attrs) for trial in study.study.trials]
        )
    assert stories[0] == stories[1]


def test_another_seed_gives_other_trials(tmp_path: Path) -> None:
    parameters = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        lab = Lab(folder)
        parameters.append(
            [
                trial.params
                for trial in lab.run(5, workers=1, study=lab.study(seed=seed)).study.trials
            ]
        )
    assert parameters[0] != parameters[1]
