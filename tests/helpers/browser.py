"""Chromium and the MLflow UI, for tests and for the pictures in the README."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.helpers.command import ASSAY
from tests.helpers.ports import free_port
from tests.helpers.waiting import GUARD_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

HOST = "127.0.0.1"
PATIENCE_MILLISECONDS = 300_000  # the UI is large, and its first page is drawn late
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # root cannot use the sandbox
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Return the path of an installed browser, if any."""
    return next((found for name in _NAMES if (found := shutil.which(name)) is not None), None)


@contextlib.contextmanager
def serving(home: Path, study: str) -> Iterator[str]:
    """Run `assay ui STUDY` and yield the address that it prints."""
    command = [*ASSAY, "ui", study, "--no-open", "--home", str(home), "--port", str(free_port())]
    ui = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert ui.stdout is not None
        yield ui.stdout.readline().strip()
    finally:
        ui.send_signal(signal.SIGINT)
        ui.wait(timeout=GUARD_SECONDS)


@contextlib.contextmanager
def browsing(screenshot: Path, width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """Yield an empty page without internet access; take a screenshot on failure.

    Args:
        screenshot: file for the screenshot of a failed page.
        width: width of the window, in pixels.
        height: height of the window, in pixels.
    """
    from playwright.sync_api import (
        sync_playwright,  # imported here, because it may not be installed
    )

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=_FLAGS) as browser,
    ):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.route("**/*", _only_here)
        try:
            yield page
        except BaseException as error:
            page.screenshot(path=screenshot)
            error.add_note(f"what the page looked like: {screenshot}")
            raise


def _only_here(route: Route) -> None:
    local = urllib.parse.urlsplit(route.request.url).hostname in (None, HOST)
    route.continue_() if local else route.abort()
