"""Texts of users in the Markdown twin of a report."""

from __future__ import annotations

import itertools

import pytest
from markdown_it import MarkdownIt

from assay.experiments.report.page.document import (
    Badge,
    Chapter,
    Code,
    Document,
    Items,
    Paragraph,
    Section,
    Summary,
    Table,
    columns,
)
from assay.experiments.report.page.markdown import escape, to_markdown
from assay.experiments.terminal_text import escape_line, escape_text
from tests.helpers.html_pages import ParsedPage
from tests.helpers.report_records import hostile_strings

STRINGS = list(itertools.islice(hostile_strings(), 200))
OWN_TAGS = {
    *("h1", "h2", "h3", "p", "ul", "li", "strong", "em", "pre", "code", "a"),
    *("table", "thead", "tbody", "tr", "th", "td", "span"),  # a span is around each dollar sign
}


def to_page(markdown: str) -> ParsedPage:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return ParsedPage(parser.render(markdown))


def document_of(text: str) -> Document:
    summary = Summary(Badge(text, "open"), text, text, [(text, text)], text, [text], [], None)
    blocks = [
        Paragraph(text),
        Items([(text, text)]),
        Table(text, columns("a", "#b"), [[text, text]], frozenset({0})),
        Code(text, text),
    ]
    chapter = Chapter(text, "study-1", [text], summary, [Section(text, blocks)])
    return Document(text, text, [chapter], [("report.html", "this page")], [])


@pytest.mark.parametrize("text", ["a|b", "<i>", "1. a", "- a", "# a", "$x$", ":tada:", "a@b.c", ""])
def test_an_escaped_text_is_shown_as_it_is(text: str) -> None:
    assert to_page(f"before {escape(text)}").words == f"before {text}".strip()
    assert to_page(escape(text)).words == text


def test_hostile_texts_are_shown_as_they_are_in_every_place() -> None:
    for text in STRINGS:
        page = to_page(to_markdown(document_of(text), "figures"))
        assert {tag for tag, _ in page.elements} <= OWN_TAGS, text
        assert all(
            not values or "href" in values or "style" in values for _, values in page.elements
        )
        assert page.values("a", "href") == ["report.html"], text
        shown = " ".join(escape_line(text).split())
        # Headings, paragraphs, lists, cells; in a block of code a newline stays one.
        assert page.words.count(shown) >= 12, text
        assert " ".join(escape_text(text).split()) in page.words


def test_a_bare_address_is_no_link_on_github() -> None:
    # cmark-gfm looks for these in a piece of text, and not across an element.
    assert escape("http://a.b www.a.b a@b.c") == (
        "http<span>:</span>//a.b www<span>.</span>a.b a<span>@</span>b.c"
    )


def test_a_fence_is_longer_than_the_backticks_in_it() -> None:
    page = to_page(to_markdown(document_of("````\n<b>x</b>\n```"), "figures"))
    assert "b" not in {tag for tag, _ in page.elements}
