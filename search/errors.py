"""Why a search stops before it is done, when the request was right."""

from __future__ import annotations


class SearchError(Exception):
    """The work failed: too many trials in a row, or workers that do not start. Exit code 1.

    A trial that failed is no exception at all: it is recorded, and the search goes on.
    """


class OutOfMemory(SearchError):
    """Memory ran out where there was no trial to fail of it."""


class AssayBugError(Exception):
    """Assay's own code went wrong where a trial was trained; the message is the whole traceback. Exit code 1.

    The trial is not to blame: it is recorded as interrupted, and tried again by whoever takes the study up.
    """
