"""What a sweep says of its best value, and its checks, in every place that shows them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from assay import load_study
from assay.experiments.console import choose
from assay.experiments.console.live import render_sweep
from assay.experiments.console.plain import PlainDisplay
from assay.experiments.evaluation import study_evaluation
from assay.experiments.evaluation.checks import CHECKS
from assay.experiments.evaluation.proportions import network_interval, wilson_interval
from assay.experiments.run import execution
from assay.experiments.workspace import StorePaths
from assay.search.events import Event, StudyClosed, StudyOpened
from assay.search.journal import read_events
from assay.search.objective import Objectives
from tests.helpers.command import Done, invoke
from tests.helpers.recorded_studies import ONE, ONE_ENDS, TWO, TWO_ENDS, record_study
from tests.helpers.runs import runs, trial_runs

OPTIONS = ("--epochs", "3", "--workers", "1", "--pruner", "none")


def sweep(home: Path, trials: int, *options: str, experiment: str = "digits-mlp") -> Done:
    arguments = ("--trials", str(trials), *OPTIONS, *options, "--home", str(home))
    done = invoke("sweep", experiment, *arguments)
    assert done.code == 0, done.err
    return done


def show(home: Path, *arguments: str) -> str:
    done = invoke("show", *arguments, "--home", str(home))
    assert done.code == 0, done.err
    return done.out


def unwrap(text: str) -> str:
    """Return the lines of a text as if the terminal were wide enough."""
    return text.replace("\n    ", " ")


def parent_tags(home: Path) -> dict[str, str]:
    (parent,) = runs(home, "tags.assay.best_trial LIKE '%'")
    return dict(parent.data.tags)


def journal_lines(home: Path) -> tuple[Path, list[dict[str, object]]]:
    path = home / "journal" / "digits-mlp.jsonl"
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def test_all_places_say_the_same_of_the_best(home: Path) -> None:
    done = sweep(home, 4, "--json")
    claim, checks = done.answer["claim"], done.answer["checks"]
    best = done.answer["best"]
    assert (claim["trial"], claim["value"]) == (best["number"], best["value"])
    assert (claim["examples"], claim["noun"], claim["tried"]) == (239, "images", 4)
    assert claim["low"] == pytest.approx(network_interval(best["value"], 239, 4).low)
    assert claim["high"] == pytest.approx(wilson_interval(best["value"], 239).high)
    assert claim["chance"]["value"] == pytest.approx(24 / 239)
    assert claim["baseline"]["trial"] == 0
    assert [check["name"] for check in checks] == [*CHECKS]
    text = show(home, "digits-mlp")
    printed, text = unwrap(done.err), unwrap(text)
    for sentence in claim["text"]:
        assert f"  {sentence}\n" in printed
        assert f"  {sentence}\n" in text
    states = {True: "FIRES ", False: "passed", None: "-     "}
    for check in checks:
        assert f"  {states[check['fired']]}  {check['name']}: {check['text']}\n" in text
        fires = f"  {check['name']}: {check['text']}\n" in printed
        assert fires is (check["fired"] is True)
    assert any(check["fired"] for check in checks)
    read = load_study("digits-mlp", home=home)
    assert read.claim is not None
    assert read.claim.to_record() == claim
    rows = read.checks.astype(object).where(read.checks.notna(), None)
    assert rows.to_dict("records") == checks
    assert claim["text"][0] in read._repr_html_()
    tags = parent_tags(home)
    assert tags["assay.claim"].splitlines() == claim["text"]
    fired = [f"{check['name']}: {check['text']}" for check in checks if check["fired"]]
    assert tags["assay.checks"].splitlines() == fired
    assert tags["assay.importance"].startswith("val_accuracy: ")
    for report in read.importance.values():
        assert report.summary() in tags["assay.importance"].splitlines()
    shown = invoke("show", "digits-mlp", "--json", "--home", str(home)).answer
    assert (shown["claim"], shown["checks"]) == (claim, checks)


def test_a_resumed_study_replaces_what_mlflow_has_of_it(home: Path) -> None:
    sweep(home, 2)
    assert "the best of 2 trials" in parent_tags(home)["assay.claim"]
    sweep(home, 4)
    tags = parent_tags(home)
    assert "the best of 4 trials" in tags["assay.claim"]
    assert tags["assay.best_epoch"] == "epoch 3 of 3"


class Watched(PlainDisplay):
    """Plain lines, and what the live table would draw after each event."""

    def __init__(self) -> None:
        super().__init__()
        self.table = ""

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        if self._state is None:  # the study is opened before its display
            return
        console = Console(file=io.StringIO(), width=200, record=True)
        console.print(render_sweep(self._state, 200))
        self.table = console.export_text()


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Stop trials early, and watch what is displayed."""
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:StoppingTrainer")
    watched = Watched()
    monkeypatch.setattr(choose, "choose_display", lambda as_json: watched)
    return watched


def test_with_early_stopping_all_places_name_the_same_value_and_its_epoch(
    home: Path, display: Watched
) -> None:
    lines = display._stream = io.StringIO()
    done = sweep(home, 3, "--epochs", "5", "--set", "early_stopping=1")
    read = load_study("digits-mlp", home=home)
    assert read.best is not None
    number, value = read.best["number"], read.best["value"]
    curve = read.epochs[read.epochs["trial"] == number].set_index("epoch")["val_accuracy"]
    assert len(curve) == 4
    assert curve[2] == value != curve[4], "the stub keeps its second epoch of four"
    text = f"{value:.4f}"
    # The live row and the line above the table; the plain line.
    (row,) = [line for line in display.table.splitlines()[1:] if line.split()[:1] == [str(number)]]
    assert f"{text}, epoch 2 " in row
    assert f"best val_accuracy {text} (trial {number}, epoch 2)" in display.table
    (line,) = [line for line in lines.getvalue().splitlines() if f"] trial {number} " in line]
    assert f"complete after 4 epochs val_accuracy {text} (epoch 2)" in line
    # The summary, the study and the trial.
    assert f"best: {text} (trial {number}, epoch 2 of 4, run " in done.err + done.out
    shown = show(home, "digits-mlp")
    assert f"best: {text} (trial {number}, epoch 2 of 4, run " in shown
    assert "restored_epoch" in shown
    of_trial = show(home, "digits-mlp", "--trial", str(number))
    assert f"val_accuracy: {text}\n" in of_trial
    (kept,) = [line for line in of_trial.splitlines() if line.startswith("early stopping kept")]
    assert kept.startswith("early stopping kept epoch 2: ")
    assert f"val_accuracy {text}" in kept
    assert f"(trial {number}, epoch 2 of 4)" in read._repr_html_()
    assert "; early stopping chose epoch 2 on the same images; " in read._repr_html_()
    # MLflow.
    metrics = trial_runs(home)[number].data.metrics
    assert (metrics["value"], metrics["restored_epoch"]) == (pytest.approx(value), 2)
    (parent,) = runs(home, "tags.assay.best_trial LIKE '%'")
    assert parent.data.metrics["best_value"] == pytest.approx(value)
    assert parent.data.tags["assay.best_epoch"] == "epoch 2 of 4"
    # A resumed sweep knows it of the best so far.
    sweep(home, 4, "--epochs", "5", "--set", "early_stopping=1")
    last = lines.getvalue().splitlines()[-1]
    assert ", epoch 2)" in last


def test_a_single_run_that_stops_early_gives_the_metrics_of_the_epoch_that_it_kept(
    home: Path, display: Watched
) -> None:
    options = ("--epochs", "5", "--set", "early_stopping=1", "--home", str(home))
    done = invoke("run", "digits-mlp", *options)
    assert done.code == 0, done.err
    (run,) = runs(home)
    curve = [
        point.value
        for point in MlflowClient(f"sqlite:///{home / 'mlflow.db'}").get_metric_history(
            run.info.run_id, "val_accuracy"
        )
    ]
    value = run.data.metrics["value"]
    assert value == pytest.approx(curve[1])
    assert value != pytest.approx(curve[-1])
    assert "metrics of epoch 2, which was kept:" in done.out
    assert f"val_accuracy       {value:.4g}" in done.out
    again = invoke("run", "digits-mlp", *options, "--json")
    assert again.answer["metrics"]["restored_epoch"] == 2
    assert again.answer["metrics"]["val_accuracy"] == pytest.approx(value)
    shown = show(home, run.info.run_id)
    assert "early stopping kept epoch 2: " in shown
    assert f"val_accuracy {value:.4f}" in shown


def test_several_objectives_are_evaluated_by_the_first(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text(
        'title = "two"\n[data]\nname = "digits"\n[model]\nfamily = "mlp"\n[train]\nepochs = 1\n'
        "[space]\nhidden_units = { low = 4, high = 400 }\n[search]\ntrials = 3\n"
        'sampler = "random"\npruner = "none"\n'
        'objectives = ["maximize val_accuracy", "minimize parameters"]\n'
    )
    done = sweep(home, 3, "--json", experiment=str(file))
    assert done.answer["best"] is None
    first = max(done.answer["pareto"], key=lambda trial: trial["values"][0])
    assert done.answer["claim"]["trial"] == first["number"]
    assert done.answer["claim"]["metric"] == "val_accuracy"
    (parent,) = runs(home, "tags.assay.pareto LIKE '%'")
    assert parent.data.tags["assay.claim"].splitlines() == done.answer["claim"]["text"]


def test_journals_of_earlier_releases_are_read(home: Path) -> None:
    sweep(home, 3)
    path, lines = journal_lines(home)
    new = {"train_examples", "validation_examples", "majority_share", "constant_errors"}
    for line in lines:
        if line["event"] == "study_opened":
            assert isinstance(line["data"], dict)
            assert new <= set(line["data"])
            line["data"] = {key: v for key, v in line["data"].items() if key not in new}
        line.pop("tags", None)
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    assert any(isinstance(event, StudyClosed) for event, _ in read_events(path))
    read = load_study("digits-mlp", home=home)
    # The study's fingerprint has the split, and nothing has the classes.
    assert read.claim is not None
    assert (read.claim.examples, read.claim.chance) == (239, None)
    assert "chance level: not known for this metric, or not recorded" in show(home, "digits-mlp")
    assert read.checks.set_index("name").loc["nothing above chance", "text"].startswith("not appl")
    # A sweep goes on with it, and records what was missing.
    sweep(home, 4)
    opened = [event for event, _ in read_events(path, only=[StudyOpened])]
    assert isinstance(opened[-1], StudyOpened)
    assert opened[-1].data["validation_examples"] == 239
    again = load_study("digits-mlp", home=home)
    assert again.claim is not None
    assert again.claim.chance is not None


@pytest.mark.parametrize(("objectives", "ends"), [(ONE, ONE_ENDS), (TWO, TWO_ENDS)])
def test_a_study_of_which_little_is_recorded_says_so(
    tmp_path: Path, objectives: list[str], ends: list[object]
) -> None:
    store_paths = StorePaths.choose(home=tmp_path)
    record_study(store_paths, "one", objectives, ends)  # type: ignore[arg-type]
    text = show(tmp_path, "one")
    unknown = (
        "the number of validation examples is not recorded: how far luck moves it is not known; "
        "each was trained once: finalize trains the best again"
    )
    assert f"  {unknown}\n" in unwrap(text)
    assert "not applicable: the number of validation examples is not recorded" in text


def test_a_study_of_another_home_is_evaluated_as_far_as_it_is_known(
    home: Path, tmp_path: Path
) -> None:
    sweep(home, 3)
    storage = f"sqlite:///{home / 'optuna.db'}"
    read = load_study("digits-mlp", home=tmp_path / "other", storage=storage)
    assert read.claim is not None
    assert (read.claim.examples, read.claim.chance, read.claim.epoch) == (239, None, None)
    text = read.checks.set_index("name")["text"]
    assert text["curve rising"].endswith(
        "the curve of the best trial is not in this home's journals"
    )


def test_the_objectives_of_a_foreign_study_are_no_shares(tmp_path: Path) -> None:
    import optuna

    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(storage=storage, study_name="foreign")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    read = load_study("foreign", home=tmp_path)
    assert read.claim is not None
    assert read.claim.unknown is not None
    assert read.claim.unknown.startswith("value is not a share of right answers")
    assert Objectives.read(read.objectives).each[0].metric == "value"


def test_a_study_is_closed_even_if_its_evaluation_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(study_evaluation, "evaluate_study", fail)
    arguments = ("sweep", "digits-mlp", "--trials", "2", *OPTIONS, "--home", str(home))
    done = invoke(*arguments)
    assert done.code == 1
    assert "RuntimeError: a bug" in done.err
    events = [event for event, _ in read_events(home / "journal" / "digits-mlp.jsonl")]
    assert isinstance(events[-1], StudyClosed)
    assert (len(events[-1].best), events[-1].tags) == (1, {})
