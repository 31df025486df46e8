"""What a study shows: its claim and its checks as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from assay.experiments.console.tables import create_console

if TYPE_CHECKING:
    from assay.experiments.evaluation.study_evaluation import StudyEvaluation

_STATES = {True: "FIRES", False: "passed", None: "-"}


def format_claim_epoch(evaluation: StudyEvaluation | None) -> str:
    """Return ", epoch 7 of 12" if early stopping chose the epoch of the best value; else empty."""
    claim = None if evaluation is None else evaluation.claim
    return f", {claim.format_epoch()}" if claim is not None and claim.stopped_early else ""


def print_claim(evaluation: StudyEvaluation | None, to_stderr: bool = False) -> None:
    """Print what the best value of a study rests on."""
    if evaluation is not None and evaluation.claim is not None:
        _print_lines("", evaluation.claim.sentences(), to_stderr)


def print_fired_checks(evaluation: StudyEvaluation | None, to_stderr: bool = False) -> None:
    """Print the checks of a study that fire."""
    if evaluation is not None and evaluation.fired:
        lines = [f"{check.name}: {check.text}" for check in evaluation.fired]
        _print_lines("\nchecks that fire:", lines, to_stderr)


def print_checks(evaluation: StudyEvaluation | None) -> None:
    """Print all checks of a study: those that fire, that pass, and that are not applicable."""
    if evaluation is not None:
        lines = [
            f"{_STATES[check.fired]:6}  {check.name}: {check.text}" for check in evaluation.checks
        ]
        _print_lines("\nchecks:", lines, to_stderr=False)


def _print_lines(heading: str, lines: Iterable[str], to_stderr: bool) -> None:
    """Print lines below a heading; what is wider than the terminal goes on in the next one."""
    out = create_console(to_stderr)
    out.print(heading)
    for line in lines:
        wrapped = textwrap.fill(
            line,
            out.width,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.print(wrapped, soft_wrap=True)
