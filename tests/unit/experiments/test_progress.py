"""Progress displays of a sweep."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.console.bar import BarDisplay, SilentDisplay
from assay.experiments.console.live import LiveDisplay, render_sweep
from assay.experiments.console.plain import PlainDisplay
from assay.experiments.formatting import format_duration, sparkline
from assay.experiments.run.execution import Execution
from assay.experiments.run.progress import SweepState
from assay.experiments.run.result import RunResult, RunStatus
from assay.search.events import EpochEnded, Event, TrialBegun, TrialEnded
from assay.search.objective import Objectives, ParetoFront

SEARCHED = {"hidden_units": 32, "activation": "relu", "batch_size": 64, "learning_rate": 0.00123456}


def begun(number: int) -> TrialBegun:
    return TrialBegun(trial=number, seed=1, params=SEARCHED, searched=SEARCHED, origin="tpe")


def epoch(number: int, which: int, value: float) -> EpochEnded:
    return EpochEnded(
        trial=number, epoch=which, metrics={"val_accuracy": value, "loss": 1.0}, seconds=0.1
    )


STORY: list[Event] = [
    begun(0),
    begun(1),
    epoch(0, 1, 0.5),
    epoch(1, 1, 0.25),
    epoch(0, 2, 0.75),
    TrialEnded(trial=0, state="complete", values=(0.75,)),
    begun(2),
    TrialEnded(trial=2, state="failed", reason="crashed (SIGKILL)"),
]


@pytest.fixture
def state() -> SweepState:
    execution = Execution(backend="tensorflow", device="cpu", workers=2, threads=1)
    best_trials = ParetoFront(Objectives.read(["maximize val_accuracy"]))
    best_trials.add(9, (0.6,))
    return SweepState(
        "a [bold]study",
        resolve_experiment("digits-mlp"),
        execution,
        done=3,
        best_trials=best_trials,
        wanted=30,
    )


def test_the_table_shows_finished_best_and_running_trials(state: SweepState) -> None:
    for event in STORY:
        state.apply(event)
    console = Console(file=io.StringIO(), width=140, record=True)
    console.print(render_sweep(state, 140))
    text = console.export_text()
    assert "a [bold]study" in text  # markup in names is not interpreted
    assert "4/30 trials, 1 failed" in text
    assert "best val_accuracy 0.7500 (trial 0)" in text
    rows = {line.split()[0]: line for line in text.splitlines()[2:] if line.strip()}
    assert rows["0"].split()[1:5] == ["complete", "2/20", "0.7500", "▁█"]
    assert rows["1"].split()[1:4] == ["running", "1/20", "0.2500"]
    assert "failed: crashed (SIGKILL)" in rows["2"]
    console.print(render_sweep(state, 80))
    assert "hidden_units" not in console.export_text()
    assert "0.00123" in rows["1"]


def test_interrupted_trials_are_counted_apart(state: SweepState) -> None:
    interrupted = TrialEnded(trial=1, state="failed", reason="interrupted")
    for event in (*STORY, interrupted):
        state.apply(event)
    assert (state.failed, state.interrupted, state.done) == (1, 1, 4)
    console = Console(file=io.StringIO(), width=140, record=True)
    console.print(render_sweep(state, 140))
    assert "4/30 trials, 1 failed, 1 interrupted" in console.export_text()


def test_the_plain_display_prints_one_line_per_trial(state: SweepState) -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.on_open(state)
    for event in STORY:
        display.on_event(event)
    headline, complete, failed = stream.getvalue().splitlines()
    assert "27 trials to train" in headline
    assert complete.startswith(
        "[4/30] trial 0 complete after 2 epochs val_accuracy 0.7500 | hidden_units=32"
    )
    assert failed.startswith("[4/30] trial 2 failed: crashed (SIGKILL) after 0 epochs |")


def test_a_retry_shows_its_origin_and_its_resumed_epoch(state: SweepState) -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.on_open(state)
    again = dataclasses.replace(begun(5), origin="retry of 2")
    end = TrialEnded(trial=5, state="complete", values=(0.75,), metrics={"resumed_epoch": 2})
    for event in (again, *(epoch(5, which, 0.5) for which in (1, 2, 3)), end):
        display.on_event(event)
    line = stream.getvalue().splitlines()[-1]
    assert line.startswith(
        "[4/30] trial 5 (retry of 2) complete after 3 epochs (resumed after epoch 2) val_accuracy"
    )
    console = Console(file=io.StringIO(), width=140, record=True)
    console.print(render_sweep(state, 140))
    assert "complete, retry of 2" in console.export_text()


def test_a_training_of_finalize_is_no_trial(state: SweepState) -> None:
    state = dataclasses.replace(state, is_finalize=True)
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.on_open(state)
    display.on_event(dataclasses.replace(begun(5), finalist=2))
    display.on_event(TrialEnded(trial=5, state="complete", values=(0.75,)))
    headline, line = stream.getvalue().splitlines()
    assert "27 trainings on 2 workers" in headline
    assert line.startswith("[4/30] training 5 (trial 2) complete after 0 epochs val_accuracy 0.75")
    assert "best" not in line  # the means over seeds count
    console = Console(file=io.StringIO(), width=140, record=True)
    console.print(render_sweep(state, 140))
    text = console.export_text()
    assert "4/30 trainings" in text
    assert "complete, trial 2" in text
    assert "best" not in text


def test_an_end_recorded_by_recovery_is_not_progress(state: SweepState) -> None:
    assert state.apply(TrialEnded(trial=0, state="complete", values=(1.0,))) is None
    assert (state.done, state.best_trials.values) == (3, {9: (0.6,)})


def test_the_live_display_restores_the_cursor(state: SweepState) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    display = LiveDisplay(console)
    display.on_open(state)
    for event in STORY:
        display.on_event(event)
    display.on_close()
    display.on_close()
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0  # the cursor is shown again


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0.5], "▁"), ([0, 1], "▁█"), ([1, 1, 1], "▁▁▁"), ([0, 0.5, 1], "▁▅█")],
)
def test_a_curve_is_a_row_of_bars(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


def test_a_long_curve_is_shortened_and_keeps_its_last_value() -> None:
    rising = [float(value) for value in range(157)]
    assert len(sparkline(rising)) <= 20
    assert sparkline(rising)[-1] == "█"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1:01"), (3723, "1:02:03")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_the_bar_counts_finished_trials_and_shows_the_best(
    state: SweepState, capsys: pytest.CaptureFixture[str]
) -> None:
    display = BarDisplay()
    display.log("the data are ready")
    display.on_open(state)
    for event in STORY:
        display.on_event(event)
    display.on_close()
    display.on_close()
    out, err = capsys.readouterr()
    last = err.strip().splitlines()[-1].split("\r")[-1]
    assert "4/30" in last
    assert "best val_accuracy 0.7500 (trial 0), 1 failed" in last
    assert (out, "ready" in err) == ("", False)


def test_the_bar_of_a_single_training_counts_epochs(
    state: SweepState, capsys: pytest.CaptureFixture[str]
) -> None:
    state.done = 0
    display = BarDisplay("epoch")
    display.on_open(state)
    display.on_event(begun(0))
    display.on_event(epoch(0, 1, 0.5))
    display.on_event(epoch(0, 2, 0.75))
    display.on_close()
    last = capsys.readouterr().err.strip().split("\r")[-1]
    assert "2/20" in last
    assert "val_accuracy 0.7500" in last


def test_the_bar_counts_epochs_of_a_model_with_other_metrics(
    state: SweepState, capsys: pytest.CaptureFixture[str]
) -> None:
    state.done = 0
    display = BarDisplay("epoch")
    display.on_open(state)
    display.on_event(begun(0))
    display.on_event(EpochEnded(trial=0, epoch=1, metrics={"val_auc": 0.5}, seconds=0.1))
    display.on_close()
    assert "1/20" in capsys.readouterr().err.strip().split("\r")[-1]


@pytest.mark.parametrize("display", [BarDisplay(), SilentDisplay()])
def test_warnings_are_python_warnings(
    display: BarDisplay | SilentDisplay,
) -> None:
    with pytest.warns(UserWarning, match=r"^digits is used unverified$"):
        display.log("warning: digits is used unverified")


def test_the_epochs_of_a_training_are_a_table() -> None:
    def result(*history: EpochEnded) -> RunResult:
        status = RunStatus("finished")
        return RunResult(status, "e", "sqlite:///", None, {}, {}, "complete", None, history)

    assert list(result().epochs) == ["epoch", "seconds"]
    assert result(epoch(0, 1, 0.5), epoch(0, 2, 0.75)).epochs.to_dict("list") == {
        "epoch": [1, 2],
        "val_accuracy": [0.5, 0.75],
        "loss": [1.0, 1.0],
        "seconds": [0.1, 0.1],
    }
