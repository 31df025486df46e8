"""The real trainer in processes that list their loaded modules."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from assay.models.worker import preload as real
from assay.models.worker.trainer import Trainer

FOLDER = "ASSAY_TEST_MODULES"
"""The environment variable with the output folder."""


def list_modules(process: str) -> None:
    """Write the names and files of all loaded modules."""
    main = sys.modules["__main__"]
    # `python -m NAME` loads the module as __main__; its spec has the real name.
    spec = getattr(main, "__spec__", None)
    named = {name: module for name, module in dict(sys.modules).items() if module is not main}
    if spec is not None:
        named[spec.name] = main
    files = {name: getattr(module, "__file__", None) for name, module in named.items()}
    text = json.dumps({name: file for name, file in files.items() if file is not None})
    (Path(os.environ[FOLDER]) / f"{process}-{os.getpid()}.json").write_text(text)


def preload() -> None:
    """Import the same modules as a real worker."""
    real.preload()
    list_modules("fork-server")


class ListingTrainer(Trainer):
    """Lists the modules of its process when a trial ends."""

    def finish(self, save_as: str | None) -> dict[str, Any]:
        costs = super().finish(save_as)
        list_modules("worker")
        return costs
