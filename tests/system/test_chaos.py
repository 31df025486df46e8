"""`make chaos` at a small size: killed sweeps and the invariants afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import cases, disk, outages
from tests.chaos.points import Point, doctors_points, every_point, shared_points
from tests.chaos.sessions import Zygote
from tests.chaos.together import together
from tests.helpers.postgresql import missing

# They take minutes, so they begin first; see conftest.py.
pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as zygote:
        yield zygote


@pytest.mark.parametrize("point", every_point()[::7], ids=str)
def test_a_kill_between_two_effects_loses_nothing(zygote: Zygote, point: Point) -> None:
    (seen,) = cases.points(zygote, [point])
    assert seen.verdict.is_good, seen


@pytest.mark.parametrize("point", doctors_points()[::5], ids=str)
def test_a_kill_of_doctor_does_no_harm(zygote: Zygote, point: Point) -> None:
    (seen,) = cases.doctor(zygote, [point])
    assert seen.verdict.is_good, seen


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_kill_between_two_effects_on_postgresql_loses_nothing(zygote: Zygote) -> None:
    for seen in outages.points(zygote, shared_points()[::5]):
        assert seen.verdict.is_good, seen


def test_killed_trainings_equal_uninterrupted_ones(zygote: Zygote) -> None:
    (seen,) = cases.real(zygote, kills=4, trials=8)
    assert seen.verdict.is_good, seen


def test_kills_at_random_times_lose_nothing(zygote: Zygote) -> None:
    (seen,) = cases.random_kills(zygote, kills=10, trials=40, workers=2)
    assert seen.verdict.is_good, seen


def test_enqueued_trials_are_executed_once(zygote: Zygote) -> None:
    (seen,) = cases.queue(zygote, configurations=50, workers=4)
    assert seen.verdict.is_good, seen


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_two_supervisors_on_postgresql_share_a_study(zygote: Zygote) -> None:
    for seen in together(zygote, trials=30):
        assert seen.verdict.is_good, seen


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_an_unreachable_postgresql_loses_nothing(zygote: Zygote) -> None:
    (seen,) = outages.postgresql(zygote, [2])
    assert seen.verdict.is_good, seen


def test_an_unreachable_mlflow_server_loses_nothing(zygote: Zygote) -> None:
    for seen in outages.mlflow(zygote, [3]):
        assert seen.verdict.is_good, seen


@pytest.mark.skipif(not disk.can_mount(), reason="this process may not mount a small disk")
@pytest.mark.parametrize(
    "small", [disk.DISKS[0], disk.DISKS[1], disk.DISKS[4]], ids=lambda one: one.folder
)
def test_a_full_disk_is_reported_in_one_line_and_loses_nothing(
    zygote: Zygote, small: disk.Disk
) -> None:
    (seen,) = disk.full(zygote, [small])
    assert seen.verdict.is_good, seen


@pytest.mark.skipif(not disk.can_mount(), reason="this process may not mount a small disk")
def test_a_single_run_is_tracked_after_a_full_disk(zygote: Zygote) -> None:
    (seen,) = disk.single_run(zygote)
    assert seen.verdict.is_good, seen
