"""Run the worked benchmark and write its reports: `python -m tests.worked_benchmark [DATA ...]`.

DATA is mnist or cifar10; both by default. The studies are searched and finalized with the commands
that a user types, in a home of their own, so that the same command goes on after an interruption.
`--quick` is a short run that shows that all of it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.decision.candidates import Candidate, Predicted, load_candidates
from assay.experiments.decision.load import load_finalizes
from assay.experiments.evaluation.summaries import mean_interval
from assay.experiments.report.collection.collect import collect
from assay.experiments.report.collection.compared import Benchmark, Reference
from assay.experiments.report.collection.sources import read_sources
from assay.experiments.report.page.render import render
from assay.experiments.report.records import ReferenceRecord
from assay.experiments.report.store import PAGE, write_report
from assay.experiments.run.session import prepare_data
from assay.experiments.tracking.store import mlflow_settings
from assay.experiments.workspace import StorePaths
from tests.helpers.paths import ROOT
from tests.worked_benchmark import svm

COMMAND = "make benchmark-report"
SEEDS = 5
_COMPONENTS = 1000
_QUICK_IMAGES, _QUICK_COMPONENTS = 1000, 50


@dataclass(frozen=True)
class StudyPlan:
    """A study of the benchmark.

    Attributes:
        experiment: name in the catalogue.
        trials: number of trials.
        epochs: number of epochs of each.
        options: further options of `assay sweep`.
        name: of the study, if not the experiment's.
        top: number of configurations that are trained again; 0: the study is only searched.
    """

    experiment: str
    trials: int
    epochs: int
    options: tuple[str, ...] = ()
    name: str | None = None
    top: int = 3

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.name or self.experiment


RANDOM = ("--sampler", "random", "--pruner", "none")

PLANS = {
    "mnist": (
        StudyPlan("mnist-linear", trials=20, epochs=10),
        StudyPlan("mnist-mlp", trials=50, epochs=10),
        StudyPlan("mnist-mlp", 50, 10, RANDOM, name="mnist-mlp-random", top=0),
        StudyPlan("mnist-cnn", trials=20, epochs=8),
    ),
    "cifar10": (
        StudyPlan("cifar10-linear", trials=20, epochs=10),
        StudyPlan("cifar10-mlp", trials=50, epochs=10),
        StudyPlan("cifar10-cnn", trials=24, epochs=8),
    ),
}
TITLES = {
    "mnist": "MNIST: linear, two-layer and convolutional networks",
    "cifar10": "CIFAR-10: linear, fully connected and convolutional networks",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="*", help=f"{' or '.join(PLANS)}; all by default")
    parser.add_argument("--home", type=Path, default=ROOT / "mlruns" / "worked-benchmark")
    parser.add_argument("--out", type=Path, default=ROOT / "experiments" / "reports")
    parser.add_argument("--quick", action="store_true", help="a short run, without meaning")
    options = parser.parse_args(arguments)
    if unknown := set(options.data).difference(PLANS):
        parser.error(f"there is no data set {unknown.pop()}")
    # The recorded commands then name no folder of this machine.
    os.environ["ASSAY_HOME"] = str(options.home)
    for data in options.data or PLANS:
        for plan in PLANS[data]:
            run_study(plan, options.quick)
        with mlflow_settings():
            write(data, options.out / data, options.quick)
        print(f"report: {options.out / data / PAGE}", flush=True)
    return 0


def run_study(plan: StudyPlan, quick: bool) -> None:
    """Search a study, and train its best again; what is done is not done again."""
    trials, epochs = (4, 1) if quick else (plan.trials, plan.epochs)
    name = () if plan.name is None else ("--study", plan.name)
    counts = ("--trials", str(trials), "--epochs", str(epochs))
    _assay("sweep", plan.experiment, *name, *counts, *plan.options)
    if plan.top and not _is_finalized(plan.study):
        _assay(
            "finalize", plan.study, "--top", str(plan.top), "--seeds", "3" if quick else str(SEEDS)
        )


def _assay(*words: str) -> None:
    print(f"$ assay {' '.join(words)}", flush=True)
    subprocess.run([Path(sys.executable).with_name("assay"), *words], check=True)


def _is_finalized(study: str) -> bool:
    with mlflow_settings():
        finalized, _ = load_finalizes(study, StorePaths.choose())
    return finalized is not None


def write(data: str, folder: Path, quick: bool) -> None:
    """Write the report of a data set."""
    store_paths = StorePaths.choose()
    plans = PLANS[data]
    references = [measure_svm(plans, store_paths, quick)] if data == "mnist" else []
    command = f"{COMMAND} DATA={data}{' ARGS=--quick' if quick else ''}"
    benchmark = Benchmark(f"{TITLES[data]}{' (a quick run)' if quick else ''}", command, references)
    sources = [read_sources(plan.study, store_paths) for plan in plans]
    records, environment = collect(sources, store_paths, benchmark)
    write_report(folder, records, environment, render(records, environment))


def measure_svm(plans: Sequence[StudyPlan], store_paths: StorePaths, quick: bool) -> Reference:
    """Return the SVM to compare with, measured now or earlier."""
    folder = store_paths.workspace.path / "references"
    saved = folder / ("svm-quick.npz" if quick else "svm.npz")
    if not saved.exists():
        prepared = prepare_data(resolve_experiment(plans[0].experiment), store_paths)
        folder.mkdir(parents=True, exist_ok=True)
        measured = svm.measure_svms(
            prepared.folder,
            saved.with_suffix(".jsonl"),
            seeds=3 if quick else SEEDS,
            components=_QUICK_COMPONENTS if quick else _COMPONENTS,
            images=_QUICK_IMAGES if quick else None,
        )
        svm.save_measured(measured, saved)
    measured = svm.load_measured(saved)
    setting = measured.setting
    finalized = [plan.study for plan in plans if plan.top]
    candidate = Candidate(
        name=svm.NAME,
        study=None,
        trial=None,
        runs=(),
        is_baseline=False,
        params={"components": setting.components, "gamma": setting.gamma, "C": setting.c},
        conditions=load_candidates(finalized[:1], store_paths)[0].conditions,
        seeds=len(measured.validation),
        failed=(),
        validation=mean_interval(measured.validation),
        predicted=Predicted(measured.scores, measured.targets),
        why_not_judged=None,
        openings=1,
        notes=(),
        trainings=frozenset(),
    )
    record = ReferenceRecord(
        name=svm.NAME,
        description=(
            f"scikit-learn: {setting.components:,} Nystroem features, which approximate an RBF "
            "kernel, then a linear support vector machine; one with the whole kernel was not "
            f"tried. gamma {setting.gamma:g} and C {setting.c:g} are the best of {measured.tried} "
            f"settings on the validation images; {len(measured.validation)} seeds, each with "
            f"features of its own; {measured.tried + len(measured.validation)} trainings in all, "
            "whose time is no part of that of search and finalize."
        ),
        seconds=measured.seconds,
        command=f"{COMMAND} DATA=mnist",
    )
    return Reference(candidate, record)


if __name__ == "__main__":
    sys.exit(main())
