"""What goes wrong, by whose fault."""

from __future__ import annotations


class RequestError(ValueError):
    """The request was wrong: its message says the rule, then the value received, then what to do.

    Always the user's to mend. The command line prints the message as one line and exits with 2.
    """
