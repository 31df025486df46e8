"""The pages of a study in the MLflow UI, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assay.experiments.config.catalog import resolve_experiment
from assay.experiments.tracking.lookup import find_best_runs
from assay.experiments.tracking.note import (
    SEARCH,
    BestRun,
    NoteLinks,
    replace_part,
    search_part,
)
from assay.experiments.tracking.pages import comparison_page, run_page
from assay.experiments.tracking.registry import ModelRegistry, describe_use
from assay.experiments.workspace import StorePaths
from assay.search.events import BestTrial
from assay.search.objective import Objectives
from tests.helpers.browser import browsing, chromium, serving
from tests.helpers.command import Swept, assay

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


def test_the_address_opens_the_best_trials_with_all_that_was_searched(
    address: str, study: Swept, tmp_path: Path
) -> None:
    best = study.answer["best"]
    with browsing(tmp_path / "page.png") as page:
        page.goto(address)
        page.get_by_text(f"{TRIALS} matching runs").wait_for()
        first = page.locator("[row-index='0']")
        first.get_by_role("link", name=f"trial-{best['number']:04d}").wait_for()
        plot = page.get_by_test_id("experiment-view-compare-runs-card")
        for name in (*SPACE, "value"):
            plot.get_by_text(name, exact=True).first.wait_for()
        assert plot.count() == 1, "MLflow adds no chart of its own"
        page.get_by_role("button", name="digits-mlp").wait_for()  # among the views


def test_a_study_without_a_saved_view_is_compared(
    address: str, study: Swept, tmp_path: Path
) -> None:
    client = MlflowClient(study.answer["tracking_uri"])
    (experiment,) = client.search_experiments(filter_string="name = 'digits-mlp'")
    best = find_best_runs(StorePaths.choose(home=study.home), "digits-mlp", COMPARED)
    names = [run.info.run_name for run in best]
    path = comparison_page([run.info.run_id for run in best], [experiment.experiment_id])
    with browsing(tmp_path / "page.png") as page:
        page.goto(f"{address.partition('#')[0]}{path}")
        page.get_by_text(f"Comparing {COMPARED} Runs from 1 Experiment").wait_for()
        row = page.locator("tr").filter(has=page.get_by_text("Run Name:"))
        assert row.locator("td").all_inner_texts() == names


def test_the_description_shows_what_users_wrote_as_text(
    address: str, study: Swept, tmp_path: Path
) -> None:
    texts = (
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "![i](http://evil.example/x.png)",
        "| pipe | **bold** _i_ `code`",
        "<!-- /assay:search -->",
        "see www.evil.example or http://evil.example",
        "&lt;b&gt; <b>bold</b>",
    )
    client, parent = MlflowClient(study.answer["tracking_uri"]), study.answer["parent_run_id"]
    run = client.get_run(parent)
    links = NoteLinks(str(run.info.experiment_id), parent, run.data.tags["assay.study_id"])
    best = BestRun(BestTrial(0, (0.5,)), None, {text: text for text in texts})
    objectives = Objectives.read([f"maximize {texts[0]}"])
    found = {"assay.claim": "\n".join(texts), "assay.checks": "\n".join(texts)}
    blocks = search_part(texts[0], objectives, [best], 1, found, links, has_view=True)
    before = run.data.tags["mlflow.note.content"]
    client.set_tag(parent, "mlflow.note.content", replace_part(before, SEARCH, blocks))
    harm: list[str] = []
    with browsing(tmp_path / "page.png", width=1800) as page:
        page.on("dialog", lambda dialog: harm.append(dialog.message))
        page.on("request", lambda sent: harm.append(sent.url) if "evil" in sent.url else None)
        base = address.partition("#")[0]
        page.goto(f"{base}{run_page(str(run.info.experiment_id), parent)}")
        page.get_by_text("Show more").first.click()
        for text in texts:
            shown = page.get_by_text(text, exact=True)
            shown.first.wait_for()
            assert shown.count() >= 4, "name, value, claim and check"
        description = page.get_by_text("Best of the search").locator("xpath=ancestor::div[1]")
        # Links and elements are ours alone.
        assert description.locator("img, script, code code").count() == 0
        addresses = description.locator("a").evaluate_all("all => all.map(a => a.hash)")
        assert addresses
        assert all(found.startswith("#/experiments/") for found in addresses)
        with page.expect_popup() as opened:
            page.get_by_role("link", name="the best trials side by side").click()
        opened.value.get_by_text(f"{TRIALS} matching runs").wait_for()
    client.set_tag(parent, "mlflow.note.content", before)
    assert not harm


def test_the_page_of_a_study_lists_its_model_and_its_data(
    address: str, study: Swept, tmp_path: Path
) -> None:
    run = MlflowClient(study.answer["tracking_uri"]).get_run(study.answer["parent_run_id"])
    path = run_page(str(run.info.experiment_id), str(run.info.run_id))
    with browsing(tmp_path / "page.png") as page:
        page.goto(f"{address.partition('#')[0]}{path}")
        page.get_by_role("link", name="keras").wait_for()
        page.get_by_text("digits/training").first.wait_for()
        page.get_by_role("button", name="Register model").wait_for()


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
