"""Index of a study's runs, looked up as needed.

MLflow takes 40 s to list the runs of 10,000 trials, with all their parameters and metrics. A study
that is resumed needs only a few of them, so the index looks up single runs. It lists all of them
only when it needs many, because the journal is passed on from its beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.store.entities import PagedList

from assay.experiments.tracking.lookup import get_run, is_deleted, rank_parent_runs, rank_runs
from assay.experiments.tracking.schema import (
    PARENT_TAG,
    STUDY_ID_TAG,
    TRIAL_TAG,
    is_child,
    read_number,
)

_MAX_LOOKUPS = 100
_PAGE_RUNS = 1000


class RunIndex:
    """Index of a study's runs by trial.

    Args:
        client: of the store.
        experiment_id: of the MLflow experiment that holds the runs.
        study_id: of the study, or of a single run.
        single: whether it is a single run, which counts as that of trial 0.
        number_tag: the tag with the number of a trial, or of a re-training.

    Attributes:
        parent: id of the study's own run; None if there is none.
        deleted: ids of known runs that a user deleted.
        has_runs: whether the store had any run of the study when the index was created.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. Any method may raise it.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        study_id: str,
        single: bool,
        number_tag: str = TRIAL_TAG,
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._study_id = study_id
        self._single = single
        self._number_tag = number_tag
        self._run_ids: dict[int, str] = {}
        self._lookups = 0
        self.parent: str | None = None
        self.deleted: set[str] = set()
        # Two runs tell most: none means a new study, a lone one without a trial is the parent.
        newest = self._search({}, max_results=2)
        self.has_runs = bool(newest)
        if newest and not single:
            self._find_parent(newest)

    def is_closed_after(self, milliseconds: int) -> bool:
        """Return whether another supervisor closed the study after this time.

        Of several supervisors of a shared study, the last one to close it counts.
        """
        ended = None if self.parent is None else self._client.get_run(self.parent).info.end_time
        return ended is not None and bool(ended > milliseconds)

    def get_cached(self, trial: int) -> str | None:
        """Return a trial's run without a call, if known."""
        return self._run_ids.get(trial)

    def find_run_id(self, trial: int) -> str | None:
        """Return a trial's run, looked up if need be."""
        # Beyond the limit all runs have been looked up: a trial that is missing has no run.
        if trial not in self._run_ids and self.has_runs and self._lookups <= _MAX_LOOKUPS:
            self._look_up(trial)
        return self._run_ids.get(trial)

    def find_foreign_run_id(self, trial: int) -> str | None:
        """Return the run of another supervisor's trial, if any."""
        # Not remembered: runs of other supervisors are created at any time.
        runs = rank_runs(self._search({self._number_tag: str(trial)}))
        return str(runs[0].info.run_id) if runs else None

    def add_run(self, trial: int, run_id: str) -> None:
        """Add a run that was just created."""
        self._run_ids[trial] = run_id

    def keep_run(self, trial: int | None, before: RunIndex) -> None:
        """Keep a run of an earlier index, if it still exists.

        Args:
            trial: number of the trial; None for the parent run or a single run.
            before: the earlier index.
        """
        is_parent = trial is None and not self._single
        run_id = before.parent if is_parent else before.get_cached(trial or 0)
        if run_id is None or not self.has_runs:
            return
        self._remember_if_deleted(self._client.get_run(run_id))
        if not is_parent:
            self._run_ids[trial or 0] = run_id
        elif run_id not in self.deleted:
            self.parent = run_id

    def find_duplicates(self, trials: Collection[int | None]) -> list[str]:
        """Return the runs of trials beside those that count.

        Args:
            trials: numbers of trials; None for the parent run or a single run.
        """
        if None in trials or len(trials) > _MAX_LOOKUPS:
            runs: Iterable[Run] = self._search_all()
        else:
            runs = (run for trial in trials for run in self._search({self._number_tag: str(trial)}))
        duplicates = []
        for run in runs:
            if not self._has_number(run) and is_child(run.data.tags):
                continue  # a trial among re-trainings, or the other way round
            trial = read_number(run.data.tags, self._number_tag)
            if trial not in trials or is_deleted(run):
                continue
            is_parent = trial is None and not self._single
            counted = self.parent if is_parent else self.find_run_id(trial or 0)
            if counted is not None and counted != run.info.run_id:
                duplicates.append(str(run.info.run_id))
        return duplicates

    def _find_parent(self, newest: Sequence[Run]) -> None:
        """Find the parent run, by the newest runs if possible."""
        tags = newest[0].data.tags
        if is_child(tags):
            parent = self._get_parent(tags.get(PARENT_TAG, ""))
        else:
            parent = newest[0] if len(newest) == 1 else None
        if parent is None:
            parent = next(iter(rank_parent_runs(self._search_all())), None)
        if parent is not None:
            self._remember_if_deleted(parent)
            self.parent = str(parent.info.run_id)

    def _get_parent(self, run_id: str) -> Run | None:
        """Return the parent that a trial names, if it is one."""
        run = get_run(self._client, run_id)
        if run is None or is_deleted(run):
            return None
        return run if run.data.tags.get(STUDY_ID_TAG) == self._study_id else None

    def _look_up(self, trial: int) -> None:
        """Look up a trial's run, or after many lookups all runs."""
        self._lookups += 1
        if self._lookups > _MAX_LOOKUPS:
            runs: Iterable[Run] = self._search_all()
        else:
            runs = self._search({} if self._single else {self._number_tag: str(trial)})
        by_trial: dict[int, list[Run]] = defaultdict(list)
        for run in runs:
            if self._single or self._has_number(run):
                by_trial[read_number(run.data.tags, self._number_tag) or 0].append(run)
        for number, candidates in by_trial.items():
            # A run that is known already stays: events were written to it.
            if number not in self._run_ids:
                counted = rank_runs(candidates)[0]
                self._run_ids[number] = str(counted.info.run_id)
                self._remember_if_deleted(counted)

    def _has_number(self, run: Run) -> bool:
        return self._number_tag in run.data.tags

    def _search_all(self) -> Iterator[Run]:
        token = None
        while token is None or token:
            page = self._search({}, max_results=_PAGE_RUNS, page_token=token)
            yield from page
            token = page.token or ""

    def _search(self, tags: Mapping[str, str], **paging: Any) -> PagedList[Run]:
        """Return the newest runs with these tags, deleted or not."""
        conditions = {STUDY_ID_TAG: self._study_id, **tags}
        return self._client.search_runs(
            [self._experiment_id],
            filter_string=" AND ".join(
                f"tags.`{name}` = '{value}'" for name, value in conditions.items()
            ),
            run_view_type=ViewType.ALL,
            order_by=["attributes.start_time DESC"],
            **paging,
        )

    def _remember_if_deleted(self, run: Run) -> None:
        if is_deleted(run):
            self.deleted.add(str(run.info.run_id))
