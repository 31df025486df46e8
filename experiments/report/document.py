"""The content of a report as blocks, from which page and Markdown twin are both written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from assay.experiments.report.records import ExampleRecord


@dataclass(frozen=True)
class Paragraph:
    """A paragraph.

    Attributes:
        text: its text.
        style: "plain", or "warning" for what a reader must not overlook, or "note" for small print.
    """

    text: str
    style: Literal["plain", "warning", "note"] = "plain"


@dataclass(frozen=True)
class Items:
    """A list of sentences; a label stands before each, or is empty."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        columns: names of the columns.
        rows: texts of the cells.
        numeric: whether a column holds numbers, which are aligned to the right.
        strong: indices of the rows that stand out.
        folded: whether the page shows it only when asked to; paper always does.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    strong: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: name of its file, without ".svg".
        caption: what it shows, how its intervals were computed included.
        alt: what it says, for those who cannot see it.
        svg: the figure.
        numbers: its numbers.
        wide: whether it takes the whole width of the page.
    """

    name: str
    caption: str
    alt: str
    svg: bytes
    numbers: Table | None = None
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Images of examples."""

    caption: str
    examples: Sequence[ExampleRecord]


@dataclass(frozen=True)
class Code:
    """Lines to type, or the text of a file.

    Attributes:
        text: the lines.
        caption: what they are.
        language: for a Markdown viewer.
        folded: as in `Table`.
    """

    text: str
    caption: str = ""
    language: str = ""
    folded: bool = False


Block: TypeAlias = Paragraph | Items | Table | Picture | Gallery | Code


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        title: its heading.
        anchor: its address on the page.
        blocks: its content.
    """

    title: str
    anchor: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Summary:
    """The first screen of a study, or of a comparison of studies.

    Attributes:
        question: what was to be decided.
        answer: the answer in one or two sentences.
        certainty: how sure it is, one sentence each.
        figures: key figures: a label and a value.
        picture: the figure that shows it; None without numbers.
        is_final: whether the answer rests on a test set; if not, the page marks it.
    """

    question: str
    answer: str
    certainty: Sequence[str]
    figures: Sequence[tuple[str, str]]
    picture: Picture | None
    is_final: bool


@dataclass(frozen=True)
class Chapter:
    """A study, or the comparison of all studies.

    Attributes:
        title: its heading.
        anchor: its address on the page.
        lines: what it is about, in a line or two.
        summary: its first screen.
        sections: the rest.
    """

    title: str
    anchor: str
    lines: Sequence[str]
    summary: Summary
    sections: Sequence[Section]


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: its title.
        lines: who made it when, in a line or two.
        chapters: its parts.
    """

    title: str
    lines: Sequence[str]
    chapters: Sequence[Chapter]

    def pictures(self) -> list[Picture]:
        """Return all figures, in the order of the page."""
        found = []
        for chapter in self.chapters:
            if chapter.summary.picture is not None:
                found.append(chapter.summary.picture)
            found += [
                block
                for section in chapter.sections
                for block in section.blocks
                if isinstance(block, Picture)
            ]
        return found
