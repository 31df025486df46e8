"""The command line: one command, `assay`, with one module per subcommand.

Nothing heavy is imported before a subcommand runs: `assay --help` must answer at once.
"""

from assay.experiments.cli.main import main

__all__ = ["main"]
