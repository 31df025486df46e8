"""What a study shows: its claim and its checks as lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from assay.experiments.console.tables import create_console

if TYPE_CHECKING:
    from assay.experiments.evaluation.checks import Check
    from assay.experiments.evaluation.study_evaluation import StudyEvaluation

_STATES = {True: "FIRES", False: "passed", None: "-"}


def format_claim_epoch(evaluation: StudyEvaluation | None) -> str:
    """Return ", epoch 7 of 12" for the best value; empty if the epoch is not known."""
    claim = None if evaluation is None else evaluation.claim
    epoch = "" if claim is None else claim.format_epoch()
    return f", {epoch}" if epoch else ""


def print_claim(evaluation: StudyEvaluation | None, to_stderr: bool = False) -> None:
    """Print what the best value of a study rests on."""
    if evaluation is None or evaluation.claim is None:
        return
    out = create_console(to_stderr)
    out.print()
    for sentence in evaluation.claim.sentences():
        out.print(f"  {sentence}", soft_wrap=True)


def print_fired_checks(evaluation: StudyEvaluation | None, to_stderr: bool = False) -> None:
    """Print the checks of a study that fire."""
    if evaluation is not None and evaluation.fired:
        out = create_console(to_stderr)
        out.print("\nchecks that fire:")
        for check in evaluation.fired:
            out.print(f"  {check.name}: {check.text}", soft_wrap=True)


def print_checks(evaluation: StudyEvaluation | None) -> None:
    """Print all checks of a study: those that fire, that pass, and that are not applicable."""
    if evaluation is not None:
        out = create_console()
        out.print("\nchecks:")
        for line in format_checks(evaluation.checks):
            out.print(line, soft_wrap=True)


def format_checks(checks: Iterable[Check]) -> list[str]:
    """Return one line per check, with its state in front."""
    return [f"  {_STATES[check.fired]:6}  {check.name}: {check.text}" for check in checks]
