"""References are judged with the finalists of studies, by the same rule."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from assay.experiments.report.collection.compared import (
    Reference,
    StudyComparison,
    compare_studies,
    describe_openings,
)
from assay.experiments.report.records import ReferenceRecord
from assay.experiments.workspace import StorePaths
from tests.unit.experiments.test_comparison import candidate, right


def reference(name: str, accuracy: float, draw: int) -> Reference:
    record = ReferenceRecord(name=name, description="", seconds=None, command="")
    scores = right(accuracy, draw=draw)
    found = candidate("svm/1", accuracy, scores)
    return Reference(dataclasses.replace(found, name=name, study=None, trial=None), record)


def test_references_have_verdicts_and_no_study(tmp_path: Path) -> None:
    references = [reference("svm", 0.95, draw=1), reference("forest", 0.7, draw=2)]
    found = compare_studies([], StorePaths.choose(home=tmp_path), references)
    assert [(one.name, one.study, one.verdict) for one in found.records] == [
        ("svm", None, "leader"),
        ("forest", None, "worse"),
    ]
    assert (found.reason, found.comparisons, found.level) == ("", 1, 0.05)
    assert all(one.generalization is not None for one in found.records)
    sentences = found.sentences
    assert sentences[0].startswith("svm leads: ")
    # The table has the verdicts: a sentence for each pair would repeat it.
    assert not any("worse than" in sentence for sentence in sentences)


def test_references_have_opened_the_test_set_too() -> None:
    references = [reference("svm", 0.95, draw=1), reference("forest", 0.7, draw=2)]
    (sentence,) = describe_openings([], {}, references)
    assert sentence.startswith(
        "The test set was opened 2 times for this report (svm 1, forest 1). "
    )
    assert describe_openings([], {}, references[:1]) == []


def test_one_configuration_is_compared_with_nothing(tmp_path: Path) -> None:
    alone = [reference("svm", 0.95, draw=1)]
    found = compare_studies([], StorePaths.choose(home=tmp_path), alone)
    assert found == StudyComparison(reason="fewer than two configurations were trained again")
