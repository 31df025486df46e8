"""What each event of a study becomes in MLflow.

Recording an event twice leaves what recording it once does: runs are looked up by the study's id
and their trial before one is created, and a metric's point carries the event's own time, by which
MLflow knows that it has it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from assay.experiments.tracking.model import log_model
from assay.experiments.tracking.runs import StudyRuns
from assay.experiments.tracking.schema import (
    BEST_TAG,
    CLOSING_STATUS,
    PARENT_TAG,
    PARETO_TAG,
    REFUSED_TAG,
    STUDY_ID_TAG,
    STUDY_TAG,
    TRIAL_TAG,
    error_text,
    joined_tags,
    label_text,
    name_text,
    param_text,
    run_name,
    status_of,
    storable,
    tag_text,
)
from assay.experiments.workspace import file_name
from assay.search.events import (
    BestTrial,
    EpochEnded,
    Event,
    StudyClosed,
    StudyOpened,
    TrialBegun,
    TrialEnded,
)
from assay.search.system.urls import scrubbed

# Writing to the runs of a store, but to those that somebody deleted: that is what they want.


_LARGEST_BATCH_METRICS = 1000  # MLflow's own limit
_CAUSE_CHARACTERS = 300
_REFUSED = "INVALID_PARAMETER_VALUE"
_KINDS = {Metric: "metric", Param: "parameter", RunTag: "tag"}

_Item: TypeAlias = Metric | Param | RunTag


class RunWriter:
    """Writes to runs.

    Args:
        client: of the store.

    Attributes:
        deleted: the runs that somebody deleted, by their ids.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. What it refuses is skipped
        and noted on the run.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self.deleted: set[str] = set()

    def is_deleted(self, run_id: str) -> bool:
        """Return whether somebody deleted a run."""
        return run_id in self.deleted

    def write(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log to a run, in as few calls as can be."""
        others: list[_Item] = [
            Param(name_text(name), param_text(value)) for name, value in (params or {}).items()
        ]
        others += [RunTag(name_text(name), tag_text(value)) for name, value in (tags or {}).items()]
        self._log(run_id, [*metrics[:_LARGEST_BATCH_METRICS], *others])
        for start in range(_LARGEST_BATCH_METRICS, len(metrics), _LARGEST_BATCH_METRICS):
            self._log(run_id, metrics[start : start + _LARGEST_BATCH_METRICS])

    def take_up(self, run_id: str) -> None:
        """Say that a run goes on."""
        self._try(
            run_id, "status RUNNING", lambda: self._client.update_run(run_id, status="RUNNING")
        )

    def terminate(self, run_id: str, status: str, at_milliseconds: int) -> None:
        """Say how a run ended, and when."""
        self._try(
            run_id,
            f"status {status}",
            lambda: self._client.set_terminated(run_id, status, end_time=at_milliseconds),
        )

    def log_files(self, run_id: str, opened: StudyOpened) -> None:
        """Log the experiment's file, and what its data are."""
        if self.is_deleted(run_id):
            return
        self._client.log_text(run_id, opened.text, "experiment.toml")
        self._client.log_dict(run_id, dict(opened.data), "data.json")

    def log_model(self, run_id: str, file: str, opened: StudyOpened) -> None:
        """Log a saved model, if the file is still there."""
        if Path(file).exists() and not self.is_deleted(run_id):
            log_model(
                self._client, run_id, Path(file), opened.data, opened.provenance["assay.backend"]
            )

    def _log(self, run_id: str, items: Sequence[_Item]) -> None:
        """Log some items; of those that MLflow refuses together it is asked for each half, down to
        what it means.
        """
        if not items:
            return

        def log() -> None:
            self._client.log_batch(
                run_id,
                metrics=[item for item in items if isinstance(item, Metric)],
                params=[item for item in items if isinstance(item, Param)],
                tags=[item for item in items if isinstance(item, RunTag)],
            )

        if len(items) == 1:
            self._try(run_id, f"{_KINDS[type(items[0])]} {items[0].key}", log)
        elif not self._takes(run_id, log):
            middle = len(items) // 2
            self._log(run_id, items[:middle])
            self._log(run_id, items[middle:])

    def _takes(self, run_id: str, call: Callable[[], object]) -> bool:
        return self._refusal(run_id, call) is None

    def _try(self, run_id: str, what: str, call: Callable[[], object]) -> None:
        """Make a call; if MLflow refuses it, say so on the run: what comes behind it must not wait
        for ever.
        """
        refusal = self._refusal(run_id, call)
        if refusal is None:
            return
        told = self._client.get_run(run_id).data.tags.get(REFUSED_TAG, "").splitlines()
        if not any(line.startswith(f"{what}: ") for line in told):
            self._client.set_tag(
                run_id, REFUSED_TAG, error_text("\n".join([*told, f"{what}: {refusal}"]))
            )

    def _refusal(self, run_id: str, call: Callable[[], object]) -> str | None:
        """Make a call that writes to a run, unless somebody deleted it; return why MLflow refuses
        it, if it does.
        """
        if self.is_deleted(run_id):
            return None
        try:
            call()
        except MlflowException as error:
            if error.error_code != _REFUSED:
                raise  # the store is away
            if self._client.get_run(run_id).info.lifecycle_stage == "deleted":
                self.deleted.add(run_id)
                return None
            first = (scrubbed(str(error)).removeprefix(f"{_REFUSED}: ").splitlines() or [_REFUSED])[
                0
            ]
            return first[:_CAUSE_CHARACTERS]
        return None


def points(metrics: Mapping[str, float], at_seconds: float, epoch: int) -> list[Metric]:
    """Return metrics as MLflow has them; what is measured once, as a trial ends, is said to be of
    epoch 0.
    """
    return [
        Metric(name_text(name), float(value), milliseconds(at_seconds), epoch)
        for name, value in metrics.items()
    ]


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it."""
    return int(seconds * 1000)


_SLOW_SECONDS = 5.0  # what takes longer may have been asked for twice


@dataclass
class _Said:
    """What is to be said of a trial's run."""

    points: list[Metric] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Recorder:
    """Writes events into an MLflow store.

    Args:
        client: of the store.
        artifacts: where the artifacts of new experiments go; None leaves it to the store.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached or refuses. After `forget` the
        same events can be
            recorded again, or after `resume` those from a later one on.
    """

    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self._client = client
        self._writer = RunWriter(client)
        self._artifacts = artifacts
        self._opened: StudyOpened | None = None
        self._experiment_id = ""
        self._runs: StudyRuns | None = None
        self._is_sure = False  # that these are the runs that the store has
        self._perhaps_twice = False
        self._doubtful: dict[str | None, None] = {}  # by trial, as its tag has it

    @property
    def parent_run_id(self) -> str | None:
        """The study's own run."""
        return None if self._runs is None else self._runs.parent

    def run_id(self, trial: int, ask: bool) -> str | None:
        """Return the run of a trial if there is one; unless the store may be asked, only if it is
        known already.
        """
        if self._runs is None:
            return None
        return self._runs.find(trial) if ask else self._runs.known(trial)

    def record(
        self, events: Iterable[Event], perhaps_again: bool = True, perhaps_twice: bool = False
    ) -> None:
        """Record events in their order; what they say of a trial goes to the store in one call, as
        far as it can.

        Args:
            events: of one study.
            perhaps_again: whether the store may have some of them already.
            perhaps_twice: whether it may be making their runs just now, for a tracker that nobody
                waited for.
        """
        self._perhaps_twice = perhaps_twice
        said: dict[int, _Said] = defaultdict(_Said)
        for event in events:
            match event:
                case TrialBegun():
                    self._trial_begun(event, said[event.trial], perhaps_again)
                case EpochEnded():
                    said[event.trial].points += points(event.metrics, event.time, event.epoch)
                case TrialEnded():
                    self._trial_ended(event, said.pop(event.trial, _Said()))
                case StudyOpened():
                    self._study_opened(event)
                case StudyClosed():
                    self._study_closed(event)
                case _:
                    assert_never(event)
        for trial, rest in said.items():
            self._say(self._run(trial), rest)

    def forget(self) -> None:
        """Trust nothing that is known of the store's runs, since a call to it failed: look again
        before the next.
        """
        self._is_sure = False

    def resume(self, opened: StudyOpened) -> bool:
        """Take up a study that was recorded in part; return whether the store knows it."""
        runs = self._find_runs(opened)
        return runs.any and (opened.study is None or runs.parent is not None)

    def _study_opened(self, event: StudyOpened) -> None:
        is_taken_up = (
            self._is_sure and self._opened is not None and self._opened.study_id == event.study_id
        )
        # Another supervisor of a shared study may have made the parent meanwhile.
        if not is_taken_up or (event.supervisor and self.parent_run_id is None):
            self._find_runs(event)
        self._opened, runs = event, self._known_runs()
        if event.study is None:
            return
        known: Mapping[str, str] = {}
        if runs.parent is None:
            tags = {STUDY_TAG: event.study, STUDY_ID_TAG: event.study_id}
            runs.parent = self._create_run(event.study, event.time, tags)
        else:
            if not (event.supervisor and runs.is_closed_after(milliseconds(event.time))):
                self._writer.take_up(runs.parent)
            known = self._client.get_run(runs.parent).data.tags
        self._writer.write(runs.parent, tags=joined_tags(known, event.provenance))
        self._writer.log_files(runs.parent, event)

    def _trial_begun(self, event: TrialBegun, said: _Said, perhaps_again: bool) -> None:
        opened, runs = self._known_study(), self._known_runs()
        about = {"assay.seed": str(event.seed), "assay.origin": event.origin}
        if event.retry_of is not None:
            about |= {"assay.attempt": str(event.attempt), "assay.retry_of": str(event.retry_of)}
        if opened.study is None:
            about |= opened.provenance
        run_id = runs.find(event.trial) if perhaps_again else runs.known(event.trial)
        if run_id is None:
            tags = {STUDY_ID_TAG: opened.study_id, **about}
            name = "run"
            if opened.study is not None:
                assert runs.parent is not None
                tags |= {
                    STUDY_TAG: opened.study,
                    TRIAL_TAG: str(event.trial),
                    PARENT_TAG: runs.parent,
                }
                name = f"trial-{event.trial:04d}"
            run_id = self._create_run(name, event.time, tags)
            runs.add(event.trial, run_id)
        said.params |= event.params
        if opened.study is None:
            self._writer.log_files(run_id, opened)

    def _trial_ended(self, event: TrialEnded, said: _Said) -> None:
        values = (
            dict(event.metrics) if event.value is None else {"value": event.value, **event.metrics}
        )
        said.points += points(values, event.time, epoch=0)
        said.tags["assay.state"] = label_text(event.label)
        if event.error is not None:
            # The paths in a traceback would name the user.
            said.tags["assay.error"] = error_text(event.error.replace(str(Path.home()), "~"))
        run_id = self._run(event.trial)
        self._say(run_id, said)
        self._writer.terminate(run_id, status_of(event.label), milliseconds(event.time))

    def _say(self, run_id: str, said: _Said) -> None:
        self._writer.write(run_id, said.points, said.params, said.tags)

    def _study_closed(self, event: StudyClosed) -> None:
        opened = self._known_study()
        holder = self.parent_run_id if opened.study is not None else self._known_runs().find(0)
        if holder is None or self._writer.is_deleted(holder):
            return
        at = milliseconds(event.time)
        if opened.supervisor and self._known_runs().is_closed_after(at):
            return  # whoever closed it knew of more trials: the best model is theirs to log
        several = any(len(best.values) > 1 for best in event.best)
        for best in event.best:
            # The study's model is that of its best trial; on a Pareto front each trial has its own.
            if best.model is not None:
                self._writer.log_model(
                    self._run(best.trial) if several else holder, best.model, opened
                )
        if opened.study is None:
            return
        if several:
            self._writer.write(
                holder, tags={PARETO_TAG: ", ".join(str(best.trial) for best in event.best)}
            )
        elif event.best:
            # As a metric too, so that MLflow's table can sort studies by it.
            (best,) = event.best
            tags = {BEST_TAG: str(best.trial)}
            # In a shared study the best may be another supervisor's, which has not told the store
            # of it yet.
            if (run_id := self._best_run(best, opened)) is not None:
                tags["assay.best_run"] = run_id
            self._writer.write(holder, [Metric("best_value", best.values[0], at, 0)], tags=tags)
        self._writer.terminate(holder, CLOSING_STATUS[event.closing], at)

    def _best_run(self, best: BestTrial, opened: StudyOpened) -> str | None:
        if not opened.supervisor:
            return self._run(best.trial)
        return self._known_runs().known(best.trial) or self._known_runs().of_another(best.trial)

    def _known_study(self) -> StudyOpened:
        if self._opened is None:
            raise RuntimeError("the recorder was handed events of a study that was not opened")
        return self._opened

    def _find_runs(self, opened: StudyOpened) -> StudyRuns:
        self._opened = opened
        self._experiment_id = self._find_experiment(storable(opened.experiment))
        runs = StudyRuns(
            self._client, self._experiment_id, opened.study_id, single=opened.study is None
        )
        for (
            trial
        ) in self._doubtful:  # of which the store may have two: the same one counts as before
            if self._runs is not None:
                runs.keep(None if trial is None else int(trial), self._runs)
        self._runs, self._writer.deleted, self._is_sure = runs, runs.deleted, True
        return runs

    def _run(self, trial: int) -> str:
        run_id = self._known_runs().find(trial)
        if run_id is None:
            raise RuntimeError(
                f"the recorder was handed an event of trial {trial} and none of its beginning"
            )
        return run_id

    def _known_runs(self) -> StudyRuns:
        if self._runs is None:
            raise RuntimeError("the recorder was handed events of a study that was not opened")
        return self._runs

    def _find_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage != "active":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        location = (
            None
            if self._artifacts is None
            else (self._artifacts.resolve() / file_name(name)).as_uri()
        )
        try:
            return str(self._client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another study of the same experiment came first
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _create_run(self, name: str, start_seconds: float, tags: Mapping[str, str]) -> str:
        """Create a run with the tags by which it is found again."""
        tags = {name_text(key): tag_text(value) for key, value in tags.items()}
        begun, answered, at = time.monotonic(), False, milliseconds(start_seconds)
        try:
            run = self._client.create_run(
                self._experiment_id, start_time=at, tags=tags, run_name=run_name(name)
            )
            answered = True
        finally:
            if self._perhaps_twice or not answered or time.monotonic() - begun > _SLOW_SECONDS:
                # The store may do it yet, or have done it, whatever it answers when it is asked
                # once more.
                self._doubtful[tags.get(TRIAL_TAG)] = None
        return str(run.info.run_id)

    def delete_duplicates(self) -> None:
        """Delete what the store made twice of runs whose making it did not answer, or not soon."""
        doubtful = {None if trial is None else int(trial) for trial in self._doubtful}
        for run_id in self._known_runs().doubles(doubtful) if doubtful else ():
            self._client.delete_run(run_id)
        self._doubtful.clear()
