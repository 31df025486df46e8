"""The command line: one command, `assay`, one file a verb.

Nothing heavy is imported before a verb runs: `assay --help` must answer at once.
"""

from assay.experiments.cli.main import main

__all__ = ["main"]
