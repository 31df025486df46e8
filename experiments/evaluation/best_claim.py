"""The best value of a study, and what it rests on.

Each trial was trained once. So a claim is about the network that was trained, not about its
configuration: only training the configuration again tells how good that is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assay.experiments.evaluation.proportions import (
    is_share,
    is_share_metric,
    largest_noise,
    luck_of_best,
    network_interval,
    reach_of_guessing,
    wilson_interval,
)
from assay.experiments.evaluation.study_facts import StudyFacts, TrialFacts
from assay.experiments.formatting import format_count, format_metric
from assay.experiments.terminal_text import escape_line
from assay.search.objective import COSTS, Objective

_CONSTANT_METRICS: Mapping[str, str] = {
    **dict.fromkeys(("val_mae", "val_mean_absolute_error"), "mae"),
    **dict.fromkeys(("val_mse", "val_mean_squared_error"), "mse"),
}
_CONSTANT_LOSSES = {"absolute_error": "mae", "squared_error": "mse"}
_CONSTANTS = {
    "mae": "the median of the training targets",
    "mse": "the mean of the training targets",
}


_TRAINED_ONCE = "each was trained once: finalize trains the best again"


@dataclass(frozen=True)
class BaselineComparison:
    """The best trial beside the best baseline.

    Attributes:
        trial: number of the baseline's trial.
        value: its value.
        noise: how far the best may exceed it by noise alone; None where that is not known.
        is_ahead: whether the best exceeds it by more; None where the noise is not known.
    """

    trial: int
    value: float
    noise: float | None
    is_ahead: bool | None


@dataclass(frozen=True)
class ChanceComparison:
    """The best trial beside what needs no network.

    Attributes:
        value: what it reaches.
        what: what it is, such as "the share of the largest class".
        is_above: whether the best is better, by more than luck if its value is a share.
        reach: the largest share that guessing has by luck in so many trials; None for another
            metric, whose luck is not known.
    """

    value: float
    what: str
    is_above: bool
    reach: float | None


@dataclass(frozen=True)
class BestClaim:
    """The best value of a study, and what it rests on.

    Attributes:
        trial: number of the best trial; with several objectives, the best by the first.
        metric: the objective's.
        value: its value.
        epoch: the epoch that the value is of; None if no journal of this home has the trial.
        epochs: number of epochs that the trial trained; None likewise.
        stopped_early: whether early stopping chose the epoch.
        tried: number of complete and pruned trials, among which it is the best.
        complete: number of complete trials.
        examples: number of validation examples; None if it is not recorded.
        noun: what an example is called.
        low: lower end of the network's share on new examples; None unless the value is a share of
            right answers.
        high: upper end of it; None likewise.
        not_told_apart: number of other complete trials within the best's own interval; None
            likewise.
        luck: by how much the best would look better by luck, were they equals; None likewise.
        baseline: the baseline; None without a complete one.
        chance: what needs no network; None where that is not known.
        unknown: why the spread of the value is not known; None if it is.
    """

    trial: int
    metric: str
    value: float
    epoch: int | None
    epochs: int | None
    stopped_early: bool
    tried: int
    complete: int
    examples: int | None
    noun: str
    low: float | None
    high: float | None
    not_told_apart: int | None
    luck: float | None
    baseline: BaselineComparison | None
    chance: ChanceComparison | None
    unknown: str | None

    def sentences(self) -> list[str]:
        """Return the claim in words, one line each.

        Example:
            >>> print(claim.sentences()[0])
            0.9500 on 80 validation images, the best of 30 trials; this network on new images: ...
        """
        return [*self._value_sentences(), self._baseline_sentence(), self._chance_sentence()]

    def format_epoch(self) -> str:
        """Return which epoch the value is of, such as "epoch 7 of 12"; empty if not known."""
        if self.epoch is None:
            return ""
        return f"epoch {self.epoch} of {self.epochs}"

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**dataclasses.asdict(self), "text": self.sentences()}

    def _value_sentences(self) -> Iterator[str]:
        on = "" if self.examples is None else f" on {self.examples:,} validation {self.noun}"
        ranked = "the only trial"
        if self.tried > 1:
            ranked = f"the best of {self.tried} trials"
            if self.tried > self.complete:
                ranked += f" ({self.tried - self.complete} pruned)"
        text = f"{format_metric(self.value)}{on}, {ranked}"
        if self.stopped_early:
            text += f"; early stopping chose epoch {self.epoch} on the same {self.noun}"
        if self.unknown is not None:
            yield text
            yield self.unknown
            return
        assert self.low is not None
        assert self.high is not None
        ends = f"{format_metric(self.low)} to {format_metric(self.high)}"
        among = f", allowing for the choice among {self.tried} trials" if self.tried > 1 else ""
        yield f"{text}; this network on new {self.noun}: {ends} (95 %{among})"
        yield self._luck_sentence()

    def _luck_sentence(self) -> str:
        if not self.not_told_apart:
            return f"no other complete trial lies within its interval; {_TRAINED_ONCE}"
        others = format_count(self.not_told_apart, "other complete trial")
        return (
            f"{others} {'lies' if self.not_told_apart == 1 else 'lie'} within its 95 % interval; "
            "if all of them were equal, the best would look "
            f"{self.luck:.4f} better by luck; {_TRAINED_ONCE}"
        )

    def _baseline_sentence(self) -> str:
        baseline = self.baseline
        if baseline is None:
            return "baseline: none is complete, so nothing shows that the search was worth it"
        if baseline.trial == self.trial:
            return f"the best is a baseline: no other trial is ahead of it on these {self.noun}"
        values = (
            f"{format_metric(self.value)} against {format_metric(baseline.value)} of trial "
            f"{baseline.trial}"
        )
        if baseline.noise is None:
            return f"baseline: {values}; whether by more than noise, finalize tells"
        noise = f"only a difference above {baseline.noise:.4f} is more than noise"
        if baseline.is_ahead:
            return f"ahead of the baseline on these {self.noun}: {values}"
        among = f" for the best of {self.tried} trials" if self.tried > 1 else ""
        return f"not ahead of the baseline on these {self.noun}: {values}; {noise}{among}"

    def _chance_sentence(self) -> str:
        chance = self.chance
        if chance is None:
            return "chance level: not known for this metric, or not recorded"
        level = f"{format_metric(chance.value)}, {chance.what}"
        if chance.reach is None:
            # By how much is more than luck is not known: these words say less than "above chance".
            return f"{'better' if chance.is_above else 'no better'} than {level}"
        if chance.is_above:
            return f"above chance: {level}"
        return (
            f"not above chance: {level}; guessing reaches {format_metric(chance.reach)} by luck in "
            f"{format_count(self.tried, 'trial')}"
        )


def claim_best(facts: StudyFacts) -> BestClaim | None:
    """Return the claim about the best trial of a study; None without a complete trial.

    Args:
        facts: of the study.
    """
    best = facts.best
    if best is None or best.value is None:
        return None
    unknown = explain_unknown_spread(facts)
    examples = facts.validation.examples
    low = high = luck = others = None
    if unknown is None:
        assert examples is not None
        interval = network_interval(best.value, examples, facts.tried)
        low, high = interval.low, interval.high
        equals = find_equals(facts)
        others, luck = len(equals) - 1, luck_of_best(equals, examples)
    training = facts.training
    return BestClaim(
        trial=best.number,
        metric=facts.objective.metric,
        value=best.value,
        epoch=None if training is None else training.epoch,
        epochs=None if training is None else training.epochs or None,
        stopped_early=training is not None and training.restored_epoch is not None,
        tried=facts.tried,
        complete=len(facts.complete),
        examples=examples,
        noun=facts.validation.noun,
        low=low,
        high=high,
        not_told_apart=others,
        luck=luck,
        baseline=compare_with_baseline(facts, best),
        chance=compare_with_chance(facts, best),
        unknown=unknown,
    )


def explain_unknown_spread(facts: StudyFacts) -> str | None:
    """Return why the spread of the values is not known, in a sentence; None if it is.

    It is known for shares of right answers alone: of independent answers, their number is all that
    matters.
    """
    objective, examples = facts.objective, facts.validation.examples
    name = escape_line(objective.metric)
    if objective.metric == "parameters":
        return f"{name} is counted, not measured: luck has no part in it"
    if objective.metric in COSTS:
        return f"{name} was measured once in each trial: how much it varies is not known"
    once = f"how far luck moves it is not known; {_TRAINED_ONCE}"
    if not is_share_metric(objective.metric):
        return f"{name} is not a share of right answers: {once}"
    if objective.direction != "maximize":
        return f"{name} is minimized, so the best is not the network with most right answers"
    if examples is None:
        return f"the number of validation examples is not recorded: {once}"
    if not all(is_share(value, examples) for value in facts.values):
        return f"{name} is no multiple of 1/{examples}, so no share of right answers: {once}"
    return None


def find_equals(facts: StudyFacts) -> list[float]:
    """Return the shares that cannot be told from the best, the best first.

    Valid where `explain_unknown_spread` returns None.
    """
    best, examples = facts.best, facts.validation.examples
    assert best is not None
    assert best.value is not None
    assert examples is not None
    low = wilson_interval(best.value, examples).low
    others = [
        trial.value
        for trial in facts.complete
        if trial.number != best.number and trial.value is not None and trial.value >= low
    ]
    return [best.value, *others]


def compare_with_baseline(facts: StudyFacts, best: TrialFacts) -> BaselineComparison | None:
    """Return the best trial beside the best baseline; None without a complete baseline."""
    baseline, examples = facts.best_baseline, facts.validation.examples
    if baseline is None or baseline.value is None or best.value is None:
        return None
    noise = is_ahead = None
    if explain_unknown_spread(facts) is None and examples is not None:
        noise = largest_noise(best.value, baseline.value, examples, facts.tried)
        is_ahead = best.value - baseline.value > noise
    return BaselineComparison(baseline.number, baseline.value, noise, is_ahead)


def compare_with_chance(facts: StudyFacts, best: TrialFacts) -> ChanceComparison | None:
    """Return the best trial beside what needs no network; None where that is not known."""
    share, examples = facts.validation.majority_share, facts.validation.examples
    if best.value is None:
        return None
    if explain_unknown_spread(facts) is None and share is not None and examples is not None:
        reach = reach_of_guessing(share, examples, facts.tried)
        is_above = round(best.value * examples) > round(reach * examples)
        return ChanceComparison(share, "the share of the largest class", is_above, reach)
    return _compare_with_constant(facts, facts.objective, best.value)


def _compare_with_constant(
    facts: StudyFacts, objective: Objective, value: float
) -> ChanceComparison | None:
    """Return the best error beside that of predicting a constant."""
    name = _CONSTANT_METRICS.get(objective.metric)
    if objective.metric == "val_loss" and facts.training is not None:
        # Penalties on weights add to a loss: one that is below that of a constant is so without
        # them.
        name = _CONSTANT_LOSSES.get(str(facts.training.params.get("loss")))
    if name is None or objective.direction != "minimize":
        return None
    error = facts.validation.constant_errors.get(name)
    if error is None:
        return None
    return ChanceComparison(
        error, f"the error of predicting {_CONSTANTS[name]}", value < error, None
    )
