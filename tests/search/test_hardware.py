"""What is offered to workers, told from what the machine shows."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest

from experiments.execution import Execution
from search import hardware
from search.workers.local import LocalExecutor


@pytest.fixture
def with_cuda_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    libraries = ("nvidia", "nvidia.cudnn")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace() if name in libraries else found(name)
    )


@pytest.mark.parametrize(("visible", "cards"), [("0,1", ["0", "1"]), ("GPU-7f", ["GPU-7f"]), ("", []), ("-1", [])])
@pytest.mark.usefixtures("with_cuda_libraries")
def test_the_cards_that_a_user_makes_visible_are_used(
    visible: str, cards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.gpus() == cards
    execution = Execution.choose()
    assert execution.device == ("gpu" if cards else "cpu")
    assert execution.workers == (len(cards) or hardware.cores())


def test_without_cuda_libraries_no_card_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert hardware.gpus() == []


@pytest.mark.usefixtures("with_cuda_libraries")
def test_workers_share_the_cards_out_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setattr(LocalExecutor, "start", lambda self: None)
    monkeypatch.setattr(LocalExecutor, "close", lambda self: None)
    with Execution.choose(workers=3).executor() as executor:
        assert [environment["CUDA_VISIBLE_DEVICES"] for environment in executor._environments] == ["4", "5", "4"]


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_threads_are_shared_out_and_never_none(workers: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cores", lambda: 8)
    assert hardware.threads_each(workers) == threads
