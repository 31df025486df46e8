"""The model registry of a store, with the networks that finalize registers.

A registered model belongs to the study whose id it has as a tag, and nothing is registered under
the name of another's. A version is found again by the tags of its study and opening, so that an
event which is recorded twice registers once. A version or an alias that a user has changed since
stays as the user left it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from assay.experiments.tracking.schema import (
    MODEL_FOLDER,
    OPENING_TAG,
    REPORT_FILE,
    STUDY_ID_TAG,
    STUDY_TAG,
    RegisteredVersion,
    encode_description,
    encode_model_name,
    encode_name,
    encode_tag,
    encode_text,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.system.urls import scrub_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.exceptions import MlflowException

CHAMPION = "champion"
"""Alias of the version that the last finalize registered."""

_MAX_CAUSE_CHARACTERS = 300
_NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"
_SERVER_FAULT, _NOT_IMPLEMENTED, _TOO_MANY_REQUESTS = 500, 501, 429


class NotRegistered(Exception):
    """A network can't be registered; the message is the reason, in a line."""


class ModelRegistry:
    """Registers the networks of one study.

    Args:
        client: of the store.
        study: name of the study.
        study_id: its id.

    Attributes:
        study: name of the study.
        name: of its registered model.

    Raises:
        mlflow.exceptions.MlflowException: the store can't be reached. Any method may raise it.
    """

    def __init__(self, client: MlflowClient, study: str, study_id: str) -> None:
        self._client = client
        self.study = study
        self._study_id = study_id
        self.name = encode_model_name(study)

    def register(
        self,
        run_id: str,
        opening: int,
        description: str,
        tags: Mapping[str, str],
    ) -> tuple[str, int]:
        """Register the model of a run, and move the alias to it; once for an opening.

        Args:
            run_id: of the training.
            opening: of the test set.
            description: what it is, as Markdown.
            tags: facts about it.

        Returns:
            The name of the registered model, and the number of the version.

        Raises:
            NotRegistered: the store has no registry, or its model of that name is another's.
        """
        # Here, because importing MLflow takes seconds.
        from mlflow.exceptions import MlflowException

        all_tags = {
            STUDY_TAG: encode_text(self.study),
            STUDY_ID_TAG: self._study_id,
            OPENING_TAG: str(opening),
            **{encode_name(name): encode_tag(name, value) for name, value in tags.items()},
        }
        try:
            found = self._find_version(opening)
            if found is None:
                self._ensure_model()
                found = self._client.create_model_version(
                    self.name,
                    f"runs:/{run_id}/{MODEL_FOLDER}",
                    run_id,
                    tags=all_tags,
                    description=encode_description(description),
                    await_creation_for=0,
                )
            name, version = str(found.name), int(found.version)
            self._move_alias(name, version)
        except MlflowException as error:
            if not _is_final(error):
                raise
            raise NotRegistered(
                f"the store has no model registry that takes it ({_first_line(error)})"
            ) from None
        return name, version

    def can_register(self) -> bool:
        """Return whether the name is free, or the study's own already."""
        from mlflow.exceptions import MlflowException  # here for the same reason

        try:
            model = _get_model(self._client, self.name)
        except MlflowException as error:
            if _is_final(error):
                return False
            raise
        return model is None or model.tags.get(STUDY_ID_TAG) == self._study_id

    def has_version(self, registered: RegisteredVersion) -> bool:
        """Return whether the store still has what a finalize registered, under whatever name."""
        versions = find_versions(self._client, self._study_id, registered.opening)
        return any(found.run_id == registered.run_id for found in versions)

    def _find_version(self, opening: int) -> ModelVersion | None:
        """Return the version of an opening; of several, the first."""
        versions = find_versions(self._client, self._study_id, opening)
        return min(versions, key=lambda found: int(found.version), default=None)

    def _ensure_model(self) -> None:
        """Create the registered model, unless the study has it.

        Raises:
            NotRegistered: it is another's.
        """
        from mlflow.exceptions import MlflowException  # here for the same reason

        model = _get_model(self._client, self.name)
        if model is None:
            try:
                model = self._client.create_registered_model(
                    self.name,
                    tags={STUDY_TAG: encode_text(self.study), STUDY_ID_TAG: self._study_id},
                    description="The networks that `assay finalize` registered, one for each time "
                    f"that it was run. The alias `{CHAMPION}` is on the last one.",
                )
            except MlflowException as error:
                if error.error_code != _EXISTS:
                    raise
                # Another process was faster, or it is no model but a prompt.
                model = _get_model(self._client, self.name)
        if model is None or model.tags.get(STUDY_ID_TAG) != self._study_id:
            raise NotRegistered(
                f"MLflow has a registered model {self.name!r} that is not this study's: rename "
                f"or delete it there, or set its tag {STUDY_ID_TAG} to {self._study_id}; then "
                "'assay doctor --fix' registers the network"
            )

    def _move_alias(self, name: str, version: int) -> None:
        model = _get_model(self._client, name)
        stands_at = None if model is None else model.aliases.get(CHAMPION)
        # An event of an earlier finalize that is repeated must not move it back.
        if stands_at is None or int(stands_at) < version:
            self._client.set_registered_model_alias(name, CHAMPION, str(version))


def describe_use(name: str, run_id: str, parent: str, experiment_id: str) -> str:
    """Return how a registered network is loaded, and what belongs to it, as Markdown.

    The links lead to pages of MLflow's UI, in which the text is shown.

    Args:
        name: of the registered model.
        run_id: of the training.
        parent: the study's own run.
        experiment_id: of both.
    """
    address = f"models:/{name}@{CHAMPION}"
    runs = f"#/experiments/{experiment_id}/runs"
    report = f"{parent}/artifacts/{REPORT_FILE}"
    return "\n".join(
        [
            "**Use** (the alias moves on with the next finalize; "
            f"`runs:/{run_id}/{MODEL_FOLDER}` stays this network)",
            "",
            "```python",
            "import mlflow",
            "",
            f"model = mlflow.pyfunc.load_model({address!r})",
            "```",
            "",
            "```sh",
            f"mlflow models serve --model-uri {shlex.quote(address)} --env-manager uv",
            "```",
            "",
            f"**See also** [its training]({runs}/{run_id}), [the study]({runs}/{parent}), and "
            f"[the report]({runs}/{report}), which finalize and `assay report` write "
            f"(`runs:/{parent}/{REPORT_FILE}`).",
        ]
    )


def find_versions(
    client: MlflowClient, study_id: str, opening: int | None = None
) -> list[ModelVersion]:
    """Return the model versions of a study, under whatever name they are now.

    Args:
        client: of the store.
        study_id: of the study.
        opening: only those of this opening of its test set; None: all.
    """
    conditions = {STUDY_ID_TAG: study_id}
    if opening is not None:
        conditions[OPENING_TAG] = str(opening)
    filter_string = " AND ".join(f"tags.`{tag}` = '{value}'" for tag, value in conditions.items())
    return list(_search_versions(client, filter_string))


def describe_change(
    store_paths: StorePaths, registered: RegisteredVersion, study_id: str
) -> str | None:
    """Return what became of a registered network since; None if it is as it was registered.

    Args:
        store_paths: where the store is.
        registered: what finalize registered.
        study_id: of the study.

    Raises:
        RequestError: the store can't be reached.
    """
    from mlflow.exceptions import MlflowException  # here for the same reason

    client = open_client(store_paths.tracking_uri)
    try:
        found = [
            one
            for one in find_versions(client, study_id, registered.opening)
            if one.run_id == registered.run_id
        ]
        if not found:
            return "MLflow no longer has it"
        if found[0].name != registered.name:
            return f"its registered model is called {found[0].name}"
        model = _get_model(client, registered.name)
        stands_at = None if model is None else model.aliases.get(registered.alias)
    except MlflowException as error:
        return f"MLflow can't be asked whether it still has it ({_first_line(error)})"
    if stands_at is None:
        return f"MLflow no longer has the alias {registered.alias}"
    if int(stands_at) != registered.version:
        return f"the alias {registered.alias} is on version {stands_at}"
    return None


def count_versions(store_paths: StorePaths, study_ids: Collection[str]) -> int:
    """Return the number of model versions of studies; 0 for a store without a registry.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    return sum(len(_list_versions(client, study_id)) for study_id in study_ids)


def delete_versions(store_paths: StorePaths, study_ids: Collection[str]) -> None:
    """Delete the model versions of studies, and their registered models that are empty then.

    Raises:
        RequestError: the store can't be reached.
    """
    client = open_client(store_paths.tracking_uri)
    for study_id in study_ids:
        for found in _list_versions(client, study_id):
            client.delete_model_version(found.name, found.version)
        for model in _list_models(client, study_id):
            # A filter by name would not take a name that was given in MLflow, with an apostrophe.
            now = _get_model(client, model.name)
            if now is not None and not now.latest_versions:
                client.delete_registered_model(model.name)


def _list_versions(client: MlflowClient, study_id: str) -> list[ModelVersion]:
    from mlflow.exceptions import MlflowException  # here for the same reason

    try:
        return find_versions(client, study_id)
    except MlflowException as error:
        if _is_final(error):
            return []  # no registry
        raise


def _list_models(client: MlflowClient, study_id: str) -> list[RegisteredModel]:
    from mlflow.exceptions import MlflowException  # here for the same reason

    try:
        return list(client.search_registered_models(f"tags.`{STUDY_ID_TAG}` = '{study_id}'"))
    except MlflowException as error:
        if _is_final(error):
            return []
        raise


def _search_versions(client: MlflowClient, filter_string: str) -> Iterator[ModelVersion]:
    token = None
    while token is None or token:
        page = client.search_model_versions(filter_string, page_token=token)
        yield from page
        token = page.token or ""


def _get_model(client: MlflowClient, name: str) -> RegisteredModel | None:
    from mlflow.exceptions import MlflowException  # here for the same reason

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == _NOT_FOUND:
            return None
        raise


def _is_final(error: MlflowException) -> bool:
    """Return whether the same call would fail again: the store answers, and does not do it."""
    status = int(error.get_http_status_code())
    return status == _NOT_IMPLEMENTED or (status < _SERVER_FAULT and status != _TOO_MANY_REQUESTS)


def _first_line(error: MlflowException) -> str:
    lines = scrub_secrets(str(error)).splitlines() or [""]
    return lines[0][:_MAX_CAUSE_CHARACTERS]
