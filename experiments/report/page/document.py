"""The content of a report as blocks, from which page and Markdown twin are both written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from assay.experiments.report.records import ExampleRecord

Tone: TypeAlias = Literal["good", "bad", "open", "plain"]


@dataclass(frozen=True)
class Badge:
    """A word that stands out, such as a verdict."""

    text: str
    tone: Tone


Cell: TypeAlias = str | Badge


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
class Column:
    """A column of a table; numbers are aligned to the right."""

    name: str
    is_number: bool = False


def columns(*names: str) -> list[Column]:
    """Return columns; those whose names begin with "#" hold numbers.

    Example:
        >>> columns("class", "#recall")
        [Column(name='class', is_number=False), Column(name='recall', is_number=True)]
    """
    return [Column(name.removeprefix("#"), name.startswith("#")) for name in names]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        columns: its columns.
        rows: cells of each row, one for each column.
        strong: indices of the rows that stand out.
        folded: whether the page shows it only when asked to; paper always does.
        stacked: whether a phone shows the cells of a row below one another, each beside the name of
            its column: for sentences, and for rows that are wider than a phone.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    strong: frozenset[int] = frozenset()
    folded: bool = False
    stacked: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: name of its file, without ".svg".
        caption: what it shows, how its intervals were computed included.
        alt: what it says, for those who cannot see it.
        svg: the figure.
        numbers: its numbers; None if the table that follows has them.
    """

    name: str
    caption: str
    alt: str
    svg: bytes
    numbers: Table | None = None


@dataclass(frozen=True)
class Gallery:
    """Images of examples.

    Attributes:
        name: name of the file with all of them, without ".svg".
        caption: what they are.
        examples: the examples; those without an image are shown in words.
        svg: all images on one sheet, for the Markdown twin; empty without images.
    """

    name: str
    caption: str
    examples: Sequence[ExampleRecord]
    svg: bytes


@dataclass(frozen=True)
class Code:
    """Lines to type, or the text of a file.

    Attributes:
        text: the lines.
        caption: what they are.
        language: for a Markdown viewer; without one, as an error has none, long lines are wrapped.
        folded: as in `Table`.
    """

    text: str
    caption: str = ""
    language: str = ""
    folded: bool = False


Block: TypeAlias = Paragraph | Items | Table | Picture | Gallery | Code


@dataclass(frozen=True)
class Section:
    """A section: its heading and its content."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Summary:
    """The first screen of a study, or of a comparison of studies.

    Attributes:
        status: what the answer rests on, in a word or two.
        question: what was to be decided.
        answer: the answer in one line.
        configuration: hyperparameters of the answer, by name.
        explanation: the numbers behind the answer, in a few sentences.
        certainty: how sure it is, one sentence each.
        facts: key figures: a label and a value.
        picture: the figure that shows it; None without numbers.
        code: what to type next, or the error that ended everything; None without.
        certainty_title: heading of `certainty`.
    """

    status: Badge
    question: str
    answer: str
    configuration: Sequence[tuple[str, str]]
    explanation: str
    certainty: Sequence[str]
    facts: Sequence[tuple[str, str]]
    picture: Picture | None
    code: Code | None = None
    certainty_title: str = "How sure is that?"


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
        collected: when its records were collected: the only date of the page.
        chapters: its parts.
        files: what lies beside the page, by name.
        closing: how to verify the files and draw the page again.
        embeds_figures: whether the page has its figures in itself, or shows the files beside it.
    """

    title: str
    collected: str
    chapters: Sequence[Chapter]
    files: Sequence[tuple[str, str]]
    closing: Sequence[Block]
    embeds_figures: bool = True

    def figures(self) -> Iterator[Picture | Gallery]:
        """Yield all that has a file of its own, in the order of the page."""
        for chapter in self.chapters:
            if chapter.summary.picture is not None:
                yield chapter.summary.picture
            for section in chapter.sections:
                for block in section.blocks:
                    if isinstance(block, Picture) or (isinstance(block, Gallery) and block.svg):
                        yield block
