"""The command line: one command, `assay`, with one module per verb.

Nothing heavy is imported before a verb runs: `assay --help` must answer at once.
"""

from assay.experiments.cli.main import main

__all__ = ["main"]
