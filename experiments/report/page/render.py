"""The files of a report that people read: the page, its Markdown twin, and the figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from assay.experiments.report.page.document import Block, Code, Document, Picture, Table
from assay.experiments.report.page.markdown import to_markdown
from assay.experiments.report.records import Environment, ReportRecords
from assay.experiments.report.store import MARKDOWN, PAGE
from assay.experiments.terminal_text import escape_text

if TYPE_CHECKING:
    import jinja2

FIGURES = "figures"
_LONGEST_WORD = 32


def render(records: ReportRecords, environment: Environment) -> dict[str, bytes]:
    """Return the files of a report by their names in its folder.

    The same records give the same bytes. Nothing is read but the records: no store, no model, and
    no network. The page asks nothing of the network either.

    Args:
        records: what the report is about.
        environment: what its studies ran in.

    Example:
        >>> sorted(render(records, environment))
        ['figures/finalists.svg', ..., 'report.html', 'report.md']
    """
    # Here, because matplotlib takes a second to import.
    from assay.experiments.report.page.content import build_document

    return render_document(build_document(records, environment))


def render_document(document: Document) -> dict[str, bytes]:
    """Return the files of a document by their names: page, Markdown twin and figures."""
    return {
        PAGE: _to_html(document).encode(),
        MARKDOWN: to_markdown(document, FIGURES).encode(),
        **{f"{FIGURES}/{figure.name}.svg": figure.svg for figure in document.figures()},
    }


def _to_html(document: Document) -> str:
    # Here, because a command that writes no report need not wait for it.
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("assay.experiments.report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters, and those that turn the direction of a text, are shown as escapes.
        finalize=_show,
    )
    _add_filters(templates)
    templates.filters["source"] = _data_uri if document.embeds_figures else _figure_file
    return templates.get_template("report.html.jinja").render(document=document)


def _add_filters(templates: jinja2.Environment) -> None:
    templates.filters["parts"] = _part_options
    templates.filters["kind"] = lambda block: type(block).__name__
    templates.filters["has_short_words"] = _has_short_words
    templates.filters["grouped"] = _group_figures
    templates.filters["is_plain"] = lambda cell: isinstance(cell, str)


def _show(value: Any) -> Any:
    # Not what the template escaped before, which is Markup.
    return escape_text(value) if type(value) is str else value


# A browser may break a line behind the hyphens of an option such as "--trials".
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)")


def _part_options(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text, and whether each is an option of a command."""
    for place, part in enumerate(_OPTION.split(text)):
        yield part, place % 2 == 1


def _has_short_words(text: str) -> bool:
    """Return whether a text fits a narrow column without a break inside of a word."""
    return max(map(len, text.split()), default=0) <= _LONGEST_WORD


def _data_uri(figure: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.svg).decode()}"


def _figure_file(figure: Picture) -> str:
    return f"{FIGURES}/{figure.name}.svg"


def _group_figures(blocks: Sequence[Block]) -> Iterator[tuple[str, list[Block]]]:
    """Group blocks: figures that follow one another stand side by side, folded ones close up."""

    def group_of(block: Block) -> str:
        if isinstance(block, Picture):
            return "figures"
        return "folded" if isinstance(block, Code | Table) and block.folded else "text"

    for group, members in groupby(blocks, key=group_of):
        yield group, list(members)
