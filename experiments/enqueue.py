"""A user's list of configurations to try first."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from experiments.experiment import Experiment
from models.errors import RequestError
from search.space import Configuration


def read_configurations(file: str | Path, experiment: Experiment) -> list[Configuration]:
    """Read a JSON file that holds a list of configurations of the experiment's space.

    Names that a configuration leaves out are the sampler's to fill in.

    Raises:
        RequestError: there is no such file, it holds something else, or a name or value is outside the space.
    """
    try:
        content = json.loads(Path(file).expanduser().read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except FileNotFoundError:
        raise RequestError(f"--enqueue: there is no file {file}.") from None
    except RecursionError:
        raise RequestError(f"--enqueue: {file} can't be read as JSON: it is nested too deeply.") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--enqueue: {file} can't be read as JSON: {error}.") from None
    return check_configurations(content, experiment, f"--enqueue: {file}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, which would keep the last of several values of one name and not say so."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there more than once")
    return dict(pairs)


def check_configurations(content: Any, experiment: Experiment, where: str) -> list[Configuration]:
    """Return a list of configurations of the experiment's space; `where` names the list in an error.

    Raises:
        RequestError: it is something else, or a name or value is outside the space.
    """
    if not isinstance(content, list) or not all(isinstance(item, dict) and item for item in content):
        raise RequestError(
            f'{where} must hold a list of configurations such as [{{"hidden_units": 100}}]; '
            f"received {json.dumps(content, default=repr)[:80]}."
        )
    configurations = [
        experiment.configuration(item, f"--enqueue configuration {number}") for number, item in enumerate(content)
    ]
    for configuration in configurations:
        experiment.settings(configuration)
    return configurations
