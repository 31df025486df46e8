"""The page of a report in a real browser: hostile texts, every figure, phones and paper."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assay.experiments.report.page.render import render
from assay.experiments.report.records import ReportRecords, StudyRecord
from assay.experiments.terminal_text import escape_text
from tests.helpers.browser import browsing, chromium
from tests.helpers.report_records import (
    environment_of,
    failing,
    finalized,
    hostile_strings,
    large,
    pareto,
    replace_texts,
    several,
    uncompared,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api", reason="needs playwright, which the dev extra brings")
needs_chromium = pytest.mark.skipif(
    chromium() is None, reason="needs Chromium: apt-get install chromium"
)

PHONE, DESK = (390, 844), (1400, 900)
HOSTILE_STRINGS = 200
MOST_SECONDS = 15.0
MOST_BYTES = 1_500_000
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "article", "section"),
    *("nav", "footer", "h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "div", "span", "b"),
    *("a", "img", "figure", "figcaption", "details", "summary", "pre", "code"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
FILES = {
    *("report.html", "report.md", "records.jsonl", "environment.json"),
    *("manifest-sha256.txt", "ro-crate-metadata.json"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "src", "alt"),
    *("tabindex", "role", "aria-label", "scope", "data-column"),
}


class Visit:
    """A page that is open in the browser, and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.note_request(request.url))

    def note_request(self, url: str) -> None:
        if not url.startswith("data:") and not url.endswith("/report.html"):
            self.wrong.append(f"request: {url}")

    def open(self, folder: Path, size: tuple[int, int]) -> None:
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.goto((folder / "report.html").as_uri())


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    with browsing(tmp_path / "page.png") as page:
        yield Visit(page)


def write(records: ReportRecords, folder: Path) -> dict[str, bytes]:
    files = render(records, environment_of(records))
    (folder / "figures").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


@needs_chromium
def test_hostile_texts_are_shown_and_do_nothing(visit: Visit, tmp_path: Path) -> None:
    used: list[str] = []
    records = replace_texts(several(), note(hostile_strings(), used))
    assert len(used) >= HOSTILE_STRINGS
    assert len(write(records, tmp_path)["report.html"]) < MOST_BYTES
    for size in (PHONE, DESK):
        visit.open(tmp_path, size)
        elements = visit.page.evaluate(
            "[...document.querySelectorAll('*')]"
            ".map(one => [one.localName, one.getAttributeNames()])"
        )
        assert {tag for tag, _ in elements} <= TAGS
        assert {name for _, names in elements for name in names} <= ATTRIBUTES
        assert width_beyond(visit.page) <= 0
    targets = set(visit.page.evaluate("[...document.links].map(one => one.getAttribute('href'))"))
    assert {one for one in targets if not one.startswith(("#study-", "#comparison-"))} <= {
        *FILES,
        "#comparison",
    }
    words = " ".join(visit.page.evaluate("document.body.textContent").split())
    shown = [
        text for study in records.all_of(StudyRecord) for text in (*study.decision, *study.untried)
    ]
    assert [text for text in shown if " ".join(escape_text(text).split()) not in words] == []
    assert_all_drawn(visit.page)
    assert visit.wrong == []


def note(strings: Iterator[str], used: list[str]) -> Iterator[str]:
    """Yield strings, and add each to a list."""
    for text in strings:
        used.append(text)
        yield text


def width_beyond(page: Page) -> int:
    """Return how much wider the page is than the window, in pixels."""
    beyond: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return beyond


def assert_all_drawn(page: Page) -> None:
    # A figure may be in what is folded: it is drawn all the same.
    sizes = page.evaluate(
        "Promise.all([...document.images].map(one => one.decode().then(() => one.naturalWidth)))"
    )
    assert sizes
    assert min(sizes) > 0


@needs_chromium
@pytest.mark.parametrize("build", [failing, pareto, uncompared])
def test_every_figure_is_drawn_on_a_phone_a_desk_and_paper(
    build: type[ReportRecords], visit: Visit, tmp_path: Path
) -> None:
    write(build(), tmp_path)
    for size in (PHONE, DESK):
        visit.open(tmp_path, size)
        assert width_beyond(visit.page) <= 0
        visit.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert width_beyond(visit.page) <= 0
        assert_all_drawn(visit.page)
        # The answer is on the first screen, and on a desk the figure too.
        bottom = visit.page.locator(".answer").first.bounding_box()
        assert bottom is not None
        assert bottom["y"] + bottom["height"] < size[1]
    figure = visit.page.locator(".summary img").first.bounding_box()
    assert figure is not None
    assert figure["y"] + figure["height"] < DESK[1]
    paper = visit.page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF-")
    visit.page.emulate_media(media="print")
    # Folded tables are open on paper; the numbers of a figure would be most of the pages.
    assert visit.page.locator(".folded details table").first.is_visible()
    assert visit.page.locator("figure details").first.is_hidden()
    assert visit.wrong == []


def test_a_report_of_a_thousand_trials_is_quick_and_small(tmp_path: Path) -> None:
    records = large()
    begin = time.process_time()
    files = write(records, tmp_path)
    assert time.process_time() - begin < MOST_SECONDS
    assert len(files["report.html"]) < MOST_BYTES


def test_a_page_is_drawn_without_a_store_a_sampler_or_a_backend_and_is_always_the_same() -> None:
    code = (
        "import hashlib, sys\n"
        "from tests.helpers.report_records import environment_of, finalized\n"
        "from assay.experiments.report.page.render import render\n"
        "assert 'matplotlib' not in sys.modules\n"
        "files = render(finalized(), environment_of(finalized()))\n"
        "heavy = {'mlflow', 'optuna', 'keras', 'tensorflow', 'jax', 'pandas'}\n"
        "heavy.add('matplotlib.pyplot')\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "print(hashlib.sha256(b''.join(files.values())).hexdigest())\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    here = render(finalized(), environment_of(finalized()))
    assert printed.strip() == hashlib.sha256(b"".join(here.values())).hexdigest()
