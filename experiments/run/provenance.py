"""Provenance: what a reader needs to judge results and to reproduce them.

Nothing here identifies a person or a machine: no host name, no user name, no remote URL.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.data.preparation import PreparedData
from assay.experiments.run.execution import Execution
from assay.experiments.run.trial_batching import TrialBatching
from assay.experiments.tracking.schema import OBJECTIVE_TAG

_PACKAGES = (
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
    experiment: Experiment,
    data: PreparedData,
    execution: Execution,
    seed: int,
    batching: TrialBatching | None,
    searching: bool,
) -> dict[str, str]:
    """Return the tags of a study's parent run, or of a single run.

    Args:
        experiment: what is trained.
        data: its prepared data.
        execution: what trials train on.
        seed: random seed of the study, or of the single training.
        batching: how trials are trained together; None if each trains by itself.
        searching: whether it is a study, which has a sampler and a pruner.
    """
    factory = experiment.family.factory
    search = {"assay.sampler": experiment.search.sampler, "assay.pruner": experiment.search.pruner}
    return {
        **(search if searching else {}),
        **_source(experiment.path.parent),
        **_versions(),
        "assay.experiment": experiment.name,
        "assay.title": experiment.title,
        "assay.source": experiment.source,
        "assay.task": experiment.task,
        **({} if factory is None else {"assay.code.digest": str(factory.digest())}),
        OBJECTIVE_TAG: str(experiment.search.goals),
        "assay.backend": execution.backend,
        "assay.device": execution.reported or execution.device,
        "assay.precision": execution.precision,
        "assay.xla": execution.xla,
        **({"assay.gpu_memory": str(execution.memory)} if execution.gpus else {}),
        "assay.workers": str(execution.workers),
        "assay.threads": str(execution.threads),
        "assay.fuse": "off" if batching is None else str(batching.size),
        **({} if batching is None else {"assay.order_seed": str(batching.order_seed)}),
        "assay.dataset": data.name,
        "assay.dataset.digest": data.digest,
        "assay.dataset.classes": ", ".join(data.classes) or "none",
        "assay.dataset.verified": "yes" if data.verified else f"no: {data.unverified_reason}",
        "assay.seed": str(seed),
    }


def _source(folder: Path) -> Mapping[str, str]:
    """Return the commit of the checkout with the experiment's file, and whether it has changes."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {"assay.commit": "none", "assay.dirty": "unknown"}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "assay.commit": commit,
        "assay.dirty": "unknown" if changes is None else "yes" if changes else "no",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"assay.version.python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[f"assay.version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def study_fingerprint(
    experiment: Experiment,
    data: PreparedData,
    execution: Execution,
    batching: TrialBatching | None = None,
) -> dict[str, Any]:
    """Return what all trials of a study must share to be comparable, as plain values.

    It is kept with the study, and compared when the study is resumed: see
    `assay.search.study_record.check_fingerprint`.
    """
    factory = experiment.family.factory
    return {
        "task": experiment.task,
        "data": {"name": data.name, "digest": data.digest, "scale": experiment.data.scale},
        "split": {
            "validation": data.validation_images,
            "train": data.train_images,
            "seed": experiment.data.split_seed,
        },
        "family": experiment.family.name,
        **({} if factory is None else {"code": factory.digest()}),
        "fixed": experiment.fixed_hyperparameters(),
        "space": experiment.space.to_records(),
        "objectives": experiment.search.objectives,
        "backend": execution.backend,
        "precision": execution.precision,
        **({} if batching is None else batching.to_record()),
    }
