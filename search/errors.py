"""Why a search stops before it is done, when the request was right."""

from __future__ import annotations


class SearchError(Exception):
    """The work failed: too many trials in a row, or workers that do not start. Exit code 1.

    A trial that failed is no exception at all: it is recorded, and the search goes on.

    Args:
        message: what went wrong and what to do.
        exit_code: another one, if somebody asked to stop meanwhile.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutOfMemory(SearchError):
    """Memory ran out where there was no trial to fail of it."""


class AssayBugError(Exception):
    """Assay's own code went wrong where a trial was trained; the message is the whole traceback. Exit code 1.

    The trial is not to blame: it is recorded as interrupted, and tried again by whoever takes the study up.
    """
