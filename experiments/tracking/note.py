"""The note on a study's own run, which MLflow's UI shows as its description.

It has two parts: what the search found, and what the last finalize found. Each stands between two
HTML comments, which the UI does not show. Only what stands between them is ever replaced: what a
user writes before, between or after the parts stays. A part that a user deletes comes back when the
study is closed or finalized again.

The note is Markdown, and the UI lets a few HTML elements through. Names, values and error texts
come from users, so each character of theirs that could mean something is written as an entity.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.experiments.formatting import (
    escape_markdown,
    format_count,
    format_metric,
    format_ordinal,
    format_param,
)
from assay.experiments.tracking.pages import (
    artifact_page,
    model_version_page,
    run_page,
    view_page,
)
from assay.experiments.tracking.schema import (
    CHECKS_TAG,
    CLAIM_TAG,
    MAX_TAG_CHARACTERS,
    MODEL_FOLDER,
    REPORT_FILE,
    RegisteredVersion,
)
from assay.search.events import BestTrial, FinalistConfiguration, FinalizeJudged
from assay.search.objective import Objectives

SEARCH, FINALIZE = "search", "finalize"

_MAX_VALUE_CHARACTERS = 60
_MOST_ROWS = 30
_NAME = re.compile(r"[\w./~=:-]+", re.ASCII)


@dataclass(frozen=True)
class NoteLinks:
    """Where the pages of a study are in MLflow.

    Attributes:
        experiment_id: of the MLflow experiment.
        run_id: of the study's own run.
        study_id: of the study.
    """

    experiment_id: str
    run_id: str
    study_id: str

    def run(self, text: str, run_id: str | None) -> str:
        """Return a link to a run; the text alone if there is none."""
        return text if run_id is None else f"[{text}]({run_page(self.experiment_id, run_id)})"

    def artifact(self, text: str, artifact: str) -> str:
        """Return a link to an artifact of the study's own run."""
        return f"[{text}]({artifact_page(self.experiment_id, self.run_id, artifact)})"

    def view(self, text: str) -> str:
        """Return a link to the best trials side by side."""
        return f"[{text}]({view_page(self.experiment_id, self.study_id)})"


@dataclass(frozen=True)
class BestRun:
    """One of the best trials, as the note shows it.

    Attributes:
        trial: its number and its values.
        run_id: its run; None if the store has none.
        params: its searched hyperparameters by name.
    """

    trial: BestTrial
    run_id: str | None
    params: Mapping[str, Any]


def search_part(
    study: str,
    objectives: Objectives,
    best: Sequence[BestRun],
    count: int,
    found: Mapping[str, str],
    links: NoteLinks,
    has_view: bool,
) -> list[str]:
    """Return what the search of a study found, as blocks of Markdown.

    Args:
        study: name of the study.
        objectives: its objectives.
        best: the best trial; with several objectives the first of the Pareto front; empty without
            any.
        count: number of best trials.
        found: what the study shows, by MLflow tag.
        links: of the study.
        has_view: whether the experiment has a saved view of the study.
    """
    blocks = [_describe_best(objectives, best, count, links)]
    if any(one.params for one in best):
        blocks.append(_table(objectives, best, count, links))
    blocks += _list_lines("", found.get(CLAIM_TAG, ""))
    blocks += _list_lines("Checks that fire:", found.get(CHECKS_TAG, ""))
    pages = [links.view("the best trials side by side")] if has_view else []
    if len(best) == 1 and objectives.single is not None:
        pages += [
            links.run("the best trial", best[0].run_id),
            links.artifact("its model", MODEL_FOLDER),
        ]
    pages.append(f"{links.artifact('the report', REPORT_FILE)}, once it is made")
    blocks.append(f"Pages: {', '.join(pages)}")
    blocks.append(_describe_commands(study, best))
    return blocks


def finalize_part(
    judged: FinalizeJudged,
    finalists: Iterable[FinalistConfiguration],
    registered: RegisteredVersion | str | None,
    links: NoteLinks,
) -> list[str]:
    """Return what a finalize found, as blocks of Markdown.

    Args:
        judged: its verdicts.
        finalists: the configurations that it trained again.
        registered: the network of the leader that was registered, or why none was; None if none was
            asked for.
        links: of the study.
    """
    times = "" if judged.opening == 1 else f" for the {format_ordinal(judged.opening)} time"
    blocks = [
        f"**Finalized: trial {judged.leader} leads.** The configurations were trained again on "
        f"fresh seeds, then the test set was opened{times}."
    ]
    shown = [one for one in finalists if str(one.trial) in judged.verdicts]
    names = list(dict.fromkeys(name for one in shown for name in one.searched))
    rows = [
        [
            f"**{one.trial}**" if one.trial == judged.leader else str(one.trial),
            escape_markdown(
                f"{'baseline, ' if one.is_baseline else ''}{judged.verdicts[str(one.trial)]}"
            ),
            *(_format_param(one.searched[name]) if name in one.searched else "" for name in names),
        ]
        for one in sorted(shown, key=lambda one: one.trial != judged.leader)
    ]
    if rows:
        blocks.append(_rows(["trial", "verdict", *map(_format_name, names)], rows))
    sentences = [escape_markdown(sentence) for sentence in judged.text]
    if sentences:
        blocks.append("\n".join(f"- {sentence}" for sentence in sentences))
    if isinstance(registered, str):
        blocks.append(f"No network is registered: {escape_markdown(registered)}.")
    elif registered is not None:
        name = escape_markdown(f"{registered.name} version {registered.version}")
        page = model_version_page(registered.name, registered.version)
        training = links.run(f"training {registered.training}", registered.run_id)
        blocks.append(f"Registered: [{name}]({page}), the network of {training}.")
    return blocks


def replace_part(note: str, part: str, blocks: Sequence[str]) -> str:
    """Return a note with one of its parts replaced, or added.

    What does not fit into MLflow's limit is left out: first blocks in the middle of the part.
    If not even its first and last block fit, the note is returned as it is.

    Args:
        note: what the run has, which a user may have changed; empty if it has none.
        part: `SEARCH` or `FINALIZE`.
        blocks: of the part, the most important ones first and last.
    """
    begin, end = (
        f"<!-- assay:{part}: rewritten by Assay, edit outside -->",
        f"<!-- /assay:{part} -->",
    )
    before, after = _split_note(note, part, end)
    room = MAX_TAG_CHARACTERS - len(before) - len(after) - len(begin) - len(end) - 2
    text = _fit(blocks, room)
    return note if text is None else f"{before}{begin}\n{text}\n{end}{after}"


def _split_note(note: str, part: str, end: str) -> tuple[str, str]:
    """Return what stands before and after a part, or before and after where it is added."""
    opening = re.search(rf"<!-- assay:{part}\b[^>]*-->", note)
    if opening is not None:
        closing = note.find(end, opening.end())
        # Without its end, the part may hold what a user wrote: nothing of it is replaced.
        if closing >= 0:
            return note[: opening.start()], note[closing + len(end) :]
    other = re.search(rf"<!-- assay:{SEARCH}\b[^>]*-->", note) if part == FINALIZE else None
    if other is not None:
        return note[: other.start()], f"\n\n{note[other.start() :]}"
    return (f"{note}\n\n" if note else ""), ""


def _fit(blocks: Sequence[str], room: int) -> str | None:
    """Return the blocks with as many of the middle ones as there is room for."""
    kept = list(blocks)
    while len("\n\n".join(kept)) > room:
        if len(kept) <= 2:
            return None
        kept.remove(max(kept[1:-1], key=len))
    return "\n\n".join(kept)


def _describe_best(
    objectives: Objectives, best: Sequence[BestRun], count: int, links: NoteLinks
) -> str:
    if not best:
        return "**No trial is complete.**"
    if objectives.single is None:
        metrics = " and ".join(escape_markdown(str(one)) for one in objectives.each)
        return f"**Pareto front: {format_count(count, 'trial')}**, by {metrics}."
    one = best[0]
    trial = links.run(f"trial {one.trial.trial}", one.run_id)
    metric, value = escape_markdown(objectives.each[0].metric), format_metric(one.trial.values[0])
    return f"**Best of the search: {metric} {value}**, of {trial}."


def _table(objectives: Objectives, best: Sequence[BestRun], count: int, links: NoteLinks) -> str:
    """Return the configurations of the best trials; of one, with a row for each value."""
    if objectives.single is not None:
        rows = [
            [_format_name(name), _format_param(value)] for name, value in best[0].params.items()
        ]
        return _rows(["searched", "value"], rows)
    names = list(dict.fromkeys(name for one in best for name in one.params))
    heads = [*(one.metric for one in objectives.each), *names]
    more = "" if count == len(best) else f"\n\nand {count - len(best)} more"
    table = _rows(
        ["trial", *map(_format_name, heads)],
        [
            [
                links.run(str(one.trial.trial), one.run_id),
                *map(format_metric, one.trial.values),
                *(_format_param(one.params[name]) if name in one.params else "" for name in names),
            ]
            for one in best
        ],
    )
    return f"{table}{more}"


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # MLflow's UI leaves no space between columns.
    spaced = [f"{head}&nbsp;&nbsp;" for head in heads]
    lines = [spaced, ["---"] * len(heads), *rows[:_MOST_ROWS]]
    more = f"\n\nand {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + more


def _list_lines(title: str, text: str) -> list[str]:
    """Return the lines of a tag as a list; nothing if it says that there are none."""
    lines = [line for line in text.splitlines() if line]
    if not lines or lines == ["none"]:
        return []
    listed = "\n".join(f"- {escape_markdown(line)}" for line in lines)
    return [f"{title}\n\n{listed}" if title else listed]


def _describe_commands(study: str, best: Sequence[BestRun]) -> str:
    run_id = next((one.run_id for one in best if one.run_id is not None), None)
    commands = [["assay", verb, study] for verb in ("show", "finalize", "report")]
    if run_id is not None:
        commands.append(["assay", "reproduce", run_id])
    return f"Commands: {', '.join(map(_format_command, commands))}"


def _format_command(words: Sequence[str]) -> str:
    # In Markdown's code, entities are not read: a name with other characters is no code.
    if all(_NAME.fullmatch(word) for word in words):
        return f"`{' '.join(words)}`"
    return escape_markdown(shlex.join(words))


def _format_name(name: str) -> str:
    return escape_markdown(name, _MAX_VALUE_CHARACTERS)


def _format_param(value: Any) -> str:
    return escape_markdown(format_param(value), _MAX_VALUE_CHARACTERS)
