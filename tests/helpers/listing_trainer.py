"""The real trainer in processes that write down which modules they have loaded."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from assay.models.worker import preload as real
from assay.models.worker.trainer import Trainer

FOLDER = "ASSAY_TEST_MODULES"
"""The variable that names the folder to write to."""


def list_modules(process: str) -> None:
    """Write the name and the file of every module that this process has loaded."""
    main = sys.modules["__main__"]
    # Of `python -m NAME` the module is called __main__; its spec has the name that was asked for.
    spec = getattr(main, "__spec__", None)
    named = {name: module for name, module in dict(sys.modules).items() if module is not main}
    if spec is not None:
        named[spec.name] = main
    files = {name: getattr(module, "__file__", None) for name, module in named.items()}
    text = json.dumps({name: file for name, file in files.items() if file is not None})
    (Path(os.environ[FOLDER]) / f"{process}-{os.getpid()}.json").write_text(text)


def preload() -> None:
    """Import what a real worker imports."""
    real.preload()
    list_modules("fork-server")


class ListingTrainer(Trainer):
    """Writes down the modules of its process when a trial ends."""

    def finish(self, save_as: str | None) -> dict[str, Any]:
        costs = super().finish(save_as)
        list_modules("worker")
        return costs
