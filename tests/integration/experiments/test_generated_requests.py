"""Generated bad input: each refusal is one line with exit code 2 and writes nothing.

Generated input may happen to be valid. Such an example is rejected, and another one is generated.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from assay.experiments.run import sweep
from tests.helpers.command import invoke
from tests.helpers.experiment_files import EXPERIMENT
from tests.helpers.toml import toml

VALID = tomllib.loads(EXPERIMENT + "[search]\ntrials = 3\nsampler = 'random'\n")
GENERATED = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)
NASTY = [
    "",
    " ",
    "\0",
    "a\0b",
    "\x1b[2J",
    "[red]bold[/red]",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "npz:\0",
    "npz:",
    "npz:/",
    "folder:\0",
    "folder:/dev/null",
    "npz:/dev/zero",
    "nets.py:",
    ":build",
    "\0.py:build",
    "a" * 300 + ".py:build",
    "os:system",
    "💥" * 100,
    "x" * 100_000,
    "'\"\n\t",
    "maximize",
    "maximize \0",
    "nan",
    "1e400",
]
numbers = st.one_of(
    st.sampled_from([0, -1, 1, 10**4, 10**30, -(10**30), 2**63, 10**400, 0.0, -0.5, 1e308, 5e-324]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(-5, 5),
    st.floats(-2, 2),
)
texts = st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8"), max_size=8))
scalars = st.one_of(numbers, texts, st.booleans())
odd = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            texts | st.sampled_from(["low", "high", "log", "step", "when", "choices"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
ranges = st.fixed_dictionaries(
    {"low": numbers, "high": numbers},
    optional={"log": st.booleans() | scalars, "step": numbers, "when": odd, "choices": odd},
)


class Accepted(BaseException):
    """Raised when generated input is valid and thus of no interest."""


@pytest.fixture(scope="module", autouse=True)
def stopping_short() -> Iterator[None]:
    """Stop a sweep once it has parsed its request."""

    def accept(*_: object, **__: object) -> None:
        raise Accepted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep.Execution, "choose", accept)
        yield


def refused(*words: str, **files: bytes) -> None:
    """Check that a sweep of mine.toml is refused; reject the example if it is valid."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in ({"toml": EXPERIMENT.encode()} | files).items():
            (Path(folder) / f"mine.{name}").write_bytes(content)
        try:
            done = invoke("sweep", "./mine.toml", "--home", "home", *words, cwd=Path(folder))
        except Accepted:
            assume(False)
        assert (done.code, done.out) == (2, ""), done.err[-2000:]
        assert done.err.startswith("assay: ")
        assert done.err.endswith("\n")
        line = done.err[:-1]
        assert line.isprintable(), line
        assert len(line) < 4000, f"{len(line)} characters: {line[:300]}"
        assert {path.name for path in Path(folder).iterdir()} == {
            "mine.toml",
            *(f"mine.{name}" for name in files),
        }


def places_of(tables: Any) -> list[tuple[Any, ...]]:
    """Return the path of every value in nested tables and lists."""
    items = (
        tables.items()
        if isinstance(tables, dict)
        else enumerate(tables)
        if isinstance(tables, list)
        else ()
    )
    return [
        path
        for name, value in items
        for path in ((name,), *((name, *rest) for rest in places_of(value)))
    ]


def replaced(tables: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return a copy of nested tables with one value replaced."""
    if not path:
        return value
    if isinstance(tables, list):
        return [
            replaced(one, path[1:], value) if at == path[0] else one
            for at, one in enumerate(tables)
        ]
    return {**tables, path[0]: replaced(tables.get(path[0]), path[1:], value)}


def written(tables: Mapping[str, object]) -> bytes:
    """Return tables as TOML."""
    return "\n".join(f"{toml(name)} = {toml(value)}" for name, value in tables.items()).encode()


@GENERATED
@given(st.sampled_from(places_of(VALID)), odd)
def test_any_value_at_any_place(path: tuple[Any, ...], value: object) -> None:
    refused(toml=written(replaced(VALID, path, value)))


@GENERATED
@given(
    st.sampled_from([(), ("data",), ("model",), ("train",), ("space",), ("search",)]), texts, odd
)
def test_any_key_at_any_place(table: tuple[str, ...], key: str, value: object) -> None:
    refused(toml=written(replaced(VALID, (*table, key), value)))


@GENERATED
@given(
    st.sampled_from(
        ["hidden_units", "activation", "learning_rate", "batch_size", "dropout", "epochs"]
    ),
    ranges,
)
def test_any_range(name: str, value: dict[str, object]) -> None:
    refused(toml=written(replaced(VALID, ("space", name), value)))


@GENERATED
@given(
    st.integers(0, len(EXPERIMENT)),
    st.integers(0, 20),
    st.binary(max_size=6) | texts.map(str.encode),
)
def test_any_bytes_in_the_file(at: int, less: int, more: bytes) -> None:
    content = EXPERIMENT.encode()
    refused(toml=content[:at] + more + content[at + less :])


@GENERATED
@given(
    st.sampled_from(["hidden_units", "activation", "epochs", "validation", "seed"]) | texts,
    odd.map(toml) | texts,
)
def test_any_setting(name: str, value: str) -> None:
    refused("--set", f"{name}={value}")


@GENERATED
@given(
    st.sampled_from(
        ["--trials", "--seed", "--timeout", "--study", "--sampler", "--fuse", "--workers"]
    ),
    texts,
)
def test_any_option(option: str, value: str) -> None:
    refused(f"{option}={value}")


listed = st.one_of(
    odd,
    st.lists(odd, max_size=3),
    st.lists(
        st.dictionaries(st.sampled_from(["hidden_units", "activation", "epochs"]) | texts, odd),
        max_size=3,
    ),
)


@GENERATED
@given(listed.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=12))
def test_any_list_of_configurations(content: bytes) -> None:
    refused("--enqueue", "mine.json", json=content)


@pytest.mark.parametrize("depth", [200, 5_000, 200_000])
def test_nesting_of_any_depth(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    refused(toml=f"{EXPERIMENT}\nx = {deep}".encode())
    refused("--set", f"hidden_units={deep}")
    refused("--enqueue", "mine.json", json=deep.encode())
    refused("--enqueue", "mine.json", json=b'{"a":' * depth)


@pytest.mark.parametrize(
    "content",
    [
        b'[{"hidden_units": 5, "hidden_units": 6}]',
        b'[{"activation": "\\ud800"}]',
        b"[" + b"9" * 5000 + b"]",
        b'[{"hidden_units": ' + b"9" * 5000 + b"}]",
        b"\xef\xbb\xbf[1]",
        b"[NaN]",
    ],
    ids=[
        "a name twice",
        "half a letter",
        "digits",
        "digits of a value",
        "a mark of bytes",
        "no number",
    ],
)
def test_lists_that_are_nearly_json(content: bytes) -> None:
    refused("--enqueue", "mine.json", json=content)


@pytest.mark.parametrize(
    "content", [b"x = " + b"9" * 5000, EXPERIMENT.encode("utf-16"), b"a = 1\na = 2"]
)
def test_files_that_are_nearly_toml(content: bytes) -> None:
    refused(toml=content)
