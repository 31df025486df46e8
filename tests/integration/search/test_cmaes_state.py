"""A malformed state of the sampler 'cmaes' is refused in one line, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cmaes
import numpy as np
import pytest

from assay.models.errors import SearchError
from tests.helpers.spaces import WIDE
from tests.integration.search.test_samplers import draw, memory, open_study

KINDS = ("lr_adapt", "use_separable_cma", "with_margin")


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def changed(**attributes: Any) -> Callable[[str], str]:
    """Return a function that changes a state's attributes; a function gets the old value."""

    def change(text: str) -> str:
        state = pickle.loads(bytes.fromhex(text))
        inner = getattr(state, "_cma", state)
        for name, value in attributes.items():
            inner.__dict__[name] = value(inner.__dict__[name]) if callable(value) else value
        return pickle.dumps(state).hex()

    return change


def without(name: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        state = pickle.loads(bytes.fromhex(text))
        del getattr(state, "_cma", state).__dict__[name]
        return pickle.dumps(state).hex()

    return change


def planted(value: object) -> Callable[[str], str]:
    return lambda text: pickle.dumps(value).hex()


def other_kind(text: str) -> str:
    kind = cmaes.CMA if type(pickle.loads(bytes.fromhex(text))) is cmaes.SepCMA else cmaes.SepCMA
    return pickle.dumps(kind(np.zeros(len(WIDE)), 1.0)).hex()


class Pointers:
    """An array whose elements would be taken for pointers, if NumPy read it."""

    def __init__(self, like: np.ndarray[Any, Any], flags: int) -> None:
        self.like, self.flags = like, flags

    def __reduce__(self) -> Any:
        kind = Dtype("O", (3, "|", None, None, None, -1, -1, self.flags))
        content = b"\x41" * (8 * self.like.size)
        reconstruct = np.zeros(1).__reduce__()[0]
        return reconstruct, (np.ndarray, (0,), b"b"), (1, self.like.shape, kind, False, content)


class Dtype:
    """A dtype with a state of its own."""

    def __init__(self, kind: str, state: tuple[Any, ...]) -> None:
        self.kind, self.state = kind, state

    def __reduce__(self) -> Any:
        return np.dtype, (self.kind, False, True), self.state


MALFORMED: dict[str, Callable[[str], Any]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "half a byte": lambda text: text[:-1],
    "no hex digits": lambda text: "zz",
    "empty": lambda text: "",
    "a number": lambda text: 7,
    "a list": lambda text: [text],
    "nothing": lambda text: None,
    "huge": lambda text: "00" * (17 << 20),
    "another object": planted({"_n_dim": 2}),
    "an array": planted(np.zeros(2)),
    "a command": planted(Call(os.system, "touch pwned")),
    "a built-in": planted(Call(eval, "open('pwned', 'w')")),
    "a constructor": planted(Call(cmaes.CMA, np.zeros(2), 1.0)),
    "a huge array": planted(Call(np.ndarray, (1 << 50,))),
    "deeply nested": lambda text: (b"(" * 100_000 + b"l" * 100_000 + b".").hex(),
    "another kind": other_kind,
    "pointers as weights": changed(_weights=lambda weights: Pointers(weights, 0)),
    "pointers as mean": changed(_mean=lambda mean: Pointers(mean, 63)),
    "a list as mean": changed(_mean=lambda mean: list(mean)),
    "a text as step size": changed(_sigma="1.0"),
    "a text as generation": changed(_g="1"),
    "a negative generation": changed(_g=-1),
    "nan as step size": changed(_sigma=float("nan")),
    "zero as step size": changed(_sigma=0.0),
    "nan in the mean": changed(_mean=lambda mean: mean * np.nan),
    "infinity in the path": changed(_pc=lambda path: path + np.inf),
    "nan in the covariance": changed(_C=lambda covariance: covariance * np.nan),
    "objects in the mean": changed(_mean=lambda mean: mean.astype(object)),
    "single precision": changed(_mean=lambda mean: mean.astype(np.float32)),
    "more dimensions": changed(_n_dim=len(WIDE) + 1),
    "a million dimensions": changed(_n_dim=10**6),
    "no dimension": changed(_n_dim=0),
    "a boolean as dimension": changed(_n_dim=True),
    "another shape": changed(_mean=lambda mean: np.append(mean, 0.5)),
    "a huge generation": changed(_popsize=10**9),
    "other weights": changed(_weights=lambda weights: weights * 1e9),
    "other bounds": changed(_bounds=lambda bounds: bounds * 2),
    "an attribute less": without("_pc"),
    "an attribute more": changed(other=1),
}


def stored_study(kind: str) -> Any:
    """Return a storage with a study that has a state of this kind."""
    draw(open_study(storage := memory(), "cmaes", WIDE, given={"popsize": 4, kind: True}), 8)
    return storage


def replace_states(storage: Any, change: Callable[[str], Any]) -> None:
    """Replace the state of each trial, which lies in several attributes."""
    found = 0
    for trial in storage.get_all_trials(0, deepcopy=False):
        names = sorted(name for name in trial.system_attrs if ":optimizer:" in name)
        if names:
            text = "".join(trial.system_attrs.pop(name) for name in names)
            trial.system_attrs[names[0]] = change(text)
            found += 1
    assert found > 0


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", KINDS)
class TestState:
    """Of each kind of CMA-ES."""

    @pytest.mark.parametrize("case", MALFORMED)
    def test_a_malformed_state_is_refused_in_one_line(
        self, kind: str, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        storage = stored_study(kind)
        replace_states(storage, MALFORMED[case])
        study = open_study(storage, "cmaes", WIDE, given={"popsize": 4, kind: True})
        with pytest.raises(SearchError, match="state of sampler 'cmaes' kept with trial") as error:
            draw(study, 1)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1000
        assert case != "huge" or "characters, more than" in str(error.value)
        is_array = case.startswith("pointers")
        assert not is_array or "an array has other elements than numbers" in str(error.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_part_that_is_missing_is_refused(self, kind: str) -> None:
        storage = stored_study(kind)
        for trial in storage.get_all_trials(0, deepcopy=False):
            for name in [name for name in trial.system_attrs if name.endswith("optimizer:0")]:
                trial.system_attrs[f"{name[:-1]}3"] = trial.system_attrs.pop(name)
        study = open_study(storage, "cmaes", WIDE, given={"popsize": 4, kind: True})
        with pytest.raises(SearchError, match="state of sampler 'cmaes' kept with trial"):
            draw(study, 1)

    def test_a_state_that_was_pickled_again_is_used(self, kind: str) -> None:
        expected, again = stored_study(kind), stored_study(kind)
        replace_states(again, changed())
        drawn = [
            draw(open_study(storage, "cmaes", WIDE, given={"popsize": 4, kind: True}), 6)
            for storage in (expected, again)
        ]
        assert drawn[0] == drawn[1]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("value", [None, [], "x", [float("nan")] * len(WIDE), [0.5], [{}]])
def test_a_malformed_solution_is_refused(value: Any) -> None:
    storage = stored_study("with_margin")
    for trial in storage.get_all_trials(0, deepcopy=False):
        if "x_for_tell" in trial.system_attrs:
            trial.system_attrs["x_for_tell"] = value
    study = open_study(storage, "cmaes", WIDE, given={"popsize": 4, "with_margin": True})
    with pytest.raises(SearchError, match="its x_for_tell"):
        draw(study, 1)
