"""Whose mistake an exception is: one that comes out of a user's own code names the line there."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import RequestError
from models.reference import Reference

_LONGEST_CHARACTERS = 300  # some backends' messages go on for pages


@contextmanager
def blamed(reference: Reference | None, otherwise: str | None = None) -> Iterator[None]:
    """Turn what goes wrong in a user's code into a RequestError that names the line of their file.

    An exception whose traceback passes through no file of theirs, and a request that was refused, stay what they are.

    Args:
        reference: whose code runs; None if it is all our own.
        otherwise: what was being done with their code, such as "calling it on 2 images": if given, an exception that
            names no line of theirs is theirs all the same.

    Raises:
        RequestError: such as "nets.py, line 12: ValueError: text".
    """
    try:
        yield
    except RequestError:
        raise
    # A script that ends with sys.exit() must not end the worker.
    except (Exception, SystemExit) as error:
        if reference is None:
            raise
        if line_of(error, reference) is not None:
            raise RequestError(told(error, reference)) from error
        if otherwise is not None:
            raise RequestError(f"{reference.text}, {otherwise}: {told(error, None)}") from error
        raise


def line_of(error: BaseException, reference: Reference) -> str | None:
    """Return the innermost line of the user's own files that an exception came through, such as "nets.py, line 12"."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename is not None and error.lineno is not None:
        places.append((error.filename, error.lineno))
    for file, line in reversed(places):
        shown = reference.shown(file)
        if shown is not None:
            return f"{shown}, line {line}"
    return None


def told(error: BaseException, reference: Reference | None) -> str:
    """Return an exception in one line: where in the user's own files it happened, if it did, its type, its text."""
    line = None if reference is None else line_of(error, reference)
    said = _said(error)
    return said if line is None else f"{line}: {said}"


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"[:_LONGEST_CHARACTERS].removesuffix(": ")
