"""Comparing and settling the finalizes of a study: the journal, and the runs in MLflow."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.experiments.decision.files import (
    delete_networks,
    find_network,
    find_test_files,
    predictions_file,
)
from assay.experiments.maintenance.compare import (
    Difference,
    RunFacts,
    compare_curves,
    compare_params,
    is_same,
    missing_run,
)
from assay.experiments.results.finalizes import (
    FinalizeRecord,
    Training,
    count_openings,
    read_finalizes,
)
from assay.experiments.tracking.follower import MlflowTracker
from assay.experiments.tracking.lookup import (
    is_deleted,
    rank_parent_runs,
    rank_runs,
    read_metric,
    search_study_runs,
)
from assay.experiments.tracking.registry import ModelRegistry
from assay.experiments.tracking.schema import (
    MODEL_TAG,
    OPENINGS_TAG,
    PARENT_TAG,
    REFUSED_TAG,
    STATE_TAG,
    TRAINING_TAG,
    RegisteredVersion,
    encode_label,
    encode_name,
    read_number,
    read_registration,
    registered_tag,
    run_status,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.events import FinalizeJudged, StudyClosed, TrialEnded
from assay.search.journal import Journal, last_event
from assay.search.system.urls import store_exists

if TYPE_CHECKING:
    from mlflow.entities import Run


def examine_finalists(
    study: str, study_id: str | None, store_paths: StorePaths
) -> Iterator[Difference]:
    """Yield what differs between the journal of a study's finalizes and MLflow.

    Raises:
        RequestError: the store can't be reached, or the journal can't be read.
    """
    journal = store_paths.workspace.finalize_journal(study)
    records = read_finalizes(journal, study_id)
    if not records or study_id is None:
        return
    if not isinstance(last_event(journal), StudyClosed):
        yield Difference(study, None, "its finalize is not closed in the journal: its process died")
    if not store_exists(store_paths.tracking_uri):
        yield Difference(study, None, "no run of its finalists in MLflow")
        return
    yield from _compare_openings(study, study_id, records, store_paths)
    runs, deleted_runs = _read_runs(study, study_id, records, store_paths)
    for record in records:
        for number, training in record.trainings.items():
            deleted = deleted_runs.get(number, ())
            for found in _compare_training(
                study, training, runs.get(number, ()), deleted, store_paths
            ):
                message = f"finalist {training.begun.finalist}, training {number}: {found.message}"
                yield dataclasses.replace(found, message=message)


def settle_finalize(study: str, study_id: str | None, store_paths: StorePaths) -> None:
    """Record trainings that never ended as interrupted, and pass the journal on to MLflow.

    The caller holds the locks of the study.

    Raises:
        RequestError: the store can't be reached.
    """
    path = store_paths.workspace.finalize_journal(study)
    records = read_finalizes(path, study_id)
    if not records:
        return
    if not isinstance(last_event(path), StudyClosed):
        with Journal(path) as journal:
            for number, training in records[-1].trainings.items():
                if training.end is None:
                    journal.append(TrialEnded(trial=number, state="failed", reason="interrupted"))
            journal.append(StudyClosed(closing="interrupted"))
    # Without a cursor the tracker begins at the beginning.
    path.with_suffix(".tracked").unlink(missing_ok=True)
    track_finalize(study, store_paths)


def track_finalize(study: str, store_paths: StorePaths) -> None:
    """Pass the journal of a study's finalizes on to MLflow.

    Raises:
        RequestError: the store can't be reached.
    """
    workspace = store_paths.workspace
    folder = workspace.finalists(study)
    tracker = MlflowTracker(
        workspace.finalize_journal(study),
        store_paths.tracking_uri,
        workspace.artifacts,
        find_model=lambda number: find_network(folder, number),
        find_test_files=lambda number: find_test_files(folder, number),
    )
    tracker.start()
    tracker.wait_until_open()
    if tracker.close(hurry=False) is None:
        delete_networks(folder)


def _compare_openings(
    study: str, study_id: str, records: Sequence[FinalizeRecord], store_paths: StorePaths
) -> Iterator[Difference]:
    """Compare how often the test set was opened."""
    opened = count_openings(records)
    client = open_client(store_paths.tracking_uri)
    runs = list(search_study_runs(client, study, study_id))
    parents = rank_parent_runs(runs)
    if not parents or is_deleted(parents[0]):
        return  # said of the study's own run
    stored = parents[0].data.tags.get(OPENINGS_TAG, "0")
    if stored != str(opened):
        message = f"the test set was opened {opened} times by the journal, {stored} by MLflow"
        yield Difference(study, None, message)
    # Versions of earlier finalizes are replaced by the last one, so a user may have deleted them.
    judged = [one.judged for one in records if one.judged is not None]
    wanted = [one for one in judged if one.registration is not None]
    if wanted:
        registry = ModelRegistry(client, study, study_id)
        folder = store_paths.workspace.finalists(study)
        yield from _compare_registration(wanted[-1], parents[0], runs, registry, folder)


def _compare_registration(
    judged: FinalizeJudged, parent: Run, runs: Sequence[Run], registry: ModelRegistry, folder: Path
) -> Iterator[Difference]:
    """Compare what a finalize should have registered with the model registry.

    Args:
        judged: how the finalize ended.
        parent: the study's own run.
        runs: all runs of the study.
        registry: with the versions of the study.
        folder: of the study's finalists.
    """
    registration, tag = judged.registration, registered_tag(judged.opening)
    assert registration is not None
    text = parent.data.tags.get(tag)
    if text is None:
        message = "MLflow has no record that the leader was registered"
        yield Difference(registry.study, None, message)
        return
    registered, stale_tag = read_registration(text), (str(parent.info.run_id), tag)
    if isinstance(registered, RegisteredVersion):
        if not registry.has_version(registered):
            message = (
                f"version {registered.version} of {registered.name!r}, which finalize registered, "
                "is not in MLflow's model registry"
            )
            yield Difference(registry.study, None, message, stale_tag=stale_tag)
        return
    # What still can't be registered stays as finalize said.
    has_model = find_network(folder, registration.training) is not None or any(
        run.data.tags.get(TRAINING_TAG) == str(registration.training)
        and run.data.tags.get(MODEL_TAG) == str(judged.leader)
        for run in runs
        if not is_deleted(run)
    )
    if registration.unsaved is None and has_model and registry.can_register():
        message = f"the leader is not registered in MLflow: {registered}"
        yield Difference(registry.study, None, message, stale_tag=stale_tag)


def _read_runs(
    study: str, study_id: str, records: Sequence[FinalizeRecord], store_paths: StorePaths
) -> tuple[Mapping[int, Sequence[RunFacts]], Mapping[int, Sequence[str]]]:
    """Return the runs of the trainings in MLflow, and the ids of those that a user deleted.

    Both are by the number of the training; the run that counts is the first.
    """
    client = open_client(store_paths.tracking_uri)
    known = {number: one for record in records for number, one in record.trainings.items()}
    found: dict[int, list[RunFacts]] = defaultdict(list)
    deleted: dict[int, list[str]] = defaultdict(list)
    for run in rank_runs(search_study_runs(client, study, study_id)):
        tags = run.data.tags
        number = read_number(tags, TRAINING_TAG)
        if number is None:
            continue
        run_id = str(run.info.run_id)
        if is_deleted(run):
            deleted[number].append(run_id)
            continue
        epochs = known[number].epochs if number in known else []
        names = dict.fromkeys(name for epoch in epochs for name in epoch.metrics)
        found[number].append(
            RunFacts(
                run_id=run_id,
                status=str(run.info.status),
                state=tags.get(STATE_TAG),
                params=dict(run.data.params),
                metrics=dict(run.data.metrics),
                curves={name: read_metric(client, run_id, encode_name(name)) for name in names},
                parent=tags.get(PARENT_TAG),
                refused=tags.get(REFUSED_TAG, ""),
            )
        )
    return found, deleted


def _compare_training(
    study: str,
    training: Training,
    runs: Sequence[RunFacts],
    deleted_runs: Sequence[str],
    store_paths: StorePaths,
) -> Iterator[Difference]:
    if training.end is None:
        return  # said of the journal
    file = predictions_file(store_paths.workspace.finalists(study), training.begun.trial)
    if training.tested is not None and training.tested.error is None and not file.is_file():
        message = f"its predictions, {file}, are not there: copy them back (its run has them)"
        yield Difference(study, None, message)
    if not runs:
        yield missing_run(study, None, f"{training.end.label} in the journal, ", deleted_runs)
        return
    run, *duplicates = runs
    for duplicate in duplicates:
        message = f"{len(runs)} runs in MLflow, {duplicate.run_id} beside {run.run_id}"
        yield Difference(study, None, message, wrong_run=duplicate.run_id)
    label = training.end.label
    if run.state != encode_label(label) or run.status != run_status(label):
        state = "without a state" if run.state is None else f"tagged {run.state!r}"
        yield Difference(study, None, f"{label} in the journal, {state}, {run.status} in MLflow")
    yield from compare_params(study, None, training, run)
    yield from compare_curves(study, None, training, run)
    yield from _compare_test(study, training, run)


def _compare_test(study: str, training: Training, run: RunFacts) -> Iterator[Difference]:
    tested = {} if training.tested is None else training.tested.metrics
    for name, value in tested.items():
        stored = run.metrics.get(encode_name(name))
        if stored is None:
            yield Difference(study, None, f"MLflow lacks {name}")
        elif not is_same(stored, value):
            message = f"{name} {value} in the journal, {stored} in MLflow"
            yield Difference(study, None, message, wrong_run=run.run_id)
