"""A study cached in memory: the database has the same data and is never read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from assay.models.errors import SearchError
from assay.search.events import TrialEnded
from assay.search.storage.opening import open_storage
from assay.search.storage.write_through import WriteThroughStorage
from assay.search.study import StudyTrials
from assay.search.workers.protocol import Trial
from tests.helpers.lab import Lab

CONFIGURATION = {"units": 5, "kind": "a"}


def tell(study: StudyTrials, trial: Trial) -> None:
    state: Any = {1: "failed", 2: "pruned"}.get(trial.number % 5, "complete")
    values = (trial.searched["units"] / 1000,) if state == "complete" else ()
    for epoch in (1, 2):
        study.report(trial.number, epoch, trial.searched["units"] / 2000)
    study.tell(TrialEnded(trial=trial.number, state=state, values=values))


def plain(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return all data of a trial except times and ids."""
    return (
        trial.number,
        trial.state,
        trial.values,
        list(trial.params.items()),
        trial.distributions,
        trial.user_attrs,
        trial.system_attrs,
        trial.intermediate_values,
    )


def stored(lab: Lab) -> list[FrozenTrial]:
    storage = open_storage(f"sqlite:///{lab.folder / 'optuna.db'}")
    return optuna.load_study(study_name="study", storage=storage).trials


def test_every_writing_method_is_overridden() -> None:
    """A method added by a later Optuna would write to memory only."""
    writers = {name for name in dir(BaseStorage) if name.startswith(("set_", "create_", "delete_"))}
    assert writers <= set(vars(WriteThroughStorage))


def test_attributes_do_not_clash_with_those_of_optuna() -> None:
    """A later Optuna with an attribute of the same name would overwrite it."""
    ours, optunas = WriteThroughStorage(InMemoryStorage()), InMemoryStorage()
    added = vars(ours).keys() - vars(optunas).keys()
    assert len(added) == 5
    assert not any(hasattr(optunas, name) for name in added)
    private = {name for name in vars(WriteThroughStorage) if name.startswith("_")}
    private -= {name for name in private if name.startswith("__")} | {"_abc_impl"}
    assert not private & set(dir(InMemoryStorage))


def test_database_and_memory_agree_after_every_step(lab: Lab) -> None:
    study = lab.study(pruner="hyperband")
    study.enqueue([CONFIGURATION], "enqueued")
    for _ in range(2):
        for _ in range(7):
            trial = study.ask()
            assert [plain(one) for one in stored(lab)] == [plain(one) for one in study.study.trials]
            tell(study, trial)
            assert [plain(one) for one in stored(lab)] == [plain(one) for one in study.study.trials]
        study = lab.study(pruner="hyperband")
        assert [plain(one) for one in stored(lab)] == [plain(one) for one in study.study.trials]


class Counted:
    """Counts the calls to a storage."""

    def __init__(self, storage: optuna.storages.BaseStorage) -> None:
        self._storage = storage
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._storage, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **named)

        return call


def test_the_number_of_calls_per_trial_is_constant(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Counted] = []

    def opening(url: str) -> Any:
        counted.append(Counted(open_storage(url)))
        return counted[-1]

    monkeypatch.setattr("tests.helpers.lab.open_storage", opening)
    study = lab.study()
    each = []
    for _ in range(8):
        counted[0].calls.clear()
        trial = study.ask()
        study.report(trial.number, 1, 0.5)
        study.tell(TrialEnded(trial=trial.number, state="complete", values=(0.5,)))
        each.append(dict(counted[0].calls))
    assert each[0] == {
        "create_new_trial": 1,
        "get_trial_id_from_study_id_trial_number": 1,
        "set_trial_intermediate_value": 1,
        "set_trial_user_attr": 1,
        "set_trial_state_values": 1,
    }
    assert each == [each[0]] * 8


def test_a_write_by_another_program_ends_the_search(lab: Lab) -> None:
    study = lab.study()
    study.ask()
    optuna.load_study(study_name="study", storage=f"sqlite:///{lab.folder / 'optuna.db'}").ask()
    with pytest.raises(SearchError, match="written by another program"):
        study.ask()


def test_a_trial_that_fails_during_ask_is_in_the_database(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("assay.search.study_record.trial_seed", fail)
    with pytest.raises(ZeroDivisionError):
        lab.study().ask()
    (left,) = stored(lab)
    assert left.state == TrialState.RUNNING
    assert set(left.params) == {"units", "kind"}
