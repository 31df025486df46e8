"""What a worker process runs: one trial at a time, an epoch at a time, plain values in and out."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.models import backends, precision
from assay.models.architectures.custom_import import (
    FactoryReference,
    attribute_user_errors,
    format_error,
)
from assay.models.data import TrainingData, as_one_hot
from assay.models.errors import RequestError
from assay.models.recipe import Recipe
from assay.models.seeding import seed_everything
from assay.models.training import augmentation
from assay.models.training.checkpoint import Checkpoint
from assay.models.training.fit import Fit
from assay.models.worker.cache import DatasetCache, Program, Programs, load_for
from assay.models.worker.memory import PeakMemory
from assay.models.worker.trial_spec import TrialSpec, compile_key

if TYPE_CHECKING:
    import keras


# Trying a recipe out: one batch of a few images, to find what is wrong with it before anything is
# searched.


_IMAGES = 4


def probe(recipe: Recipe, data: TrainingData) -> dict[str, Any]:
    """Build a recipe's model, compile it, and train and test it on a few images, as plain Keras
    does.

    Returns:
        {"parameters": how many numbers the model consists of, "metrics": the names that an epoch
        would give}.

    Raises:
        RequestError: a user's own model can't be trained so, or what [train] does to images can't
            be done to these.
    """
    augmentation.check_input(recipe.train, data.shape.input_shape)
    model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
    x = data.scale.apply(data.x_train[:_IMAGES])
    y = (
        as_one_hot(data.y_train[:_IMAGES], data.shape.outputs)
        if recipe.one_hot
        else data.y_train[:_IMAGES]
    )
    with attribute_user_errors(recipe.family.factory, _doing(model, recipe, y.shape)):
        # Not `train_on_batch`: it passes a third item on, which a step of the user's own need not
        # expect.
        history = model.fit(
            x, y, batch_size=len(x), shuffle=False, verbose=0, validation_data=(x, y)
        ).history
    for name, (value, *_) in history.items():
        if np.size(value) != 1:
            raise RequestError(
                f"a metric must be one number: received {name} = {value!r:.60} of {recipe.family.name}; reduce it."
            )
    if recipe.train.early_stopping is not None and "val_loss" not in history:
        raise RequestError(
            f"[train] early_stopping: goes by val_loss: received a model of {recipe.family.name} that measures "
            f"{', '.join(history)}; let its test_step return a loss."
        )
    return {"parameters": int(model.count_params()), "metrics": list(history)}


def _doing(model: keras.Model, recipe: Recipe, shape: tuple[int, ...]) -> str:
    kind = (
        "labels, whole numbers"
        if recipe.task == "classification" and len(shape) == 1
        else "targets"
    )
    wanted = f"(batch, {shape[1]})" if len(shape) > 1 else "(batch,)"
    return (
        f"training its model, compiled with loss = {model.loss!r:.60}, on {kind} of shape {wanted}"
    )


# Keeping a model in a file.


def save(model: keras.Model, path: Path) -> None:
    """Save a model as a .keras file, whole or not at all.

    Raises:
        OSError: the file can't be written.
    """
    # Keras goes by the ending, so the unfinished file must have it too.
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}.keras")
    try:
        model.save(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@dataclass
class _Trial:
    """The trial under way."""

    program: Program
    programs: Programs
    fit: Fit
    memory: PeakMemory
    factory: FactoryReference | None
    checkpoint: Checkpoint | None = None
    replies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> list[float]:
        """What each epoch took, those of an earlier process too."""
        return [reply["seconds"] for reply in self.replies]


class Trainer:
    """Trains one trial at a time in this process; data stays resident between trials.

    Args:
        threads: that the backend computes with, where it can be format_error.
        on_gpu: whether it must compute on a card.
        gpu_megabytes: what TensorFlow may take of the card, in MiB; None for what it comes to need.
        precision: of `assay.models.precision.PRECISIONS`.
        xla: whether steps are compiled with XLA, "on" or "off"; "auto" leaves it to Keras.
        cache: keeps the data, and the backend that has heard of threads and card; None for one of
            its own.
    """

    def __init__(
        self,
        threads: int,
        on_gpu: bool = False,
        gpu_megabytes: int | None = None,
        precision: str = "float32",
        xla: str = "auto",
        cache: DatasetCache | None = None,
    ) -> None:
        self._on_gpu, self._precision, self._xla = on_gpu, precision, xla
        if cache is None:
            backend = backends.current()
            backend.use_threads(threads)
            backend.limit_gpu_memory(gpu_megabytes)
            cache = DatasetCache(backend)
        self._cache = cache
        self._trial: _Trial | None = None
        self._used = False

    def device(self) -> dict[str, Any]:
        """Return {"device": "cpu", or "gpu: " and what the card is called}.

        Raises:
            RequestError: it must be a card, and the backend finds none that it can use.
        """
        import keras  # not at the top: `preload` decides when the backend is imported

        found = self._cache.backend.gpu_name()
        if self._on_gpu and found is None:
            raise RequestError(
                f"training on a card needs one that {keras.backend.backend()} can use: it finds none, though the "
                f"machine shows one; see that the driver suits its CUDA libraries, or take --device cpu."
            )
        return {"device": "cpu" if found is None else f"gpu: {found}"}

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Set up a trial, forgetting any that is under way.

        Args:
            spec: {"seed", "task", "family", "model", "train", "data": {"folder", "scale"}}; see
                `TrialSpec`.

        Returns:
            {"parameters": how many numbers the model consists of}; and "note", if there is
            something that a user should know of a model of their own, such as why its epochs are
            slow; and "resumed", the replies to the epochs that an earlier process trained, if it
            left a checkpoint.

        Raises:
            RequestError: the assignment can't be trained, or a user's own code failed; then it
                names the line.
        """
        trial = self._set_up(spec)
        recipe = trial.recipe()
        resident = self._cache.resident(trial)
        data: backends.DeviceDataset = resident.fast if recipe.family.factory is None else resident
        augmentation.check_input(recipe.train, data.shape.input_shape)
        memory = PeakMemory()
        with attribute_user_errors(recipe.family.factory):
            program = self._program(trial, recipe, data)
            fit = recipe.fit(program.model, data, trial.feeding_seed, program.train_epoch)
        self._trial = _Trial(program, self._cache.programs, fit, memory, recipe.family.factory)
        if trial.checkpoint is not None:
            self._trial.checkpoint = Checkpoint(Path(trial.checkpoint), trial.digest())
            self._trial.replies = self._trial.checkpoint.go_on(program.model, fit)
        reply: dict[str, Any] = {"parameters": int(program.model.count_params())}
        if recipe.family.factory is not None and resident.note is not None:
            reply["note"] = f"{recipe.family.name} is {resident.note}"
        if self._trial.replies:
            reply["resumed"] = list(self._trial.replies)
        return reply

    def check(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Try an assignment out on a batch of a few images, and forget it, and any trial that is
        under way.

        Returns:
            {"parameters": how many numbers the model consists of, "metrics": the names that an
            epoch would give}.

        Raises:
            RequestError: the assignment can't be trained, or a user's own code failed; then it
                names the line.
        """
        trial = self._set_up(spec)
        try:
            return probe(trial.recipe(), load_for(trial))
        finally:
            self.drop()

    def epoch(self) -> dict[str, Any]:
        """Train the trial's next epoch and validate.

        Returns:
            {"metrics": {"loss", "accuracy", "val_loss", "val_accuracy"}, "seconds": wall time of
            both, in the first epoch that of compiling too}; in regression "mae" and "val_mae"
            instead of the accuracies. A loss that is not finite is returned as it is. With early
            stopping the reply to the last epoch also has "restored": {"epoch": from 1, "metrics":
            of that epoch}, and "stopped": True if it came before its time. "unkept" says why the
            checkpoint could not be written, if it could not.
        """
        trial = self._under_way()
        started = time.perf_counter()
        with attribute_user_errors(trial.factory):
            metrics = next(trial.fit, None)
        if metrics is None:
            raise RuntimeError(
                f"the trial has trained all of its {len(trial.replies)} epochs: finish it"
            )
        reply: dict[str, Any] = {"metrics": metrics, "seconds": time.perf_counter() - started}
        trial.memory.look()
        if trial.fit.restored is not None:
            reply["restored"] = asdict(trial.fit.restored)
        if trial.fit.stopped:
            reply["stopped"] = True
        trial.replies.append(reply)
        if trial.checkpoint is not None:
            try:
                # Before anybody hears of the epoch: what was heard of is not trained again.
                trial.checkpoint.write(trial.program.model, trial.fit, trial.replies)
            except OSError as error:
                reply["unkept"] = str(error)
        return reply

    def finish(self, save_as: str | None) -> dict[str, Any]:
        """End the trial.

        Args:
            save_as: where to keep the model, a path that ends in .keras; None to keep none.

        Returns:
            {"peak_memory_bytes": of this process during the trial, "train_seconds": all epochs,
            "epoch_seconds": the median epoch}; and "unsaved", why the model could not be kept, if
            it could not: it is no less trained.
        """
        trial = self._under_way()
        costs: dict[str, Any] = {
            "peak_memory_bytes": trial.memory.bytes(),
            "train_seconds": sum(trial.epoch_seconds),
            "epoch_seconds": statistics.median(trial.epoch_seconds),
        }
        if save_as is not None:
            try:
                save(trial.program.model, Path(save_as))
            except OSError as error:
                costs["unsaved"] = str(error)
            except Exception as error:
                if trial.factory is None:
                    raise
                # A model of a user's own may have anything in it that no file can hold.
                costs["unsaved"] = format_error(error, trial.factory)
        del trial
        self.drop()
        return costs

    def drop(self) -> None:
        """Forget the trial under way, or what is left of one that could not begin."""
        if self._trial is not None:
            self._trial.programs.give_back(self._trial.program)
        self._trial = None
        if self._used:
            _forget_models()
            self._used = False

    def _set_up(self, spec: Mapping[str, Any]) -> TrialSpec:
        """Read an assignment and bring Keras into the state that it starts from."""
        self.drop()
        if self._on_gpu:
            self.device()
        trial = TrialSpec.read(spec, "the assignment")
        self._used = True
        precision.use(self._precision)
        seed_everything(trial.seed)
        return trial

    def _program(self, spec: TrialSpec, recipe: Recipe, data: backends.DeviceDataset) -> Program:
        """Return the trial's own model with what trains it, compiled now or for an earlier
        trial.
        """
        model = recipe.compile(recipe.describe(data.shape.input_shape, data.shape.outputs))
        if self._xla != "auto":
            model.jit_compile = self._xla == "on"
        if recipe.family.factory is not None:
            # What a function of the user's makes may depend on anything, so it is compiled as it
            # comes.
            return Program(model, recipe.epochs(model, data))
        known = compile_key(spec, batch_is_compiled=not data.any_batch)
        lent = self._cache.programs.take(known, model)
        return lent if lent is not None else Program(model, recipe.epochs(model, data), known)

    def _under_way(self) -> _Trial:
        if self._trial is None:
            raise RuntimeError("no trial is under way: begin one first")
        return self._trial


def _forget_models() -> None:
    import keras  # not at the top: `preload` decides when the backend is imported

    keras.backend.clear_session()
    gc.collect()
