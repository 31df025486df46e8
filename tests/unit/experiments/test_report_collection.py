"""Parts of what a report is collected by: texts, thumbnails, the best value to expect."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.experiments.config.experiment import parse_experiment
from assay.experiments.config.given_command import URL
from assay.experiments.report.collection.confused import draw_thumbnail
from assay.experiments.report.collection.expected_best import choose_band, compute_curve
from assay.experiments.report.collection.plain import (
    last_line,
    mask_toml,
    to_count,
    to_text,
    to_value,
)
from assay.experiments.report.collection.sources import find_store_options
from assay.models.errors import RequestError
from assay.search.system.urls import register_secrets
from tests.helpers.experiment_files import EXPERIMENT


def with_question(question: str) -> str:
    return EXPERIMENT.replace("[[baseline]]", f'[search]\nquestion = "{question}"\n[[baseline]]')


# Texts and numbers.


def test_texts_have_no_surrogates_and_no_secrets_and_a_limit() -> None:
    register_secrets("postgresql://ann:hunter22@db/optuna")
    text = to_text("broken \ud800 name, hunter22, \0 and " + "x" * 5_000)
    assert "hunter22" not in text
    assert len(text) == 2_000
    assert text.startswith("broken \\ud800 name, ***, \\x00 and xxx")
    text.encode("utf-8")


def test_of_an_error_the_last_line_is_kept_without_folders() -> None:
    error = "Traceback:\n  File x\nFileNotFoundError: '/home/ann/secret/data.npz' is missing\n"
    assert last_line(error) == "FileNotFoundError: '<path>' is missing"
    assert last_line(None) == last_line(" \n") == ""
    assert len(last_line("y" * 999)) == 300


def test_numbers_that_json_has_not_become_text_or_nothing() -> None:
    values = to_value([math.nan, math.inf, 2, True, None, [1.5], 10**30, {"a": 1}])
    assert json.loads(json.dumps(values, allow_nan=False)) == [
        *("nan", "inf", 2, True, None, [1.5]),
        *(str(10**30), "{'a': 1}"),
    ]
    assert [to_count(value) for value in (3, 3.0, -1, 2.5, "3", True, math.nan)] == [
        *(3, 3, None, None, None, None, None),
    ]


def test_toml_keeps_everything_but_folders() -> None:
    text = (
        'source = "https://example.org/a/b"\nname = "npz:/home/ann/x.npz"\n'
        'family = "/home/ann/nets.py:build"\nother = "npz:../x.npz"\nmine = "folder:images"\n'
    )
    assert mask_toml(text) == (
        'source = "https://example.org/a/b"\nname = "npz:<path>"\n'
        'family = "<path>:build"\nother = "npz:<path>"\nmine = "folder:images"\n'
    )


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("assay sweep x --trials 3", []),
        ("assay sweep x --home ./all --trials 3", ["--home", "./all"]),
        (
            "assay sweep x --home='my runs' --storage '<url>'",
            ["--home", "my runs", "--storage", URL],
        ),
        (
            "sweep('x', home='./all', tracking_uri=<url>)",
            ["--home", "./all", "--tracking-uri", URL],
        ),
        ("sweep('x', trials=3, home=None)", []),
        ("assay sweep x --home 'cut...", []),
        ("assay sweep x --home", []),
    ],
)
def test_the_stores_of_a_recorded_command(command: str, options: list[str]) -> None:
    assert find_store_options(command) == options


# Thumbnails.


def opened(png: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    image.load()
    return image


def test_a_thumbnail_has_the_pixels_of_a_small_image() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    png, width, height = draw_thumbnail(image, (1.0, 15.0))
    assert (width, height) == (4, 4)
    picture = opened(png)
    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture), image[..., 0] * 17)  # 15 is white, 0 is black


def test_a_thumbnail_of_a_large_image_is_made_smaller() -> None:
    image = np.full((96, 192, 3), 200, np.uint8)
    png, width, height = draw_thumbnail(image, (0.0, 255.0))
    assert (width, height) == (64, 32)
    assert opened(png).mode == "RGB"
    assert np.array_equal(np.asarray(opened(png)), np.full((32, 64, 3), 200))


def test_a_thumbnail_of_real_numbers_spans_the_training_range() -> None:
    image = np.array([[[-3.0], [0.0], [1.0], [math.nan], [9.0]]], np.float32)
    png, _, _ = draw_thumbnail(image, (-2.0, 2.0), centre=(1.0,))
    assert np.asarray(opened(png)).tolist() == [[0, 191, 255, 0, 255]]


# The best value to expect.


def test_the_curve_rises_between_its_bands() -> None:
    draws = np.random.default_rng(1).random(40).tolist()
    curve = compute_curve(draws, minimize=False, method="ks")
    trials, medians = [point[0] for point in curve], [point[1] for point in curve]
    assert trials[0] == 1
    assert trials[-1] == 40
    assert medians == sorted(medians)
    assert medians[0] == pytest.approx(np.median(draws), abs=0.05)
    for _, median, low, high in curve:
        assert low is None or low <= median
        assert high is None or median <= high
    assert curve[-1][3] is None  # nothing bounds the best from above


def test_minimizing_mirrors_the_curve() -> None:
    draws = np.random.default_rng(2).random(25)
    up = compute_curve((-draws).tolist(), minimize=False, method="ks")
    down = compute_curve(draws.tolist(), minimize=True, method="ks")
    for (_, median, low, high), (_, other, lower, higher) in zip(up, down, strict=True):
        assert median == pytest.approx(-other, abs=0.06)  # a median of an even number may be either
        assert (low is None) == (higher is None)
        assert (high is None) == (lower is None)


@pytest.mark.parametrize("method", ["ks", "dkw"])
def test_the_band_holds_for_values_of_few_examples(method: str) -> None:
    """Of 100 samples with many equal values, at most 5 should leave the band; 12 would be luck."""
    random = np.random.default_rng(3)
    ns = np.arange(1, 21)
    # The true median of the best of n: the smallest share whose distribution reaches 0.5 ** (1/n).
    values = np.round(random.random(200_000) * 10) / 10
    shares, counts = np.unique(values, return_counts=True)
    reached = np.cumsum(counts) / counts.sum()
    truth = shares[np.searchsorted(reached, 0.5 ** (1 / ns))]
    missed = 0
    for _ in range(100):
        sample = np.round(random.random(20) * 10) / 10
        curve = compute_curve(sample.tolist(), minimize=False, method=method)
        missed += any(
            (low is not None and low > truth[n - 1]) or (high is not None and high < truth[n - 1])
            for n, _, low, high in curve
        )
    assert missed <= 12


def test_failed_draws_are_the_worst_and_no_point_is_infinite() -> None:
    draws = [-math.inf] * 6 + [0.5, 0.6, 0.7, 0.8]
    curve = compute_curve(draws, minimize=False, method="ks")
    assert curve[0][0] > 1  # more than half of the single draws fail
    assert all(math.isfinite(median) for _, median, _, _ in curve)


def test_the_tight_band_is_for_few_independent_draws() -> None:
    assert choose_band(60, is_grid=False) == "ld_equal_tailed"
    assert choose_band(61, is_grid=False) == "ks"
    assert choose_band(10, is_grid=True) == "dkw"
    wide, tight = (
        compute_curve(list(np.linspace(0, 1, 8)), minimize=False, method=method)
        for method in ("ks", "ld_equal_tailed")
    )
    assert wide[-1][2] is None or (tight[-1][2] or 0.0) >= wide[-1][2]


# The question of a search.


def test_a_question_is_a_name_of_the_space() -> None:
    experiment = parse_experiment(Path("mine.toml"), with_question("activation"))
    assert experiment.search.question == "activation"
    assert 'question = "activation"' in experiment.to_toml()
    assert "question" not in parse_experiment(Path("mine.toml"), EXPERIMENT).to_toml()


def test_a_question_about_something_else_names_the_nearest() -> None:
    with pytest.raises(RequestError) as refused:
        parse_experiment(Path("mine.toml"), with_question("activaton"))
    assert str(refused.value) == (
        "mine.toml: [search] question must be a name in [space], which has hidden_units, "
        "activation; received 'activaton'. Did you mean 'activation'?"
    )
    with pytest.raises(RequestError, match="received 'epochs'"):
        parse_experiment(Path("mine.toml"), with_question("epochs"))


def test_a_question_goes_with_the_hyperparameter_that_is_fixed() -> None:
    experiment = parse_experiment(Path("mine.toml"), with_question("activation"))
    assert experiment.with_fixed({"activation": "tanh"}).search.question is None
    assert experiment.with_fixed({"hidden_units": 6}).search.question == "activation"
