"""Package structure: direction and order of the imports, and no circles."""

from __future__ import annotations

import ast
import graphlib

import pytest

from tests.helpers.imports import PACKAGES, import_graph, imported, module_name, sources
from tests.helpers.paths import ROOT

BACKENDS = {"tensorflow", "jax", "torch"}
FORBIDDEN = {
    "models": {"assay.search", "assay.experiments", "optuna", "mlflow", "click", "rich", *BACKENDS},
    "search": {"assay.experiments", "mlflow", "keras", "click", "rich", *BACKENDS},
    "experiments": {"keras", *BACKENDS},
}
ALLOWED = {
    ("models/backends/tensorflow.py", "tensorflow"),
    ("models/backends/tensorflow_optimizers.py", "tensorflow"),
    ("models/backends/jax.py", "jax"),
    ("models/backends/jax_epoch.py", "jax"),
    ("models/backends/jax_vmap.py", "jax"),
    ("experiments/data/sources/download.py", "keras"),  # in the process that prepares data
    ("experiments/export/convert.py", "keras"),  # in the process that converts a network
    ("experiments/export/convert.py", "tensorflow"),
    ("experiments/serving/served_model.py", "keras"),  # wherever a model is loaded
}

# The parts of each package from bottom to top: a part imports only parts on earlier lines.
ORDER: dict[str, list[set[str]]] = {
    "models": [
        {"errors"},
        {"files", "code_files"},
        {"keras_compat"},
        {"names", "tasks", "seeding"},
        {"settings", "precision", "data"},
        {"training"},
        {"architectures"},
        {"recipe"},
        {"backends"},
        {"analysis"},
        {"preflight"},
        {"worker"},
    ],
    "search": [
        {"system", "events", "objective", "space", "optuna_compat", "optuna_messages"},
        {"storage", "journal", "workers", "pruners", "samplers", "rank_shares"},
        {"importances", "history"},
        {"settings", "artifacts", "study_record", "failure_policy"},
        {"plan"},
        {"study", "supervisor"},
        {"recovery"},
    ],
    "experiments": [
        {"terminal_text", "data"},
        {"formatting", "workspace"},
        {"config", "serving"},
        {"tracking"},
        {"evaluation"},
        {"results", "run"},
        {"decision"},
        {"report", "export"},
        {"console", "maintenance"},
        {"api"},
        {"lectures"},
        {"cli"},
    ],
}


def forbidden(package: str, name: str) -> str | None:
    """Return the forbidden package that contains a name, if any."""
    return next((one for one in FORBIDDEN[package] if f"{name}.".startswith(f"{one}.")), None)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way_and_few_files_import_a_backend(package: str) -> None:
    found = {
        (str(file.relative_to(ROOT)), wrong)
        for file in sources(package)
        for name in imported(file)
        if (wrong := forbidden(package, name)) is not None
    }
    assert found == {one for one in ALLOWED if one[0].startswith(f"{package}/")}


def test_there_are_no_circular_imports() -> None:
    try:
        graphlib.TopologicalSorter(import_graph()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"an import circle: {' <- '.join(error.args[1])}")


def part_of(module: str) -> str:
    """Return the part of its package that a module belongs to: 'run' of assay.experiments.run.x."""
    return module.split(".")[2]


@pytest.mark.parametrize("package", ORDER)
def test_every_part_is_in_the_order(package: str) -> None:
    names = {module_name(file) for file in sources(package)} - {"assay", f"assay.{package}"}
    assert {part_of(name) for name in names} == set().union(*ORDER[package])


@pytest.mark.parametrize("package", ORDER)
def test_parts_import_only_lower_parts(package: str) -> None:
    level = {part: number for number, parts in enumerate(ORDER[package]) for part in parts}
    prefix = f"assay.{package}."
    wrong = [
        f"{module} imports {target}, which is not below it"
        for module, targets in import_graph().items()
        for target in targets
        if module.startswith(prefix) and target.startswith(prefix)
        if part_of(module) != part_of(target) and level[part_of(target)] >= level[part_of(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_file_has_a_docstring() -> None:
    for file in (file for package in PACKAGES for file in sources(package)):
        says = ast.get_docstring(ast.parse(file.read_text()))
        assert says, f"{file.relative_to(ROOT)} does not say what it is"
