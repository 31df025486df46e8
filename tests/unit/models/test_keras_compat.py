"""The version guard for internals of Keras and TensorFlow."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib.metadata import PackageNotFoundError

import pytest

from assay.models import keras_compat
from tests.helpers.paths import ROOT


def test_the_installed_releases_are_supported() -> None:
    """After an update, run the tests of both code paths, then add the release to the module."""
    assert keras_compat.is_supported()


@pytest.mark.parametrize(
    ("keras", "tensorflow", "supported"),
    [
        ("3.15.1", "2.21.0", True),
        ("3.15.9", "2.21.3", True),
        ("3.15.1", None, True),
        ("3.16.0", "2.21.0", False),
        ("3.14.2", "2.21.0", False),
        ("3.1.5", "2.21.0", False),
        ("3.15.1", "2.22.0", False),
        ("3.15.1", "unknown", False),
        ("unknown", "2.21.0", False),
    ],
)
def test_only_releases_that_the_tests_ran_with_are_supported(
    keras: str, tensorflow: str | None, supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = {"keras": keras, "tensorflow": tensorflow}

    def version(package: str) -> str:
        release = releases[package]
        if release is None or release == "unknown":
            raise PackageNotFoundError(package)
        return release

    monkeypatch.setattr(keras_compat, "version", version)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if releases[name] is None else object()
    )
    assert keras_compat.is_supported.__wrapped__() is supported


def test_the_requirement_admits_no_other_keras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (keras,) = (line for line in project["dependencies"] if line.startswith("keras"))
    assert "<3.16" in keras
