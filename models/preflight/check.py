"""The preflight check of a trial: what its model and data are, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.models import keras_compat
from assay.models.architectures.custom_import import (
    Factory,
    FactoryReference,
    attribute_user_errors,
)
from assay.models.backends.keras_fit import defines_its_own_loss
from assay.models.code_files import CodeFile
from assay.models.data import Array, TrainingData, as_one_hot
from assay.models.errors import RequestError
from assay.models.preflight.inputs import find_double_scaling, find_index_columns
from assay.models.preflight.metrics import find_uninformative_metrics, find_unsuitable_metrics
from assay.models.preflight.outputs import (
    LossInput,
    OutputKind,
    are_log_probabilities,
    are_scores_bounded,
    compute_amplified,
    compute_loss,
    compute_outputs,
    find_largest_probability,
    find_output_kind,
    find_output_range,
    gives_both_signs,
    measure_loss,
)
from assay.models.preflight.saving import find_saving_problem
from assay.models.preflight.shared_state import FactoryMemory, MakeModel, list_variables
from assay.models.preflight.user_code import (
    FileRecorder,
    digests_by_name,
    float_parameters,
    parameter_names,
    read_user_files,
)
from assay.models.recipe import Recipe
from assay.models.training import augmentation
from assay.models.training.config import OWN
from assay.models.training.metrics import metric_names

if TYPE_CHECKING:
    import keras

_IMAGES = 8
_MOST_TARGETS = 4
_MOST_ROWS = 10_000
_VISIBLE_STEP = 0.01  # of the targets' standard deviation
_SLACK = 0.05  # of the targets' range


@dataclass(frozen=True)
class ModelFacts:
    """What the preflight check found. All values are plain, since a worker sends them.

    Attributes:
        parameters: number of parameters of the model.
        metrics: names of the metrics that an epoch reports.
        loss: name of the loss.
        loss_takes: "scores" (such as logits), "probabilities", "log probabilities" or "values";
            None if unknown.
        model_gives: "scores", "probabilities" or "fractions"; None if unknown, and in regression.
        precision: dtype policy that the model has.
        keras_settings: Keras' global settings by name.
        came_compiled: whether a user-defined model has a loss and metrics of its own.
        replaced_optimizer: class of the optimizer that a user-defined model came with, and that of
            [train] replaces; empty if there is none.
        uses_indices: whether the model uses all of its inputs as indices, which are not scaled.
        centred: whether targets with a large offset are centred: not for a model that has a loss
            of its own, or gives outputs of that size.
        code: SHA-256 of every file of the user's code, by displayed name.
        files: these files with their texts.
        float_parameters: parameters of the factory that are real numbers.
        directions: "maximize" or "minimize", by metric of the model's own.
        warnings: what is doubtful, one line each.
    """

    parameters: int
    metrics: Sequence[str]
    loss: str = ""
    loss_takes: LossInput | None = None
    model_gives: OutputKind | None = None
    precision: str = ""
    keras_settings: Mapping[str, Any] = field(default_factory=dict)
    came_compiled: bool = False
    replaced_optimizer: str = ""
    uses_indices: bool = False
    centred: bool = True
    code: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[CodeFile] = ()
    float_parameters: Sequence[str] = ()
    directions: Mapping[str, Literal["maximize", "minimize"]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        loaded: Sequence[Any] = self.files  # JSON has mappings
        files = (file if isinstance(file, CodeFile) else CodeFile(**file) for file in loaded)
        object.__setattr__(self, "files", tuple(files))

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def check_built_in(recipe: Recipe, data: TrainingData, make_model: MakeModel) -> ModelFacts:
    """Return the facts of a built-in family, whose models need no check.

    Raises:
        RequestError: the augmentation does not suit the images.
    """
    augmentation.check_augmentation(recipe.train, data.shape.input_shape)
    model, _ = make_model()
    is_classification = recipe.task == "classification"
    takes_values = recipe.train.loss.endswith("_error")
    measured = metric_names(recipe.task)
    return ModelFacts(
        parameters=int(model.count_params()),
        metrics=[*measured, *(f"val_{name}" for name in measured)],
        loss=recipe.train.loss,
        loss_takes="values" if takes_values else "scores",
        model_gives="scores" if is_classification else None,
        precision=_read_precision(model),
        keras_settings=read_keras_settings(),
    )


def check_custom(
    recipe: Recipe,
    data: TrainingData,
    import_factory: Callable[[], Factory],
    make_model: MakeModel,
    train_names: Sequence[str] = (),
    data_names: Sequence[str] = (),
    other_values: Mapping[str, Any] = MappingProxyType({}),
) -> ModelFacts:
    """Check a user-defined model on a few examples, and return its facts.

    Args:
        recipe: how it is described and trained.
        data: training data.
        import_factory: imports the factory, and returns it.
        make_model: calls the factory, and compiles its model.
        train_names: unqualified names that [train] received; an error if the factory has a
            parameter of that name.
        data_names: likewise of [data].
        other_values: for each searched argument of the factory, another value than the recipe's.

    Raises:
        RequestError: the model can't be trained, or would be trained wrongly.
    """
    reference = recipe.family.factory
    assert reference is not None, "a user-defined family has a factory"
    augmentation.check_augmentation(recipe.train, data.shape.input_shape)
    recorder = FileRecorder(reference)
    with recorder.recording():
        function = import_factory()
        _check_ambiguous_names(function, reference, {"train": train_names, "data": data_names})
        before = list_variables()
        model, came_compiled = make_model()
    memory = FactoryMemory.start(
        reference, model, make_model, before, partial(_measure_loss_of_examples, recipe, data)
    )
    replaced = (
        _check_replaced_optimizer(recipe, data, reference, other_values)
        if came_compiled and recipe.train.optimizer != OWN
        else ""
    )
    facts = _CustomCheck(recipe, data, reference, model, came_compiled).run(
        files=read_user_files(reference, recorder.files),
        float_parameters=float_parameters(function),
    )
    memory.check_after_training(model, make_model)
    return dataclasses.replace(facts, replaced_optimizer=replaced)


def _measure_loss_of_examples(
    recipe: Recipe, data: TrainingData, model: keras.Model
) -> float | None:
    """Return the loss of a model on two examples; None if Keras does not compute it."""
    x, y = data.scale.apply(np.asarray(data.x_train[:2])), np.asarray(data.y_train[:2])
    return compute_loss(model, x, as_one_hot(y, data.outputs) if recipe.one_hot else y)


def _check_replaced_optimizer(
    recipe: Recipe, data: TrainingData, reference: FactoryReference, other_values: Mapping[str, Any]
) -> str:
    """Check that no searched argument sets only the optimizer which the model comes with.

    That of [train] replaces it, so the argument would have no effect.

    Returns:
        The class of the optimizer that is replaced.

    Raises:
        RequestError: an argument sets nothing else.
    """

    def describe(values: Mapping[str, Any]) -> keras.Model:
        settings = recipe.family.settings.read({**recipe.model.model_dump(), **values}, "[model]")
        return dataclasses.replace(recipe, model=settings).describe(data.input_shape, data.outputs)

    before = describe({})
    optimizer, network = _optimizer_config(before), _network_config(before)
    for name, value in other_values.items():
        try:
            changed = describe({name: value})
        except Exception:
            continue  # its own trial says what is wrong with it
        if _optimizer_config(changed) != optimizer and _network_config(changed) == network:
            raise RequestError(
                f"[space] {name}: sets the optimizer with which {reference.text} compiles its "
                f"model, and that of [train], {recipe.train.optimizer!r}, replaces it; set "
                "optimizer = 'own' under [train] to keep it, or search train.learning_rate and the "
                "like instead."
            )
    return str(optimizer["class"])


def _optimizer_config(model: keras.Model) -> dict[str, Any]:
    """Return the class of a model's optimizer and its settings, without its counted name."""
    optimizer = model.optimizer
    return {"class": type(optimizer).__name__, **optimizer.get_config(), "name": None}


def _network_config(model: keras.Model) -> object:
    """Return what is known of a model beside its optimizer; never equal if that is too little."""
    shapes = [tuple(weight.shape) for weight in model.weights]
    try:
        parts = [layer.get_config() for layer in model.layers]
        if hasattr(model.loss, "get_config"):
            parts.append(model.loss.get_config())
    except Exception:
        return object()
    return shapes, [{**part, "name": None} for part in parts]


def _check_ambiguous_names(
    function: Factory, reference: FactoryReference, names_by_table: Mapping[str, Sequence[str]]
) -> None:
    """Check that no name is known to the factory and to a table that got it.

    Raises:
        RequestError: one is.
    """
    known = parameter_names(function)
    for table, names in names_by_table.items():
        for name in names:
            if name in known:
                raise RequestError(
                    f"{name!r} must say whose it is: [{table}] and {reference.text} both have it, "
                    f"and {name!r} alone would go to [{table}] only; write '{table}.{name}' or "
                    f"'model.{name}' instead."
                )


@dataclass(frozen=True)
class _CustomCheck:
    """The check of one model of a user's factory."""

    recipe: Recipe
    data: TrainingData
    reference: FactoryReference
    model: keras.Model
    came_compiled: bool

    def run(self, files: Sequence[CodeFile], float_parameters: Sequence[str]) -> ModelFacts:
        stored = np.asarray(self.data.x_train[:_IMAGES])
        x, x_raw = self.data.scale.apply(stored), self.data.raw_scale.apply(stored)
        y = np.asarray(self.data.y_train[:_IMAGES])
        warnings: list[str] = []
        calling = f"calling its model on inputs of shape {tuple(x.shape)}"
        with attribute_user_errors(self.reference, calling):
            uses_indices = self._check_indices(x_raw, x, warnings)
            if uses_indices:
                x = x_raw
            elif scaled_twice := find_double_scaling(self.model, x, x_raw):
                warnings.append(
                    f"the inputs look scaled twice: {scaled_twice}; set scale = 'none' under "
                    f"[data], or remove the scaling from {self.reference.text}"
                )
            gives, takes = self._check_outputs(x, warnings)
            centred = self._suits_centred_targets(x)
        settings = read_keras_settings()
        if settings["image_data_format"] != "channels_last" and len(self.data.input_shape) == 3:
            warnings.append(
                f"{self.reference.text} sets Keras' image_data_format to "
                f"{settings['image_data_format']!r}, and the inputs have their channels in the "
                "last axis: give the layers a data_format, or leave the setting alone"
            )
        self._check_rounding(warnings)
        metrics = self._train(x, y, warnings)
        self._check_metrics(y, gives, warnings)
        offset = self.data.target_offset if centred else None
        with attribute_user_errors(self.reference):
            kept = self.recipe.add_target_offset(self.model, self.data.shape, offset)
        if problem := find_saving_problem(kept, x, self.reference):
            warnings.append(problem)
        return ModelFacts(
            parameters=int(self.model.count_params()),
            metrics=metrics,
            loss=_name_loss(self.model, self.recipe),
            loss_takes=takes,
            model_gives=gives,
            precision=_read_precision(self.model),
            keras_settings=settings,
            came_compiled=self.came_compiled,
            uses_indices=uses_indices,
            centred=centred,
            code=digests_by_name(files),
            files=files,
            float_parameters=float_parameters,
            directions=keras_compat.metric_directions(self.model),
            warnings=warnings,
        )

    def _check_indices(self, x_raw: Array, x: Array, warnings: list[str]) -> bool:
        """Return whether the inputs are indices; warn if only some are, or they are no integers."""
        if np.array_equal(x_raw, x):
            return False  # nothing is scaled
        columns = find_index_columns(self.model, x_raw)
        if columns is None or not columns.any():
            return False
        used = x_raw[..., columns] if columns.size == x_raw.shape[-1] else x_raw
        if not np.array_equal(used, np.rint(used)):
            warnings.append(
                f"{self.reference.text} uses inputs as whole numbers, such as indices of an "
                "Embedding, and they have fractions; give it whole numbers"
            )
            return False
        if not columns.all():
            indices = ", ".join(map(str, np.flatnonzero(columns)))
            warnings.append(
                f"{self.reference.text} uses the inputs {indices} as indices, and [data] scales "
                "them like the others; set scale = 'none', and scale the others in the model"
            )
            return False
        return True

    def _check_outputs(
        self, x: Array, warnings: list[str]
    ) -> tuple[OutputKind | None, LossInput | None]:
        """Return what the model gives and what its loss takes.

        Raises:
            RequestError: they do not go together.
        """
        target = self._find_binary_targets()
        if target is None:
            self._check_range(x, warnings)
            return None, "values"
        is_classification = self.recipe.task == "classification"
        labels = np.arange(len(target), dtype=np.int32)
        y = target if self.recipe.one_hot or not is_classification else labels
        loss = measure_loss(self.model, x, y, target)
        amplified = compute_amplified(self.model, x)
        gives = find_output_kind(amplified)
        takes = None if loss is None else loss.takes
        name = _name_loss(self.model, self.recipe)
        if takes == "scores" and gives in ("probabilities", "fractions"):
            if loss is not None and not loss.prefers_right and is_classification:
                kind = "rows of 0 and 1" if self.recipe.one_hot else "whole numbers"
                raise RequestError(
                    f"the loss {name!r} must fall when outputs become right: received one that "
                    f"does not for labels that are {kind}, as {self.reference.text} is given them; "
                    "compile the model with a loss for such labels."
                )
            found = (
                "probabilities, rows that sum to 1 as from a softmax"
                if gives == "probabilities"
                else "numbers between 0 and 1 as from a sigmoid"
            )
            raise RequestError(
                f"the model of {self.reference.text} must give logits, which the loss {name!r} "
                f"takes: received {found}; remove that last activation, or compile the model with "
                "a loss for probabilities (from_logits=False)."
            )
        if takes == "probabilities" and gives == "scores":
            y = compute_outputs(self.model, x)
            raise RequestError(
                f"the model of {self.reference.text} must give probabilities, which its loss "
                f"{name!r} takes: received outputs from {y.min():.3g} to {y.max():.3g} that may "
                "leave the range from 0 to 1; compile it with from_logits=True, or let it end with "
                "a softmax or sigmoid."
            )
        if takes == "log probabilities" and not are_log_probabilities(self.model, x):
            warnings.append(
                f"the loss {name!r} falls without bound as outputs grow, so it takes log "
                f"probabilities, and {self.reference.text} does not give such: let it end with a "
                "log_softmax"
            )
        bound = np.e / (np.e + self.data.outputs - 1)
        if gives == "probabilities" and self.data.outputs == 1:
            warnings.append(
                f"the output of {self.reference.text} is always 1, as from a softmax over one "
                "number: let it end with a sigmoid"
            )
        elif gives == "probabilities" and find_largest_probability(amplified) < bound + 0.02:
            warnings.append(
                f"the probabilities of {self.reference.text} stay below {bound + 0.02:.2g}, as if "
                "a softmax followed another one: remove one of the two"
            )
        if loss is not None and loss.needs_large_scores and are_scores_bounded(amplified):
            warnings.append(
                f"the outputs of {self.reference.text} stay between -1 and 1, as from a tanh, "
                f"where the loss {name!r} can't fall below {loss.lowest_within_one:.3g}: remove "
                "that last activation"
            )
        return gives, takes

    def _find_binary_targets(self) -> Array | None:
        """Return a few targets as rows of 0 and 1 that have both; None if they are other numbers.

        In classification these are the first classes, in regression rows of the data.
        """
        if self.recipe.task == "classification":
            rows = min(_MOST_TARGETS, self.data.outputs, len(self.data.x_train), _IMAGES)
            return as_one_hot(np.arange(rows), self.data.outputs)
        y = np.asarray(self.data.y_train[:_MOST_ROWS])
        if self.data.target_offset is not None or not np.isin(y, (0, 1)).all():
            return None
        if y.shape[1] == 1:  # one row of each
            return np.unique(y, axis=0) if y.min() < y.max() else None
        mixed = y[(y.min(axis=1) == 0) & (y.max(axis=1) == 1)][:_MOST_TARGETS]
        return mixed if len(mixed) else None

    def _check_range(self, x: Array, warnings: list[str]) -> None:
        """Warn if numbers to predict lie where the model's outputs can't go."""
        y = np.asarray(self.data.y_train[:_MOST_ROWS], np.float64)
        if self.data.target_offset is not None and not self._suits_centred_targets(x):
            y = y + self.data.target_offset
        low, high = find_output_range(
            compute_amplified(self.model, x), lambda: gives_both_signs(self.model, x)
        )
        slack = _SLACK * float(y.max() - y.min())
        if y.min() < low - slack or y.max() > high + slack:
            where = "above 0" if np.isinf(high) else f"between {low:g} and {high:g}"
            warnings.append(
                f"the outputs of {self.reference.text} stay {where}, and the targets run from "
                f"{y.min():.6g} to {y.max():.6g}: remove its last activation, or scale the targets"
            )

    def _check_rounding(self, warnings: list[str]) -> None:
        """Warn if targets lose part of their differences because they are not centred."""
        offset, y = self.data.target_offset, np.asarray(self.data.y_train[:_MOST_ROWS])
        if offset is None or not (self.came_compiled or defines_its_own_loss(self.model)):
            return
        steps = np.spacing(np.abs(offset).astype(np.float32))
        rounded = np.flatnonzero(steps > _VISIBLE_STEP * y.std(axis=0))
        if len(rounded):
            first = rounded[0]
            warnings.append(
                f"float32 holds the targets in steps of {steps[first]:g} around {offset[first]:.6g}"
                f", and {self.reference.text} has a loss of its own, so they are not centred: "
                "subtract the offset from y, or let [train] compile the model"
            )

    def _suits_centred_targets(self, x: Array) -> bool:
        """Return whether the model can be trained on targets without their offset."""
        offset = self.data.target_offset
        if offset is None:
            return True
        if self.came_compiled or defines_its_own_loss(self.model):
            return False  # its loss and metrics may be relative to the targets' size
        if not gives_both_signs(self.model, x):
            return False  # as from a softplus: what lies below the mean would be out of reach
        distance = np.abs(compute_outputs(self.model, x).mean(axis=0) - offset)
        return not bool((distance < np.abs(offset) / 2).any())

    def _train(self, x: Array, y: Array, warnings: list[str]) -> list[str]:
        """Train on a few examples with Keras' `fit`; return the names of the metrics.

        Raises:
            RequestError: the model can't be trained, or a metric is no number.
        """
        before = _read_optimizer(self.model)
        if self.recipe.one_hot:
            y = as_one_hot(y, self.data.outputs)
        with attribute_user_errors(self.reference, self._format_training(y.shape)):
            # Not `train_on_batch`: it passes sample weights too, which a user-defined step need not
            # accept.
            history = self.model.fit(
                x, y, batch_size=len(x), shuffle=False, verbose=0, validation_data=(x, y)
            ).history
        self._check_optimizer(before, warnings)
        name = self.recipe.family.name
        for metric, (value, *_) in history.items():
            if np.size(value) != 1:
                raise RequestError(
                    f"a metric must be one number: received {metric} = {value!r:.60} of {name}; "
                    "reduce it."
                )
        if self.recipe.train.early_stopping is not None and "val_loss" not in history:
            raise RequestError(
                f"[train] early_stopping: needs val_loss: received a model of {name} that measures "
                f"{', '.join(history)}; let its test_step return a loss."
            )
        return list(history)

    def _check_optimizer(self, before: list[Array], warnings: list[str]) -> None:
        """Warn if a training step leaves the optimizer unused, or an average of weights is lost."""
        optimizer = self.model.optimizer
        after = _read_optimizer(self.model)
        if all(np.array_equal(a, b) for a, b in zip(before, after, strict=False)):
            if self.recipe.train.optimizer != OWN:
                warnings.append(
                    f"the model of {self.reference.text} is trained without the optimizer of "
                    "[train]: its learning_rate and other settings have no effect; set optimizer = "
                    "'own', and search arguments of the function"
                )
            return
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if getattr(inner, "use_ema", False) and inner.ema_overwrite_frequency is None:
            warnings.append(
                f"the optimizer of {self.reference.text} averages the weights (use_ema), which "
                "Keras uses at the end of `fit` alone: trials are measured and kept with the "
                "weights themselves; set ema_overwrite_frequency to train with the average"
            )

    def _check_metrics(self, y: Array, gives: OutputKind | None, warnings: list[str]) -> None:
        """Warn if metrics that the model came with say nothing of it."""
        if not self.came_compiled:
            return
        if self.recipe.task == "classification":
            warnings.extend(
                find_unsuitable_metrics(
                    self.model, self.reference, gives, self.data.outputs, self.recipe.one_hot
                )
            )
        else:
            warnings.extend(find_uninformative_metrics(self.model, self.reference, y))

    def _format_training(self, target_shape: tuple[int, ...]) -> str:
        """Return the training as text, for error messages."""
        has_labels = self.recipe.task == "classification" and len(target_shape) == 1
        targets = "labels, whole numbers" if has_labels else "targets"
        shape = f"(batch, {target_shape[1]})" if len(target_shape) > 1 else "(batch,)"
        return (
            f"training its model, compiled with loss = {self.model.loss!r:.60}, "
            f"on {targets} of shape {shape}"
        )


def read_keras_settings() -> dict[str, Any]:
    """Return Keras' global settings that change what a network is."""
    import keras  # not at the top: settings are checked without a backend

    return {
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
    }


def _read_optimizer(model: keras.Model) -> list[Array]:
    """Return the values of an optimizer's variables, such as its number of steps."""
    import keras  # not at the top: settings are checked without a backend

    variables = [] if model.optimizer is None else model.optimizer.variables
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def _read_precision(model: keras.Model) -> str:
    """Return the dtype policies of a model's layers that have weights.

    Layers of float32 beside others, such as the last one of a mixed precision, are left out.
    """
    names = {layer.dtype_policy.name for layer in model.layers if layer.weights}
    return ", ".join(sorted(names - {"float32"})) or "float32"


def _name_loss(model: keras.Model, recipe: Recipe) -> str:
    loss = model.loss
    if isinstance(loss, str):
        return loss
    return str(getattr(loss, "name", getattr(loss, "__name__", recipe.train.loss)))
