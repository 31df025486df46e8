"""Evaluation of a study: the claim about its best value, and its checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.experiments.evaluation.best_claim import BestClaim, claim_best
from assay.experiments.evaluation.checks import Check, run_checks
from assay.experiments.evaluation.study_facts import StudyFacts, read_study_facts
from assay.experiments.tracking.schema import (
    BEST_EPOCH_TAG,
    CHECKS_TAG,
    CLAIM_TAG,
    IMPORTANCE_TAG,
)
from assay.search.objective import Objectives

if TYPE_CHECKING:
    import optuna

    from assay.search.importances import ImportanceReport

_NONE = "none"


@dataclass(frozen=True)
class StudyEvaluation:
    """What a study shows.

    Attributes:
        claim: the best value and what it rests on; None without a complete trial. With several
            objectives it is about the best by the first of them.
        checks: what each check has found.
    """

    claim: BestClaim | None
    checks: tuple[Check, ...]

    @property
    def fired(self) -> list[Check]:
        """The checks that fire."""
        return [check for check in self.checks if check.fired]

    def to_record(self) -> dict[str, Any]:
        """Return the keys that `--json` adds to those of a study."""
        return {
            "claim": None if self.claim is None else self.claim.to_record(),
            "checks": [check.to_record() for check in self.checks],
        }

    def tags(self, importance: Mapping[str, ImportanceReport]) -> dict[str, str]:
        """Return the tags of the study's run in MLflow.

        Args:
            importance: of the hyperparameters, by the metric of each objective.
        """
        claim = self.claim
        lines = [f"{check.name}: {check.text}" for check in self.fired]
        return {
            # Always all of them: a study that is closed again replaces what was said before.
            CLAIM_TAG: _NONE if claim is None else "\n".join(claim.sentences()),
            CHECKS_TAG: "\n".join(lines) or _NONE,
            IMPORTANCE_TAG: "\n".join(report.summary() for report in importance.values()),
            BEST_EPOCH_TAG: (claim.format_epoch() if claim is not None else "") or _NONE,
        }


def evaluate(facts: StudyFacts) -> StudyEvaluation:
    """Return the evaluation of a study from its facts."""
    return StudyEvaluation(claim_best(facts), tuple(run_checks(facts)))


def evaluate_study(
    study: optuna.Study, objectives: Objectives, journals: Iterable[Path]
) -> StudyEvaluation:
    """Return the evaluation of a study, from Optuna and its journals.

    Args:
        study: the study in Optuna.
        objectives: its objectives.
        journals: its journals in this home, which need not exist.

    Example:
        >>> evaluation = evaluate_study(study, objectives_of(study), workspace.journals("mine"))
        >>> [check.name for check in evaluation.fired]
        ['validation too small']
    """
    return evaluate(read_study_facts(study, objectives, journals))
