"""The preflight check of a trial: what its model and data are, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from assay.models import keras_compat
from assay.models.architectures.custom_import import (
    Factory,
    FactoryReference,
    attribute_user_errors,
)
from assay.models.backends.keras_fit import defines_its_own_loss
from assay.models.data import Array, TrainingData, as_one_hot
from assay.models.errors import RequestError
from assay.models.preflight.inputs import find_double_scaling, find_index_columns
from assay.models.preflight.outputs import (
    LossInput,
    OutputKind,
    are_log_probabilities,
    are_scores_bounded,
    compute_loss,
    compute_outputs,
    find_output_kind,
    gives_both_signs,
    measure_loss,
)
from assay.models.preflight.saving import find_saving_problem
from assay.models.preflight.shared_state import FactoryMemory, MakeModel, list_variables
from assay.models.preflight.user_code import (
    FileRecorder,
    digest_user_files,
    float_parameters,
    parameter_names,
)
from assay.models.recipe import Recipe
from assay.models.training import augmentation
from assay.models.training.metrics import metric_names

if TYPE_CHECKING:
    import keras

_IMAGES = 8


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
        uses_indices: whether the model uses all of its inputs as indices, which are not scaled.
        centred: whether targets with a large offset are centred: not for a model that has a loss
            of its own, or gives outputs of that size.
        code: SHA-256 of every file of the user's code, by displayed name.
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
    uses_indices: bool = False
    centred: bool = True
    code: Mapping[str, str] = field(default_factory=dict)
    float_parameters: Sequence[str] = ()
    directions: Mapping[str, Literal["maximize", "minimize"]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

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
    facts = _CustomCheck(recipe, data, reference, model, came_compiled).run(
        code=digest_user_files(reference, recorder.files),
        float_parameters=float_parameters(function),
    )
    memory.check_after_training(model, make_model)
    return facts


def _measure_loss_of_examples(
    recipe: Recipe, data: TrainingData, model: keras.Model
) -> float | None:
    """Return the loss of a model on two examples; None if Keras does not compute it."""
    x, y = data.scale.apply(np.asarray(data.x_train[:2])), np.asarray(data.y_train[:2])
    return compute_loss(model, x, as_one_hot(y, data.outputs) if recipe.one_hot else y)


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

    def run(self, code: Mapping[str, str], float_parameters: Sequence[str]) -> ModelFacts:
        stored = np.asarray(self.data.x_train[:_IMAGES])
        x, y = self.data.scale.apply(stored), np.asarray(self.data.y_train[:_IMAGES])
        warnings: list[str] = []
        with attribute_user_errors(self.reference):
            uses_indices = self._check_indices(stored, x, warnings)
            if uses_indices:
                x = stored.astype(np.float32)
            elif scaled_twice := find_double_scaling(self.model, x, stored.astype(np.float32)):
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
        metrics = self._train(x, y)
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
            code=code,
            float_parameters=float_parameters,
            directions=keras_compat.metric_directions(self.model),
            warnings=warnings,
        )

    def _check_indices(self, stored: Array, x: Array, warnings: list[str]) -> bool:
        """Return whether the inputs are indices; warn if only some are, or they are no integers."""
        if np.array_equal(stored, x):
            return False  # nothing is scaled
        columns = find_index_columns(self.model, self.data.input_shape)
        if columns is None or not columns.any():
            return False
        used = stored[..., columns] if columns.size == stored.shape[-1] else stored
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
        if self.recipe.task != "classification":
            return None, "values"
        loss = measure_loss(self.model, x, self.data.outputs, self.recipe.one_hot)
        gives = find_output_kind(self.model, x)
        takes = None if loss is None else loss.takes
        name = _name_loss(self.model, self.recipe)
        if takes == "scores" and gives in ("probabilities", "fractions"):
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
        if loss is not None and loss.needs_large_scores and are_scores_bounded(self.model, x):
            warnings.append(
                f"the outputs of {self.reference.text} stay between -1 and 1, as from a tanh, "
                f"where the loss {name!r} can't fall below {loss.lowest_within_one:.3g}: remove "
                "that last activation"
            )
        return gives, takes

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

    def _train(self, x: Array, y: Array) -> list[str]:
        """Train on a few examples with Keras' `fit`; return the names of the metrics.

        Raises:
            RequestError: the model can't be trained, or a metric is no number.
        """
        if self.recipe.one_hot:
            y = as_one_hot(y, self.data.outputs)
        with attribute_user_errors(self.reference, self._format_training(y.shape)):
            # Not `train_on_batch`: it passes sample weights too, which a user-defined step need not
            # accept.
            history = self.model.fit(
                x, y, batch_size=len(x), shuffle=False, verbose=0, validation_data=(x, y)
            ).history
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
