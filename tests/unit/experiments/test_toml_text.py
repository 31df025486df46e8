"""TOML whose keys or numbers would take memory and time, or overflow."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from assay.experiments.cli.common import read_assignment
from assay.experiments.config.experiment import read_experiment
from assay.experiments.config.request import read_configurations
from assay.experiments.config.toml_text import MOST_KEY_PARTS, parse_toml
from assay.models.errors import RequestError
from tests.helpers.limits import time_limit

# `tomllib` takes 36 MB for each, and 10 GB for 50,000 parts.
LONG = ".".join(["a"] * 3_000)
QUOTED = " . ".join(['"a.b"', "'c'"] * 1_500)

LONG_KEYS = {
    "a key": f"{LONG} = 1",
    "a quoted key": f"{QUOTED} = 1",
    "a table": f"[{LONG}]",
    "an array of tables": f"[[ {QUOTED} ]]",
    "an inline table": f"x = {{{LONG} = 1}}",
    "in a list": f"x = [\n  {{ {LONG} = 1 }}]",
    "after a comment": f'x = 1 # """ \n{LONG} = 1',
    "after a sharp sign in a text": f'x = "# \\" #"\n{LONG} = 1',
    "after a literal text": f"x = '\\'\n{LONG} = 1",
    "after a text that ends with a quote": f'x = {{y = """a"""", {LONG} = 1}}',
    "after a text that ends with two quotes": f"x = {{y = '''a''''', {LONG} = 1}}",
    "after an empty text": f'x = {{y = """""", {LONG} = 1}}',
    "after an escaped quote": f'x = {{y = """\\"""", {LONG} = 1}}',
    "after lines of text": f'x = """\n# \'\'\' \n"""\n{LONG} = 1',
}


@pytest.mark.parametrize("text", LONG_KEYS.values(), ids=LONG_KEYS)
def test_a_key_of_many_parts_is_refused_before_memory_is_taken(text: str) -> None:
    tracemalloc.start()
    try:
        with time_limit(20), pytest.raises(ValueError, match="a key must have at most 20 parts"):
            parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        f"# {LONG}",
        f'x = "{LONG}"',
        f"x = '{LONG}'",
        f'x = """\n{LONG}\n"""',
        f"x = '''{LONG}'''",
        ".".join(["a"] * MOST_KEY_PARTS) + " = 1",
        "x = [" + "1.5, " * 1_000 + "]",
        "x = 1979-05-27T07:32:00.999\ny.z.w = 1.5e3",
    ],
)
def test_other_text_has_no_such_limit(text: str) -> None:
    parse_toml(text)


@pytest.mark.parametrize("text", ['"' + '\\"' * 200_000, '"""' + "\\" * 200_000, "'" * 200_001])
def test_text_that_is_not_terminated_takes_no_time(text: str) -> None:
    with time_limit(20), pytest.raises(ValueError, match=r"at line 1|at end of document"):
        parse_toml(text)


NUMBERS = {
    "hexadecimal": "0x" + "f" * 9_000,
    "octal": "0o" + "7" * 9_000,
    "binary": "0b" + "1" * 20_000,
    "thousands of digits": "9" * 4_000,
    "more digits than Python reads": "9" * 5_000,
    "65 bits": "9223372036854775808",
    "65 bits below zero": "-9223372036854775809",
}
FILE = """
title = {title}
[data]
name = "folder:pets"
size = [8, {size}]
[model]
family = "mlp"
hidden_layers = {model}
[train]
epochs = {epochs}
[search]
sampler_options = {{ n_startup_trials = {option} }}
[space]
hidden_units = [8, {choice}]
momentum = {{ low = 0.5, high = 0.9, when = {{ optimizer = [{when}] }} }}
batch_size = {{ low = 1, high = {high} }}
[[baseline]]
hidden_units = {baseline}
"""
PLACES = {
    "title": '"t"',
    "size": "8",
    "model": "1",
    "epochs": "1",
    "option": "3",
    "choice": "16",
    "when": '"momentum"',
    "high": "64",
    "baseline": "8",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_number_of_more_than_64_bits_is_refused(place: str, number: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(FILE.format(**{**PLACES, place: number}))
    with pytest.raises(RequestError, match=r"mine\.toml is no TOML: .* fit into 64 bits") as caught:
        read_experiment(file)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_set_takes_no_such_number_for_a_text(number: str) -> None:
    with pytest.raises(RequestError, match=r"--set width: a whole number must fit into 64 bits"):
        read_assignment(f"width = {number}")
    assert read_assignment(f"width = '{number}'") == ("width", number)


@pytest.mark.parametrize("number", ["9" * 20, "9" * 4_000, "9" * 5_000, "-" + "9" * 19])
def test_a_list_of_configurations_has_no_such_number(number: str, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(f'[{{"hidden_units": [{number}]}}]')
    experiment = tmp_path / "mine.toml"
    experiment.write_text(FILE.format(**PLACES).replace("momentum =", "# momentum ="))
    with pytest.raises(RequestError, match=r"list\.json can't be read as JSON: ") as caught:
        read_configurations(file, read_experiment(experiment))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["epochs = 1000001", "epochs = 9223372036854775807"])
def test_epochs_have_a_limit(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        f'title = "t"\n[data]\nname = "digits"\n[model]\nfamily = "mlp"\n[train]\n{text}'
    )
    with pytest.raises(RequestError, match=r"epochs: .* less than or equal to 1000000"):
        read_experiment(file)


def test_searched_epochs_have_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    for space in ("{ low = 1, high = 1000000000 }", "[1, 1000001]"):
        file.write_text(
            'title = "t"\n[data]\nname = "digits"\n[model]\nfamily = "mlp"\n[space]\n'
            f"epochs = {space}"
        )
        with pytest.raises(RequestError, match=r"epochs: .* less than or equal to 1000000"):
            read_experiment(file)
