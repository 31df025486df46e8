"""`sweep`, `run`, `reproduce` and `load_study` in Python match the command line."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assay
from assay import RequestError, SearchError, load_study, reproduce, run, sweep
from assay.experiments import api
from assay.experiments.run.result import RunStatus, SweepResult
from assay.search.objective import Objectives

ONLY_A_COMMAND = {"as_json", "dry_run"}


@pytest.mark.parametrize("verb", ["sweep", "run", "reproduce"])
def test_every_option_of_the_command_is_a_parameter_of_the_function(verb: str) -> None:
    command = importlib.import_module(f"assay.experiments.cli.{verb}").command
    options = {option.name for option in command.params} - ONLY_A_COMMAND
    parameters = inspect.signature(getattr(assay, verb)).parameters
    assert options <= set(parameters)
    _, *others = parameters.values()
    documented = getattr(assay, verb).__doc__
    assert all(f"        {parameter.name}: " in documented for parameter in others)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in others)
    for option in command.params:
        if isinstance(option.default, int) and option.name not in ONLY_A_COMMAND:
            assert parameters[option.name].default == option.default


@pytest.mark.parametrize(
    ("function", "wrong", "near"),
    [
        (sweep, "epoch", "epochs"),
        (run, "epoch", "epochs"),
        (reproduce, "tolerances", "tolerance"),
    ],
)
def test_an_unknown_option_is_a_type_error_that_names_the_nearest(
    function: Callable[..., object], wrong: str, near: str
) -> None:
    with pytest.raises(
        TypeError, match=f"unexpected keyword argument '{wrong}'; did you mean '{near}'"
    ):
        function("digits-mlp", **{wrong: 3})


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'sweeep'"):
        assay.sweeep  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize(
    "call",
    [
        lambda home: sweep("digit-mlp", home=home),
        lambda home: sweep("digits-mlp", trials=0, home=home),
        lambda home: sweep("digits-mlp", epochs=0, home=home),
        lambda home: sweep("digits-mlp", sampler="tpee", home=home),
        lambda home: sweep("digits-mlp", timeout="soon", home=home),
        lambda home: sweep("digits-mlp", progress="no", home=home),
        lambda home: sweep("digits-mlp", study="", home=home),
        lambda home: sweep("digits-mlp", set={"batch_size": 10**6}, home=home),
        lambda home: run("digits-mlp", seed=-1, home=home),
        lambda home: run("digits-mlp", backend="theano", home=home),
        lambda home: run(home=home),
        lambda home: run("digits-mlp", like="0" * 32, home=home),
        lambda home: run(like="0" * 32, home=home),
        lambda home: reproduce("0" * 32, home=home),
        lambda home: reproduce("digits-mlp", home=home),
        lambda home: reproduce("0" * 32, tolerance=-1, home=home),
        lambda home: load_study("nothing", home=home),
    ],
)
def test_an_invalid_request_is_a_one_line_error_and_writes_nothing(
    call: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RequestError) as caught:
        call(tmp_path / "home")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "home").exists()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (RunStatus("failed", "trials only fail", 1), SearchError),
        (RunStatus("finished", untracked="the store is away"), SearchError),
        (RunStatus("interrupted", search_exit_code=130), KeyboardInterrupt),
        (RunStatus("interrupted", search_exit_code=143), SystemExit),
    ],
)
def test_an_early_end_of_a_sweep_is_an_exception(
    status: RunStatus,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def ended(*_: Any) -> SweepResult:
        objectives = Objectives.read(["maximize val_accuracy"])
        return SweepResult(status, "s", "e", "", None, 1.0, {}, objectives, [], {}, 1, False)

    monkeypatch.setattr(api.sweeping, "sweep", ended)
    with pytest.raises(error):
        sweep("digits-mlp", home=tmp_path)
