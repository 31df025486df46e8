"""An experiment: a TOML file, read strictly into one frozen object."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from assay.experiments.config.names import (
    SEARCHABLE,
    TABLES,
    Setting,
    TableName,
    ambiguous_name,
    flatten_table,
    flatten_values,
    parse_name,
    resolve_name,
    split_name,
    unknown_name,
)
from assay.experiments.config.space_table import condition_names, read_space_table
from assay.experiments.config.text_file import read_utf8
from assay.experiments.config.toml_text import parse_toml
from assay.experiments.data.lookup import check_task
from assay.experiments.data.settings import DataSettings
from assay.experiments.formatting import format_count
from assay.models.architectures.precompiled import check_optimizer, used_settings
from assay.models.architectures.registry import Family, get_family
from assay.models.errors import RequestError
from assay.models.names import check_name, suggestion
from assay.models.settings import Settings
from assay.models.tasks import DEFAULT_LOSS, Task
from assay.models.training.augmentation import check_augmentation
from assay.models.training.config import TrainSettings
from assay.models.training.metrics import metric_names
from assay.search.objective import COSTS
from assay.search.settings import SearchSettings
from assay.search.space import Configuration, Space

DEFAULT_OBJECTIVE: Mapping[Task, str] = {
    "classification": "maximize val_accuracy",
    "regression": "minimize val_loss",
}

_MOST_SUGGESTED = 3

MOST_BYTES = 1_000_000
"""Size up to which an experiment's file is read; journals hold it."""

MOST_BASELINES = 1_000
"""Most [[baseline]] tables of an experiment; more configurations to try first go to --enqueue."""


class _ExperimentFile(Settings):
    """The tables of an experiment's file."""

    title: str
    source: str = ""
    cost: str = ""
    expect: str = ""
    task: Task = "classification"
    data: dict[str, Any]
    model: dict[str, Any]
    train: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, Any] = Field(default_factory=dict)
    baseline: list[dict[str, Any]] = Field(default_factory=list)


def read_experiment(path: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        RequestError: the file does not exist, is not TOML, or a value in it is wrong; the message
            is one line that names the file.

    Example:
        >>> experiment = read_experiment(Path("mine.toml"))
        >>> experiment.hyperparameters(experiment.default_configuration())["optimizer"]
        'adam'
    """
    try:
        text = read_utf8(path, MOST_BYTES)
    except FileNotFoundError:
        raise RequestError(
            f"there is no file {path}: give the path of an experiment's TOML.{_hint(path)}"
        ) from None
    except IsADirectoryError:
        raise RequestError(
            f"{path} is a folder: give the path of an experiment's TOML.{_hint(path)}"
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} can't be read: {error}.") from None
    return parse_experiment(path, text)


def parse_experiment(path: Path, text: str) -> Experiment:
    """Return the experiment of a TOML text.

    Args:
        path: the file that the text is from, or is taken for: it gives the experiment its name, and
            its folder is where a user's files are looked for.
        text: the text.

    Raises:
        RequestError: the text is not TOML, or a value in it is wrong.
    """
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise RequestError(f"{path} is no TOML: {error}.") from None
    try:
        return _build_experiment(path, text, _ExperimentFile.read(tables, "the file"))
    except RequestError as error:
        raise RequestError(f"{path.name}: {error}") from None


def find_toml_files(path: Path) -> list[Path]:
    """Return the TOML files that a path without ".toml" may mean.

    They are PATH.toml, or those in the folder PATH.
    """
    try:
        beside = [file for file in path.parent.iterdir() if file.stem == path.name]
        inside = list(path.iterdir()) if path.is_dir() else []
    except (OSError, ValueError):  # ValueError: a name with a null byte
        return []
    return sorted(
        file for file in (*beside, *inside) if file.suffix.lower() == ".toml" and file.is_file()
    )


def _hint(path: Path) -> str:
    """Return " Did you mean ...?" or an empty string."""
    files = find_toml_files(path)[:_MOST_SUGGESTED]
    return f" Did you mean {' or '.join(map(to_argument, files))}?" if files else ""


def to_argument(path: Path) -> str:
    """Return a path as the command takes it: with a folder, such as "./mine.toml"."""
    return str(path) if path.is_absolute() or path.parts[0] == ".." else f"./{path}"


def _build_experiment(path: Path, text: str, file: _ExperimentFile) -> Experiment:
    if (baselines := len(file.baseline)) > MOST_BASELINES:
        raise RequestError(
            f"[[baseline]] may be given at most {MOST_BASELINES:,} times; received {baselines:,}: "
            "give the others to --enqueue."
        )
    model = flatten_table(file.model, "model")
    train = flatten_table(file.train, "train")
    if not isinstance(family := model.pop("family", None), str):
        raise RequestError(
            f"[model] must say its family, such as family = 'mlp': received {family!r}."
        )
    # A user-defined module is looked for beside the experiment's file first.
    found = get_family(family, [str(path.parent.absolute())], file.task)
    declared_space = read_space_table(file.space, found, model, train)
    experiment = Experiment(
        name=path.stem,
        path=path,
        text=text,
        title=file.title,
        source=file.source,
        cost=file.cost,
        expect=file.expect,
        task=file.task,
        data=DataSettings.read(file.data, "[data]"),
        family=found,
        model=model,
        train=train,
        declared_space=declared_space,
        search=SearchSettings.read(
            {"objectives": [DEFAULT_OBJECTIVE[file.task]], **file.search}, "[search]"
        ),
        baselines=(),
    )
    experiment = dataclasses.replace(
        experiment,
        baselines=tuple(
            experiment._resolve_names(values, "[[baseline]]") for values in file.baseline
        ),
    )
    experiment.check_trainable()
    _check_question(experiment)
    return experiment


def _check_question(experiment: Experiment) -> None:
    """Check that the hyperparameter that the search asks about is searched.

    Raises:
        RequestError: it is not.
    """
    question, space = experiment.search.question, experiment.space
    if question is not None and question not in space:
        raise RequestError(
            f"[search] question must be a name in [space], which has {', '.join(space) or 'none'}; "
            f"received {question!r}.{suggestion(question, space)}"
        )


@dataclass(frozen=True)
class Experiment:
    """An experiment: data, model, training, search space and search.

    Attributes:
        name: the file's name without ".toml".
        path: the file.
        text: the file as it was read.
        title: one line about it.
        source: the paper or lecture that it comes from.
        cost: how long it takes, and on which machine.
        expect: the score to expect.
        task: "classification" or "regression".
        data: the [data] table.
        family: the model family under [model].
        model: fixed values of [model].
        train: fixed values of [train].
        declared_space: the [space] table.
        search: the [search] table.
        baselines: the [[baseline]] tables, without names that are no longer searched.
        set_names: what `with_fixed` has set, with the names as they were written.
    """

    name: str
    path: Path
    text: str
    title: str
    source: str
    cost: str
    expect: str
    task: Task
    data: DataSettings
    family: Family[Any]
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    declared_space: Space
    search: SearchSettings
    baselines: tuple[Mapping[str, Any], ...]
    set_names: Mapping[Setting, str] = field(default_factory=dict)

    @cached_property
    def space(self) -> Space:
        """The space that is searched: the declared one without the fixed names."""
        # A condition may depend on a name that is not in [space]: it has its default value then.
        values = {
            setting: value
            for setting, value in self._default_values().items()
            if setting not in self._declared
        }
        values |= self._fixed_values()
        fixed = {self._plain_name(setting): value for setting, value in values.items()}
        # Conditions may call such a name by its qualified name.
        for parameter in self.declared_space.values():
            for condition in parameter.when:
                setting = parse_name(condition.name)
                if condition.name not in self.declared_space and setting in values:
                    fixed[condition.name] = values[setting]
        return self.declared_space.fix(fixed)

    def _default_values(self) -> dict[Setting, Any]:
        fields = {"model": self.family.settings.model_fields, "train": TrainSettings.model_fields}
        defaults = {
            Setting(table, name): fields[table][name].default
            for table in SEARCHABLE
            for name in fields[table]
        }
        return {**defaults, Setting("train", "loss"): DEFAULT_LOSS[self.task]}

    def _fixed_values(self) -> dict[Setting, Any]:
        return {
            **{Setting("model", name): value for name, value in self.model.items()},
            **{Setting("train", name): value for name, value in self.train.items()},
        }

    @cached_property
    def _declared(self) -> Mapping[Setting, str]:
        """The names in [space] by what they set."""
        return {parse_name(name): name for name in self.declared_space}

    @cached_property
    def _model_names(self) -> frozenset[str]:
        """The arguments of a model that the experiment names."""
        searched = (setting.name for setting in self._declared if setting.table == "model")
        return frozenset((*self.family.settings.model_fields, *self.model, *searched))

    def _plain_name(self, setting: Setting) -> str:
        """Return how a setting is called: as [space] does, else by its plain name if it has one."""
        if setting in self._declared:
            return self._declared[setting]
        return setting.name if parse_name(setting.name) == setting else setting.qualified

    def recorded_name(self, setting: Setting) -> str:
        """Return the name by which a hyperparameter is recorded."""
        name = self._plain_name(setting)
        # No built-in family shares a name with [train]: plain names are enough.
        if name in self.space or name == setting.qualified or self.family.factory is None:
            return name
        is_of_both = setting.table == "train" and setting.name in self._model_names
        is_written_so = self.set_names.get(setting) == setting.qualified
        return setting.qualified if is_of_both or is_written_so else name

    def build_settings(self, searched: Mapping[str, Any]) -> tuple[Settings, TrainSettings]:
        """Return the model's and the training's settings.

        Args:
            searched: values of the searched names; those left out have their defaults.

        Raises:
            RequestError: a value is not allowed.
        """
        values = {parse_name(name): value for name, value in searched.items()}
        return (
            self.family.settings.read({**self.model, **_of("model", values)}, "[model]"),
            TrainSettings.read_for(self.task, {**self.train, **_of("train", values)}, "[train]"),
        )

    def hyperparameters(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """Return every hyperparameter by name, searched or fixed, without those that are None.

        What [train] and the model both have is recorded as `train.NAME` and `model.NAME`. With the
        optimizer "own", settings that only an optimizer of [train] uses are left out.

        Args:
            searched: values of the searched names.
        """
        model, train = self.build_settings(searched)
        used = used_settings(train)
        values = {
            "family": self.family.name,
            **{
                self.recorded_name(Setting("model", name)): value
                for name, value in model.model_dump().items()
            },
            **{
                self.recorded_name(Setting("train", name)): value
                for name, value in train.model_dump().items()
                if name in used
            },
            "scale": self.data.scale,
        }
        return {name: value for name, value in values.items() if value is not None}

    def names_by_table(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names that the model and [train] are given, searched ones first.

        Defaults are left out. The names are those of the tables, without "model." or "train.".

        Example:
            >>> experiment.names_by_table()
            {'model': ('hidden_units',), 'train': ('learning_rate', 'epochs')}
        """
        settings = (
            *(parse_name(name) for name in self.space),
            *self._fixed_values(),
        )
        return {
            table: tuple(
                dict.fromkeys(setting.name for setting in settings if setting.table == table)
            )
            for table in SEARCHABLE
        }

    def to_toml(self) -> str:
        """Return the experiment as TOML, with everything that was set.

        `parse_experiment` reads the same experiment from it, without `set_names`.
        """
        import tomli_w  # here, because only what is recorded needs it

        about = {
            "title": self.title,
            "source": self.source,
            "cost": self.cost,
            "expect": self.expect,
            "task": self.task,
        }
        tables = {
            "data": _without_none(self.data.model_dump()),
            "model": {"family": self.family.name, **_without_none(self.model)},
            "train": _without_none(self.train),
            # Not the declared one: what is fixed is under [model] and [train].
            "space": {name: parameter.to_toml() for name, parameter in self.space.items()},
            "search": _without_none(self.search.model_dump()),
            "baseline": [dict(baseline) for baseline in self.baselines],
        }
        return tomli_w.dumps(about | {name: table for name, table in tables.items() if table})

    def changed_values(self) -> dict[str, Any]:
        """Return what `with_fixed` has set, by the names as they were written, and other epochs.

        Example:
            >>> resolve_experiment("mnist-mlp").with_fixed({"hidden_units": 64}).changed_values()
            {'hidden_units': 64}
        """
        fixed = self._fixed_values() | {
            Setting("data", name): value for name, value in self.data.model_dump().items()
        }
        # A parameter with a condition stays in the space, with one choice.
        fixed |= {
            setting: self.space[name].extreme_value(0)
            for setting, name in self._declared.items()
            if setting in self.set_names and name in self.space
        }
        # Without its condition a parameter does not exist, whatever was set.
        changed = {
            name: fixed[setting] for setting, name in self.set_names.items() if setting in fixed
        }
        # `--epochs` is no name of `--set`.
        epochs = Setting("train", "epochs")
        if epochs not in self.set_names and epochs in fixed:
            declared = None
            with contextlib.suppress(ValueError):  # of a recorded run the text may be lost
                declared = parse_toml(self.text).get("train")
            is_declared = isinstance(declared, Mapping) and declared.get("epochs") == fixed[epochs]
            changed |= {} if is_declared else {"epochs": fixed[epochs]}
        return changed

    def notes(self) -> tuple[str, ...]:
        """Return facts about the request that a user may not expect, one line each.

        Example:
            >>> resolve_experiment("mnist-mlp").with_fixed({"hidden_units": [1, 2]}).notes()
            ('hidden_units = [1, 2] is one value for every trial, here a network of 2 hidden layers;
            to choose between the numbers, list them in [space]',)
        """
        fixed = self._fixed_values()
        return tuple(
            _describe_list(name, fixed[setting], self.family.factory is None)
            for setting, name in self.set_names.items()
            if isinstance(fixed.get(setting), list)
            and setting in self._declared
            and not self.declared_space[self._declared[setting]].has_lists
        )

    @property
    def unqualified_train_names(self) -> tuple[str, ...]:
        """Plain names that went to [train] from a place that does not say which table it means.

        Such places are [space], its conditions and `--set`. An argument of a user-defined factory
        of the same name may have been meant; a built-in family has none.
        """
        if self.family.factory is None:
            return ()
        fixed = self._fixed_values()
        searched = (
            self.declared_space[name]
            for setting, name in self._declared.items()
            if setting not in fixed
        )
        names = (*self.space, *condition_names(searched), *self._names_set_in("train"))
        return tuple(dict.fromkeys(name for name in names if name in TrainSettings.model_fields))

    @property
    def unqualified_data_names(self) -> tuple[str, ...]:
        """Plain names that `--set` gave to [data]; see `unqualified_train_names`."""
        if self.family.factory is None:
            return ()
        return tuple(name for name in self._names_set_in("data") if split_name(name)[0] is None)

    def _names_set_in(self, table: TableName) -> list[str]:
        return [name for setting, name in self.set_names.items() if setting.table == table]

    def fixed_hyperparameters(self) -> dict[str, Any]:
        """Return every hyperparameter that is not searched, by name."""
        values = self.hyperparameters(self.space.corner(0, {}))
        return {name: value for name, value in values.items() if name not in self.space}

    def baseline_configurations(self) -> list[Configuration]:
        """Return the baselines as configurations of the space."""
        return [self.check_configuration(values, "[[baseline]]") for values in self.baselines]

    def default_configuration(self) -> Configuration:
        """Return the first baseline; without one, an empty configuration: the family's defaults."""
        return next(iter(self.baseline_configurations()), {})

    def first_configuration(self) -> Configuration:
        """Return the first baseline with a value of every searched name that exists beside it."""
        return self.space.corner(0, self.default_configuration())

    def other_model_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return another value of each searched parameter of the model, by its name there.

        Each alone gives a configuration of the space: parameters with conditions, and those that
        conditions name, are left out, and so are those without another value.

        Args:
            values: the model's hyperparameters of a configuration.
        """
        bound = {
            name
            for parameter in self.space.values()
            for name in (condition.name for condition in parameter.when)
        }
        found: dict[str, Any] = {}
        for name, parameter in self.space.items():
            setting = parse_name(name)
            is_free = not parameter.when and name not in bound
            if setting.table == "model" and setting.name in values and is_free:
                current = values[setting.name]
                # The first of a range is its low end: a small network.
                others = [value for value in parameter.extreme_values() if value != current]
                if others:
                    found[setting.name] = others[0]
        return found

    def check_configuration(self, values: Mapping[str, Any], where: str) -> Configuration:
        """Return values of some searched names as a configuration.

        Args:
            values: values by name.
            where: where the values come from, for the message.

        Raises:
            RequestError: a name is not searched, a value is outside its range, or a parameter does
                not exist beside the others.
        """
        return self.space.check(self._resolve_names(values, where), where)

    def _resolve_names(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return values of searched names by the names that [space] gives them."""
        resolved: dict[str, Any] = {}
        for written, value in flatten_values(values, where).items():
            setting = parse_name(resolve_name(written, self.family, where))
            if setting not in self._declared and Setting("model", written) in self._declared:
                # A plain name that [train] has, while the space searches the model's.
                raise RequestError(
                    f"{where} {written}: [space] searches model.{written}; write that."
                )
            name = self._declared.get(setting, written)
            if name in resolved:
                raise RequestError(f"{where} {name}: is given twice; remove one.")
            resolved[name] = value
        return resolved

    def largest_value(self, name: Literal["batch_size", "epochs"]) -> int:
        """Return the largest value of a training setting that a trial could have."""
        # The corners have every extreme value of every parameter.
        return max(
            int(getattr(self.build_settings(configuration)[1], name))
            for configuration in self.space.corners()
        )

    def check_trainable(self) -> None:
        """Check that every configuration of the space could be trained, without training any.

        Raises:
            RequestError: one could not.
        """
        # The names and metrics of a user-defined factory are unknown until it is called.
        if self.family.factory is None:
            known_names = [*TrainSettings.model_fields, *self.family.settings.model_fields]
            for name in self.space:
                check_name("name in [space]", name, known_names)
            measured = metric_names(self.task)
            known_metrics = [*measured, *(f"val_{name}" for name in measured), *COSTS]
            for objective in self.search.goals.each:
                check_name("metric in [search] objectives", objective.metric, known_metrics)
        check_task(self.data, self.task)
        # Baselines may leave names out: those have their first values here.
        baselines = (self.space.corner(0, values) for values in self.baseline_configurations())
        for configuration in (*self.space.corners(), *baselines):
            check_optimizer(self.family, self.build_settings(configuration)[1])

    def check_input(self, input_shape: tuple[int, ...]) -> None:
        """Check that every network of the space can take inputs of this shape.

        Args:
            input_shape: (height, width, channels) or (features,).

        Raises:
            RequestError: one cannot.
        """
        for configuration in self.space.corners():
            model, train = self.build_settings(configuration)
            self.family.check_input(model, input_shape)
            check_augmentation(train, input_shape)

    def with_search(self, **changes: Any) -> Experiment:
        """Return the experiment with other settings of [search].

        Args:
            **changes: keys of [search]; None leaves a setting unchanged.

        Raises:
            RequestError: a value is not allowed.

        Example:
            >>> experiment.with_search(trials=100, sampler=None).search.trials
            100
        """
        # An option that was not given is None.
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, search=self.search.changed(**given))

    def with_float_ranges(self, names: Collection[str]) -> Experiment:
        """Return the experiment with real ranges in place of integer ranges.

        Args:
            names: arguments of a user-defined factory that are real numbers, by their own names or
                as [space] calls them. Other names, choices and real ranges stay as they are.
        """
        real = {
            name: parameter.with_real_range()
            for name, parameter in self.declared_space.items()
            if parse_name(name).table == "model"
            and (name in names or parse_name(name).name in names)
        }
        # In the space's order, which the conditions need.
        space = Space({**self.declared_space, **real})
        return dataclasses.replace(self, declared_space=space)

    def with_fixed(self, values: Mapping[str, Any], epochs: int | None = None) -> Experiment:
        """Return the experiment with some names fixed, whether they were searched or not.

        Args:
            values: values by name, of [model], [train] or [data]. A name that several of them have
                is written with its table, such as "train.epsilon".
            epochs: epochs of a trial, whatever the factory calls `epochs`; None: the experiment's.

        Raises:
            RequestError: a name is unknown or of several tables, or a value is not allowed.

        Example:
            >>> experiment.with_fixed({"hidden_units": 64, "epochs": 3}).fixed_hyperparameters()
            {'family': 'mlp', 'hidden_units': 64, ...}
        """
        fixed: dict[Setting, Any] = {}
        names: dict[Setting, str] = {}
        for name, value in flatten_values(values, "--set", TABLES).items():
            setting = self._find_setting(name)
            if setting in fixed:
                raise RequestError(
                    f"--set {name}: is the same as {names[setting]}; remove one of the two."
                )
            fixed[setting], names[setting] = value, name
        for setting, name in names.items():
            same = [other for other in fixed if other.name == setting.name]
            if name == setting.name and len(same) > 1:
                raise ambiguous_name("--set", name, [other.table for other in same])
        if epochs is not None:
            fixed[Setting("train", "epochs")] = epochs
        # A parameter that exists only under a condition keeps the condition, and gets one choice.
        conditional = {
            setting: value for setting, value in fixed.items() if self._is_conditional(setting)
        }
        others = {setting: value for setting, value in fixed.items() if setting not in conditional}
        changed = self._with_values(others)
        # The other values may have decided the condition: then the parameter is fixed like any.
        undecided = {
            setting: value
            for setting, value in conditional.items()
            if changed._is_conditional(setting)
        }
        decided = {
            setting: value for setting, value in conditional.items() if setting not in undecided
        }
        changed = changed._with_values(decided)
        one_choice = {
            name: changed.declared_space[name].fixed_to(value)
            for setting, value in undecided.items()
            if (name := changed._declared[setting])
        }
        changed = dataclasses.replace(
            changed,
            declared_space=Space.ordered({**changed.declared_space, **one_choice}),
            set_names={**self.set_names, **names},
        )
        changed = changed._with_values({})  # the baselines of the smaller space
        question = changed.search.question
        if question is not None and question not in changed.space:
            # What is fixed leaves nothing to ask.
            changed = dataclasses.replace(changed, search=changed.search.changed(question=None))
        changed.check_trainable()
        return changed

    def _is_conditional(self, setting: Setting) -> bool:
        parameter = self.space.get(self._declared.get(setting, ""))
        return parameter is not None and bool(parameter.when)

    def _settable_data_keys(self) -> list[str]:
        """Return the keys of [data] that `with_fixed` can set."""
        # A user-defined factory may have an argument "seed" or "size": the name means the data's
        # only if this data set takes the key.
        is_user_defined = self.family.factory is not None
        keys = self.data.applicable_keys() if is_user_defined else DataSettings.model_fields
        return [key for key in keys if key != "name"]

    def _find_setting(self, name: str) -> Setting:
        """Return the setting that a name of `--set` means.

        Raises:
            RequestError: there is none, or it could be one of several.
        """
        table, bare = split_name(name)
        data_keys = self._settable_data_keys()
        if table == "data":
            if bare not in data_keys:
                raise unknown_name(f"--set {name}", "data", bare, data_keys)
            return Setting("data", bare)
        if table is not None:
            resolve_name(name, self.family, "--set")
            return Setting(table, bare)
        known = {
            "train": TrainSettings.model_fields,
            "model": self._model_names,
            "data": data_keys,
        }
        found = [table for table in TABLES if name in known[table]]
        if len(found) > 1:
            raise ambiguous_name("--set", name, found)
        if found:
            return Setting(found[0], name)
        if self.family.factory is None:
            names = [*known["train"], *self.family.settings.model_fields, *data_keys]
            raise RequestError(
                f"--set does not know {name!r}: {self.name} has {', '.join(names)}."
                f"{suggestion(name, names)}"
            )
        # Which arguments a user-defined factory takes is unknown until it is called.
        return Setting("model", name)

    def _with_values(self, values: Mapping[Setting, Any]) -> Experiment:
        """Return the experiment with values set, and with what is left of its baselines."""
        changed = dataclasses.replace(
            self,
            data=DataSettings.read({**self.data.model_dump(), **_of("data", values)}, "[data]"),
            model={**self.model, **_of("model", values)},
            train={**self.train, **_of("train", values)},
        )
        baselines = (
            {name: value for name, value in baseline.items() if changed._can_search(name, value)}
            for baseline in self.baselines
        )
        # An empty baseline is all defaults: redundant, unless nothing is searched at all.
        return dataclasses.replace(
            changed,
            baselines=tuple(baseline for baseline in baselines if baseline or not changed.space),
        )

    def _can_search(self, name: str, value: object) -> bool:
        """Return whether a value of a baseline is a value of the space."""
        if name not in self.space:
            return False
        try:
            self.space[name].check("", value)
        except RequestError:
            return False
        return True


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without those that are None, which TOML does not have."""
    return {name: value for name, value in values.items() if value is not None}


def _of(table: TableName, values: Mapping[Setting, Any]) -> dict[str, Any]:
    """Return the values of one table by their names in it."""
    return {setting.name: value for setting, value in values.items() if setting.table == table}


def _describe_list(name: str, values: list[Any], is_built_in: bool) -> str:
    # The only list that a built-in family takes has a number per hidden layer.
    layers = format_count(len(values), "hidden layer")
    meaning = f", here a network of {layers}" if is_built_in else ""
    return (
        f"{name} = {values} is one value for every trial{meaning}; to choose between the numbers, "
        "list them in [space]"
    )
