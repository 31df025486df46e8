"""What a lecture experiment is: a claim, its rules, and what measures the numbers of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay.experiments.lectures.bench import Bench
from assay.experiments.lectures.rules import Numbers, Rule
from assay.experiments.report.page.document import Picture, Table


@dataclass(frozen=True)
class Measured:
    """What an experiment measured.

    Attributes:
        numbers: the numbers by name, in the order in which they are shown.
        pictures: the figures; the first one stands beside the verdict.
        tables: further tables.
        notes: what a reader must know of the numbers, one sentence each.
        studies: the studies in which networks were trained.
    """

    numbers: Numbers
    pictures: Sequence[Picture]
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    studies: Sequence[str] = ()


@dataclass(frozen=True)
class LectureExperiment:
    """An experiment of the lectures.

    Attributes:
        name: its name on the command line.
        title: its heading.
        source: the lectures and slides that it is about.
        claim: what they claim, in one sentence.
        rules: the parts of the claim, each with its rule; the first one is the claim's core.
        measure: measures the numbers of the rules.
        next_steps: three things to try, each a sentence or a command.
        minutes: how long it may take on 2 cores.
    """

    name: str
    title: str
    source: str
    claim: str
    rules: Sequence[Rule]
    measure: Callable[[Bench], Measured]
    next_steps: tuple[str, str, str]
    minutes: int = 2
