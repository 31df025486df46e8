"""The Markdown twin of a report, fit to commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assay.experiments.report.page.document import (
    Badge,
    Block,
    Cell,
    Chapter,
    Code,
    Column,
    Document,
    Gallery,
    Items,
    Paragraph,
    Picture,
    Table,
)
from assay.experiments.terminal_text import escape_line, escape_text

# What GitHub-flavored Markdown reads as markup anywhere in a line, or at its beginning.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&#!])")
_LINE_START = re.compile(r"^([+-](?=[\s-]|$)|=)|^(\d+)([.)])(?=\s|$)")
# GitHub turns what these begin into links, mentions, pictures and formulas, and a backslash does
# not help: it looks at the text. An element around the sign parts it. Not a comment: at the
# beginning of a line, that makes all of the line HTML.
_LIVE = re.compile(
    r"(?i)((?:(?<=https)|(?<=http)|(?<=ftp)|(?<=mailto)|(?<=xmpp)):|(?<=www)\.|[@$]|:(?=\w+:))"
)


def escape(text: str) -> str:
    r"""Return a text as Markdown that shows it as it is, on one line.

    Example:
        >>> escape("a|b <i>")
        'a\\|b \\<i\\>'
    """
    return _LIVE.sub(r"<span>\1</span>", _escape_markup(text))


def _escape_markup(text: str) -> str:
    """Return the same without HTML, for the text of an image, in which there can be none."""
    line = _MARKUP.sub(r"\\\1", escape_line(text).strip())
    return _LINE_START.sub(_escape_start, line)


def _escape_start(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}"


def to_markdown(document: Document, figures: str) -> str:
    """Return a document as Markdown.

    Args:
        document: the document.
        figures: folder of the figures, beside the file.
    """
    lines = [f"# {escape(document.title)}", "", escape(document.collected), ""]
    for chapter in document.chapters:
        lines += _chapter(chapter, figures)
    lines += ["## Files of this report", ""]
    lines += [f"- [{name}]({name}): {escape(text)}" for name, text in document.files]
    lines.append("")
    for block in document.closing:
        lines += _block(block, figures)
    return "\n".join(lines).rstrip() + "\n"


def _chapter(chapter: Chapter, figures: str) -> Iterator[str]:
    summary = chapter.summary
    yield from (f"## {escape(chapter.title)}", "")
    yield from (f"*{escape(summary.question)}*", "")
    yield from (f"**{escape(summary.answer)}** ({escape(summary.status.text)})", "")
    if summary.configuration:
        yield from _rows(
            [Column(name) for name, _ in summary.configuration],
            [[value for _, value in summary.configuration]],
        )
        yield ""
    yield from (escape(summary.explanation), "")
    if summary.code is not None:
        yield from _block(summary.code, figures)
    if summary.picture is not None:
        yield from _block(summary.picture, figures)
    if summary.certainty:
        yield from (escape(summary.certainty_title), "")
        yield from (f"- {escape(line)}" for line in summary.certainty)
        yield ""
    yield from _rows([Column(name) for name, _ in summary.facts], [[v for _, v in summary.facts]])
    yield ""
    for line in chapter.lines:
        yield from (escape(line), "")
    for section in chapter.sections:
        yield from (f"### {escape(section.title)}", "")
        for block in section.blocks:
            yield from _block(block, figures)


def _block(block: Block, figures: str) -> Iterator[str]:
    match block:
        case Paragraph():
            text = escape(block.text)
            yield f"**Warning:** {text}" if block.style == "warning" else text
        case Items():
            for name, text in block.items:
                yield f"- **{escape(name)}**: {escape(text)}" if name else f"- {escape(text)}"
        case Table():
            yield from _table(block)
        case Picture():
            yield f"![{_escape_markup(block.alt)}]({figures}/{block.name}.svg)"
            yield from ("", escape(block.caption))
            if block.numbers is not None:
                yield ""
                yield from _table(block.numbers)
        case Gallery():
            yield from _gallery(block, figures)
        case Code():
            if block.caption:
                yield from (escape(block.caption), "")
            yield from _fence(block)
    yield ""


def _gallery(gallery: Gallery, figures: str) -> Iterator[str]:
    yield from (escape(gallery.caption), "")
    if gallery.svg:
        alt = "The images, each with its class and what it is taken for."
        yield from (f"![{alt}]({figures}/{gallery.name}.svg)", "")
    yield from _rows(
        [Column("test example", True), Column("class"), Column("taken for"), Column("wrong", True)],
        [
            [str(one.index), one.label, one.predicted, f"{one.wrong} of {one.networks} networks"]
            for one in gallery.examples
        ],
    )


def _table(table: Table) -> Iterator[str]:
    yield from (escape(table.caption), "")
    yield from _rows(table.columns, table.rows, table.strong)


def _rows(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    strong: frozenset[int] = frozenset(),
) -> Iterator[str]:
    yield f"| {' | '.join(escape(column.name) for column in columns)} |"
    yield f"| {' | '.join('---:' if column.is_number else '---' for column in columns)} |"
    for place, row in enumerate(rows):
        cells = [escape(cell.text if isinstance(cell, Badge) else cell) for cell in row]
        if place in strong and cells[0]:
            cells[0] = f"**{cells[0]}**"
        yield f"| {' | '.join(cells)} |"


def _fence(block: Code) -> Iterator[str]:
    text = escape_text(block.text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{block.language}"
    yield from text.split("\n")
    yield fence
