"""The experiment that `assay new` writes."""

from __future__ import annotations

import json
import keyword
import os
import shlex
import tempfile
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from assay.experiments.config.catalog import list_catalog
from assay.experiments.config.experiment import DEFAULT_OBJECTIVE, read_experiment
from assay.experiments.data import (
    DataSettings,
    count_training_images,
    get_source_entry,
    read_input_shape,
    summarize_data_sets,
)
from assay.models.architectures.registry import FAMILIES, Family
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.config import TrainSettings
from assay.search.pruners import PRUNERS
from assay.search.samplers import SAMPLERS
from assay.search.settings import SearchSettings
from assay.search.system.files import expand_path

_COMMENT_COLUMN = 36
_WIDTH = 100
_SEARCHED_MODEL_SETTINGS = 2
_BATCH_SIZES = (16, 32, 64, 128)
_BASELINE_BATCH_SIZE = 32
_EPOCHS = 10
_TRIALS = 30


@dataclass(frozen=True)
class _Suggestion:
    """A suggested line of [space].

    Attributes:
        space: the range or the choices, as TOML.
        baseline: the baseline's value; None for the setting's default.
    """

    space: str
    baseline: Any = None


# By importance: the first two that a family has are searched.
_SUGGESTIONS: Mapping[str, _Suggestion] = {
    "hidden_units": _Suggestion("{ low = 16, high = 256, log = true }"),
    "filters": _Suggestion("[8, 16, 32]"),
    "activation": _Suggestion('["sigmoid", "tanh", "relu"]'),
    "l2": _Suggestion("{ low = 1e-6, high = 1e-2, log = true }", baseline=1e-4),
}
_LEARNING_RATE = _Suggestion("{ low = 1e-4, high = 1e-1, log = true }")
_USER_NETWORK_BASELINE = {"hidden_units": 64}
"""Arguments of the network that `network_text` returns, with their values in the baseline."""


@dataclass(frozen=True)
class CreatedFiles:
    """The files that `create_experiment` wrote.

    Attributes:
        file: the experiment.
        network: the file of the user-defined network; None if it was not written.
    """

    file: Path
    network: Path | None


def create_experiment(name: str, data: str, model: str, data_dir: Path) -> CreatedFiles:
    """Write NAME.toml, and the file of the network that it names unless it exists.

    Args:
        name: name of the experiment, or the path of its file, with or without ".toml".
        data: a data set, as [data] names it.
        model: a family, or a user-defined function as "file.py:function" or
            "package.module:function".
        data_dir: the folder where published data sets are kept.

    Raises:
        RequestError: the file exists, or the data and the model make no valid experiment; nothing
            is written then.

    Example:
        >>> create_experiment("mine", "mnist", "cnn", default_data_dir()).file
        PosixPath('mine.toml')
    """
    file = _experiment_file(name)
    settings = DataSettings.read({"name": data}, "--data")
    is_user_defined = ":" in model
    function = _function_name(model) if is_user_defined else check_name("family", model, FAMILIES)
    images = count_training_images(settings, data_dir, file.parent)
    network = _missing_network_file(file, model) if is_user_defined else None
    template = Template(
        file,
        settings,
        model,
        largest_batch_size=images,
        family=None if is_user_defined else FAMILIES[model],
        writes_network=network is not None,
    )
    # The draft is checked before any file is in its place: an invalid one leaves nothing behind.
    with _draft(file, template.text()) as draft:
        # A user-defined function is checked by the first sweep, before it writes anything: which
        # hyperparameters it takes is unknown until it is called.
        if not is_user_defined:
            experiment = read_experiment(draft)
            input_shape = read_input_shape(settings, data_dir, file.parent)
            if input_shape is not None:
                experiment.check_input(input_shape)
        if network is not None:
            _write_network(network, template, function)
        _move_into_place(draft, file)
    return CreatedFiles(file, network)


@dataclass(frozen=True)
class Template:
    """The text of an experiment: every setting with its meaning and its default.

    Attributes:
        file: path of the experiment's file.
        data: its [data] table.
        model: the family under [model].
        largest_batch_size: the number of training examples.
        family: the family; None for a user-defined function, whose hyperparameters are unknown.
        writes_network: whether the file of that function is written too.
    """

    file: Path
    data: DataSettings
    model: str
    largest_batch_size: int
    family: Family[Any] | None
    writes_network: bool = False

    @property
    def task(self) -> Task:
        """The data set's task; classification for data that can be for either."""
        return get_source_entry(self.data.name).task or "classification"

    def text(self) -> str:
        """Return the whole file."""
        return "\n".join(line.rstrip() for line in self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from self._head_lines()
        yield from self._data_lines()
        yield from self._model_lines()
        yield from self._train_lines()
        yield ""
        yield _with_comment("[space]", "Search space; its keys must not be set above.")
        yield from _align(
            {name: suggestion.space for name, suggestion in self._suggested_space().items()}
        )
        yield from self._search_lines()
        yield ""
        yield _with_comment("[[baseline]]", "The first trial, which the search must beat.")
        yield from _align({name: _to_toml(value) for name, value in self._baseline().items()})

    def _head_lines(self) -> Iterator[str]:
        # Quoted, because the line is there to be copied to a shell.
        yield f"#   assay sweep {shlex.quote(f'./{self.file.name}')}"
        yield "# Keys that are commented out have the defaults shown: remove the # to change one."
        yield f"title  = {_to_toml(f'{self.model} on {self.data.name}')}"
        yield _with_comment('source = ""', "A paper or lecture that the experiment comes from.")
        if self.task == "regression":
            yield _with_comment('task = "regression"', "Predict numbers, not classes.")
        else:
            yield _with_comment('# task = "classification"', 'Or "regression": predict numbers.')

    def _data_lines(self) -> Iterator[str]:
        yield from ("", "[data]")
        name = f"name = {_to_toml(self.data.name)}"
        yield _with_comment(name, summarize_data_sets().get(self.data.name, ""))
        yield from _settings_lines(DataSettings, hidden=("name",))

    def _model_lines(self) -> Iterator[str]:
        yield from ("", "[model]")
        family = f"family = {_to_toml(self.model)}"
        if self.family is None:
            yield _with_comment(family, "Your own function; arguments that stay fixed go here.")
            yield "# If [train] has the name of an argument too, [space] calls the argument"
            yield "# model.NAME and the setting of [train] train.NAME."
            return
        yield _with_comment(family, self.family.summary)
        yield from _settings_lines(self.family.settings, hidden=self._suggested_space())

    def _train_lines(self) -> Iterator[str]:
        yield from ("", "[train]")
        set_values = {"epochs": _EPOCHS, "optimizer": "adam"}
        if self.task == "regression":
            set_values["loss"] = DEFAULT_LOSS[self.task]
        yield from _settings_lines(TrainSettings, set_values, hidden=self._suggested_space())

    def _search_lines(self) -> Iterator[str]:
        yield from ("", "[search]")
        set_values: dict[str, Any] = {"trials": _TRIALS, "sampler": "tpe", "pruner": "hyperband"}
        if self.task == "regression":
            set_values["objectives"] = [DEFAULT_OBJECTIVE[self.task]]
        choices = {"sampler": SAMPLERS, "pruner": PRUNERS}
        yield from _settings_lines(SearchSettings, set_values, choices=choices)

    def _suggested_space(self) -> dict[str, _Suggestion]:
        if self.family is not None:
            known: Collection[str] = self.family.settings.model_fields
        else:
            # An existing function may take any arguments: none of them is searched.
            known = _USER_NETWORK_BASELINE if self.writes_network else ()
        # At most two: with batch size and learning rate, enough for the default number of trials.
        searched = [name for name in _SUGGESTIONS if name in known][:_SEARCHED_MODEL_SETTINGS]
        return {
            **{name: _SUGGESTIONS[name] for name in searched},
            "batch_size": _Suggestion(_to_toml(self._batch_sizes())),
            "learning_rate": _LEARNING_RATE,
        }

    def _baseline(self) -> dict[str, Any]:
        fields = {
            **TrainSettings.model_fields,
            **({} if self.family is None else self.family.settings.model_fields),
        }
        baseline = {}
        for name, suggestion in self._suggested_space().items():
            default = fields[name].default if name in fields else _USER_NETWORK_BASELINE[name]
            baseline[name] = default if suggestion.baseline is None else suggestion.baseline
        return {**baseline, "batch_size": self._baseline_batch_size()}

    def _baseline_batch_size(self) -> int:
        # The usual size, or the only one if the data set is smaller than that.
        sizes = self._batch_sizes()
        limit = max(_BASELINE_BATCH_SIZE, min(sizes))
        return max(size for size in sizes if size <= limit)

    def _batch_sizes(self) -> list[int]:
        """Return batch sizes up to the number of training examples, at least one."""
        return [size for size in _BATCH_SIZES if size <= self.largest_batch_size] or [
            max(1, self.largest_batch_size)
        ]


def network_text(experiment: str, function: str, task: Task) -> str:
    """Return a Python file with a network to start from.

    Args:
        experiment: name of the experiment's file.
        function: name of the function that builds the network.
        task: decides what the network returns.
    """
    if task == "regression":
        returned, outputs, meaning = "the predicted numbers", "outputs", "number of outputs"
    else:
        returned = "one logit per class, without softmax"
        outputs, meaning = "classes", "number of classes"
    # A file may have any name: a quote in it would end the docstring, and the rest would be code.
    experiment = experiment.replace("\\", "\\\\").replace('"', '\\"')
    return f'''"""Networks for {experiment}."""

import keras


def {function}(input_shape, {outputs}, hidden_units):
    """Build a network that returns {returned}.

    The first two arguments come from the data. Every other argument is a hyperparameter, which
    {experiment} fixes or searches.

    Args:
        input_shape: shape of one input without the batch axis, such as (28, 28, 1) for an image.
        {outputs}: {meaning}.
        hidden_units: number of units of the hidden layer.
    """
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hidden_units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense({outputs})(x))
'''


def _settings_lines(
    settings: type[Settings],
    set_values: Mapping[str, Any] = MappingProxyType({}),
    hidden: Collection[str] = (),
    choices: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> Iterator[str]:
    """Yield the lines of a table's settings.

    Args:
        settings: the class of the table; its descriptions become comments.
        set_values: settings that are set; all others are commented out.
        hidden: settings that are left out.
        choices: names to list behind a setting's description.
    """
    for name, field in settings.model_fields.items():
        if name in hidden:
            continue
        value = field.get_default(call_default_factory=True)
        value = set_values.get(name, value)
        # TOML has no null: the value of a setting whose default is None is left out.
        text = f"{name} =" if value is None else f"{name} = {_to_toml(value)}"
        names = f" One of {', '.join(choices[name])}." if name in choices else ""
        description = f"{field.description or ''}{names}"
        yield from _setting_lines(text if name in set_values else f"# {text}", description)


def _setting_lines(text: str, description: str) -> Iterator[str]:
    """Yield a setting with its description behind it, or before it if it is long."""
    line = _with_comment(text, description)
    if len(line) <= _WIDTH:
        yield line
        return
    yield from textwrap.wrap(
        " ".join(description.split()), _WIDTH, initial_indent="# ", subsequent_indent="# "
    )
    yield text


def _with_comment(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN - 1}} # {' '.join(comment.split())}" if comment else text


def _align(values: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, values))
    for name, value in values.items():
        yield f"{name:<{width}} = {value}"


def _to_toml(value: Any) -> str:
    # TOML writes texts, numbers, booleans and lists as JSON does, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _experiment_file(name: str) -> Path:
    """Return the path of the experiment's file, which must not exist."""
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
    if stem in list_catalog():
        raise RequestError(f"{stem!r} is an experiment of the catalogue: give yours another name.")
    _check_folder(file)
    if os.path.lexists(file):
        raise _already_exists(file)
    return file


def _function_name(reference: str) -> str:
    """Return the function's name in "file.py:function" or "package.module:function"."""
    place, _, function = reference.partition(":")
    module = place.removesuffix(".py").rpartition("/")[2]
    # A keyword such as `class` is an identifier, and no function can have it as its name.
    if (
        not function.isidentifier()
        or keyword.iskeyword(function)
        or not all(part.isidentifier() for part in module.split("."))
    ):
        raise RequestError(
            "--model must be a family, file.py:function or package.module:function; "
            f"received {reference!r}: write nets.py:build."
        )
    return function


def _missing_network_file(file: Path, model: str) -> Path | None:
    """Return the network's file if it is missing, or None.

    It is None for a module of a package.
    """
    place = expand_path(model.partition(":")[0], "--model")
    network = file.parent / place
    if place.suffix != ".py" or network.exists():
        return None
    _check_folder(network)
    return network


def _check_folder(file: Path) -> None:
    if not file.parent.is_dir():
        raise RequestError(
            f"the folder of {file} must exist: there is no {file.parent}; create it first."
        )


def _write_network(network: Path, template: Template, function: str) -> None:
    with _draft(network, network_text(template.file.name, function, template.task)) as draft:
        _move_into_place(draft, network)


@contextmanager
def _draft(file: Path, text: str) -> Iterator[Path]:
    """Yield a draft of a file, in a temporary folder beside it."""
    # Beside the file, because a hard link cannot leave the file system.
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".assay-") as folder:
            draft = Path(folder) / file.name
            draft.write_text(text, encoding="utf-8")
            yield draft
    except OSError as error:
        raise RequestError(f"{file} can't be written: {error.strerror}.") from None


def _move_into_place(draft: Path, file: Path) -> None:
    # A link fails if the file exists by now; a rename would replace it.
    try:
        os.link(draft, file)
    except FileExistsError:
        raise _already_exists(file) from None


def _already_exists(file: Path) -> RequestError:
    return RequestError(f"{file} is there already: give the new one another name, or remove it.")
