"""Objectives of a search, and the best trials by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from assay.models.errors import RequestError
from assay.models.names import check_name

Direction = Literal["maximize", "minimize"]

COSTS = ("parameters", "epoch_seconds", "train_seconds", "peak_memory_bytes")
"""Metrics that are measured when a trial ends; every epoch measures the others."""

_MINIMIZED = (
    *COSTS,
    "loss",
    *("mae", "mean_absolute_error", "mse", "mean_squared_error"),
    *("rmse", "root_mean_squared_error"),
    *("mape", "mean_absolute_percentage_error", "msle", "mean_squared_logarithmic_error"),
    *("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"),
    *("hinge", "squared_hinge", "categorical_hinge", "poisson"),
    *("kl_divergence", "kullback_leibler_divergence", "logcosh", "log_cosh"),
    *("false_positives", "false_negatives", "error", "error_rate"),
    *("crossentropy", "cross_entropy", "nll", "huber", "smape"),
    *("perplexity", "brier", "brier_score", "ece", "wer", "cer"),
)
_MAXIMIZED = (
    *("accuracy", "acc", "binary_accuracy", "categorical_accuracy"),
    *("sparse_categorical_accuracy", "top_k_categorical_accuracy"),
    *("sparse_top_k_categorical_accuracy", "balanced_accuracy"),
    *("auc", "precision", "recall", "f1", "f1_score", "fbeta_score"),
    *("precision_at_recall", "recall_at_precision"),
    *("sensitivity_at_specificity", "specificity_at_sensitivity"),
    *("true_positives", "true_negatives"),
    *("io_u", "iou", "binary_io_u", "mean_io_u", "mean_iou", "one_hot_io_u", "one_hot_mean_io_u"),
    *("r2", "r2_score", "cosine_similarity", "pearson_correlation", "concordance_correlation"),
    *("auroc", "auprc", "average_precision", "sensitivity", "specificity"),
    *("kappa", "cohen_kappa", "mcc", "dice", "dice_coefficient", "jaccard"),
    *("ndcg", "mrr", "psnr", "ssim", "bleu"),
)

NATURAL_DIRECTIONS: Mapping[str, Direction] = MappingProxyType(
    {
        **dict.fromkeys(_MINIMIZED, "minimize"),
        **dict.fromkeys(_MAXIMIZED, "maximize"),
    }
)
"""The direction in which a metric is better: costs, and Keras' and the usual names of metrics. Such
a name may have words before it, as in "main_output_accuracy". For the validation examples a metric
has "val_" before its name."""

_REVERSING = frozenset({"neg", "negative", "minus", "inverse"})
"""Words before a name that turn its direction round, as in "neg_mean_squared_error"."""

Values = tuple[float, ...]
"""A trial's value of each objective, in their order."""


@dataclass(frozen=True)
class Objective:
    """A metric and the direction in which it is better.

    Example:
        >>> Objective.read("maximize val_accuracy").is_better(0.9, than=0.8)
        True
    """

    direction: Direction
    metric: str

    @classmethod
    def read(cls, text: str) -> Objective:
        """Parse a text such as "maximize val_accuracy".

        Raises:
            RequestError: it is not a direction and a metric.
        """
        direction, _, metric = text.partition(" ")
        check_name("direction", direction, get_args(Direction))
        if not metric.strip():
            example = "val_accuracy" if direction == "maximize" else "val_loss"
            raise RequestError(
                f"an objective is a direction and a metric: received {text!r}; "
                f"write '{direction} {example}'."
            )
        return cls("maximize" if direction == "maximize" else "minimize", metric.strip())

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    def is_better(self, value: float, than: float) -> bool:
        """Return whether one value is better than another."""
        return value > than if self.direction == "maximize" else value < than


@dataclass(frozen=True)
class Objectives:
    """The objectives of a search: one, or several.

    Example:
        >>> str(Objectives.read(["maximize val_accuracy", "minimize parameters"]))
        'maximize val_accuracy, minimize parameters'
    """

    each: tuple[Objective, ...]

    @classmethod
    def read(cls, texts: Sequence[str]) -> Objectives:
        """Parse texts such as ["maximize val_accuracy", "minimize parameters"].

        Raises:
            RequestError: there is none, one is not an objective, or two have the same metric.
        """
        each = tuple(Objective.read(text) for text in texts)
        if not each:
            raise RequestError(
                "a search needs an objective, such as ['maximize val_accuracy']; received none."
            )
        if len({objective.metric for objective in each}) < len(each):
            received = [str(objective) for objective in each]
            raise RequestError(f"each metric may be one objective; received {received}.")
        return cls(each)

    def __str__(self) -> str:
        return ", ".join(map(str, self.each))

    def __len__(self) -> int:
        return len(self.each)

    @property
    def single(self) -> Objective | None:
        """The objective; None if there are several."""
        return self.each[0] if len(self.each) == 1 else None

    @property
    def by_epoch(self) -> Objective | None:
        """The objective that pruning uses, if any.

        It is the only objective, if every epoch measures it.
        """
        return self.single if self.single is not None and self.single.metric not in COSTS else None

    @property
    def epoch_metrics(self) -> list[str]:
        """The metrics of the objectives that every epoch measures."""
        return [objective.metric for objective in self.each if objective.metric not in COSTS]

    def check_directions(self, natural: Mapping[str, Direction] = MappingProxyType({})) -> None:
        """Check that no objective is the worse direction of its metric.

        Metrics of unknown names are accepted in both directions.

        Args:
            natural: the directions in which further metrics are better, by name, with or without
                "val_". They count before `NATURAL_DIRECTIONS`.

        Raises:
            RequestError: an objective asks for the worst value; the message names the other one.

        Example:
            >>> Objectives.read(["maximize val_loss"]).check_directions()
            Traceback (most recent call last):
            RequestError: [search] objectives: val_loss is better the lower it is; ...
        """
        for objective in self.each:
            name = objective.metric
            plain = name.removeprefix("val_")
            known = natural.get(name) or natural.get(plain) or _find_natural_direction(plain)
            if known is not None:
                _check_direction(objective, known)

    def values(self, metrics: Mapping[str, float]) -> Values | None:
        """Return the value of each objective; None if one of them is not measured yet."""
        if any(objective.metric not in metrics for objective in self.each):
            return None
        return tuple(float(metrics[objective.metric]) for objective in self.each)

    def dominates(self, values: Values, others: Values) -> bool:
        """Return whether values are no worse in any objective, and better in one."""
        pairs = list(zip(self.each, values, others, strict=True))
        is_worse = any(objective.is_better(other, than=value) for objective, value, other in pairs)
        return not is_worse and any(
            objective.is_better(value, than=other) for objective, value, other in pairs
        )


def _find_natural_direction(metric: str) -> Direction | None:
    """Return the direction of the longest known name that a metric's name ends in."""
    words = metric.split("_")
    for start in range(len(words)):
        known = NATURAL_DIRECTIONS.get("_".join(words[start:]))
        if known is not None:
            return None if _REVERSING.intersection(words[:start]) else known
    return None


def _check_direction(objective: Objective, natural: Direction) -> None:
    if objective.direction != natural:
        raise RequestError(
            f"[search] objectives: {objective.metric} is better the "
            f"{'lower' if natural == 'minimize' else 'higher'} it is; received "
            f"{str(objective)!r}: write {natural} {objective.metric}, or any_direction = true "
            "under [search] if that is meant."
        )


class ParetoFront:
    """The best trials: the best one by one objective, the Pareto front by several.

    Of trials with equal values the one with the lowest number is kept, whichever ended first, so
    that counting them again in another order finds the same. (Optuna's `best_trial` depends on its
    storage, and its `best_trials` has all of them.)

    Args:
        objectives: the objectives of the search.
        complete: values of complete trials by number.

    Attributes:
        values: values of the best trials by number.

    Example:
        >>> front = ParetoFront(Objectives.read(["minimize val_loss"]), {0: (0.5,), 1: (0.3,)})
        >>> front.values
        {1: (0.3,)}
    """

    def __init__(
        self, objectives: Objectives, complete: Mapping[int, Values] = MappingProxyType({})
    ) -> None:
        self._objectives = objectives
        self.values: dict[int, Values] = {}
        for number, values in complete.items():
            self.add(number, values)

    def admits(self, number: int, values: Values) -> bool:
        """Return whether a complete trial of this number and these values would be in it."""
        return not any(
            self._precedes((other, known), (number, values)) for other, known in self.values.items()
        )

    def add(self, number: int, values: Values) -> None:
        """Add a trial if it is among the best; drop those it dominates."""
        # Dominated trials need not be kept: a trial leaves the front only for a better one.
        if self.admits(number, values):
            kept = {
                other: known
                for other, known in self.values.items()
                if not self._precedes((number, values), (other, known))
            }
            self.values = {**kept, number: values}

    def ranked(self) -> dict[int, Values]:
        """Return the values of the best trials by number, ordered by the first objective."""
        sign = -1 if self._objectives.each[0].direction == "maximize" else 1
        # Then by number: the order must not depend on which trial ended first.
        return dict(sorted(self.values.items(), key=lambda item: (sign * item[1][0], item[0])))

    def _precedes(self, trial: tuple[int, Values], other: tuple[int, Values]) -> bool:
        (number, values), (other_number, other_values) = trial, other
        return self._objectives.dominates(values, other_values) or (
            values == other_values and number < other_number
        )
