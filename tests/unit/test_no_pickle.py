"""No code of assay unpickles untrusted data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

_UNPICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}

_RESTRICTED = ROOT / "search/samplers/cmaes_storage.py"
"""Reads a few classes of the cmaes state only; see tests/integration/search/test_samplers.py."""


@pytest.mark.parametrize("package", ["models", "search", "experiments"])
def test_no_module_unpickles(package: str) -> None:
    for file in set((ROOT / package).rglob("*.py")) - {_RESTRICTED}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not _UNPICKLES & {name.name.split(".")[0] for name in node.names}, file
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in _UNPICKLES, file
            if isinstance(node, ast.Call):
                _see_safe(node, file)


def _see_safe(call: ast.Call, file: Path) -> None:
    """Check that a call that could unpickle forbids it."""
    name = ast.unparse(call.func)
    options = {option.arg: ast.unparse(option.value) for option in call.keywords}
    if name in ("np.load", "np.lib.format.read_array", "np.save"):
        assert options.get("allow_pickle") == "False", f"{file}: {name}"
    if name.endswith("load_model"):
        assert options.get("safe_mode", "True") == "True", f"{file}: {name}"
    assert "enable_unsafe_deserialization" not in name, file
