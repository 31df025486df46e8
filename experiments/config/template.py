"""Putting an experiment of one's own in place: whole and checked, or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from assay.experiments.config.catalog import names
from assay.experiments.config.experiment import DEFAULT_OBJECTIVE, read
from assay.experiments.data import GENERATED, DataSettings, summaries, training_images
from assay.experiments.data.registry import input_shape
from assay.models.architectures.registry import FAMILIES, Family
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.config import TrainSettings
from assay.search.pruners import PRUNERS
from assay.search.samplers import SAMPLERS
from assay.search.settings import SearchSettings

# The text of an experiment to start from: every setting there is, with what it means and what it is
# by default.


_COMMENT_COLUMN = 36
_WIDTH = 120
_SEARCHED_OF_MODEL = 2
_BATCH_SIZES = (16, 32, 64, 128)
_BASELINE_BATCH = 32
_EPOCHS = 10
_TRIALS = 30


@dataclass(frozen=True)
class _Suggestion:
    """What is searched of a hyperparameter, as TOML, and where the search must beat it; None: its
    default.
    """

    space: str
    baseline: Any = None


# In the order in which they matter: the first two that a family has are searched.
_SUGGESTIONS: Mapping[str, _Suggestion] = {
    "hidden_units": _Suggestion("{ low = 16, high = 256, log = true }"),
    "filters": _Suggestion("[8, 16, 32]"),
    "activation": _Suggestion('["sigmoid", "tanh", "relu"]'),
    "l2": _Suggestion("{ low = 1e-6, high = 1e-2, log = true }", baseline=1e-4),
}
_RATE = _Suggestion("{ low = 1e-4, high = 1e-1, log = true }")
_OWN_BASELINE = {"hidden_units": 64}


@dataclass(frozen=True)
class Template:
    """An experiment to be written.

    Attributes:
        file: where it will lie.
        data: its [data] table.
        model: what [model] calls its family.
        largest_batch: how many examples there are to train on.
        family: the family; None for a function of the user's own, whose hyperparameters nobody
            knows.
        writes_network: whether that function is yet to be written.
    """

    file: Path
    data: DataSettings
    model: str
    largest_batch: int
    family: Family[Any] | None
    writes_network: bool = False

    @property
    def task(self) -> Task:
        """What the data are for: classification unless they are drawn from a function."""
        return GENERATED[self.data.name].task if self.data.name in GENERATED else "classification"

    def text(self) -> str:
        """Return the whole file."""
        return "\n".join(line.rstrip() for line in self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from self._head()
        yield from self._data()
        yield from self._model()
        yield from ("", "[train]")
        live = {"epochs": _EPOCHS, "optimizer": "adam"}
        if self.task == "regression":
            live["loss"] = DEFAULT_LOSS[self.task]
        yield from _settings(TrainSettings, live, hidden=self._space())
        yield from (
            "",
            "[space]                             # what is searched; it must not be fixed above as well",
        )
        yield from _aligned({name: suggestion.space for name, suggestion in self._space().items()})
        yield from self._search()
        yield from (
            "",
            "[[baseline]]                        # tried first, so that the search must beat it",
        )
        yield from _aligned({name: _toml(value) for name, value in self._baseline().items()})

    def _head(self) -> Iterator[str]:
        yield f"#   assay sweep ./{self.file.name}"
        yield "# Lines that begin with # say what else there is, at its default: take the # away to set it."
        yield f"title  = {_toml(f'{self.model} on {self.data.name}')}"
        yield _commented('source = ""', "Where the question comes from: a paper, a lecture.")
        if self.task == "regression":
            yield _commented('task = "regression"', "Numbers are predicted, not classes.")

    def _data(self) -> Iterator[str]:
        yield from ("", "[data]")
        yield _commented(f"name = {_toml(self.data.name)}", summaries().get(self.data.name, ""))
        yield from _settings(DataSettings, hidden=("name",))

    def _model(self) -> Iterator[str]:
        yield from ("", "[model]")
        if self.family is None:
            yield _commented(
                f"family = {_toml(self.model)}",
                "A function of your own; its fixed arguments go here.",
            )
            return
        yield _commented(f"family = {_toml(self.model)}", self.family.summary)
        yield from _settings(self.family.settings, hidden=self._space())

    def _search(self) -> Iterator[str]:
        yield from ("", "[search]")
        live: dict[str, Any] = {"trials": _TRIALS, "sampler": "tpe", "pruner": "hyperband"}
        if self.task == "regression":
            live["objectives"] = [DEFAULT_OBJECTIVE[self.task]]
        yield from _settings(SearchSettings, live, choices={"sampler": SAMPLERS, "pruner": PRUNERS})

    def _space(self) -> dict[str, _Suggestion]:
        # Our own network has hidden_units; what another takes shows when it is called.
        own = _OWN_BASELINE if self.writes_network else {}
        known = own if self.family is None else self.family.settings.model_fields
        searched = [name for name in _SUGGESTIONS if name in known][:_SEARCHED_OF_MODEL]
        space = {name: _SUGGESTIONS[name] for name in searched}
        return {
            **space,
            "batch_size": _Suggestion(_toml(self._batch_sizes())),
            "learning_rate": _RATE,
        }

    def _baseline(self) -> dict[str, Any]:
        fields = {
            **TrainSettings.model_fields,
            **({} if self.family is None else self.family.settings.model_fields),
        }
        baseline = {}
        for name, suggestion in self._space().items():
            default = fields[name].default if name in fields else _OWN_BASELINE[name]
            baseline[name] = default if suggestion.baseline is None else suggestion.baseline
        return {
            **baseline,
            "batch_size": max(size for size in self._batch_sizes() if size <= self._usual_batch()),
        }

    def _usual_batch(self) -> int:
        return max(_BASELINE_BATCH, min(self._batch_sizes()))

    def _batch_sizes(self) -> list[int]:
        """Return batches that are no larger than what there is to train on."""
        return [size for size in _BATCH_SIZES if size <= self.largest_batch] or [
            max(1, self.largest_batch)
        ]


def network_text(experiment: str, function: str, task: Task) -> str:
    """Return a file with a network of the user's own, for an experiment's file to name."""
    if task == "regression":
        gives, outputs, meaning = (
            "the numbers that are predicted",
            "outputs",
            "how many numbers there are",
        )
    else:
        gives, outputs, meaning = (
            "one logit a class, without a softmax",
            "classes",
            "how many classes there are",
        )
    return f'''"""Networks of one's own, for {experiment}."""

import keras


def {function}(input_shape, {outputs}, hidden_units):
    """Return a network that gives {gives}.

    The first two arguments come from the data; every other is a hyperparameter, which {experiment} fixes or searches.

    Args:
        input_shape: of one input, such as (28, 28, 1) for an image; batches have one more dimension in front.
        {outputs}: {meaning}.
        hidden_units: how many units the hidden layer has.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hidden_units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense({outputs})(x))
'''


def _settings(
    settings: type[Settings],
    live: Mapping[str, Any] = MappingProxyType({}),
    hidden: Collection[str] = (),
    choices: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield every setting but the hidden ones: the live ones with their values, the others as
    comments.
    """
    for name, field in settings.model_fields.items():
        if name in hidden:
            continue
        value = live[name] if name in live else field.get_default(call_default_factory=True)
        # What has no default of its own is left out unless it is set, and then there is no value to
        # show.
        text = f"{name} =" if value is None else f"{name} = {_toml(value)}"
        known = f" One of {', '.join(choices[name])}." if name in choices else ""
        yield from _setting(
            text if name in live else f"# {text}", (field.description or "") + known
        )


def _setting(text: str, description: str) -> Iterator[str]:
    """Yield a setting with what it means behind it, or before it where that is long."""
    line = _commented(text, description)
    if len(line) <= _WIDTH:
        yield line
        return
    yield from textwrap.wrap(
        " ".join(description.split()), _WIDTH, initial_indent="# ", subsequent_indent="# "
    )
    yield text


def _commented(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN - 1}} # {' '.join(comment.split())}" if comment else text


def _aligned(values: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, values))
    for name, value in values.items():
        yield f"{name:<{width}} = {value}"


def _toml(value: Any) -> str:
    """Return a plain value as TOML has it, which for texts, numbers, booleans and lists is JSON's
    way.
    """
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Created:
    """The files that were written; `network` is None unless a function of one's own was asked for
    and not there.
    """

    file: Path
    network: Path | None


def create(name: str, data: str, model: str, data_dir: Path) -> Created:
    """Write NAME.toml, and the file of the network that it names unless there is one.

    Args:
        name: of the experiment, or the path of its file, with or without `.toml`.
        data: a data set, as [data] names it.
        model: a family, or a function of the user's own as `file.py:function` or
            `package.module:function`.
        data_dir: where known data sets are kept.

    Raises:
        RequestError: the file is there already, or no such experiment can be; then nothing is
            written.
    """
    file = _file(name)
    settings = DataSettings.read({"name": data}, "--data")
    own = ":" in model
    function = _function(model) if own else check_name("family", model, FAMILIES)
    images = training_images(settings, data_dir, file.parent)
    network = _network(file, model) if own else None
    template = Template(
        file,
        settings,
        model,
        largest_batch=images,
        family=None if own else FAMILIES[model],
        writes_network=network is not None,
    )
    with _aside(file, template.text()) as draft:
        # What a function of one's own takes shows when it is called: by the first sweep, before it
        # writes anything.
        if not own:
            experiment = read(draft)
            shape = input_shape(settings, file.parent)
            if shape is not None:
                experiment.check_input(shape)
        if network is not None:
            _write_network(network, template, function)
        _put(draft, file)
    return Created(file, network)


def _file(name: str) -> Path:
    file = Path(name if name.endswith(".toml") else f"{name}.toml")
    stem = file.stem
    if (
        not stem.strip()
        or not stem.isprintable()
        or stem.startswith(".")
        or name.endswith(("/", "\\"))
    ):
        raise RequestError(
            f"NAME must be a name or a path that ends in one, such as mine; received {name!r}."
        )
    if stem in names():
        raise RequestError(
            f"{stem!r} is an experiment of the catalogue: give yours a name of its own."
        )
    if not file.parent.is_dir():
        raise RequestError(
            f"{file} needs a folder to lie in: there is no {file.parent}; make it first."
        )
    if os.path.lexists(file):
        raise _is_there(file)
    return file


def _function(reference: str) -> str:
    """Return the name of the function that a reference ends in."""
    place, _, function = reference.partition(":")
    module = place.removesuffix(".py").rpartition("/")[2]
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise RequestError(
            "--model must be a family, file.py:function or package.module:function; "
            f"received {reference!r}: write nets.py:build."
        )
    return function


def _network(file: Path, model: str) -> Path | None:
    """Return the file of a function of one's own beside the experiment; None if it is there, or
    none is named.
    """
    place = Path(model.partition(":")[0]).expanduser()
    network = file.parent / place
    if place.suffix != ".py" or network.exists():
        return None
    if not network.parent.is_dir():
        raise RequestError(
            f"{network} needs a folder to lie in: there is no {network.parent}; make it first."
        )
    return network


def _write_network(network: Path, template: Template, function: str) -> None:
    with _aside(network, network_text(template.file.name, function, template.task)) as draft:
        _put(draft, network)


@contextmanager
def _aside(file: Path, text: str) -> Iterator[Path]:
    """Enter with the text in a file of the same name, in a folder beside it that is gone on
    leaving.
    """
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".assay-") as folder:
            draft = Path(folder) / file.name
            draft.write_text(text, encoding="utf-8")
            yield draft
    except OSError as error:
        raise RequestError(f"{file} can't be written: {error.strerror}.") from None


def _put(draft: Path, file: Path) -> None:
    """Move a draft into its place, which must be empty: nobody's file is ever replaced."""
    try:
        os.link(draft, file)
    except FileExistsError:
        raise _is_there(file) from None


def _is_there(file: Path) -> RequestError:
    return RequestError(f"{file} is there already: give the new one another name, or remove it.")
