"""The comparison of all finalists of several studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.experiments.decision.candidates import Candidate, load_candidates
from assay.experiments.decision.comparison import (
    ComparedConfiguration,
    check_comparable,
    compare_candidates,
)
from assay.experiments.decision.sentences import describe_comparison
from assay.experiments.formatting import format_count, format_metric
from assay.experiments.report.collection.finalists import to_difference
from assay.experiments.report.collection.plain import to_bounds, to_interval, to_text, to_values
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import ComparedRecord, ReferenceRecord
from assay.experiments.terminal_text import escape_line
from assay.experiments.workspace import StorePaths
from assay.models.errors import RequestError
from assay.search.space import Configuration


@dataclass(frozen=True)
class Reference:
    """A model that Assay did not train, to compare studies with.

    Attributes:
        candidate: its scores on the validation and the test examples of the studies.
        record: what the report says about it.
    """

    candidate: Candidate
    record: ReferenceRecord


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark adds to the report of its studies.

    Attributes:
        title: of the report.
        command: the command that runs the benchmark.
        references: models to compare the studies with.
    """

    title: str
    command: str
    references: Sequence[Reference] = ()


@dataclass(frozen=True)
class StudyComparison:
    """The finalists of several studies, and references, compared with one leader.

    Attributes:
        records: the configurations, the leader first; empty if there is no comparison.
        sentences: what the comparison says.
        reason: why there is none; empty if there is one.
        comparisons: number of comparisons that are adjusted together.
        level: what an adjusted p-value must be below for a verdict; None without comparisons.
    """

    records: Sequence[ComparedRecord] = ()
    sentences: Sequence[str] = ()
    reason: str = ""
    comparisons: int = 0
    level: float | None = None


def compare_studies(
    studies: Sequence[str], store_paths: StorePaths, references: Sequence[Reference] = ()
) -> StudyComparison:
    """Compare the finalists of several studies, and references, with one leader.

    Args:
        studies: names of the studies.
        store_paths: where the stores are.
        references: models that Assay did not train.
    """
    try:
        candidates = load_candidates(studies, store_paths)
        candidates += [one.candidate for one in references]
        if len(candidates) < 2:
            return StudyComparison(reason="fewer than two configurations were trained again")
        check_comparable(candidates)
    except RequestError as error:
        return StudyComparison(reason=str(error))
    found = compare_candidates(candidates)
    return StudyComparison(
        records=[to_compared_record(one) for one in found.configurations],
        sentences=describe_comparison(found, all_pairs=False),
        comparisons=len(found.comparisons),
        level=next((one.alpha for one in found.comparisons.values()), None),
    )


def describe_unfinalized(sources: Sequence[StudySources]) -> list[str]:
    """Return a sentence about each study that is not compared, since it was only searched.

    Its best search score stands beside the best one of the studies that were finalized: a study
    that is left out may be the best of all.

    Args:
        sources: the studies of the report.
    """
    return [_describe_unfinalized(one, sources) for one in sources if one.finalized is None]


def _describe_unfinalized(study: StudySources, sources: Sequence[StudySources]) -> str:
    name = escape_line(study.name)
    score = study.best_search_score
    if score is None:
        return f"Study {name} was not finalized, and has no complete trial to be finalized."
    metric = escape_line(study.judged.metric)
    others = [
        (found, one)
        for one in sources
        if one.finalized is not None
        and one.is_scored_alike(study)
        and (found := one.best_search_score) is not None
    ]
    text = f"Study {name} was not finalized: its best search score is a {metric} of "
    text += format_metric(score)
    pick = max if study.judged.direction == "maximize" else min
    # Its own kind first: that a larger model is better says nothing of this search.
    alike = [
        other for other in others if study.family is not None and other[1].family == study.family
    ]
    compared: dict[str, tuple[float, str]] = {}
    for group, words in ((alike, "of the same model family"), (others, "of the finalized studies")):
        if group:
            best, of = pick(group, key=lambda other: other[0])
            compared.setdefault(of.name, (best, words))
    relations = [
        f"{_relate(score, best)} the best {words}, {format_metric(best)} ({escape_line(of_name)})"
        for of_name, (best, words) in compared.items()
    ]
    if relations:
        text += f", {', and '.join(relations)}"
    command = escape_line(study.command("finalize", study.name))
    return f"{text}. To compare it, run '{command}'."


def _relate(score: float, other: float) -> str:
    return "the same as" if score == other else "higher than" if score > other else "lower than"


def describe_openings(
    sources: Sequence[StudySources],
    openings: Mapping[str, int],
    references: Sequence[Reference] = (),
) -> list[str]:
    """Return a sentence about each test set that several studies and references have opened.

    Args:
        sources: the studies of the report.
        openings: how many times each of them opened its test set, by name.
        references: models that Assay did not train.
    """
    opened = [(one.data_digest, one.name, openings[one.name]) for one in sources]
    for reference in references:
        one = reference.candidate
        opened.append((one.conditions.digest, one.name, one.openings))
    by_digest: dict[str, dict[str, int]] = {}
    for digest, name, count in opened:
        if digest is not None and count:
            by_digest.setdefault(digest, {})[name] = count
    return [_describe_shared(counts) for counts in by_digest.values() if len(counts) > 1]


def _describe_shared(counts: Mapping[str, int]) -> str:
    each = ", ".join(f"{escape_line(name)} {count}" for name, count in counts.items())
    return (
        f"The test set was opened {format_count(sum(counts.values()), 'time')} for this report "
        f"({each}). The verdicts are not corrected for that, but for the openings of one study, so "
        "false ones may be more frequent than their level says."
    )


def to_compared_record(configuration: ComparedConfiguration) -> ComparedRecord:
    """Return the record of a configuration that was compared."""
    candidate, comparison = configuration.candidate, configuration.comparison
    return ComparedRecord(
        name=to_text(candidate.name),
        study=None if candidate.study is None else to_text(candidate.study),
        trial=candidate.trial,
        baseline=candidate.is_baseline,
        params=to_values(_searched_alone(candidate)),
        validation=to_interval(candidate.validation),
        test=to_interval(configuration.test),
        generalization=to_bounds(configuration.generalization),
        verdict=configuration.verdict,
        difference=to_difference(comparison),
    )


def _searched_alone(candidate: Candidate) -> Configuration:
    """Return the hyperparameters, without what else the networks were trained with."""
    return {
        name: value for name, value in candidate.params.items() if not name.startswith("assay.")
    }
