"""Provenance: what a reader needs to judge results and to reproduce them.

Nothing here identifies a person or a machine: no host name, no user name, no remote URL.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from assay.experiments.run.checkout import read_checkout
from assay.experiments.run.execution import Execution
from assay.experiments.run.preflight import Preflight
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.tracking.schema import OBJECTIVE_TAG
from assay.models.code_files import CodeFile
from assay.search.system.hardware import count_cores

_VERSION_TAGS = (
    "assay",
    "tensorflow",
    "keras",
    "optuna",
    "pandas",
    "mlflow",
    "numpy",
    "scikit-learn",
    "jax",
    "torch",
)


def provenance(
    preflight: Preflight,
    execution: Execution,
    seed: int,
    batching: TrialBatching | None,
    searching: bool,
) -> dict[str, str]:
    """Return the tags of a study's parent run, or of a single run.

    Args:
        preflight: experiment and data, and what was found out about them.
        execution: what trials train on.
        seed: random seed of the study; of a single training, its trial has it.
        batching: how trials are trained together; None if each trains by itself.
        searching: whether it is a study, which has a sampler and a pruner.
    """
    experiment, data = preflight.experiment, preflight.data
    code = _read_code(preflight)
    checkout = read_checkout(experiment.path.parent)
    search = {"assay.sampler": experiment.search.sampler, "assay.pruner": experiment.search.pruner}
    return {
        **(search if searching else {}),
        "assay.commit": checkout.commit or "none",
        "assay.dirty": "unknown" if checkout.dirty is None else "yes" if checkout.dirty else "no",
        **_versions(),
        "assay.experiment": experiment.name,
        "assay.title": experiment.title,
        "assay.source": experiment.source,
        "assay.task": experiment.task,
        **({} if code is None else {"assay.code.digest": _digest_record(code)}),
        "assay.packages.digest": _digest_record(list_packages()),
        "assay.processor": read_processor(),
        "assay.cores": str(count_cores()),
        "assay.memory": _read_memory(),
        "assay.platform": platform.platform(),
        OBJECTIVE_TAG: str(experiment.search.goals),
        "assay.backend": execution.backend,
        "assay.device": execution.reported or execution.device,
        "assay.precision": execution.precision,
        "assay.xla": execution.xla,
        **({"assay.gpu_memory": str(execution.memory)} if execution.gpus else {}),
        "assay.workers": str(execution.workers),
        "assay.threads": str(execution.threads),
        "assay.deterministic": "yes" if execution.deterministic else "no",
        "assay.fuse": "off" if batching is None else str(batching.size),
        **({} if batching is None else {"assay.order_seed": str(batching.order_seed)}),
        "assay.dataset": data.name,
        "assay.dataset.digest": data.digest,
        "assay.dataset.classes": ", ".join(data.classes) or "none",
        "assay.dataset.verified": "yes" if data.verified else f"no: {data.unverified_reason}",
        **({"assay.seed": str(seed)} if searching else {}),
        **preflight.tags(),
    }


@functools.cache
def list_packages() -> Mapping[str, str]:
    """Return the versions of all installed packages by name, in the order of the names."""
    # From the names of the folders, NAME-VERSION.dist-info: `importlib.metadata` opens a file of
    # every package, which takes a quarter of a second.
    found: dict[str, str] = {}
    for folder in sys.path:
        for path in Path(folder or ".").glob("*.dist-info"):
            name, dash, version = path.stem.rpartition("-")
            if dash:
                # The first on the path is the one that is imported.
                found.setdefault(name.replace("_", "-").lower(), version)
    return dict(sorted(found.items()))


@functools.cache
def read_processor() -> str:
    """Return the name of the processor, whose instructions decide the last digits of results."""
    with suppress(OSError, UnicodeError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _read_memory() -> str:
    """Return how much memory the machine has."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


def read_code(preflight: Preflight) -> tuple[CodeFile, ...]:
    """Return the files of the user's own code; empty for a built-in family."""
    factory = preflight.experiment.family.factory
    if factory is None:
        return ()
    if preflight.model is not None:
        return tuple(preflight.model.files)
    reason = "the preflight check did not fit into memory"
    known = _read_code(preflight) or {}
    return tuple(CodeFile(name, digest, left_out=reason) for name, digest in known.items())


def _versions() -> dict[str, str]:
    versions = {"assay.version.python": platform.python_version()}
    for package in _VERSION_TAGS:
        try:
            versions[f"assay.version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def study_fingerprint(
    preflight: Preflight,
    execution: Execution,
    batching: TrialBatching | None = None,
) -> dict[str, Any]:
    """Return what all trials of a study must share to be comparable, as plain values.

    It is kept with the study, and compared when the study is resumed: see
    `assay.search.study_record.check_fingerprint`.
    """
    experiment, data = preflight.experiment, preflight.data
    code = _read_code(preflight)
    return {
        "task": experiment.task,
        "data": {
            "name": data.name,
            "digest": data.digest,
            "scale": experiment.data.scale,
            **{
                name: how
                for name, how in data.find_changed_numbers(experiment.data.scale).items()
                if name != "targets" or preflight.is_centred
            },
        },
        "split": {
            "validation": data.validation_images,
            "train": data.train_images,
            "seed": experiment.data.split_seed,
        },
        "family": experiment.family.name,
        **({} if code is None else {"code": dict(code)}),
        "fixed": experiment.fixed_hyperparameters(),
        "space": experiment.space.to_records(),
        "objectives": experiment.search.objectives,
        "backend": execution.backend,
        "precision": _read_precision(preflight, execution),
        **({} if batching is None else batching.to_record()),
    }


def _read_code(preflight: Preflight) -> Mapping[str, str] | None:
    """Return the digests of the user's files by name; None for a built-in family."""
    factory = preflight.experiment.family.factory
    if factory is None:
        return None
    if preflight.model is not None:
        return preflight.model.code
    # The check ran out of memory, so only the file itself is known.
    return {factory.text.rpartition(":")[0]: str(factory.digest())}


def _read_precision(preflight: Preflight, execution: Execution) -> str:
    """Return the precision: a user's factory may set another than was requested."""
    is_custom = preflight.experiment.family.factory is not None
    found = "" if preflight.model is None or not is_custom else preflight.model.precision
    return found or execution.precision


def _digest_record(record: Mapping[str, str]) -> str:
    """Return the SHA-256 of a record."""
    return hashlib.sha256(json.dumps(dict(record), sort_keys=True).encode()).hexdigest()
