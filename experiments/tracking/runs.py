"""The runs that a store has of a study, looked up as they are needed.

MLflow takes 40 s to list those of 10,000 trials, with all that is known of each; a study that is taken up again needs a
few. Only if it needs many, because the journal is passed on from its beginning, are they listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.store.entities import PagedList

from experiments.tracking.schema import PARENT_TAG, STUDY_ID_TAG, TRIAL_TAG

_MOST_LOOKUPS = 100


class StudyRuns:
    """A study's own run, and its trials' by their numbers; those that somebody deleted are known as such.

    Args:
        client: of the store.
        experiment_id: of the MLflow experiment they are in.
        study_id: the study's, or a single run's: its run counts as that of a trial 0.
        single: whether it is a single run.

    Attributes:
        parent: the study's own run; None if there is none that is not deleted.
        deleted: ids of runs that somebody deleted.
        any: whether the store had any run of the study when this was made.
    """

    def __init__(self, client: MlflowClient, experiment_id: str, study_id: str, single: bool) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._study_id = study_id
        self._single = single
        self._known: dict[int, str] = {}
        self._lookups = 0
        self.parent: str | None = None
        self.deleted: set[str] = set()
        newest = self._newest({})
        self.any = newest is not None
        if newest is not None and not single:
            self._find_parent(newest)

    def is_closed_after(self, milliseconds: int) -> bool:
        """Return whether another supervisor has closed the study later: of several, the last one counts."""
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
        """Return the run of a trial that another supervisor of the study took, if the store has it by now."""
        newest = self._newest({TRIAL_TAG: str(trial)})
        return None if newest is None else str(newest.info.run_id)

    def doubles(self, trial: int | None) -> list[str]:
        """Return the runs of a trial, or of the study itself, beside the one that counts."""
        if trial is None and not self._single:
            ours, found = self.parent, [run for run in self._all() if TRIAL_TAG not in run.data.tags]
        else:
            ours = self.find(trial or 0)
            found = list(self._search({} if trial is None else {TRIAL_TAG: str(trial)}))
        stays = [str(run.info.run_id) for run in found if run.info.lifecycle_stage != "deleted"]
        return [] if ours is None else [run_id for run_id in stays if run_id != ours]

    def add(self, trial: int, run_id: str) -> None:
        """Take a run into account that was made."""
        self._known[trial] = run_id

    def keep(self, trial: int | None, before: StudyRuns) -> None:
        """Go on with the run that a trial, or the study itself, had before, if it had one and the store still does."""
        run_id = before.parent if trial is None and not self._single else before.known(trial or 0)
        if run_id is None or not self.any:
            return
        self._note(self._client.get_run(run_id))
        if trial is not None or self._single:
            self._known[trial or 0] = run_id
        elif run_id not in self.deleted:
            self.parent = run_id

    def _find_parent(self, newest: Run) -> None:
        # Whatever is newest, its parent is the one that counts: an earlier one was deleted.
        tags = newest.data.tags
        parent = self._client.get_run(tags[PARENT_TAG]) if TRIAL_TAG in tags else newest
        self._note(parent)
        if parent.info.run_id not in self.deleted:
            self.parent = str(parent.info.run_id)

    def _look_up(self, trial: int) -> None:
        self._lookups += 1
        if self._lookups > _MOST_LOOKUPS:
            runs = self._all()
        else:
            newest = self._newest({} if self._single else {TRIAL_TAG: str(trial)})
            runs = iter([] if newest is None else [newest])
        for run in runs:
            if self._single or TRIAL_TAG in run.data.tags:
                self._known[int(run.data.tags.get(TRIAL_TAG, 0))] = str(run.info.run_id)
                self._note(run)

    def _newest(self, tags: Mapping[str, str]) -> Run | None:
        found = self._search(tags, max_results=1)
        return found[0] if found else None

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
            filter_string=" AND ".join(f"tags.`{name}` = '{value}'" for name, value in asked.items()),
            run_view_type=ViewType.ALL,
            order_by=["attributes.start_time DESC"],
            **how,
        )

    def _note(self, run: Run) -> None:
        if run.info.lifecycle_stage == "deleted":
            self.deleted.add(str(run.info.run_id))
