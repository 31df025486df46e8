"""What a run is compared by when it is trained again, and what is read of a record."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.config.request import RepeatedTraining, RunRequest
from assay.experiments.run.provenance import list_packages
from assay.experiments.run.recorded import RecordedRun, read_value
from assay.experiments.run.repeat import ReproduceResult, compare_metrics
from assay.experiments.run.result import RunStatus
from assay.experiments.run.single import make_session, make_trial
from assay.experiments.tracking.code import (
    artifact_name,
    format_digests,
    format_packages,
    read_packages,
    write_code_files,
)
from assay.models.code_files import MOST_FILE_BYTES, CodeFile, read_code_files
from assay.models.errors import RequestError
from assay.models.seeding import trial_seed
from assay.search.events import StudyOpened, from_record, to_record
from assay.search.space import read_space
from tests.unit.experiments.test_session import EXECUTION, SECONDS
from tests.unit.experiments.test_session import session as session_on_rows


def recorded_run(
    epochs: Sequence[Mapping[str, float]],
    final: Mapping[str, float] | None = None,
    **tags: str,
) -> RecordedRun:
    opened = StudyOpened(
        study="study", study_id="id", experiment="x", provenance=tags, text="", data={}
    )
    return RecordedRun(
        run_id="r",
        title="trial 0 of study",
        experiment=resolve_experiment("digits-mlp"),
        configuration={},
        params={},
        opened=opened,
        seed=1,
        epochs=epochs,
        final_metrics=final or {},
        state="complete",
        in_journal=True,
    )


EPOCHS = [{"loss": 0.5, "val_loss": 4.0}, {"loss": 0.25, "val_loss": 2.0}]


@pytest.mark.parametrize(
    ("now", "tolerance", "largest", "within"),
    [
        (EPOCHS, 0.0, 0.0, True),
        ([EPOCHS[0] | {"loss": 0.6}, EPOCHS[1]], 0.05, 0.1, False),
        ([EPOCHS[0] | {"loss": 0.6}, EPOCHS[1]], 0.11, 0.1, True),
        # Of values above 1 the tolerance is a fraction.
        ([EPOCHS[0] | {"val_loss": 4.2}, EPOCHS[1]], 0.06, 0.2, True),
        ([EPOCHS[0] | {"val_loss": 4.2}, EPOCHS[1]], 0.04, 0.2, False),
        (EPOCHS[:1], 100.0, math.inf, False),
        ([EPOCHS[0], {"loss": 0.25}], 100.0, math.inf, False),
        ([EPOCHS[0] | {"loss": math.nan}, EPOCHS[1]], 100.0, math.inf, False),
    ],
)
def test_a_reproduction_is_compared_in_every_epoch(
    now: Sequence[Mapping[str, float]], tolerance: float, largest: float, within: bool
) -> None:
    compared = compare_metrics(recorded_run(EPOCHS), now, {}, tolerance)
    assert set(compared) == {"loss", "val_loss"}
    found = max(metric.largest_difference for metric in compared.values())
    assert found == pytest.approx(largest)
    assert all(metric.within for metric in compared.values()) == within


def test_what_diverged_is_reproduced_if_it_diverges_again() -> None:
    for value in (math.nan, math.inf):
        epochs = [{"loss": 1.0}, {"loss": value}]
        assert compare_metrics(recorded_run(epochs), epochs, {}, 0.0)["loss"].within
    other = [{"loss": 1.0}, {"loss": -math.inf}]
    assert not compare_metrics(recorded_run([{"loss": 1.0}, {"loss": math.inf}]), other, {}, 9.0)[
        "loss"
    ].within


def test_the_last_values_stand_beside_each_other() -> None:
    now = [EPOCHS[0] | {"loss": 0.8}, EPOCHS[1] | {"loss": 0.26}]
    loss = compare_metrics(recorded_run(EPOCHS), now, {}, 1.0)["loss"]
    assert (loss.recorded, loss.now) == (0.25, 0.26)
    assert loss.difference == pytest.approx(0.01)
    assert loss.largest_difference == pytest.approx(0.3)


def test_the_message_names_the_metric_that_is_not_within_the_tolerance() -> None:
    # Above 1 the tolerance is a fraction: the larger difference is within it.
    recorded = recorded_run([{"loss": 1000.0, "val_accuracy": 0.5}])
    now = [{"loss": 1000.5, "val_accuracy": 0.502}]
    result = ReproduceResult(
        recorded_run_id="r",
        title="trial 0",
        state="complete",
        result=SimpleNamespace(status=RunStatus("finished")),  # type: ignore[arg-type]
        metrics=compare_metrics(recorded, now, {}, 0.001),
        epoch=1,
        epochs_recorded=1,
        epochs_now=1,
        tolerance=0.001,
    )
    assert result.failure == (
        "trial 0 was not reproduced: val_accuracy differs by up to 0.002, which is not within the "
        "tolerance 0.001."
    )


def test_values_are_of_the_epoch_that_early_stopping_kept() -> None:
    now = [EPOCHS[0] | {"loss": 0.75}, EPOCHS[1]]
    kept = recorded_run(EPOCHS, {"restored_epoch": 1})
    loss = compare_metrics(kept, now, {"restored_epoch": 1}, 1.0)["loss"]
    assert (kept.epoch, loss.recorded, loss.now, loss.difference) == (1, 0.5, 0.75, 0.25)
    for damaged in (0, 3, math.nan, math.inf):
        assert recorded_run(EPOCHS, {"restored_epoch": damaged}).epoch == 2


def test_what_follows_from_the_training_alone_is_compared_too() -> None:
    recorded = recorded_run(EPOCHS, {"parameters": 10, "restored_epoch": 2})
    now = {"parameters": 10, "restored_epoch": 3, "train_seconds": 9.0}
    compared = compare_metrics(recorded, EPOCHS, now, 0.0)
    assert {name for name, metric in compared.items() if not metric.within} == {"restored_epoch"}
    assert "train_seconds" not in compared


SPACE = read_space(
    {
        "real": {"low": 1e-300, "high": 1e300, "log": True},
        "whole": {"low": -5, "high": 10**15},
        "step": {"low": 0.0, "high": 1.0, "step": 0.1},
        "choice": [0.1, 2, "relu", True],
        "layers": [[64, 32], [128]],
    }
)


@given(
    st.floats(1e-300, 1e300),
    st.integers(-5, 10**15),
    st.integers(0, 10),
    st.sampled_from([0.1, 2, "relu", True]),
    st.sampled_from([[64, 32], [128]]),
)
def test_hyperparameters_come_back_exactly_from_their_text(
    real: float, whole: int, steps: int, choice: Any, layers: list[int]
) -> None:
    values = {
        "real": real,
        "whole": whole,
        "step": SPACE["step"].check("", round(0.1 * steps, 12)),
        "choice": choice,
        "layers": layers,
    }
    for name, value in values.items():
        again = read_value(SPACE[name], str(value), name)
        assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize(("name", "text"), [("real", "x"), ("whole", "1.5"), ("choice", "tanh")])
def test_a_text_that_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(RequestError, match=name):
        read_value(SPACE[name], text, name)


def test_execution_is_that_of_the_last_session() -> None:
    tags = {
        "assay.backend": "jax",
        "assay.device": "gpu: NVIDIA A100",
        "assay.threads": "1 | 2",
        "assay.precision": "mixed_bfloat16",
        "assay.order_seed": "7",
        "assay.deterministic": "yes",
    }
    recorded = recorded_run(EPOCHS, **tags)
    execution = recorded.execution
    assert (execution.backend, execution.device, execution.threads) == ("jax", "gpu:0", 2)
    assert (execution.precision, execution.deterministic) == ("mixed_bfloat16", True)
    assert recorded.order_seed == 7


@pytest.mark.parametrize("threads", ["0", "-1", "many", "1e3", "99999", "9" * 30, "٣"])
def test_a_number_of_threads_that_is_none_is_refused(threads: str) -> None:
    with pytest.raises(RequestError, match=r"assay\.threads"):
        _ = recorded_run(EPOCHS, **{"assay.threads": threads}).execution


def test_a_repeated_training_has_the_recorded_seeds(tmp_path: Path) -> None:
    repeated = RepeatedTraining("reproduction", {"assay.reproduces": "r"}, 11, 5, last_epoch=2)
    request = RunRequest(3, repeated=repeated, command="assay reproduce r")
    trial = make_trial({}, request)
    assert (trial.trial.seed, trial.trial.origin) == (11, "reproduction")
    assert [trial.report(0, epoch, 0.5) for epoch in (1, 2, 3)] == [False, True, True]
    preflight = session_on_rows(tmp_path, SECONDS[:, None]).preflight
    session = make_session(preflight, EXECUTION, request)
    spec = session.setup(trial.trial).spec
    assert (spec["seed"], spec["order_seed"]) == (11, 5)
    assert session.tags == {"assay.reproduces": "r", "assay.command": "assay reproduce r"}


def test_a_single_training_derives_its_seed(tmp_path: Path) -> None:
    request = RunRequest(3)
    trial = make_trial({}, request)
    assert trial.trial.seed == trial_seed(3, 0)
    assert not trial.report(0, 99, 0.5)
    preflight = session_on_rows(tmp_path, SECONDS[:, None]).preflight
    session = make_session(preflight, EXECUTION, request)
    assert "order_seed" not in session.setup(trial.trial).spec
    assert session.tags == {"assay.seed_option": "3"}


# What a run holds.


def test_all_installed_packages_are_listed() -> None:
    found = {
        distribution.name.lower().replace("_", "-"): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    assert {name: list_packages().get(name) for name in found} == found
    assert read_packages(format_packages(list_packages())) == list_packages()


def test_code_is_read_with_limits(tmp_path: Path) -> None:
    contents = {
        "nets.py": b"def net(): ...\r\n",
        "weights.npz": b"\x93NUMPY\x00\xff",
        "long.py": b"#" * (MOST_FILE_BYTES + 1),
        **{f"f{number}.py": b"#" * (MOST_FILE_BYTES - 1) for number in range(5)},
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = {file.name: file for file in read_code_files([(n, tmp_path / n) for n in contents])}
    assert files["nets.py"].text == "def net(): ...\r\n"
    assert all(len(file.digest) == 64 for file in files.values())
    left_out = {name: file.left_out for name, file in files.items() if file.text is None}
    assert left_out == {
        "weights.npz": "it is no UTF-8 text",
        "long.py": "it has more than 262,144 bytes",
        "f3.py": "the files have more than 1,048,576 bytes",
        "f4.py": "the files have more than 1,048,576 bytes",
    }


@given(st.lists(st.text("/\\.~a\0é\n "), max_size=5))
def test_code_of_a_journal_is_written_into_its_folder_alone(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    files = [CodeFile(name, f"{number:064x}", "x") for number, name in enumerate(names)]
    write_code_files(files, root / "artifacts" / "code")
    written = [path for path in root.rglob("*") if path.is_file()]
    assert len(written) == len(files)
    assert all(path.is_relative_to(root / "artifacts" / "code") for path in written)


@pytest.mark.parametrize(
    ("name", "artifact"),
    [
        ("nets.py", "nets.py"),
        ("nets/my blocks.py", "nets/my blocks.py"),
        ("/etc/passwd", "etc/passwd"),
        ("a/../../b", "a/%2e./%2e./b"),
        (".ssh/id", "%2essh/id"),
        ("a\nb\x1b", "a%0ab%1b"),
    ],
)
def test_names_of_artifacts_lead_nowhere_else(name: str, artifact: str) -> None:
    assert artifact_name(name) == artifact


def test_what_is_left_out_is_one_line() -> None:
    files = [
        CodeFile("nets.py", "ab" * 32, "x"),
        CodeFile("w.npz", "cd" * 32, left_out="it is no UTF-8 text"),
    ]
    assert format_digests(files) == (
        f"{'ab' * 32}  code/nets.py\n{'cd' * 32}  code/w.npz  (left out: it is no UTF-8 text)\n"
    )


def test_the_journal_keeps_code_and_packages_and_reads_what_has_none() -> None:
    opened = StudyOpened(
        study="s",
        study_id="id",
        experiment="x",
        provenance={},
        text="",
        data={},
        code=(CodeFile("nets.py", "d", "text"), CodeFile("w.npz", "e", left_out="why")),
        packages={"keras": "3.0"},
    )
    assert from_record(to_record(opened)) == opened
    record = to_record(opened)
    del record["code"], record["packages"], record["resolved"]
    old = from_record(record)
    assert isinstance(old, StudyOpened)
    assert (old.code, old.packages, old.resolved) == ((), {}, None)
    with pytest.raises(ValueError, match="code"):
        from_record({**to_record(opened), "code": [{"name": 3, "digest": "x"}]})
