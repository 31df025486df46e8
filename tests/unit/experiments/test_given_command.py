"""Commands are recorded without secrets, and without paths outside of the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.experiments.config.given_command import mask_call, mask_command, mask_paths
from assay.search.system import urls

FOLDER = Path("/home/ann/project")


@pytest.mark.parametrize(
    ("word", "recorded"),
    [
        ("digits-mlp", "digits-mlp"),
        ("./mine.toml", "./mine.toml"),
        ("nets/mine.toml", "nets/mine.toml"),
        ("/home/ann/project/nets/mine.toml", "./nets/mine.toml"),
        ("/home/ann/other/mine.toml", "<path>"),
        ("/home/ann/project/../other.toml", "<path>"),
        ("../mine.toml", "<path>"),
        ("nets/../../mine.toml", "<path>"),
        ("..", "<path>"),
        ("~/mine.toml", "<path>"),
        ("C:\\Users\\ann", "C:<path>"),
        ("name=npz:/home/ann/my data,1/x.npz", "name=npz:<path>"),
        ('files=["/home/ann/a b", "c"]', 'files=["<path>", "c"]'),
        ("--home=/home/ann/runs", "--home=<path>"),
        ("https://ann@example.org/x", "https:<path>"),
        ("learning_rate=1e-3", "learning_rate=1e-3"),
        ("hidden_units=[64, 32]", "hidden_units=[64, 32]"),
    ],
)
def test_paths_elsewhere_are_replaced(word: str, recorded: str) -> None:
    assert mask_paths(word, FOLDER) == recorded


@given(
    st.text("/.~a b=:,[]\\"), st.sampled_from("=: '\"["), st.text("/a b'\"=,").map("/{}/s/".format)
)
def test_nothing_of_a_path_elsewhere_is_recorded(before: str, separator: str, path: str) -> None:
    if separator in path:
        path = path.replace(separator, "") if separator in "'\"" else path
    assert "secret" not in mask_paths(f"{before}{separator}{path}secret", FOLDER)


@pytest.mark.parametrize("option", ["--storage", "--tracking-uri"])
def test_addresses_of_stores_are_replaced(option: str) -> None:
    url = "postgresql://ann:s3cret@db.example.org/optuna"
    for words in ([option, url], [f"{option}={url}"]):
        text = mask_command(["assay", "sweep", "digits-mlp", *words, "--trials", "3"])
        assert "<url>" in text
        assert "example" not in text
        assert text.endswith(" --trials 3")


def test_secrets_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "_secrets", set())
    urls.register_secrets("postgresql://ann:s3cret@db/optuna")
    assert "s3cret" not in mask_command(["assay", "run", "x", "--set", "token=s3cret"])
    assert "s3cret" not in mask_call("run", "x", {"set": {"token": "s3cret"}})


def test_a_call_is_recorded_as_it_was_written() -> None:
    options = {"trials": 3, "home": Path("/home/ann/runs"), "set": {"hidden_units": 64}}
    text = mask_call("sweep", "digits-mlp", {**options, "storage": "sqlite:////home/ann/x.db"})
    assert text == (
        "sweep('digits-mlp', trials=3, home='<path>', set={'hidden_units': 64}, storage=<url>)"
    )


def test_a_long_call_is_cut() -> None:
    enqueue = [{"hidden_units": number} for number in range(1_000)]
    assert len(mask_call("sweep", "digits-mlp", {"enqueue": enqueue})) < 2_100
