"""User-defined factories are found without being imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.models.architectures.custom import check_arguments
from assay.models.architectures.custom_import import Factory
from assay.models.architectures.registry import get_family
from assay.models.errors import RequestError


class TestFinding:
    def test_the_factory_is_not_imported(self, tmp_path: Path) -> None:
        (tmp_path / "nets.py").write_text("raise RuntimeError('imported')")
        family = get_family("nets.py:build", [str(tmp_path)])
        assert family.name == "nets.py:build"
        assert family.settings.read({"width": 3, "sizes": [1, 2]}, "[model]").model_dump() == {
            "width": 3,
            "sizes": [1, 2],
        }

    def test_a_file_is_searched_in_each_folder_and_then_in_the_current_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, current = (tmp_path / name for name in ("first", "second", "current"))
        for path in (first, second, current):
            path.mkdir()
        monkeypatch.chdir(current)
        folders = [str(first), str(second)]
        for path in (current, second, first):
            (path / "nets.py").touch()
            found = get_family("nets.py:build", folders).factory
            assert found is not None
            assert found.file == path / "nets.py"

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("nets.py", "must be named 'nets.py:function' .*received 'nets.py'"),
            ("nets.py:", "must be named 'nets.py:function'"),
            (":build", "must be named"),
            ("nets.py:build it", "must be named"),
            ("my nets:build", "must be named"),
            ("missing.py:build", r"there is no file missing.py in /"),
            ("/nowhere/nets.py:build", r"there is no file /nowhere/nets.py; correct"),
        ],
    )
    def test_an_invalid_factory_is_refused(self, reference: str, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            get_family(reference)

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"input_shape": [1]}, "input_shape: is a reserved name, .*received .1.: remove it"),
            ({"classes": 3}, "classes: is a reserved name"),
            ({"when": object()}, "when: must be a text, a number, a boolean or a list"),
        ],
    )
    def test_a_hyperparameter_that_the_factory_does_not_accept_is_refused(
        self, table: dict[str, Any], message: str, own_nets: Path
    ) -> None:
        with pytest.raises(RequestError, match=message):
            get_family("nets.py:functional", [str(own_nets)]).settings.read(table, "[model]")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda input_shape, classes, learning_rate: None,
            "search model.learning_rate, since a plain learning_rate goes to .train..$",
        ),
        (
            lambda input_shape, classes, epsilon: None,
            "search model.epsilon, since a plain epsilon goes to .train..$",
        ),
        (
            lambda input_shape, classes, width: None,
            "nets.py:build has no default for it; add it, or search it.$",
        ),
    ],
)
def test_a_missing_argument_says_how_to_search_it(
    tmp_path: Path, function: Factory, message: str
) -> None:
    (tmp_path / "nets.py").touch()
    reference = get_family("nets.py:build", [str(tmp_path)]).factory
    assert reference is not None
    with pytest.raises(RequestError, match=message):
        check_arguments(function, reference, ("input_shape", "classes"), {})
