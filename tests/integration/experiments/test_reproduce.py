"""`assay reproduce` and `assay run --like`, and what a run holds for them."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from assay.experiments.run import execution
from assay.models.seeding import trial_seed
from assay.search.events import StudyOpened, TrialBegun
from assay.search.journal import read_events
from assay.search.system.hardware import count_cores
from tests.helpers.command import Done, invoke
from tests.helpers.experiment_files import OWN
from tests.helpers.refusals import Fails
from tests.helpers.runs import runs, trial_runs

SWEEP = ("sweep", "digits-mlp", "--trials", "2", "--epochs", "3", "--seed", "3", "--workers", "2")
NETS = "def build(input_shape, classes, width): ...\n"


@pytest.fixture
def swept_home(home: Path) -> Path:
    """Return a home with two trials of the stub."""
    done = invoke(*SWEEP, "--home", str(home))
    assert done.code == 0, done.err
    return home


def artifact(home: Path, run_id: str, name: str) -> str:
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    return Path(client.download_artifacts(run_id, name)).read_text()


def run_of(home: Path, done: Done) -> Run:
    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}").get_run(done.answer["run_id"])


def begun_events(home: Path) -> list[TrialBegun]:
    (journal,) = [path for path in home.glob("journal/*.jsonl") if "run-" not in path.name]
    return [event for event, _ in read_events(journal) if isinstance(event, TrialBegun)]


def test_a_trial_is_reproduced_in_a_run_of_its_own(swept_home: Path) -> None:
    recorded = trial_runs(swept_home)[1]
    run_id = recorded.info.run_id
    done = invoke("reproduce", run_id, "--tolerance", "0", "--home", str(swept_home), "--json")
    assert done.code == 0, done.err
    answer = done.answer
    assert (answer["largest_difference"], answer["within"]) == (0.0, True)
    assert answer["epochs"] == {"recorded": 3, "now": 3}
    assert set(answer["metrics"]) == {
        *("loss", "accuracy", "val_loss", "val_accuracy", "parameters")
    }
    for name in ("loss", "val_accuracy"):
        assert answer["metrics"][name]["recorded"] == recorded.data.metrics[name]
    again = run_of(swept_home, done)
    tags = again.data.tags
    assert not {"assay.study", "assay.trial", "mlflow.parentRunId"} & set(tags)
    assert tags["assay.reproduces"] == run_id
    assert tags["assay.command"] == f"assay reproduce {run_id} --tolerance 0 --home '<path>' --json"
    assert tags["assay.seed"] == recorded.data.tags["assay.seed"]
    assert "assay.seed_option" not in tags
    assert again.data.params == recorded.data.params
    parent = MlflowClient(f"sqlite:///{swept_home / 'mlflow.db'}").get_run(
        recorded.data.tags["mlflow.parentRunId"]
    )
    assert tags["assay.threads"] == parent.data.tags["assay.threads"]
    # Floats to the last bit.
    (journal,) = swept_home.glob("journal/run-*.jsonl")
    (now,) = [event for event, _ in read_events(journal) if isinstance(event, TrialBegun)]
    assert now.params == begun_events(swept_home)[1].params
    assert len(trial_runs(swept_home)) == 2


def test_other_numbers_fail_and_say_by_how_much(
    swept_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:ShiftedTrainer")
    monkeypatch.setenv("SHIFT", "0.125")
    run_id = trial_runs(swept_home)[0].info.run_id
    done = invoke("reproduce", run_id, "--home", str(swept_home))
    assert done.code == 1
    assert "not reproduced; the largest difference is 0.125, the tolerance 0.001" in done.out
    assert done.err.splitlines()[-1] == (
        "assay: trial 0 of digits-mlp was not reproduced: loss differs by up to 0.125, which is "
        "not within the tolerance 0.001."
    )
    done = invoke("reproduce", run_id, "--tolerance", "0.2", "--home", str(swept_home), "--json")
    assert (done.code, done.answer["within"], done.answer["largest_difference"]) == (0, True, 0.125)


def test_what_differs_is_said_before_anything_is_trained(
    swept_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = swept_home / "journal" / "digits-mlp.jsonl"
    text = journal.read_text()
    packages = json.loads(text.splitlines()[0])["packages"]
    changed = {**packages, "keras": "0.1", "gone": "1.0"}
    text = text.replace(json.dumps(packages, separators=(",", ":")), json.dumps(changed))
    text = text.replace('"assay.threads":"1"', '"assay.threads":"77"')
    journal.write_text(text.replace('"assay.dataset.digest":"', '"assay.dataset.digest":"0'))
    run_id = trial_runs(swept_home)[0].info.run_id
    done = invoke("reproduce", run_id, "--home", str(swept_home), "--json", "--deterministic")
    assert done.code == 0, done.err
    differs = {difference["what"]: difference for difference in done.answer["differs_now"]}
    assert differs["package keras"]["recorded"] == "0.1"
    assert differs["package keras"]["now"] == packages["keras"]
    assert (differs["package gone"]["recorded"], differs["package gone"]["now"]) == ("1.0", None)
    assert differs["cores for its threads"]["recorded"] == "77"
    assert differs["deterministic operations"]["now"] == "yes"
    assert "digest of the data" in differs
    lines = done.err.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("  package keras: recorded"))
    trained = next(n for n, line in enumerate(lines) if "trial 0 complete" in line)
    assert first < trained
    assert run_of(swept_home, done).data.tags["assay.threads"] == "77"
    like = invoke("run", "--like", run_id, "--home", str(swept_home), "--set", "learning_rate=0.02")
    assert like.code == 0, like.err
    assert "warning: this trains something else (digest of the data): trial 0 of" in like.err
    assert "  hyperparameter learning_rate: recorded 0.001, now 0.02" in like.err


def test_a_pruned_trial_ends_where_it_ended(swept_home: Path) -> None:
    journal = swept_home / "journal" / "digits-mlp.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    kept = [
        line | {"state": "pruned"} if line["event"] == "trial_ended" else line
        for line in lines
        if not (line["event"] == "epoch_ended" and line["epoch"] > 2)
    ]
    journal.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in kept))
    run_id = trial_runs(swept_home)[0].info.run_id
    done = invoke("reproduce", run_id, "--tolerance", "0", "--home", str(swept_home), "--json")
    assert done.code == 0, done.err
    assert (done.answer["epochs"], done.answer["state"]) == ({"recorded": 2, "now": 2}, "pruned")
    assert run_of(swept_home, done).data.params["epochs"] == "3"


def test_another_home_reproduces_from_mlflow_alone(swept_home: Path, tmp_path: Path) -> None:
    run_id = trial_runs(swept_home)[1].info.run_id
    shutil.copytree(swept_home / "data", tmp_path / "other" / "data")  # saves time
    elsewhere = ("--home", str(tmp_path / "other"))
    store = ("--tracking-uri", f"sqlite:///{swept_home / 'mlflow.db'}")
    done = invoke("reproduce", run_id, "--tolerance", "0", *elsewhere, *store, "--json")
    assert done.code == 0, done.err
    assert done.answer["epochs"] == {"recorded": 3, "now": 3}
    assert done.answer["largest_difference"] == 0.0
    assert not [one for one in done.answer["differs_now"] if "hyperparameter" in one["what"]]
    (journal,) = (tmp_path / "other").glob("journal/run-*.jsonl")
    (now,) = [event for event, _ in read_events(journal) if isinstance(event, TrialBegun)]
    assert (now.params, now.seed) == (
        begun_events(swept_home)[1].params,
        begun_events(swept_home)[1].seed,
    )


def test_a_single_run_keeps_the_seed_that_was_used_and_the_one_that_was_given(home: Path) -> None:
    common = ("--epochs", "2", "--home", str(home), "--json")
    first = invoke("run", "digits-mlp", "--seed", "5", *common)
    tags = run_of(home, first).data.tags
    assert tags["assay.seed"] == str(trial_seed(5, 0))
    assert tags["assay.seed_option"] == "5"
    assert tags["assay.command"].startswith("assay run digits-mlp --seed 5 --epochs 2 ")
    run_id = first.answer["run_id"]
    again = invoke("reproduce", run_id, "--tolerance", "0", "--home", str(home), "--json")
    assert (again.code, again.answer["largest_difference"]) == (0, 0.0)
    # A reproduction is a run like any other.
    once_more = invoke("reproduce", again.answer["run_id"], "--home", str(home), "--json")
    assert once_more.answer["largest_difference"] == 0.0


def test_a_run_like_another_has_all_of_it_but_what_was_set(swept_home: Path) -> None:
    recorded = begun_events(swept_home)[1]
    run_id = trial_runs(swept_home)[1].info.run_id
    here = ("--home", str(swept_home), "--json")
    same = invoke("run", "--like", run_id, *here)
    assert same.code == 0, same.err
    assert same.answer["params"] == recorded.params
    tags = run_of(swept_home, same).data.tags
    assert (tags["assay.seed"], tags["assay.like"]) == (str(recorded.seed), run_id)
    assert tags["assay.origin"] == f"like {run_id}"
    assert "assay.seed_option" not in tags

    changed = invoke("run", "--like", run_id, "--set", "learning_rate=0.5", *here)
    assert changed.answer["params"] == {**recorded.params, "learning_rate": 0.5}
    assert run_of(swept_home, changed).data.tags["assay.seed"] == str(recorded.seed)

    seeded = invoke("run", "--like", run_id, "--seed", "9", "--epochs", "2", *here)
    assert seeded.answer["params"] == {**recorded.params, "epochs": 2}
    tags = run_of(swept_home, seeded).data.tags
    assert (tags["assay.seed"], tags["assay.seed_option"]) == (str(trial_seed(9, 0)), "9")


def test_a_run_like_another_takes_its_execution_unless_it_is_given(home: Path) -> None:
    here = ("--home", str(home), "--json")
    options = ("--precision", "mixed_bfloat16", "--xla", "on", "--epochs", "1")
    first = invoke("run", "digits-mlp", *options, *here)
    like = ("run", "--like", first.answer["run_id"])
    tags = run_of(home, invoke(*like, *here)).data.tags
    assert (tags["assay.precision"], tags["assay.xla"]) == ("mixed_bfloat16", "on")
    tags = run_of(home, invoke(*like, "--precision", "float32", *here)).data.tags
    assert (tags["assay.precision"], tags["assay.xla"]) == ("float32", "on")


def test_what_does_not_exist_beside_what_was_set_is_left_out(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "x"\n[data]\nname = "digits"\n[model]\nfamily = "mlp"\n[train]\nepochs = 1\n'
        '[space]\noptimizer = ["momentum", "adam"]\n'
        'momentum = { low = 0.5, high = 0.9, when = { optimizer = "momentum" } }\n'
        '[[baseline]]\noptimizer = "momentum"\nmomentum = 0.7\n'
    )
    here = ("--home", str(home), "--json")
    first = invoke("run", str(tmp_path / "mine.toml"), *here)
    assert first.answer["params"]["momentum"] == 0.7
    done = invoke("run", "--like", first.answer["run_id"], "--set", "optimizer=adam", *here)
    assert done.code == 0, done.err
    assert done.answer["params"]["optimizer"] == "adam"
    assert "momentum" not in done.answer["params"]
    assert "momentum = 0.7 is left out" in done.err


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a network of the user's, of which the stub reports the code."""
    monkeypatch.setattr(execution, "TRAINER", "tests.helpers.stub_trainer:CodeTrainer")
    project = tmp_path / "project"
    project.mkdir()
    (project / "nets.py").write_text(NETS)
    (project / "own.toml").write_text(OWN)
    return project


def test_a_run_holds_what_a_colleague_needs(home: Path, own_project: Path) -> None:
    sweep = ("sweep", "./own.toml", "--epochs", "2", "--workers", "2", "--home", str(home))
    done = invoke(*sweep, "--json", cwd=own_project)
    assert done.code == 0, done.err
    parent = done.answer["parent_run_id"]
    assert artifact(home, parent, "code/nets.py") == NETS
    digest = hashlib.sha256(NETS.encode()).hexdigest()
    assert artifact(home, parent, "code.txt") == f"{digest}  code/nets.py\n"
    assert "keras==" in artifact(home, parent, "packages.txt")
    assert "epochs = 2" in artifact(home, parent, "resolved.toml")
    tags = MlflowClient(f"sqlite:///{home / 'mlflow.db'}").get_run(parent).data.tags
    expected = "assay sweep ./own.toml --epochs 2 --workers 2 --home '<path>' --json"
    assert tags["assay.command"] == expected
    assert {"assay.packages.digest", "assay.code.digest", "assay.deterministic"} <= set(tags)
    assert tags["assay.cores"] == str(count_cores())
    assert re.fullmatch(r"\d+ GiB", tags["assay.memory"])
    assert tags["assay.platform"].startswith(platform.system())
    (opened,) = [
        event
        for event, _ in read_events(home / "journal" / "own.jsonl")
        if isinstance(event, StudyOpened)
    ]
    assert [(file.name, file.digest, file.text) for file in opened.code] == [
        ("nets.py", digest, NETS)
    ]


def test_code_that_changed_is_said_first_and_the_users_file_is_what_runs(
    home: Path, own_project: Path, tmp_path: Path
) -> None:
    here = ("--home", str(home), "--json")
    first = invoke("run", "./own.toml", "--epochs", "1", *here, cwd=own_project)
    run_id = first.answer["run_id"]
    (own_project / "nets.py").write_text(f"# changed\n{NETS}")
    done = invoke("reproduce", run_id, *here)
    assert done.code == 0, done.err
    assert done.answer["differs_now"][0]["what"] == "your code nets.py"
    # The experiment's file has moved.
    moved = shutil.move(own_project, tmp_path / "moved")
    done = invoke("reproduce", run_id, *here)
    assert (done.code, "there is no file" in done.err) == (2, True)
    done = invoke("reproduce", run_id, "--experiment", f"{moved}/own.toml", *here)
    assert done.code == 0, done.err
    # Nothing but the user's own file says what runs.
    text = OWN.replace("nets.py:build", "other.py:build")
    (Path(moved) / "own.toml").write_text(text)
    (Path(moved) / "other.py").write_text(NETS)
    done = invoke("reproduce", run_id, "--experiment", f"{moved}/own.toml", *here)
    assert (done.code, "now names 'other.py:build'" in done.err) == (2, True)


def test_from_mlflow_alone_the_file_of_an_own_experiment_is_asked_for(
    home: Path, own_project: Path, tmp_path: Path
) -> None:
    first = invoke(
        *("run", "./own.toml", "--epochs", "1", "--home", str(home), "--json"), cwd=own_project
    )
    store = ("--tracking-uri", f"sqlite:///{home / 'mlflow.db'}", "--json")
    reproduce = ("reproduce", first.answer["run_id"], "--home", str(tmp_path / "other"), *store)
    done = invoke(*reproduce)
    assert (done.code, "--experiment FILE.toml" in done.err) == (2, True)
    assert not (tmp_path / "other").exists()
    for folder in ("data", "user-mlflow"):  # saves time
        shutil.copytree(home / folder, tmp_path / "other" / folder)
    done = invoke(*reproduce, "--experiment", str(own_project / "own.toml"))
    assert done.code == 0, done.err
    assert done.answer["largest_difference"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("reproduce", "digits-mlp"), "32 hexadecimal digits; received 'digits-mlp'"),
        (("reproduce", "0" * 32), "there is no run"),
        (("reproduce", "0" * 32, "--tolerance", "-1"), "--tolerance"),
        (("run",), "run takes an EXPERIMENT, or --like RUN_ID; received neither"),
        (("run", "digits-mlp", "--like", "0" * 32), "give one of the two"),
        (("run", "--like", "0" * 32), "there is no run"),
        (
            ("sweep", "digits-mlp", "--backend", "jax", "--deterministic", "--fuse", "4"),
            "--deterministic trains one trial at a time",
        ),
    ],
)
def test_a_wrong_request_is_one_line(arguments: tuple[str, ...], line: str, fails: Fails) -> None:
    assert line in fails(*arguments)


def test_a_run_that_can_not_be_trained_again_is_refused(swept_home: Path) -> None:
    recorded = trial_runs(swept_home)[0]
    here = ("--home", str(swept_home))
    done = invoke("reproduce", recorded.data.tags["mlflow.parentRunId"], *here)
    assert (done.code, "name the run of one of its trials" in done.err) == (2, True)
    journal = swept_home / "journal" / "digits-mlp.jsonl"
    lines = [line for line in journal.read_text().splitlines() if "epoch_ended" not in line]
    journal.write_text("".join(f"{line}\n" for line in lines))
    done = invoke("reproduce", recorded.info.run_id, *here)
    assert (done.code, "has trained no epoch" in done.err) == (2, True)
    assert len(runs(swept_home)) == 3, "nothing was written"


def test_journals_of_earlier_releases_are_refused_in_one_line(swept_home: Path) -> None:
    journal = swept_home / "journal" / "digits-mlp.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    old: list[Mapping[str, Any]] = [
        {name: line[name] for name in line if name not in ("resolved", "code", "packages")}
        for line in lines
    ]
    journal.write_text("".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in old))
    run_id = trial_runs(swept_home)[0].info.run_id
    done = invoke("reproduce", run_id, "--home", str(swept_home))
    assert (done.code, "release that did not record" in done.err) == (2, True)
