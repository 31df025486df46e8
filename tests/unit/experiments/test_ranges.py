"""Ranges of [space]: real settings are searched as reals, counts as integers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from assay.experiments.config.experiment import Experiment, read_experiment
from assay.models.errors import RequestError
from assay.search.study_record import compare_fingerprints

Read = Callable[..., Experiment]

TABLES = '[data]\nname = "digits"\n[model]\nfamily = "{family}"\n[train]\n{train}\n[space]\n'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(space: str, family: str = "mlp", train: str = "") -> Experiment:
        (tmp_path / "nets.py").write_text("def build(input_shape, classes, rate=0.5): ...\n")
        file = tmp_path / "mine.toml"
        file.write_text(f'title = "t"\n{TABLES.format(family=family, train=train)}{space}')
        return read_experiment(file)

    return read


REAL = [
    ("l2 = { low = 0, high = 1 }", "mlp", ""),
    ("l1 = { low = 0, high = 2 }", "linear", ""),
    ("l2 = { low = 0.0, high = 1 }", "cnn", ""),
    ("clip_norm = { low = 1, high = 5 }", "resnet", ""),
    ("clip_value = { low = 1, high = 100, log = true }", "mlp", ""),
    ("warmup_epochs = { low = 0, high = 5 }", "mlp", ""),
    ("step_epochs = { low = 1, high = 3 }", "mlp", 'schedule = "step"'),
    ("weight_decay = { low = 0, high = 1 }", "mlp", ""),
    ("model.l2 = { low = 0, high = 1 }", "mlp", ""),
    ("clip_norm = { low = 1, high = 5 }", "nets.py:build", ""),
    ("train.clip_norm = { low = 1, high = 5 }", "nets.py:build", ""),
]


@pytest.mark.parametrize(("space", "family", "train"), REAL)
def test_a_real_setting_is_searched_as_a_real_number(
    read: Read, space: str, family: str, train: str
) -> None:
    experiment = read(space, family, train)
    (name,) = experiment.space
    distribution = experiment.space[name].distribution
    assert isinstance(distribution, FloatDistribution)
    assert distribution.step is None
    assert distribution.log is ("log" in space)
    # A whole number in a baseline is one of the range.
    (value,) = experiment.check_configuration({name: 1}, "list").values()
    assert (type(value), value) == (float, 1.0)


def test_a_step_of_a_real_setting_stays(read: Read) -> None:
    for step in (1, 2, 0.5):
        experiment = read(f"clip_norm = {{ low = 1, high = 5, step = {step} }}")
        distribution = experiment.space["clip_norm"].distribution
        assert isinstance(distribution, FloatDistribution)
        assert distribution.step == step


COUNTS = [
    "hidden_units = { low = 16, high = 64, log = true }",
    "hidden_layers = { low = 1, high = 3 }",
    "batch_size = { low = 16, high = 64, step = 16 }",
    "epochs = { low = 1, high = 3 }",
    "shift = { low = 0, high = 2 }",
]


@pytest.mark.parametrize("space", COUNTS)
def test_a_count_is_searched_as_an_integer(read: Read, space: str) -> None:
    (parameter,) = read(space).space.values()
    assert isinstance(parameter.distribution, IntDistribution)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("hidden_units = { low = 16.0, high = 64 }", "received low = 16.0, high = 64: write"),
        ("batch_size = { low = 1e1, high = 1e3, log = true }", "low = 10.0, high = 1000.0"),
        ("shift = { low = 0, high = 2, step = 0.5 }", "shift: is a whole number"),
        ("train.epochs = { low = 1, high = 2.5 }", "epochs: is a whole number"),
        ("flip = { low = 0, high = 1 }", "flip: is not a number.* received low = 0, high = 1"),
        ("activation = { low = 0, high = 1 }", "activation: is not a number"),
        ("model.batch_norm = { low = 0, high = 1 }", "batch_norm: is not a number"),
        ("optimizer = { low = 0.0, high = 1.0 }", "optimizer: is not a number"),
    ],
)
def test_a_range_that_does_not_suit_its_setting_is_refused(
    read: Read, space: str, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        read(space)


def test_lists_of_choices_stay_as_they_are_written(read: Read) -> None:
    space = "l2 = [0, 0.1]\nflip = [false, true]\nhidden_units = [[8], [8, 8]]"
    assert read(space).space.to_records() == {
        "flip": "[False, True]",
        "hidden_units": "[[8], [8, 8]]",
        "l2": "[0, 0.1]",
    }


OWN = """
rate = { low = 0, high = 1 }
width = { low = 1, high = 4 }
log_rate = { low = 1, high = 8, log = true }
stepped = { low = 0, high = 4, step = 1 }
kind = [0, 1]
when_wide = { low = 0, high = 1, when = { width = { low = 2 } } }
"model.epochs" = { low = 1, high = 3 }
batch_size = { low = 16, high = 32 }
[[baseline]]
rate = 1
width = 2
when_wide = 0
"""


class TestOwnFactory:
    def test_ranges_are_as_their_bounds_are_written(self, read: Read) -> None:
        records = read(OWN, "nets.py:build").space.to_records()
        assert (records["rate"], records["width"]) == ("0 to 1", "1 to 4")

    def test_arguments_that_are_real_get_real_ranges(self, read: Read) -> None:
        names = ["rate", "log_rate", "stepped", "kind", "when_wide", "epochs", "batch_size", "none"]
        experiment = read(OWN, "nets.py:build").with_float_ranges(names)
        assert experiment.space.to_records() == {
            "rate": "0.0 to 1.0",
            "width": "1 to 4",
            "log_rate": "1.0 to 8.0, log",
            "stepped": "0.0 to 4.0, step 1.0",
            "kind": "[0, 1]",
            "when_wide": "0.0 to 1.0, when width >= 2",
            "model.epochs": "1.0 to 3.0",
            # Of [train], whatever the factory calls batch_size.
            "batch_size": "16 to 32",
        }
        (baseline,) = experiment.baseline_configurations()
        assert [type(baseline[name]) for name in ("rate", "width")] == [float, int]
        random.seed(0)
        drawn = experiment.space.draw(lambda name, distribution: _draw(distribution))
        assert isinstance(drawn["rate"], float)
        assert drawn["rate"] % 1

    def test_names_as_the_space_calls_them(self, read: Read) -> None:
        experiment = read(OWN, "nets.py:build").with_float_ranges(["model.epochs"])
        assert experiment.space.to_records()["model.epochs"] == "1.0 to 3.0"
        assert experiment.space.to_records()["rate"] == "0 to 1"


def _draw(distribution: object) -> object:
    match distribution:
        case FloatDistribution(low=low, high=high):
            return random.uniform(low, high)
        case IntDistribution(low=low, high=high):
            return random.randint(low, high)
        case _:
            return 0


@pytest.mark.parametrize(
    ("before", "now", "is_explained"),
    [
        ("0 to 1", "0.0 to 1.0", True),
        ("1 to 5, log", "1.0 to 5.0, log", True),
        ("-1 to 5, step 2, when layers >= 2", "-1.0 to 5.0, step 2.0, when layers >= 2", True),
        ("0 to 1", "0.0 to 2.0", False),
        ("0 to 1", "0 to 2", False),
        ("[0, 1]", "[0.0, 1.0]", False),
    ],
)
def test_a_study_with_integers_says_why_it_is_not_resumed(
    before: str, now: str, is_explained: bool
) -> None:
    with pytest.raises(RequestError) as refused:
        compare_fingerprints("mine", {"space": {"l2": before}}, {"space": {"l2": now}})
    assert f"space l2 = {before}, this asks for {now}" in str(refused.value)
    assert ("whole numbers then, real numbers now" in str(refused.value)) is is_explained
