"""Pages of the MLflow UI."""

from __future__ import annotations

import json
from typing import Any

from assay.experiments.tracking.pages import make_view, model_version_page, view_page
from assay.search.objective import Objectives


def state_of(objectives: list[str], searched: list[str]) -> dict[str, Any]:
    view = make_view("mine", "5eed", Objectives.read(objectives), searched, milliseconds=1000)
    assert view is not None
    read = json.loads(view)
    assert (read["name"], read["createdAt"]) == ("mine", 1000)
    state: dict[str, Any] = json.loads(read["state"])
    return state


def test_the_view_plots_the_objective_and_all_searched_hyperparameters() -> None:
    state = state_of(["minimize val_loss"], ["width", "recall@5"])
    (chart,) = state["compareRunCharts"]
    assert chart["selectedParams"] == ["width", "recall_5-80191039"], "as MLflow has the names"
    assert chart["selectedMetrics"] == ["value"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`value`", True)
    assert chart["metricSectionId"] == state["compareRunSections"][0]["uuid"]


def test_the_view_of_several_objectives_plots_each_of_them() -> None:
    state = state_of(["maximize val_accuracy", "minimize parameters"], ["width"])
    assert state["compareRunCharts"][0]["selectedMetrics"] == ["val_accuracy", "parameters"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val_accuracy`", False)


def test_names_that_are_too_long_for_a_tag_make_no_view() -> None:
    names = [f"{'x' * 90}{number}" for number in range(60)]
    assert make_view("mine", "5eed", Objectives.read(["maximize v"]), names, 0) is None


def test_an_address_quotes_what_it_names() -> None:
    assert view_page("1", "5eed").startswith("#/experiments/1/runs?viewStateShareKey=assay-5eed&")
    assert model_version_page("a/b c", 2).startswith("#/models/a%2Fb%20c/versions/2?")
