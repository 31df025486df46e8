"""Checks of a study: what its results say of the search itself.

The questions are those of the Deep Learning Tuning Playbook (Godbole et al., 2023). Each check is
one function of the facts and one entry of `CHECKS`:

    CHECKS = {..., "edge of a range": check_range_edges}

It returns whether it fires, and a line with its numbers and what to do. `count_firing` in
tests/simulations/checks.py measures how often each one fires without a reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import spearmanr

from assay.experiments.evaluation.best_claim import (
    compare_with_baseline,
    compare_with_chance,
    explain_unknown_spread,
    find_equals,
)
from assay.experiments.evaluation.proportions import (
    examples_per_point,
    is_share,
    is_share_metric,
    wilson_interval,
)
from assay.experiments.evaluation.study_facts import Range, StudyFacts, TrialFacts
from assay.experiments.formatting import format_count, format_metric, format_param
from assay.experiments.terminal_text import escape_line

_OUTER = 0.25
_MOST_EDGE_P = 0.01
_FEWEST_IN_HALF = 5
_FEWEST_FOR_QUARTERS = 4
_FEWEST_EPOCHS = 3
_FEWEST_EQUALS = 3
_LARGEST_GAP = 0.05
_LARGEST_GAP_ERRORS = 3.0
_FEWEST_FAILURES = 3
_FAILED_SHARE = 0.1
_FEW_COMPLETE, _SOME_COMPLETE = 10, 20


@dataclass(frozen=True)
class Check:
    """What a check of a study has found.

    Attributes:
        name: name of the check.
        fired: whether it fires; None if it is not applicable to the study.
        text: its numbers, and what to do if it fires; or why it is not applicable.
    """

    name: str
    fired: bool | None
    text: str

    def to_record(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"name": self.name, "fired": self.fired, "text": self.text}


@dataclass(frozen=True)
class Finding:
    """What a check returns: see `Check`."""

    fired: bool | None
    text: str


def _not_applicable(reason: str) -> Finding:
    return Finding(None, f"not applicable: {reason}")


def run_checks(facts: StudyFacts) -> list[Check]:
    """Return what each check finds.

    Args:
        facts: of the study.
    """
    findings = {name: check(facts) for name, check in CHECKS.items()}
    return [Check(name, found.fired, found.text) for name, found in findings.items()]


def check_range_edges(facts: StudyFacts) -> Finding:
    """Check whether the best lies at the edge of a range towards which values improve."""
    best = facts.best
    if best is None:
        return _not_applicable("no trial is complete")
    ranges = {name: found for name, found in facts.ranges.items() if name in best.params}
    if not ranges:
        return _not_applicable("no range was searched")
    edges = list(_find_edges(facts, best, ranges))
    if edges:
        return Finding(True, "; ".join(edges))
    return Finding(
        False,
        f"the best is not at an edge towards which values improve, in "
        f"{format_count(len(ranges), 'range')}",
    )


def _find_edges(facts: StudyFacts, best: TrialFacts, ranges: Mapping[str, Range]) -> Iterator[str]:
    """Yield a line about each range whose edge is too near."""
    for name, found in ranges.items():
        position = found.position(best.params[name])
        if _OUTER <= position <= 1 - _OUTER:
            continue
        is_upper = position > 1 - _OUTER
        trials = [trial for trial in facts.complete if name in trial.params]
        positions = [found.position(trial.params[name]) for trial in trials]
        in_half = [
            (at, trial.value)
            for at, trial in zip(positions, trials, strict=True)
            if trial.value is not None and (at >= 0.5 if is_upper else at <= 0.5)
        ]
        p, correlation = _rise_towards_edge(in_half, is_upper, facts.objective.direction)
        if p < _MOST_EDGE_P:
            end, edge = ("high", found.high) if is_upper else ("low", found.low)
            scale = ", log" if found.is_log else ""
            yield (
                f"{escape_line(name)} {format_param(best.params[name])} of the best is near the "
                f"end {format_param(edge)} of its range ({format_param(found.low)} to "
                f"{format_param(found.high)}{scale}), and values improve towards it over "
                f"{len(in_half)} trials (Spearman {correlation:.2f}, p {_format_p(p)}): "
                f"{'raise' if is_upper else 'lower'} {end}"
            )


def _format_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _rise_towards_edge(
    in_half: Sequence[tuple[float, float]], is_upper: bool, direction: str
) -> tuple[float, float]:
    """Return the one-sided p of values that improve towards an edge, and the correlation."""
    sign = (1 if is_upper else -1) * (1 if direction == "maximize" else -1)
    towards = [sign * at for at, _ in in_half]
    values = [value for _, value in in_half]
    # Without a difference there is no rank correlation.
    if len(in_half) < _FEWEST_IN_HALF or len(set(towards)) < 2 or len(set(values)) < 2:
        return 1.0, 0.0
    found = spearmanr(towards, values, alternative="greater")
    return float(found.pvalue), abs(float(found.statistic))


def check_still_improving(facts: StudyFacts) -> Finding:
    """Check whether the best still rose in the last quarter of the complete trials."""
    if (unknown := _explain_no_width(facts)) is not None:
        return _not_applicable(unknown)
    values = facts.values
    if len(values) < _FEWEST_FOR_QUARTERS:
        return _not_applicable(f"fewer than {_FEWEST_FOR_QUARTERS} complete trials")
    last = len(values) // 4
    before, best, width = max(values[:-last]), max(values), _half_width(facts)
    numbers = (
        f"the last {last} of {len(values)} complete trials raised the best from "
        f"{format_metric(before)} to {format_metric(best)}"
    )
    if best <= before:
        numbers = f"the last {last} of {len(values)} complete trials did not raise the best"
    if best - before > width:
        return Finding(
            True,
            f"{numbers}, more than the half-width {width:.4f} of its 95 % interval: search on with "
            "a larger --trials",
        )
    if best > before:
        numbers += f", no more than the half-width {width:.4f} of its 95 % interval"
    return Finding(False, numbers)


def check_curve_rising(facts: StudyFacts) -> Finding:
    """Check whether the curve of the best trial still rises at its end."""
    if (unknown := _explain_no_width(facts)) is not None:
        return _not_applicable(unknown)
    metric, training = facts.objective.metric, facts.training
    curve = () if training is None else training.curves.get(metric, ())
    if not curve:
        return _not_applicable("the curve of the best trial is not in this home's journals")
    if len(curve) < _FEWEST_EPOCHS:
        return _not_applicable(f"fewer than {_FEWEST_EPOCHS} epochs")
    third = len(curve) // 3
    last = statistics.fmean(curve[-third:])
    middle = statistics.fmean(curve[-2 * third : -third])
    width = _half_width(facts)
    numbers = (
        f"mean {escape_line(metric)} of the best trial {middle:.4f} in the middle and {last:.4f} "
        f"in the last third of its {len(curve)} epochs"
    )
    if last - middle > width:
        return Finding(
            True,
            f"{numbers}, a rise above the half-width {width:.4f} of its 95 % interval: raise "
            "epochs",
        )
    return Finding(
        False, f"{numbers}, no rise above the half-width {width:.4f} of its 95 % interval"
    )


def check_validation_size(facts: StudyFacts) -> Finding:
    """Check whether too few validation examples rank the trials."""
    if (unknown := _explain_no_width(facts)) is not None:
        return _not_applicable(unknown)
    best, examples, noun = facts.best, facts.validation.examples, facts.validation.noun
    assert best is not None
    assert best.value is not None
    assert examples is not None
    equals, complete = len(find_equals(facts)) - 1, len(facts.complete)
    needed = examples_per_point(best.value, examples)
    numbers = (
        f"{equals} of {complete} complete trials lie within the 95 % interval of the best on "
        f"{examples:,} validation {noun}; a point (0.01) takes about {needed:,}"
    )
    if equals < _FEWEST_EQUALS or 3 * equals < complete:
        return Finding(False, numbers)
    if examples < needed:
        return Finding(True, f"{numbers}: raise validation under [data], or train the best again")
    # More examples would tell ever smaller differences apart, which luck of the seed outweighs.
    resolved = 0.01 * math.sqrt(needed / examples)
    return Finding(
        True,
        f"{numbers}, so one network's share is known to within {resolved:.4f}, and these trials "
        "differ by less: train the best again on several seeds",
    )


def check_overfitting(facts: StudyFacts) -> Finding:
    """Check whether the best network does far better on its training data."""
    training, validation = facts.training, facts.validation
    metric = facts.objective.metric if is_share_metric(facts.objective.metric) else "val_accuracy"
    if facts.best is None:
        return _not_applicable("no trial is complete")
    if training is None:
        return _not_applicable("the curve of the best trial is not in this home's journals")
    on_training = training.metric_of_value(metric.removeprefix("val_"))
    on_validation = training.metric_of_value(metric)
    if on_training is None or on_validation is None:
        return _not_applicable("no share of right answers was measured on both")
    n_train, n_validation = validation.train_examples, validation.examples
    if n_train is None or n_validation is None:
        return _not_applicable("the numbers of examples are not recorded")
    if not is_share(on_validation, n_validation) or not 0 <= on_training <= 1:
        return _not_applicable(f"{escape_line(metric)} is no share of right answers")
    gap = on_training - on_validation
    error = math.sqrt(
        on_training * (1 - on_training) / n_train
        + on_validation * (1 - on_validation) / n_validation
    )
    numbers = (
        f"{escape_line(metric.removeprefix('val_'))} {on_training:.4f}, {escape_line(metric)} "
        f"{on_validation:.4f} at epoch {training.epoch} of the best trial: {100 * gap:.1f} points"
    )
    if gap > _LARGEST_GAP and gap > _LARGEST_GAP_ERRORS * error:
        return Finding(
            True,
            f"{numbers}, {gap / error:.1f} standard errors: more data, augmentation, dropout or l2 "
            "may help",
        )
    return Finding(False, numbers)


def check_failures(facts: StudyFacts) -> Finding:
    """Check whether many trials diverged or ran out of memory."""
    # An interrupted trial is done again, and says nothing of its configuration.
    trials = [trial for trial in facts.trials if trial.state != "failed: interrupted"]
    if not trials:
        return _not_applicable("no trial has ended")
    diverged = sum(trial.state == "failed: diverged" for trial in trials)
    exhausted = sum(trial.state == "failed: out of memory" for trial in trials)
    numbers = (
        f"{diverged} diverged and {exhausted} ran out of memory of "
        f"{format_count(len(trials), 'trial')}"
    )
    interrupted = len(facts.trials) - len(trials)
    if interrupted:
        numbers += f", not counting {interrupted} that {'was' if interrupted == 1 else 'were'} "
        numbers += "interrupted"
    failed = diverged + exhausted
    if failed < _FEWEST_FAILURES or failed < _FAILED_SHARE * len(trials):
        return Finding(False, numbers)
    advice = [
        _advise_diverged(facts, trials) if diverged else "",
        "lower the upper ends of batch_size and of the network's size, or use fewer --workers"
        if exhausted
        else "",
    ]
    return Finding(True, f"{numbers}: {'; '.join(filter(None, advice))}")


def _advise_diverged(facts: StudyFacts, trials: Sequence[TrialFacts]) -> str:
    """Return what to do about trials that diverged, as far as the space allows it.

    Args:
        facts: of the study.
        trials: the trials that have ended without being interrupted.
    """
    found = facts.ranges.get("learning_rate")
    if found is None:
        return "lower learning_rate, or set clip_norm"
    having = [trial for trial in trials if "learning_rate" in trial.params]
    diverged, others = list[float](), list[float]()
    for trial in having:
        rates = diverged if trial.state == "failed: diverged" else others
        rates.append(float(trial.params["learning_rate"]))
    if diverged and not others:
        return (
            f"lower the whole range of learning_rate ({format_param(found.low)} to "
            f"{format_param(found.high)}), in which nothing was trained without diverging, or set "
            "clip_norm"
        )
    if not diverged or statistics.median(diverged) <= statistics.median(others):
        return (
            "set clip_norm, or look at the scale of the inputs: their learning_rate is no higher "
            "than that of the others"
        )
    return (
        f"lower the upper end of learning_rate (the lowest that diverged is "
        f"{format_param(min(diverged))}), or set clip_norm"
    )


def check_pruner(facts: StudyFacts) -> Finding:
    """Check whether the pruner has left too few complete trials."""
    pruned, complete = facts.pruned, len(facts.complete)
    if pruned == 0:
        return _not_applicable("no trial was pruned")
    numbers = f"{complete} complete and {pruned} pruned trials"
    is_under_third = 3 * complete < complete + pruned
    if complete < _FEW_COMPLETE or (complete < _SOME_COMPLETE and is_under_third):
        return Finding(
            True,
            f"{numbers}: too few complete ones to compare; raise --trials, or choose a gentler "
            "--pruner",
        )
    return Finding(False, numbers)


def check_baseline(facts: StudyFacts) -> Finding:
    """Check whether the search has beaten the baseline by more than noise."""
    best = facts.best
    compared = None if best is None else compare_with_baseline(facts, best)
    if best is None or compared is None:
        return _not_applicable("no baseline is complete")
    value = "unknown" if best.value is None else format_metric(best.value)
    if compared.trial == best.number:
        return Finding(
            True,
            f"no trial has beaten the baseline's {value} (trial {best.number}): search longer or "
            "other ranges",
        )
    numbers = (
        f"best {value} (trial {best.number}), baseline {format_metric(compared.value)} (trial "
        f"{compared.trial})"
    )
    if compared.noise is None:
        return _not_applicable(f"{numbers}: whether by more than noise is not known")
    difference = f"a difference above {compared.noise:.4f} is more than noise{_among(facts)}"
    if compared.is_ahead:
        return Finding(False, f"{numbers}; {difference}")
    return Finding(
        True, f"{numbers}; only {difference}: search longer or other ranges, or keep the baseline"
    )


def _among(facts: StudyFacts) -> str:
    """Return of how many trials the best is the best, which is what its luck grows with."""
    return f" for the best of {facts.tried} trials" if facts.tried > 1 else ""


def check_chance(facts: StudyFacts) -> Finding:
    """Check whether the best is above what needs no network."""
    best = facts.best
    if best is None or best.value is None:
        return _not_applicable("no trial is complete")
    compared = compare_with_chance(facts, best)
    if compared is None:
        return _not_applicable("the chance level of the objective is not known")
    numbers = (
        f"best {format_metric(best.value)}, chance {format_metric(compared.value)} "
        f"({compared.what})"
    )
    if compared.reach is not None:
        numbers += f", up to {format_metric(compared.reach)} by luck"
    if compared.is_above:
        return Finding(False, numbers)
    return Finding(
        True,
        f"{numbers}: look at the labels, the scale of the inputs and the range of learning_rate",
    )


def _explain_no_width(facts: StudyFacts) -> str | None:
    """Return why the best value has no interval; None if it has one."""
    unknown = "no trial is complete" if facts.best is None else explain_unknown_spread(facts)
    # The claim has the whole sentence.
    return None if unknown is None else unknown.partition(":")[0]


def _half_width(facts: StudyFacts) -> float:
    """Return the half-width of the best value's interval, where it has one."""
    best, examples = facts.best, facts.validation.examples
    assert best is not None
    assert best.value is not None
    assert examples is not None
    return wilson_interval(best.value, examples).half_width


CHECKS: Mapping[str, Callable[[StudyFacts], Finding]] = {
    "edge of a range": check_range_edges,
    "still improving": check_still_improving,
    "curve rising": check_curve_rising,
    "validation too small": check_validation_size,
    "training and validation far apart": check_overfitting,
    "diverged or out of memory": check_failures,
    "pruner too greedy": check_pruner,
    "baseline not beaten": check_baseline,
    "nothing above chance": check_chance,
}
"""The checks by name, in the order in which they are shown."""
