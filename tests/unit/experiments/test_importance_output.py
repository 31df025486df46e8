"""Importance and effects, as a sweep's summary and `assay show` print them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping

from assay.experiments.console.importance import print_importance
from assay.experiments.console.tables import create_console
from assay.search.importances import Importance, ImportanceReport
from tests.helpers.results import importance_report


def printed(reports: Mapping[str, ImportanceReport], all_effects: bool = False) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_importance(create_console(), reports, all_effects)
    return out.getvalue()


def test_a_summary_has_the_effects_of_what_passes_alone() -> None:
    text = printed({"val_accuracy": importance_report("val_accuracy")})
    assert "importance for val_accuracy, 30 complete trials: share of the variance" in text
    assert "main effects only" in text
    assert "cannot be told from chance: activation" in text
    bars, effects = text.split("effects on val_accuracy in complete trials:\n")
    assert [line.split()[0] for line in bars.splitlines() if "█" in line] == ["learning_rate"]
    assert "60%  95 % interval 40% to 75%" in bars
    assert effects.split() == [
        *("hyperparameter", "values", "n", "mean", "sd"),
        *("learning_rate", "low", "2", "0.5000", "0.1000", "high", "1", "0.9000"),
    ]


def test_all_effects_are_marked_unless_they_may_be_chance() -> None:
    text = printed({"val_accuracy": importance_report("val_accuracy")}, all_effects=True)
    _, effects = text.split("differences may be chance, except where marked *:\n")
    marks = {line[2:].split()[0]: line[:1] for line in effects.splitlines()[1:] if line[2:3] != " "}
    assert marks == {"learning_rate": "*", "activation": " "}


def test_a_sentence_takes_the_place_of_bars() -> None:
    shares = {"learning_rate": Importance(0.1, 0.0, 0.3, 0.2, False)}
    reason = "nothing can be told from chance in 30 trials (main effects only)"
    report = importance_report(
        "val_accuracy", ["learning_rate"], shares=shares, reason=reason, pruned=5
    )
    lines = printed({"val_accuracy": report}).splitlines()
    assert lines == [
        "",
        f"importance for val_accuracy: {reason}",
        "  without 5 pruned trials: complete trials are a selection, in which effects are harder "
        "to find",
    ]
    assert "differences may be chance:" in printed({"val_accuracy": report}, all_effects=True)


def test_each_objective_has_its_own_part() -> None:
    text = printed(
        {
            "val_accuracy": importance_report("val_accuracy"),
            "parameters": ImportanceReport("ranks", "parameters", 4, reason="too few"),
        }
    )
    assert text.index("importance for val_accuracy") < text.index("effects on val_accuracy")
    assert text.splitlines()[-1] == "importance for parameters: too few"


def test_given_trials_are_counted_apart() -> None:
    text = printed({"val_accuracy": importance_report("val_accuracy", given=1)})
    assert "importance for val_accuracy, 29 complete trials" in text
    assert "  without 1 trial that no sampler drew: baselines and enqueued ones" in text


def test_what_was_not_evaluated_is_named() -> None:
    report = importance_report("val_accuracy", left_out={"momentum": "in 7 complete trials"})
    assert "not evaluated: momentum (in 7 complete trials)" in printed({"val_accuracy": report})


def test_an_evaluator_without_a_test_has_neither_intervals_nor_marks() -> None:
    shares = {"learning_rate": Importance(0.75), "activation": Importance(0.25)}
    report = importance_report("val_accuracy", shares=shares, evaluator="ped-anova")
    text = printed({"val_accuracy": report}, all_effects=True)
    assert "PED-ANOVA has no test" in text
    assert "interval" not in text
    assert "*" not in text
    assert "differences may be chance:" in text
    assert "effects on" not in printed({"val_accuracy": report})


def test_hostile_names_are_escaped() -> None:
    name = "a\x1b[31m\nb"
    report = importance_report(name, [name, f"{name}2"], left_out={name: "\x07"})
    text = printed({name: report}, all_effects=True)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert not any(line.startswith("b") for line in text.splitlines())
