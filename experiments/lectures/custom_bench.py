"""A bench for networks that a function makes, whose experiment must stay on disk meanwhile."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.experiments import api
from assay.experiments.config.toml_text import parse_toml
from assay.experiments.lectures.bench import Bench

REPRODUCE = (
    "Networks of {study} are made by a function. 'assay reproduce RUN_ID' takes one with "
    "--experiment FILE.toml; the file is an artifact of the study in MLflow."
)
"""A note on the page, with `study`."""


@dataclass(frozen=True)
class CustomBench(Bench):
    """A bench that keeps each experiment as a file in a folder.

    Finalize runs a function of the user's only if the experiment's file still names it.

    Attributes:
        folder: where the files are. It must not be in home, from which no code is run.
    """

    folder: Path = Path()

    def _sweep(self, study: str, experiment: str) -> None:
        baselines = len(parse_toml(experiment)["baseline"])
        file = self.folder / f"{study}.toml"
        file.write_text(experiment, encoding="utf-8")
        self.say(f"{study}: {baselines} configurations")
        api.sweep(
            file,
            study=study,
            trials=baselines,
            sampler="random",
            pruner="none",
            progress=False,
            **self._stores,
        )


@contextmanager
def open_custom_bench(bench: Bench) -> Iterator[CustomBench]:
    """Give a bench for experiments whose family is a function.

    Example:
        >>> with open_custom_bench(bench) as custom:
        ...     trained = custom.train("cosines", experiment, seeds=5)
    """
    with tempfile.TemporaryDirectory() as folder:
        yield CustomBench(bench.store_paths, bench.size, bench.say, Path(folder))
