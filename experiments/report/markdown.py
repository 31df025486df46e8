"""The Markdown twin of a report, fit to commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assay.experiments.report.document import (
    Block,
    Chapter,
    Code,
    Document,
    Gallery,
    Items,
    Paragraph,
    Picture,
    Table,
)
from assay.experiments.terminal_text import escape_line, escape_text

# What GitHub-flavored Markdown reads as markup anywhere in a line, or at its beginning.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~$&@])")
_BLOCK_MARKUP = re.compile(r"^(\s*\d*)([#+\-=:.)])")
_ADDRESS = re.compile(r"(?i)(https?|ftp|mailto)(:)|(www)(\.)")


def escape(text: str) -> str:
    r"""Return a text as Markdown that shows it as it is, on one line, but not at its beginning.

    Example:
        >>> escape("a|b <i>")
        'a\\|b \\<i\\>'
    """
    line = _MARKUP.sub(r"\\\1", escape_line(text))
    # GitHub turns bare addresses into links.
    return _ADDRESS.sub(r"\1\3<!-- -->\2\4", line)


def escape_start(text: str) -> str:
    r"""Return the same for a text with which a line or the item of a list begins.

    Example:
        >>> escape_start("1. a"), escape_start("# a"), escape_start("0.97 of 1")
        ('1\\. a', '\\# a', '0\\.97 of 1')
    """
    return _BLOCK_MARKUP.sub(r"\1\\\2", escape(text))


def to_markdown(document: Document, figures: str) -> str:
    """Return a document as Markdown.

    Args:
        document: the document.
        figures: folder of the figures, beside the file.
    """
    lines = [f"# {escape(document.title)}", "", *map(escape_start, document.lines), ""]
    for chapter in document.chapters:
        lines += _chapter(chapter, figures)
    return "\n".join(lines).rstrip() + "\n"


def _chapter(chapter: Chapter, figures: str) -> Iterator[str]:
    summary = chapter.summary
    yield from (f"## {escape(chapter.title)}", "")
    for line in chapter.lines:
        yield from (escape_start(line), "")
    yield from (f"**{escape(summary.question)}**", "", escape_start(summary.answer), "")
    yield from (f"- {escape_start(line)}" for line in summary.certainty)
    yield ""
    if summary.picture is not None:
        yield from _block(summary.picture, figures)
    for section in chapter.sections:
        yield from (f"### {escape(section.title)}", "")
        for block in section.blocks:
            yield from _block(block, figures)


def _block(block: Block | None, figures: str) -> Iterator[str]:
    match block:
        case None:
            return
        case Paragraph():
            is_warning = block.style == "warning"
            yield f"**Warning:** {escape(block.text)}" if is_warning else escape_start(block.text)
        case Items():
            for name, text in block.items:
                yield f"- **{escape(name)}**: {escape(text)}" if name else f"- {escape_start(text)}"
        case Table():
            yield from _table(block)
        case Picture():
            yield f"![{escape(block.alt)}]({figures}/{block.name}.svg)"
            yield from ("", f"*{escape(block.caption)}*")
            if block.numbers is not None:
                yield ""
                yield from _table(block.numbers)
        case Gallery():
            yield from (escape_start(block.caption), "")
            rows = [
                [str(one.index), one.label, one.predicted, f"{one.wrong} of {one.networks}"]
                for one in block.examples
            ]
            columns = ["test example", "class", "taken for", "networks"]
            yield from _rows(columns, rows, [True, False, False, True])
        case Code():
            if block.caption:
                yield from (escape_start(block.caption), "")
            yield from _fence(block)
    yield ""


def _table(table: Table) -> Iterator[str]:
    yield from (escape_start(table.caption), "")
    yield from _rows(table.columns, table.rows, table.numeric)


def _rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> Iterator[str]:
    yield f"| {' | '.join(map(escape, columns))} |"
    yield f"| {' | '.join('---:' if is_number else '---' for is_number in numeric)} |"
    for row in rows:
        yield f"| {' | '.join(map(escape, row))} |"


def _fence(block: Code) -> Iterator[str]:
    text = escape_text(block.text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{block.language}"
    yield from text.split("\n")
    yield fence
