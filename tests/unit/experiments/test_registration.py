"""Which network of the leader is registered, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from assay.experiments.decision.outcome import Evaluation, Finalist, TestChance
from assay.experiments.decision.registration import (
    choose_network,
    describe_network,
    format_registration,
)
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.results.finalizes import FinalizeRecord, Training
from assay.experiments.tracking.schema import RegisteredVersion
from assay.search.events import (
    FinalistConfiguration,
    FinalistTested,
    FinalizePlan,
    StudyOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.objective import Objectives

LEADER = 4
PLAN = FinalizePlan(1, 1, 3, False, 7, (FinalistConfiguration(LEADER, {"units": 8}),))
OPENED = StudyOpened(
    study="study", study_id="id", experiment="x", provenance={}, text="", data={}, finalize=PLAN
)
MAXIMIZED = Objectives.read(["maximize val_accuracy"])


def record(*values: tuple[float, ...]) -> FinalizeRecord:
    """Return a finalize whose trainings 0, 1, ... have these values, and the reverse as tests."""
    trainings = {}
    for number, found in enumerate(values):
        begun = TrialBegun(
            trial=number, seed=number, params={}, searched={}, origin="", finalist=LEADER
        )
        end = TrialEnded(trial=number, state="complete", values=found)
        tested = FinalistTested(trial=number, metrics={"test_accuracy": 1 - found[-1]})
        trainings[number] = Training(OPENED, begun, end=end, tested=tested)
    return FinalizeRecord(OPENED, PLAN, trainings)


def evaluation(
    found: FinalizeRecord,
    objectives: Objectives = MAXIMIZED,
    searched: dict[str, object] | None = None,
    baseline: bool = False,
    chance: TestChance | None = None,
) -> Evaluation:
    """Return what a finalize found that has one configuration."""
    values = [one.end.values[-1] for one in found.trainings.values() if one.end is not None]
    leader = Finalist(
        configuration=FinalistConfiguration(LEADER, searched or {"units": 8}, baseline),
        seeds=len(values),
        failed=(),
        validation=mean_interval(values),
        test=mean_interval([0.5, 0.6, 0.7]),
        generalization=None,
        optimism=None,
        comparison=None,
        is_leader=True,
        trainings=tuple(found.trainings),
    )
    return Evaluation(
        opening=1,
        splits=False,
        planned=3,
        ended=3,
        is_opened=True,
        is_judged=True,
        objective=objectives.each[-1],
        metric="accuracy",
        finalists=(leader,),
        comparisons={},
        examples=200,
        chance=chance,
        runner_up=None,
        smallest_gap=None,
        needed=None,
    )


@pytest.mark.parametrize(
    ("objectives", "values", "chosen"),
    [
        (["maximize val_accuracy"], [(0.8,), (0.9,), (0.7,)], 1),
        (["minimize val_loss"], [(0.8,), (0.9,), (0.7,)], 2),
        (["maximize val_accuracy"], [(0.7,), (0.9,), (0.9,)], 1),
        # The first is a cost, which chooses no network.
        (["minimize parameters", "maximize val_accuracy"], [(1, 0.8), (3, 0.9), (2, 0.7)], 1),
    ],
    ids=["highest", "lowest", "first-of-equals", "judged-objective"],
)
def test_validation_chooses_the_network(
    objectives: Sequence[str], values: Sequence[tuple[float, ...]], chosen: int
) -> None:
    read = Objectives.read(objectives)
    found = record(*values)
    training = choose_network(found, evaluation(found, read), read)
    assert training is not None
    assert training.begun.trial == chosen


def test_the_description_says_what_the_network_is() -> None:
    found = record((0.8,), (0.9,), (0.7,))
    chance = TestChance(0.9, "the share of the largest class of the test set", False)
    shown = evaluation(found, baseline=True, chance=chance)
    registration = describe_network("my_study", shown, found.trainings[1], MAXIMIZED)
    text = registration.description
    assert "the study my&#95;study: trial 4, a baseline, training 1." in text
    assert "one of 3 networks" in text
    assert "| val&#95;accuracy | 0.9000 | 0.8000 | 0.5516 to 1.0484 |" in text
    assert "| test&#95;accuracy | 0.1000 | 0.6000 | 0.3516 to 0.8484 |" in text
    assert "It is a baseline: nothing that the search found has a better mean." in text
    assert "Trial 4 is no better on the test set than 0.9000" in text
    assert registration.training == 1
    assert registration.tags["assay.test.accuracy"] == "0.6"
    assert registration.tags["assay.network.test_accuracy"] == "0.1"
    assert registration.tags["assay.baseline"] == "yes"


def test_a_lone_network_is_no_choice_of_validation() -> None:
    found = record((0.8,))
    text = describe_network("x", evaluation(found), found.trainings[0], MAXIMIZED).description
    assert "the only network" in text
    assert "chose it" not in text


def test_hostile_text_is_shown_as_it_is() -> None:
    found = record((0.8,), (0.9,))
    searched = {"<script>": "[x](javascript:y)\n# big", **{f"name{n}": "|" for n in range(500)}}
    shown = evaluation(found, searched=searched)
    text = describe_network("<img src=x>", shown, found.trainings[1], MAXIMIZED).description
    assert "&#60;script&#62; &#91;x&#93;(javascript&#58;y)&#92;n&#35; big" in text
    assert "<img" not in text
    assert "\n# big" not in text
    assert len(text) <= 3500
    assert "**What finalize found**" in text


def test_the_line_says_that_the_leader_is_not_separable() -> None:
    found = record((0.8,), (0.9,))
    version = RegisteredVersion("x", 2, "champion", 32 * "a", 1, LEADER, 1)
    assert format_registration(version, evaluation(found)) == (
        "registered: models:/x@champion (version 2, trial 4, training 1)"
    )
    assert format_registration("it was\nfull", None) == "not registered: it was\\nfull"
    assert format_registration(None, None) is None
