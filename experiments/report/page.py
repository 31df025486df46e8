"""The files of a report that people read: the page, its Markdown twin, and the figures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from assay.experiments.report.content import build_document
from assay.experiments.report.document import Block, Document, Picture
from assay.experiments.report.markdown import to_markdown
from assay.experiments.report.records import Environment, ReportRecords
from assay.experiments.terminal_text import escape_text

PAGE, TWIN = "report.html", "report.md"
FIGURES = "figures"


def render(records: ReportRecords, environment: Environment) -> dict[str, bytes]:
    """Return the files of a report by their names in its folder.

    The same records give the same bytes.

    Args:
        records: what the report is about.
        environment: what its studies ran in.

    Example:
        >>> sorted(render(records, environment))
        ['figures/finalists.svg', ..., 'report.html', 'report.md']
    """
    document = build_document(records, environment)
    return {
        PAGE: _to_html(document).encode(),
        TWIN: to_markdown(document, FIGURES).encode(),
        **{f"{FIGURES}/{picture.name}.svg": picture.svg for picture in document.pictures()},
    }


def _to_html(document: Document) -> str:
    # Here, because a command that writes no report need not wait for it.
    from jinja2 import Environment as Templates
    from jinja2 import PackageLoader, StrictUndefined

    templates = Templates(
        loader=PackageLoader("assay.experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters, and those that turn the direction of a text, are shown as escapes.
        finalize=_show,
    )
    templates.filters["data_uri"] = _data_uri
    templates.filters["kind"] = lambda block: type(block).__name__
    templates.filters["grouped"] = _group_pictures
    template = templates.get_template("report.html.jinja")
    return template.render(document=document)


def _show(value: Any) -> Any:
    return escape_text(value) if type(value) is str else value


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _group_pictures(blocks: Sequence[Block | None]) -> Iterator[tuple[bool, list[Block]]]:
    """Group the figures that follow one another, which stand side by side."""
    known = [block for block in blocks if block is not None]
    for is_picture, group in groupby(known, key=lambda block: isinstance(block, Picture)):
        yield is_picture, list(group)


def read_pages(files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Return page and twin of the files of a report."""
    return files[PAGE], files[TWIN]
