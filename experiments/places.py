"""Where things are read and written, filled in from variables and defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from experiments.data.source import default_data_dir
from experiments.home import Home
from search.urls import keep_secret


@dataclass(frozen=True)
class Places:
    """Home, data sets, Optuna's storage and MLflow's store."""

    home: Home
    data_dir: Path
    storage: str
    tracking_uri: str

    @classmethod
    def choose(
        cls,
        home: Path | str | None = None,
        data_dir: Path | str | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
    ) -> Places:
        """Take what is given, else ASSAY_HOME, ASSAY_DATA_DIR, ASSAY_STORAGE and MLFLOW_TRACKING_URI, else defaults.

        The defaults are `./mlruns`, the Keras cache, and SQLite in home for both stores. What is secret in the
        addresses of stores is shown to nobody from now on.
        """
        place = Home(Path(home or os.environ.get("ASSAY_HOME") or "mlruns").expanduser().resolve())
        data = data_dir or os.environ.get("ASSAY_DATA_DIR")
        found = cls(
            home=place,
            data_dir=Path(data).expanduser().resolve() if data else default_data_dir(),
            storage=storage or os.environ.get("ASSAY_STORAGE") or place.storage,
            tracking_uri=tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or place.tracking,
        )
        keep_secret(found.storage)
        keep_secret(found.tracking_uri)
        return found
