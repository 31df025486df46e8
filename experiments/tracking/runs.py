"""The runs that a store has of a study, looked up as they are needed.

MLflow takes 40 s to list those of 10,000 trials, with all that is known of each; a study that is
taken up again needs a few. Only if it needs many, because the journal is passed on from its
beginning, are they listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList

from assay.experiments.tracking.lookup import is_deleted, ranked, ranked_parents
from assay.experiments.tracking.schema import PARENT_TAG, STUDY_ID_TAG, TRIAL_TAG

_MOST_LOOKUPS = 100


class StudyRuns:
    """A study's own run, and its trials' by their numbers; those that somebody deleted are known as
    such.

    Args:
        client: of the store.
        experiment_id: of the MLflow experiment they are in.
        study_id: the study's, or a single run's: its run counts as that of a trial 0.
        single: whether it is a single run.

    Attributes:
        parent: the study's own run; None if there is none.
        deleted: ids of runs that somebody deleted.
        any: whether the store had any run of the study when this was made.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, study_id: str, single: bool
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._study_id = study_id
        self._single = single
        self._known: dict[int, str] = {}
        self._lookups = 0
        self.parent: str | None = None
        self.deleted: set[str] = set()
        newest = self._search({}, max_results=2)
        self.any = bool(newest)
        if newest and not single:
            self._find_parent(newest)

    def is_closed_after(self, milliseconds: int) -> bool:
        """Return whether another supervisor has closed the study later: of several, the last one
        counts.
        """
        ended = None if self.parent is None else self._client.get_run(self.parent).info.end_time
        return ended is not None and bool(ended > milliseconds)

    def known(self, trial: int) -> str | None:
        """Return the run of a trial if it was looked up or made before."""
        return self._known.get(trial)

    def find(self, trial: int) -> str | None:
        """Return the run of a trial, asking the store if need be; None if there is none."""
        if trial not in self._known and self.any and self._lookups <= _MOST_LOOKUPS:
            self._look_up(trial)
        return self._known.get(trial)

    def of_another(self, trial: int) -> str | None:
        """Return the run of a trial that another supervisor of the study took, if the store has it
        by now.
        """
        found = ranked(self._search({TRIAL_TAG: str(trial)}))
        return str(found[0].info.run_id) if found else None

    def doubles(self, trials: Collection[int | None]) -> list[str]:
        """Return the runs of trials, and with None of the study or of a single run, beside those
        that count.
        """
        if None in trials or len(trials) > _MOST_LOOKUPS:
            found: Iterable[Run] = self._all()
        else:
            found = (run for trial in trials for run in self._search({TRIAL_TAG: str(trial)}))
        doubles = []
        for run in found:
            trial = int(run.data.tags[TRIAL_TAG]) if TRIAL_TAG in run.data.tags else None
            if trial not in trials or is_deleted(run):
                continue
            ours = self.parent if trial is None and not self._single else self.find(trial or 0)
            if ours is not None and ours != run.info.run_id:
                doubles.append(str(run.info.run_id))
        return doubles

    def add(self, trial: int, run_id: str) -> None:
        """Take a run into account that was made."""
        self._known[trial] = run_id

    def keep(self, trial: int | None, before: StudyRuns) -> None:
        """Go on with the run that a trial, or the study itself, had before, if it had one and the
        store still does.
        """
        run_id = before.parent if trial is None and not self._single else before.known(trial or 0)
        if run_id is None or not self.any:
            return
        self._note(self._client.get_run(run_id))
        if trial is not None or self._single:
            self._known[trial or 0] = run_id
        elif run_id not in self.deleted:
            self.parent = run_id

    def _find_parent(self, newest: Sequence[Run]) -> None:
        """Find the study's own run by its newest runs, without a look at all of them if that can
        be.
        """
        tags = newest[0].data.tags
        if TRIAL_TAG in tags:
            parent = self._parent(tags.get(PARENT_TAG, ""))
        else:
            parent = newest[0] if len(newest) == 1 else None
        if parent is None:
            parent = next(iter(ranked_parents(self._all())), None)
        if parent is not None:
            self._note(parent)
            self.parent = str(parent.info.run_id)

    def _parent(self, run_id: str) -> Run | None:
        """Return a run that a trial names as the study's, unless it is none, or has been
        deleted.
        """
        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None  # there is none of that id, or it can't be one
        return (
            run
            if run.data.tags.get(STUDY_ID_TAG) == self._study_id and not is_deleted(run)
            else None
        )

    def _look_up(self, trial: int) -> None:
        self._lookups += 1
        found: dict[int, list[Run]] = defaultdict(list)
        many = self._lookups > _MOST_LOOKUPS
        for run in (
            self._all() if many else self._search({} if self._single else {TRIAL_TAG: str(trial)})
        ):
            if self._single or TRIAL_TAG in run.data.tags:
                found[int(run.data.tags.get(TRIAL_TAG, 0))].append(run)
        for number, runs in found.items():
            counts = ranked(runs)[0]
            if number not in self._known:
                self._known[number] = str(counts.info.run_id)
                self._note(counts)

    def _all(self) -> Iterator[Run]:
        token = None
        while token is None or token:
            page = self._search({}, max_results=1000, page_token=token)
            yield from page
            token = page.token or ""

    def _search(self, tags: Mapping[str, str], **how: Any) -> PagedList[Run]:
        asked = {STUDY_ID_TAG: self._study_id, **tags}
        return self._client.search_runs(
            [self._experiment_id],
            filter_string=" AND ".join(
                f"tags.`{name}` = '{value}'" for name, value in asked.items()
            ),
            run_view_type=ViewType.ALL,
            order_by=["attributes.start_time DESC"],
            **how,
        )

    def _note(self, run: Run) -> None:
        if is_deleted(run):
            self.deleted.add(str(run.info.run_id))
