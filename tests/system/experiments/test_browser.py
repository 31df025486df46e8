"""The comparison of a study's best trials in the MLflow UI, in a real browser."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.tracking.registry import ModelRegistry, describe_use
from tests.helpers.browser import browsing, chromium, plot, serving
from tests.helpers.command import Swept, assay

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright, which the dev extra brings"
)
pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="needs Chromium: apt-get install chromium"),
]

TRIALS = 22
COMPARED = 20
SPACE = resolve_experiment("digits-mlp").space


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Sweep more trials than the comparison shows."""
    home = tmp_path_factory.mktemp("browser") / "home"
    limits = ("--trials", str(TRIALS), "--epochs", "2", "--pruner", "none", "--workers", "2")
    done = assay("sweep", "digits-mlp", *limits, "--home", str(home), "--json")
    assert done.code == 0, done.err
    return Swept(home, done.answer, done.err)


@pytest.fixture(scope="module")
def address(study: Swept) -> Iterator[str]:
    with serving(study.home, "digits-mlp") as printed:
        yield printed


def compared(address: str, study: Swept) -> list[Run]:
    """Return the runs that a comparison URL lists, in order."""
    query = urllib.parse.parse_qs(address.partition("?")[2])
    client = MlflowClient(study.answer["tracking_uri"])
    return [client.get_run(run_id) for run_id in json.loads(query["runs"][0])]


def section(page: Page, title: str) -> Locator:
    """Return the part of the comparison below a title."""
    return (
        page.locator("div.du-bois-light-collapse-item")
        .filter(has=page.get_by_text(title, exact=True))
        .last
    )


def table_rows(table: Locator) -> dict[str, list[str]]:
    """Return the cells of a table by the name in the first column."""
    rows: list[list[str]] = table.locator("tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return {name: cells for name, *cells in rows}


def metrics(page: Page) -> dict[str, list[float]]:
    """Return all metrics of all runs from a grid that draws only visible cells."""
    heads, body = section(page, "Metrics").get_by_role("grid").all()
    names = heads.inner_text().split()
    return {
        name: [float(grid_cell(body, row, column)) for column in range(COMPARED)]
        for row, name in enumerate(names)
    }


def grid_cell(grid: Locator, row: int, column: int) -> str:
    """Scroll to a cell until it is drawn; return its text."""
    text: str = grid.page.wait_for_function(
        """([grid, row, column]) => {
            const cells = [...grid.firstElementChild.children];
            if (cells.length === 0) return null;
            const [left, top] = [column * cells[0].offsetWidth, row * cells[0].offsetHeight];
            grid.scrollTo(left, top);
            const isThere = cell => cell.offsetLeft === left && cell.offsetTop === top;
            return cells.find(isThere)?.innerText;
        }""",
        arg=[grid.element_handle(), row, column],
    ).json_value()
    return text


def test_the_comparison_shows_the_best_trials_with_parameters_and_metrics(
    address: str, study: Swept, tmp_path: Path
) -> None:
    runs = compared(address, study)
    assert len(runs) == COMPARED
    with browsing(tmp_path / "page.png") as page:
        page.goto(address)
        page.get_by_text(f"Comparing {COMPARED} Runs from 1 Experiment").wait_for()
        assert table_rows(section(page, "Run details"))["Run Name:"] == [
            run.info.run_name for run in runs
        ]

        shown = table_rows(section(page, "Parameters"))
        assert {name: shown[name] for name in SPACE} == {
            name: [run.data.params[name] for run in runs] for name in SPACE
        }

        measured = metrics(page)
        for name in ("value", "val_accuracy"):
            values = [run.data.metrics[name] for run in runs]
            assert measured[name] == pytest.approx(values, abs=0.0006), (
                name
            )  # shown with three decimals


def test_the_plot_accepts_every_searched_name_and_the_objective(
    address: str, tmp_path: Path
) -> None:
    with browsing(tmp_path / "page.png") as page:
        page.goto(address)
        plot(page, SPACE, "value")
        drawing = page.locator(".js-plotly-plot")
        for name in (*SPACE, "value"):
            drawing.get_by_text(name, exact=True).first.wait_for()


def test_the_page_of_the_study_links_to_every_trial(
    address: str, study: Swept, tmp_path: Path
) -> None:
    base = address.partition("/#")[0]
    run = MlflowClient(study.answer["tracking_uri"]).get_run(study.answer["parent_run_id"])
    best = study.answer["best"]
    with browsing(tmp_path / "page.png") as page:
        page.goto(f"{base}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
        page.get_by_role("heading", name="digits-mlp").wait_for()
        page.get_by_text(str(best["value"])).first.wait_for()
        page.get_by_text("maximize val_accuracy").wait_for()
        for number in reversed(range(TRIALS)):  # the newest come first, ten at a time
            trial = page.get_by_role("link", name=f"trial-{number:04d}")
            if not trial.is_visible():
                page.get_by_role("button", name="Load more").click()
            trial.wait_for()

        page.get_by_role("link", name=f"trial-{best['number']:04d}").click()
        for name, value in best["params"].items():
            page.get_by_role("row", name=name).get_by_text(str(value), exact=True).wait_for()


def test_the_description_of_a_registered_network_leads_to_the_report(
    address: str, study: Swept, tmp_path: Path
) -> None:
    client = MlflowClient(study.answer["tracking_uri"])
    run = client.get_run(study.answer["best"]["run_id"])
    run_id, parent = str(run.info.run_id), run.data.tags["mlflow.parentRunId"]
    client.log_text(parent, "<h1>How sure is it?</h1>", "report/report.html")
    use = describe_use("digits-mlp", run_id, parent, str(run.info.experiment_id))
    registry = ModelRegistry(client, "digits-mlp", run.data.tags["assay.study_id"])
    name, version = registry.register(run_id, 1, use, {})
    with browsing(tmp_path / "page.png") as page:
        page.goto(f"{address.partition('#')[0]}#/models/{name}/versions/{version}")
        with page.expect_popup() as opened:
            page.get_by_role("link", name="the report", exact=True).click()
        opened.value.frame_locator("iframe").get_by_text("How sure is it?").wait_for()
