"""Figures of a study, and its HTML in a notebook."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.font_manager  # at its first import it runs fc-list, which a unit test can't
import pandas as pd
import pytest

from assay import RequestError, StudyResult
from assay.search.importances import ImportanceReport
from tests.helpers.results import BOTH, importance_report, study

FIGURES: list[tuple[str, Callable[[StudyResult], Any]]] = [
    ("history", StudyResult.plot_history),
    ("curves", StudyResult.plot_curves),
    ("importances", StudyResult.plot_importances),
    ("slices", StudyResult.plot_slices),
    ("front", StudyResult.plot_front),
]
OF_ONE = [(name, draw) for name, draw in FIGURES if name != "front"]


@pytest.mark.parametrize(
    ("result", "draw"),
    [
        *(pytest.param(study(), draw, id=name) for name, draw in OF_ONE),
        *(
            pytest.param(study(BOTH), draw, id=f"{name} of two objectives")
            for name, draw in FIGURES
        ),
    ],
)
def test_a_figure_shows_itself_with_titles_and_labels_on_its_axes(
    result: StudyResult, draw: Any
) -> None:
    figure = draw(result)
    assert ET.fromstring(figure._repr_svg_()).tag == "{http://www.w3.org/2000/svg}svg"
    seen = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    assert any(axes.get_title() for axes in seen) or figure.get_suptitle()
    assert any(axes.get_xlabel() for axes in seen)


@pytest.mark.parametrize("name", ["$x$", r"$\frac$", r"a$b\$c$", r"\$x$y$", "$", "$$"])
@pytest.mark.parametrize(("kind", "draw"), FIGURES)
def test_a_dollar_sign_in_a_name_is_drawn(
    kind: str, draw: Callable[[StudyResult], Any], name: str
) -> None:
    metric, rate = f"metric{name}", f"rate{name}"
    renamed = {"learning_rate": rate, "val_accuracy": metric}
    plain = study(BOTH)
    result = dataclasses.replace(
        plain,
        objectives=(f"maximize {metric}", "minimize parameters"),
        study=f"study{name}",
        trials=plain.trials.rename(columns=renamed).assign(activation=f"value{name}"),
        epochs=plain.epochs.rename(columns=renamed),
        importance={metric: importance_report(metric, [rate, "activation"])},
    )
    expected = {
        "history": {f"study{name}: every trial", metric},
        "curves": {f"study{name}: {metric} by epoch", metric},
        "importances": {f"study{name}: importance for {metric}", rate},
        "slices": {f"study{name}: {metric} by hyperparameter", rate, f"value{name}", metric},
        "front": {f"study{name}: trials of the front by number", metric},
    }[kind]
    with mpl.rc_context({"svg.fonttype": "none"}):  # texts are elements, not outlines
        page = ET.fromstring(draw(result)._repr_svg_())
    drawn = {element.text for element in page.iter("{http://www.w3.org/2000/svg}text")}
    assert drawn >= expected


def lines(axes: Any) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}


def test_the_history_shows_every_value_and_the_best_so_far() -> None:
    (axes,) = study().plot_history().axes
    assert lines(axes) == {
        "pruned": [0.3],
        "complete": [0.5, 0.8, 0.95, 0.9],
        "best so far": [0.5, 0.8, 0.95, 0.95],
    }


def test_the_legend_lists_only_existing_states() -> None:
    none_pruned = study(trials=study().trials.query("state != 'pruned'"))
    assert list(lines(none_pruned.plot_history().axes[0])) == ["complete", "best so far"]


def test_the_best_so_far_of_a_minimized_objective_decreases() -> None:
    axes = study(BOTH).plot_history().axes[1]
    assert lines(axes)["best so far"] == [100, 100, 100, 100]
    assert (axes.get_ylabel(), axes.get_yscale()) == ("parameters (number of weights)", "log")


def test_the_best_curve_stands_out_from_the_others() -> None:
    (axes,) = study().plot_curves("val_loss").axes
    drawn = axes.get_lines()
    widest = max(drawn, key=lambda line: line.get_linewidth())
    assert (len(drawn), widest.get_label()) == (5, "best (trial 3)")
    assert axes.get_ylabel() == "val_loss"


def test_slices_have_a_panel_for_each_searched_name() -> None:
    rate, activation = (axes for axes in study().plot_slices().axes if axes.get_xlabel())
    assert (rate.get_xlabel(), rate.get_xscale()) == ("learning_rate", "log")
    assert (activation.get_xlabel(), activation.get_xscale()) == ("activation", "linear")


def test_the_front_is_distinguished_from_dominated_trials() -> None:
    (axes,) = study(BOTH, pareto=[{"number": 1}, {"number": 3}]).plot_front().axes
    sizes = {points.get_label(): len(points.get_offsets()) for points in axes.collections}
    assert sizes == {"dominated": 2, "Pareto front": 2}
    assert axes.get_xscale() == "log"


def test_importance_shows_what_passes_with_its_interval() -> None:
    (axes,) = study().plot_importances().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["learning_rate"]
    assert [patch.get_width() for patch in axes.patches] == [0.6]
    ((low, high),) = [list(line.get_xdata()) for line in axes.get_lines()]
    assert (low, high) == (0.4, 0.75)


def test_importance_has_a_panel_for_each_objective_with_an_effect() -> None:
    reports = {
        "val_accuracy": importance_report("val_accuracy"),
        "parameters": ImportanceReport("ranks", "parameters", 4, reason="too few"),
    }
    (axes,) = study(BOTH, importance=reports).plot_importances().axes
    assert axes.get_title().endswith("importance for val_accuracy")


# Pruned trials are marked.


def test_curves_of_pruned_and_complete_trials_have_other_lines() -> None:
    (axes,) = study().plot_curves("val_loss").axes
    styles = {line.get_label(): line.get_linestyle() for line in axes.get_lines()}
    assert (styles["complete"], styles["pruned"]) == ("-", ":")
    shown = {text.get_text() for text in axes.get_legend().get_texts()}
    assert shown == {"complete", "pruned", "best (trial 3)"}


def test_a_state_that_no_release_writes_is_drawn() -> None:
    plain = study()
    odd = study(trials=plain.trials.assign(state=["$odd$", *plain.trials["state"][1:]]))
    assert "svg" in odd.plot_curves("val_loss")._repr_svg_()  # type: ignore[attr-defined]


def test_slices_of_pruned_and_complete_trials_have_other_marks() -> None:
    figure = study().plot_slices()
    rate = next(axes for axes in figure.axes if axes.get_xlabel() == "learning_rate")
    drawn = {points.get_label(): points for points in rate.collections}
    assert {name: len(points.get_offsets()) for name, points in drawn.items()} == {
        "complete": 4,
        "pruned": 1,
    }
    paths = [len(points.get_paths()[0].vertices) for points in drawn.values()]
    assert paths[0] != paths[1]
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"complete", "pruned"}
    none_pruned = study(trials=study().trials.query("state != 'pruned'"))
    assert not none_pruned.plot_slices().legends


# Outliers do not squash an axis.


def studied(values: list[float], objective: str = "minimize val_loss") -> StudyResult:
    """Return a study of complete trials with these values."""
    metric = objective.split()[1]
    trials = pd.DataFrame(
        {
            "state": "complete",
            metric: values,
            "learning_rate": [10.0 ** -(number % 4) for number in range(len(values))],
            "seed": range(len(values)),
        }
    ).rename_axis("trial")
    epochs = pd.DataFrame(
        [
            {"trial": number, "epoch": epoch, metric: value * (3 - epoch)}
            for number, value in enumerate(values)
            for epoch in (1, 2)
        ]
    )
    best = {"number": values.index(min(values)), "value": min(values), "params": {}, "run_id": None}
    plain = study(trials=trials, epochs=epochs, best=best)
    return dataclasses.replace(plain, objectives=(objective,))


USUAL = [0.3, 0.4, 0.5, 0.35, 0.45, 0.6, 0.7, 0.42]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("draw", [StudyResult.plot_history, StudyResult.plot_curves])
@pytest.mark.parametrize("diverged", [30.0, 1e6, float("inf")])
def test_a_diverged_trial_does_not_squash_the_axis(draw: Any, diverged: float) -> None:
    axes = draw(studied([*USUAL, diverged])).axes[0]
    low, high = axes.get_ylim()
    assert 0.2 < low < 0.3
    assert 0.7 < high < 1.6
    assert axes.get_yscale() == "linear"
    assert texts(axes) == ["trials outside: 1 above"]


def test_slices_have_the_same_limits() -> None:
    (axes, _) = studied([*USUAL, 1e6, 1e7]).plot_slices().axes
    assert axes.get_ylim()[1] < 1.0
    assert texts(axes) == ["trials outside: 2 above"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(USUAL, id="no outlier"),
        pytest.param([*USUAL, 0.8], id="a little more"),
        pytest.param([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0], id="decades"),
        pytest.param([0.5] * 8 + [0.9], id="most are the same"),
        pytest.param([0.1, 9.0, 0.1, 9.0, 0.2, 8.0, 9.0, 0.3], id="two groups"),
        pytest.param([0.1, 5.0], id="two trials"),
    ],
)
def test_without_outliers_every_trial_is_inside(values: list[float]) -> None:
    (axes,) = studied(values).plot_history().axes
    low, high = axes.get_ylim()
    assert low < min(values) < max(values) < high
    assert texts(axes) == []


def test_the_best_trial_is_always_inside() -> None:
    (axes,) = studied([*(100 + value for value in USUAL), 0.01]).plot_history().axes
    low, high = axes.get_ylim()
    assert low < 0.01 < 100.7 < high
    assert texts(axes) == []


def test_the_front_is_inside_and_what_diverged_is_counted() -> None:
    values = [0.5, 0.8, 0.9, 0.95, 0.7, 0.6, 0.85, -1e9]
    trials = pd.DataFrame(
        {
            "state": "complete",
            "val_accuracy": values,
            "parameters": [100.0, 400.0, 50.0, 90.0, 300.0, 200.0, 120.0, 1e9],
            "learning_rate": 0.1,
            "seed": 0,
        }
    ).rename_axis("trial")
    (axes,) = study(BOTH, trials=trials, pareto=[{"number": 2}, {"number": 3}]).plot_front().axes
    assert axes.get_xlim()[1] < 1000
    assert axes.get_ylim()[0] > 0
    assert {"trials outside: 1 right", "trials outside: 1 below"} <= set(texts(axes))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: study().plot_front(), "a plot of the front takes several objectives"),
        (lambda: study(BOTH).plot_front(x="loss"), "must be one of"),
        (lambda: study().plot_curves("val_acuracy"), "Did you mean 'val_accuracy'"),
        (lambda: study().plot_slices("val_loss"), "must be one of val_accuracy"),
        (
            lambda: study(
                importance={
                    "val_accuracy": ImportanceReport("ranks", "val_accuracy", 4, reason="r")
                }
            ).plot_importances(),
            "told from chance: r; .* 4 complete trials",
        ),
    ],
)
def test_an_impossible_plot_is_refused(draw: Callable[[], Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        draw()


def test_the_html_of_a_result_is_escaped() -> None:
    page = study()._repr_html_()
    assert "4 complete, 1 pruned, 1 failed" in page
    assert "best: 0.9500 (trial 3): learning_rate=0.03" in page
    assert "<table" in page
    assert "&lt;script&gt;" in page
    assert "a &lt;b&gt;$" in page
    assert "<script>" not in page
    assert "Pareto front: trials 0, 1, 3, 5" in study(BOTH)._repr_html_()
