"""README and docs/ match the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.experiments.results.frames import COST_COLUMNS, EPOCH_COLUMNS
from assay.experiments.tracking import schema
from assay.models.tasks import TASKS
from assay.models.training.metrics import metric_names
from assay.search import study_record
from tests import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST_README_LINES = 120
EXAMPLES = {"nets.py", "FILE.py", "served_model.py"}  # files of the reader

_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(
    r"(?<![\w./<-])(?:models|search|experiments|tests|docs)/[\w./-]*|(?<![\w./-])[\w-]+\.py\b"
)
_MODULE = re.compile(r"(?<![\w.])assay\.(?:models|search|experiments)(?:\.\w+)*")
_PLACEHOLDERS = {"assay.version.": "PACKAGE", "assay.test_set.opening.": "N"}
_PACKAGES = ("models", "search", "experiments")


def prose(document: Path) -> str:
    """Return a document without its code blocks."""
    return re.sub(
        r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def section(document: Path, heading: str) -> str:
    """Return the text below a heading of level two."""
    _, found, rest = document.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"{document.name} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def spans(text: str) -> set[str]:
    """Return the code spans of a text."""
    return set(_SPAN.findall(text))


def texts(file: Path) -> Iterator[str]:
    """Yield every string in a file's code, including the literal starts of f-strings."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def tags() -> set[str]:
    """Return the tags that the code sets on runs."""
    files = [
        *(ROOT / "experiments" / "tracking").glob("*.py"),
        *(ROOT / "experiments" / "maintenance").glob("*.py"),
        ROOT / "experiments" / "run" / "provenance.py",
    ]
    found = {
        text for file in files for text in texts(file) if re.fullmatch(r"assay\.[a-z_.]+", text)
    }
    of_schema = {
        value
        for name, value in vars(schema).items()
        if name.endswith("TAG") and isinstance(value, str)
    }
    # The beginning of an f-string stands for all of its names.
    return {tag + _PLACEHOLDERS.get(tag, "") for tag in found | of_schema}


def recorded_metrics() -> set[str]:
    """Return the metrics that the recorder names itself."""
    tree = ast.parse(
        (ROOT / "experiments" / "tracking" / "recorder.py").read_text(encoding="utf-8")
    )
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Metric":
            found |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
        if isinstance(node, ast.Dict) and None in node.keys:  # {"value": ..., **metrics}
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    return {name for name in found if isinstance(name, str) and "." not in name}


def anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_generated_parts_are_up_to_date() -> None:
    assert reference.problems() == [], "run: make docs"


def test_an_outdated_part_is_reported(tmp_path: Path) -> None:
    for document in (ROOT / "docs").glob("*.md"):
        text = document.read_text(encoding="utf-8")
        (tmp_path / document.name).write_text(text.replace("<!-- end -->", "more\n<!-- end -->", 1))
    assert reference.problems(tmp_path) == ["reference.md: part 'options-common' is out of date"]


def test_every_tag_in_mlflow_is_documented() -> None:
    assert {
        "assay.state",
        "assay.version.PACKAGE",
        "assay.best_run",
        "mlflow.parentRunId",
    } <= tags()
    assert tags() <= spans(section(ROOT / "docs" / "reference.md", "MLflow"))


def test_every_metric_in_mlflow_is_documented() -> None:
    by_epoch = {
        name
        for task in TASKS
        for metric in metric_names(task)
        for name in (metric, f"val_{metric}")
    }
    assert {"value", "best_value"} <= recorded_metrics()
    metrics = by_epoch | recorded_metrics() | {*COST_COLUMNS, *EPOCH_COLUMNS, "learning_rate"}
    assert metrics <= spans(section(ROOT / "docs" / "reference.md", "MLflow"))


def test_every_attribute_in_optuna_is_documented() -> None:
    kept = {
        value
        for name, value in vars(study_record).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch(r"assay\.[a-z_]+", value)
    }
    assert {"assay.seed", "assay.supervisor"} <= kept
    assert kept <= spans(section(ROOT / "docs" / "reference.md", "Optuna"))


def test_every_environment_variable_is_documented() -> None:
    files = [file for package in _PACKAGES for file in (ROOT / package).rglob("*.py")]
    used = {text for file in files for text in texts(file) if re.fullmatch(r"ASSAY_[A-Z_]+", text)}
    assert used
    assert used <= spans(section(ROOT / "docs" / "reference.md", "Environment variables"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_path_exists(document: Path) -> None:
    named = {path.rstrip("./") for span in spans(prose(document)) for path in _PATH.findall(span)}
    # A name in capitals, as in `models/STUDY/`, is a placeholder.
    named = {path for path in named - EXAMPLES if not re.search(r"/[A-Z]+(/|$)", path)}
    missing = {path for path in named if not (ROOT / path).exists()}
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_module_exists(document: Path) -> None:
    named = {
        module.removeprefix("assay.")
        for span in spans(prose(document))
        for module in _MODULE.findall(span)
    }
    places = {module: ROOT.joinpath(*module.split(".")) for module in named}
    assert not {
        module
        for module, place in places.items()
        if not (place.is_dir() or place.with_suffix(".py").exists())
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_has_a_target(document: Path) -> None:
    for link in _LINK.findall(prose(document)):
        if "://" in link:
            continue
        file, _, fragment = link.partition("#")
        target = document if not file else document.parent / file
        assert target.exists(), link
        if fragment:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in map(anchor, headings), link


def test_every_use_of_private_names_is_listed() -> None:
    listed = spans(section(ROOT / "docs" / "design.md", "Internals of other libraries"))
    files = [file for package in _PACKAGES for file in (ROOT / package).rglob("*.py")]
    using = {str(file.relative_to(ROOT)) for file in files if any(_internals(file))}
    assert {"search/samplers/fast_tpe.py", "models/keras_compat.py"} <= using
    assert using <= listed


def _internals(file: Path) -> Iterator[str]:
    """Yield the private names of other libraries that a file uses."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    own = {"_replace", "_exit"}  # public despite their names
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    for node in attributes:
        if _is_private(node.attr) and node.attr not in own and not _is_self(node.value):
            yield node.attr
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not str(node.module).startswith("assay"):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            yield from (name for name in names if name == "src" or _is_private(name))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_README_LINES
