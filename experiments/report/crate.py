"""`ro-crate-metadata.json`: what made the files of a report, as a Process Run Crate.

The profile is https://w3id.org/ro/wfrun/process/0.5, of RO-Crate 1.1. A rebuilt report has the same
file: it holds no random id, and no date but the recorded ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from assay.experiments.report.records import (
    Environment,
    ReportRecords,
    StudyEnvironment,
    StudyRecord,
)

if TYPE_CHECKING:
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

CRATE_FILE = "ro-crate-metadata.json"

_VERSION = "1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_COMPLETED = "http://schema.org/CompletedActionStatus"
_ACTIVE = "http://schema.org/ActiveActionStatus"
_FAILED = "http://schema.org/FailedActionStatus"
_FORMATS = {
    "html": "text/html",
    "md": "text/markdown",
    "svg": "image/svg+xml",
    "json": "application/json",
    "jsonl": "application/jsonl",
}
_RECORDED = ("records.jsonl", "environment.json")
"""The files that a search and a finalize have made; the others are drawn from them."""


def build_crate(
    records: ReportRecords, environment: Environment, files: Mapping[str, bytes]
) -> bytes:
    """Return the metadata of a report's folder.

    Args:
        records: of the report.
        environment: what its studies ran in.
        files: content of every other file by its name.
    """
    from rocrate.rocrate import ROCrate  # here, because it takes half a second

    report = records.report
    crate = ROCrate(version=_VERSION)
    parts = {name: _add_file(crate, name, content) for name, content in sorted(files.items())}
    recorded = [parts[name] for name in _RECORDED if name in parts]
    drawn = [part for name, part in parts.items() if name not in _RECORDED]
    actions = [
        _add_run(crate, study, stage, recorded)
        for study in records.studies
        for stage in environment.stages
        if stage.study == study.study
    ]
    actions.append(
        _add(
            crate,
            "#report",
            "CreateAction",
            name="Report drawn from the records",
            description=report.command or "assay report",
            endTime=_to_iso(report.collected),
            instrument=_add_software(crate, report.version),
            object=recorded,
            result=drawn,
            actionStatus=_COMPLETED,
        )
    )
    profile = _add(crate, _PROFILE, "CreativeWork", name="Process Run Crate", version=_PROFILE[-3:])
    root = crate.root_dataset
    root["name"] = report.title or "Report"
    root["description"] = f"Report of Assay about {', '.join(report.studies)}"
    root["datePublished"] = report.collected
    root["conformsTo"] = profile
    # The profile's base asks for one, if only in words.
    root["license"] = "No license is stated."
    root["mentions"] = actions
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True).encode() + b"\n"


def _to_iso(time: str | None) -> str | None:
    """Return a time of the records as validators of the profile take it."""
    return None if time is None else time.replace("Z", "+00:00")


def _add(crate: ROCrate, entity_id: str, kind: str, **properties: Any) -> ContextEntity:
    from rocrate.model import ContextEntity  # here for the same reason

    known = crate.get(entity_id)
    if known is not None:
        return known
    entity = ContextEntity(crate, entity_id, properties={"@type": kind})
    for name, value in properties.items():
        if value not in (None, "", []):
            entity[name] = value
    return crate.add(entity)


def _add_file(crate: ROCrate, name: str, content: bytes) -> Any:
    properties = {
        "name": name,
        "contentSize": str(len(content)),
        "encodingFormat": _FORMATS.get(name.rpartition(".")[2], "application/octet-stream"),
    }
    return crate.add_file(dest_path=name, properties=properties)


def _add_software(crate: ROCrate, version: str) -> ContextEntity:
    return _add(
        crate,
        f"#assay-{version}",
        "SoftwareApplication",
        name="Assay",
        softwareVersion=version,
        description="Experiment suite for Keras",
    )


def _add_run(
    crate: ROCrate, study: StudyRecord, stage: StudyEnvironment, results: Sequence[Any]
) -> ContextEntity:
    """Add the action of a search or a finalize."""
    commands = [one.line for one in study.commands if one.purpose == stage.stage]
    number = len([one for one in crate.contextual_entities if one.type == "CreateAction"])
    is_running = stage.stage == "search" and study.counts.running > 0
    is_empty = stage.stage == "search" and study.counts.complete == 0
    return _add(
        crate,
        f"#{stage.stage}-{number}",
        "CreateAction",
        name=f"{stage.stage.capitalize()} of the study {study.study}",
        description="; ".join(commands),
        startTime=_to_iso(stage.began),
        endTime=_to_iso(stage.ended),
        instrument=_add_software(crate, stage.settings.get("version.assay", "unknown")),
        object=_add_data(crate, study),
        result=list(results),
        actionStatus=_ACTIVE if is_running else _FAILED if is_empty else _COMPLETED,
        error="No trial is complete." if is_empty and not is_running else None,
    )


def _add_data(crate: ROCrate, study: StudyRecord) -> ContextEntity:
    data = study.data
    is_known = re.fullmatch(r"[0-9a-f]{64}", data.digest) is not None
    return _add(
        crate,
        f"#data-{data.digest[:16] if is_known else quote(data.name, safe='')}",
        "CreativeWork",
        name=data.name,
        identifier=f"sha256:{data.digest}" if is_known else None,
        description=data.note,
    )
