"""What finalize registers in a real MLflow store, from the events of its journal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND, TEMPORARILY_UNAVAILABLE
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.utils.validation import _validate_model_name

from assay.experiments.tracking.addresses import ArtifactGuard
from assay.experiments.tracking.recorder import Recorder
from assay.experiments.tracking.registry import delete_versions, find_versions
from assay.experiments.tracking.schema import (
    RegisteredVersion,
    encode_model_name,
    read_registration,
)
from assay.experiments.tracking.store import open_client
from assay.experiments.workspace import StorePaths
from assay.search.events import (
    Event,
    FinalistConfiguration,
    FinalizeJudged,
    FinalizePlan,
    Registration,
    StudyClosed,
    TrialBegun,
    TrialEnded,
)
from tests.helpers.tracking import PARAMS, opened

LEADER = 7


@dataclasses.dataclass
class Registering:
    """Records the finalizes of one study.

    Attributes:
        client: of the store.
        folder: of its artifacts and of the networks' files.
        study: name of the study.
        study_id: its id.
    """

    client: MlflowClient
    store: str
    folder: Path
    study: str = "study"
    study_id: str = "5eed"

    def events(
        self, opening: int, registration: Registration | str | None = "default"
    ) -> list[Event]:
        """Return the events of a finalize whose only training has the number of the opening."""
        if isinstance(registration, str):
            registration = Registration(
                opening, description="What it is.", tags={"assay.seeds": "3"}
            )
        finalists = (FinalistConfiguration(LEADER, PARAMS),)
        plan = FinalizePlan(opening, top=1, seeds=3, splits=False, seed=0, finalists=finalists)
        begun = opened(self.study, self.study_id)
        return [
            begun,
            StudyClosed(closing="finished"),
            dataclasses.replace(begun, finalize=plan),
            TrialBegun(
                trial=opening,
                seed=opening,
                params=PARAMS,
                searched=PARAMS,
                origin="finalist",
                finalist=LEADER,
            ),
            TrialEnded(trial=opening, state="complete", values=(0.9,)),
            FinalizeJudged(opening=opening, leader=LEADER, verdicts={}, registration=registration),
        ]

    def record(self, events: list[Event], *, has_files: bool = True) -> None:
        """Record events, each of which a network has a file for."""

        def find_model(training: int) -> Path | None:
            file = self.folder / f"{training}.keras"
            file.write_text(f"network {training}")
            return file if has_files else None

        guard = ArtifactGuard(self.store, self.folder / "artifacts")
        Recorder(self.client, guard, self.folder / "artifacts", find_model).record(events)

    def parent(self) -> Run:
        """Return the study's own run."""
        experiments = [one.experiment_id for one in self.client.search_experiments()]
        found = f"tags.`assay.study_id` = '{self.study_id}'"
        (parent,) = [
            run
            for run in self.client.search_runs(experiments, found)
            if "mlflow.parentRunId" not in run.data.tags
        ]
        return parent

    def tags(self) -> dict[str, str]:
        """Return the tags of the study's own run."""
        return dict(self.parent().data.tags)

    def registered(self) -> RegisteredVersion | str:
        """Return what the study's own run says of the last finalize."""
        return read_registration(self.tags()["assay.registered"])

    def versions(self) -> dict[int, ModelVersion]:
        """Return the versions of the study by number."""
        return {int(one.version): one for one in find_versions(self.client, self.study_id)}

    def champion(self) -> int:
        """Return the number of the version that has the alias."""
        return int(self.client.get_registered_model(self.study).aliases["champion"])


@pytest.fixture
def registering(store: str, tmp_path: Path) -> Registering:
    (tmp_path / "files").mkdir()
    return Registering(open_client(store), store, tmp_path / "files")


def test_a_version_has_the_network_of_its_training(registering: Registering) -> None:
    registering.record(registering.events(1))
    registered = registering.registered()
    assert isinstance(registered, RegisteredVersion)
    assert (registered.name, registered.version, registered.training) == ("study", 1, 1)
    assert (registered.trial, registered.opening) == (LEADER, 1)
    assert registered.uri == "models:/study@champion"
    version = registering.client.get_model_version_by_alias("study", "champion")
    assert version.run_id == registered.run_id
    assert {"assay.study": "study", "assay.opening": "1", "assay.seeds": "3"}.items() <= (
        version.tags.items()
    )
    run = registering.client.get_run(registered.run_id)
    assert (run.data.tags["assay.training"], run.data.tags["assay.model"]) == ("1", str(LEADER))
    source = registering.client.get_model_version_download_uri("study", "1")
    folder = RunsArtifactRepository(source, tracking_uri=registering.store).download_artifacts("")
    assert (Path(folder) / "data" / "model.keras").read_text() == "network 1"
    parent = run.data.tags["mlflow.parentRunId"]
    page = f"#/experiments/{run.info.experiment_id}/runs/{parent}/artifacts/report/report.html"
    assert version.description.startswith("What it is.")
    assert page in version.description


def test_the_alias_moves_to_the_version_of_the_next_finalize(registering: Registering) -> None:
    registering.record(registering.events(1))
    registering.record(registering.events(2))
    openings = {number: one.tags["assay.opening"] for number, one in registering.versions().items()}
    assert openings == {1: "1", 2: "2"}
    assert registering.champion() == 2
    assert {"assay.registered.1", "assay.registered.2"} <= registering.tags().keys()
    # As if the process had died before it recorded the second one: the first moves nothing back.
    for tag in ("assay.registered.1", "assay.registered.2"):
        registering.client.delete_tag(registering.parent().info.run_id, tag)
    registering.record(registering.events(1))
    assert registering.champion() == 2
    registering.record(registering.events(2))
    assert (sorted(registering.versions()), registering.champion()) == ([1, 2], 2)
    assert registering.registered() == read_registration(registering.tags()["assay.registered.2"])


def move_alias(client: MlflowClient) -> None:
    client.create_model_version("study", "runs:/own/model")
    client.set_registered_model_alias("study", "champion", "3")


def test_events_that_are_repeated_change_nothing(registering: Registering) -> None:
    events = [*registering.events(1), *registering.events(2)]
    registering.record(events)
    repeated = [event for event in events if not isinstance(event, TrialBegun | TrialEnded)]
    changes: list[Callable[[MlflowClient], object]] = [
        lambda client: None,
        lambda client: client.set_registered_model_alias("study", "champion", "1"),
        move_alias,
        lambda client: client.delete_registered_model_alias("study", "champion"),
        lambda client: client.delete_model_version("study", "2"),
        lambda client: client.rename_registered_model("study", "mine"),
        lambda client: client.delete_registered_model("mine"),
    ]
    for change in changes:
        change(registering.client)
        before = registry(registering.client), registering.tags()
        registering.record(repeated, has_files=False)
        assert (registry(registering.client), registering.tags()) == before


def registry(client: MlflowClient) -> Any:
    return (
        [(one.name, one.aliases) for one in client.search_registered_models()],
        sorted((one.name, one.version, one.run_id) for one in client.search_model_versions()),
    )


@pytest.mark.parametrize("call", ["create_model_version", "set_registered_model_alias"])
def test_a_death_after_a_call_registers_once(
    call: str, registering: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(MlflowClient, call)
    *before, judged = registering.events(1)
    registering.record(before)

    def die(*arguments: Any, **named: Any) -> None:
        original(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, die)
        with pytest.raises(KeyboardInterrupt):
            registering.record([*before, judged])
    registering.record([*before, judged])
    assert [*registering.versions()] == [1]
    assert registering.champion() == 1
    assert isinstance(registering.registered(), RegisteredVersion)


def test_nothing_is_registered_under_the_name_of_another_study(registering: Registering) -> None:
    registering.record(registering.events(1))
    other = dataclasses.replace(registering, study_id="0ther")
    other.record(other.events(1))
    reason = other.registered()
    assert isinstance(reason, str)
    assert "'study' that is not this study's" in reason
    assert "assay.study_id to 0ther" in reason
    users = dataclasses.replace(registering, study="own", study_id="0wn")
    registering.client.create_registered_model("own", tags={"mine": "yes"})
    users.record(users.events(1))
    assert "is not this study's" in str(users.registered())
    assert registering.champion() == 1
    assert (len(registering.versions()), len(other.versions())) == (1, 0)


def test_a_store_without_a_registry_is_no_failure(
    registering: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise MlflowException("there is no such thing", error_code=ENDPOINT_NOT_FOUND)

    monkeypatch.setattr(MlflowClient, "search_model_versions", refuse)
    registering.record(registering.events(1))
    assert "there is no such thing" in str(registering.registered())


def test_a_registry_that_is_away_is_asked_again(
    registering: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_away(*arguments: Any, **named: Any) -> None:
        raise MlflowException("later", error_code=TEMPORARILY_UNAVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", be_away)
        with pytest.raises(MlflowException):
            registering.record(registering.events(1))
    assert "assay.registered" not in registering.tags()
    registering.record(registering.events(1))
    assert isinstance(registering.registered(), RegisteredVersion)


def test_the_reason_is_recorded_of_what_is_not_registered(registering: Registering) -> None:
    registering.record(registering.events(1, Registration(1, unsaved="no room\nfor it")))
    assert registering.registered() == "no room for it"
    registering.record(registering.events(2), has_files=False)
    assert registering.registered() == "its file is not in this home"
    assert registering.versions() == {}
    registering.record(registering.events(3, None))
    assert "assay.registered.3" not in registering.tags()


def test_hostile_names_and_tags_are_registered(registering: Registering) -> None:
    hostile = dataclasses.replace(registering, study="a/b:c@d#e?f\n'`")
    tags = {"assay.test.recall@5\n": "\ud800\0", "assay.verdict": "x" * 20_000}
    hostile.record(hostile.events(1, Registration(1, description="d" * 9_000, tags=tags)))
    registered = hostile.registered()
    assert isinstance(registered, RegisteredVersion)
    assert registered.name.startswith("a_b_c_d_e_f__")
    version = hostile.client.get_model_version(registered.name, "1")
    assert len(version.description) == 5_000
    assert len(version.tags) == 5


@pytest.mark.parametrize("study", ["x", "a b", "ü", ".", "..", "../x", "x/", "", " ", "x" * 300])
def test_every_study_has_a_name_that_mlflow_takes(study: str) -> None:
    _validate_model_name(encode_model_name(study))
    assert len(encode_model_name(study)) <= 200
    assert (encode_model_name(study) == study) == (study in ("x", "a b", "ü"))


def test_a_damaged_tag_is_a_reason() -> None:
    for tag in ("", "[1]", "{}", json.dumps({"name": "x", "version": "one"}), "[" * 5000):
        assert "can't be read" in str(read_registration(tag))


def test_versions_of_a_study_are_deleted_whatever_their_model_was_renamed_to(
    registering: Registering, store: str, tmp_path: Path
) -> None:
    paths = StorePaths.choose(home=tmp_path / "home", tracking_uri=store)
    registering.record(registering.events(1))
    registering.client.rename_registered_model(registering.study, "it's `mine`")
    other = dataclasses.replace(registering, study="other", study_id="07e8")
    other.record(other.events(2))
    delete_versions(paths, [registering.study_id])
    assert registering.versions() == {}
    assert [one.name for one in registering.client.search_registered_models()] == ["other"]
    # A model is kept if it has a version of another study.
    registering.client.create_model_version("other", "runs:/mine/model")
    delete_versions(paths, [other.study_id])
    kept = registering.client.search_model_versions("name='other'")
    assert [one.version for one in kept] == [2]
