"""Trains one trial at a time, one epoch per call."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from assay.models import keras_compat, precision
from assay.models.architectures.custom_import import (
    Factory,
    FactoryReference,
    attribute_user_errors,
    format_error,
    load_factory,
)
from assay.models.backends import current_backend
from assay.models.backends.keras_fit import FallbackDataset
from assay.models.data import DataShape, RecordedOpening, open_test_set
from assay.models.errors import RequestError
from assay.models.precision import fix_keras_settings
from assay.models.preflight.check import check_built_in, check_custom
from assay.models.preflight.shared_state import IMPORT_SEED, SharedState, list_variables
from assay.models.preflight.user_code import check_user_files
from assay.models.recipe import Recipe
from assay.models.seeding import seed_everything
from assay.models.training import augmentation
from assay.models.training.checkpoint import Checkpoint
from assay.models.training.epoch import DeviceDataset
from assay.models.training.fit import Fit
from assay.models.worker.cache import DatasetCache, Program, ProgramCache, load_trial_data
from assay.models.worker.memory import PeakMemory
from assay.models.worker.testing import measure_on_test_set
from assay.models.worker.trial_spec import TrialSpec, compile_key

if TYPE_CHECKING:
    import keras


@dataclass
class _Trial:
    """The current trial of a trainer."""

    program: Program
    programs: ProgramCache
    fit: Fit
    recipe: Recipe
    dataset: FallbackDataset
    memory: PeakMemory
    factory: FactoryReference | None
    checkpoint: Checkpoint | None = None
    replies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> list[float]:
        """Seconds of each epoch, including those in an earlier process."""
        return [reply["seconds"] for reply in self.replies]


class Trainer:
    """Trains one trial at a time in this process.

    Data and compiled epochs stay in memory between trials.

    Args:
        threads: number of CPU threads, where the backend has this setting.
        on_gpu: whether it must compute on a GPU.
        gpu_megabytes: memory that TensorFlow may take from the GPU, in MiB; None to take it as it
            is needed.
        precision: one of `assay.models.precision.PRECISIONS`.
        xla: whether steps are compiled with XLA, "on" or "off"; "auto" leaves it to Keras.
        cache: data set and backend of another trainer, already configured; None for a new one.
        deterministic: whether training again gives the same numbers to the last bit.

    Example:
        >>> trainer = Trainer(threads=1)
        >>> trainer.begin({"seed": 0, "family": "mlp", "data": {"folder": "prepared/mnist"}})
        {'parameters': 79510}
        >>> list(trainer.epoch())
        ['metrics', 'seconds']
        >>> list(trainer.finish(save_as="mlp.keras"))
        ['peak_memory_bytes', 'train_seconds', 'epoch_seconds']
    """

    def __init__(
        self,
        threads: int,
        on_gpu: bool = False,
        gpu_megabytes: int | None = None,
        precision: str = "float32",
        xla: str = "auto",
        cache: DatasetCache | None = None,
        deterministic: bool = False,
    ) -> None:
        self._on_gpu, self._precision, self._xla = on_gpu, precision, xla
        if cache is None:
            backend = current_backend()
            backend.set_threads(threads)
            backend.limit_gpu_memory(gpu_megabytes)
            if deterministic:
                backend.set_deterministic()
            cache = DatasetCache(backend)
        self._cache = cache
        self._trial: _Trial | None = None
        self._has_models = False
        self._shared = SharedState()
        # The precision that the import of a user's file has set, by factory.
        self._imported_precision: dict[FactoryReference, str] = {}
        fix_keras_settings()

    def device(self) -> dict[str, Any]:
        """Return {"device": "cpu", or "gpu: " and the name of the GPU}.

        Raises:
            RequestError: it must compute on a GPU, and the backend cannot use one.
        """
        import keras  # not at the top: `preload` decides when the backend is imported

        gpu_name = self._cache.backend.gpu_name()
        if self._on_gpu and gpu_name is None:
            raise RequestError(
                f"training on a GPU needs one that {keras.backend.backend()} can use: it finds "
                "none, although the machine has one; check that the driver matches the CUDA "
                "libraries, or use --device cpu."
            )
        return {"device": "cpu" if gpu_name is None else f"gpu: {gpu_name}"}

    def begin(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Set up a trial, dropping the current one.

        Args:
            spec: {"seed", "task", "family", "model", "train", "data": {"folder", "scale"}}; see
                `TrialSpec`.

        Returns:
            {"parameters": number of parameters of the model}. Also "note", if the epochs of a
            user-defined model are slow, with the reason; and "resumed", the replies to the epochs
            that an earlier process trained, if there is a checkpoint.

        Raises:
            RequestError: the trial cannot be trained, or the user's code failed; then the message
                names its line.
        """
        trial_spec = self._set_up(spec)
        recipe = trial_spec.recipe()
        factory = recipe.family.factory
        fallback_dataset = self._cache.get_dataset(trial_spec)
        # With the releases of Keras that were tested, an epoch of a built-in family can always be
        # traced.
        needs_fallback = factory is not None or not keras_compat.is_supported()
        dataset: DeviceDataset = fallback_dataset if needs_fallback else fallback_dataset.fast
        augmentation.check_augmentation(recipe.train, dataset.shape.input_shape)
        memory = PeakMemory()  # before the model is built, so that the peak includes it
        with attribute_user_errors(factory):
            program = self._get_program(trial_spec, recipe, dataset)
            fit = recipe.fit(program.model, dataset, trial_spec.input_seed, program.train_epoch)
        trial = self._trial = _Trial(
            program,
            self._cache.programs,
            fit,
            recipe,
            fallback_dataset,
            memory,
            factory,
        )
        if trial_spec.checkpoint is not None:
            trial.checkpoint = Checkpoint(Path(trial_spec.checkpoint), trial_spec.digest())
            trial.replies = trial.checkpoint.restore(program.model, fit)
        reply: dict[str, Any] = {"parameters": int(program.model.count_params())}
        if factory is not None and fallback_dataset.note is not None:
            reply["note"] = f"{recipe.family.name} is {fallback_dataset.note}"
        if trial.replies:
            reply["resumed"] = list(trial.replies)
        return reply

    def check(
        self,
        spec: Mapping[str, Any],
        train_names: Sequence[str] = (),
        data_names: Sequence[str] = (),
        other_values: Mapping[str, Any] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Run the preflight check of a trial.

        The trial is dropped afterwards, and so is the current one.

        Args:
            spec: as in `begin`.
            train_names: unqualified names that [train] received; an error if a user-defined factory
                has a parameter of that name.
            data_names: likewise of [data].
            other_values: for each searched argument of a user-defined factory, another value than
                that in `spec`.

        Returns:
            The attributes of `ModelFacts` by name.

        Raises:
            RequestError: the trial cannot be trained, or the user's code failed; then the message
                names its line.
        """
        trial_spec = self._set_up(spec)
        recipe, data = trial_spec.recipe(), load_trial_data(trial_spec)

        def import_factory() -> Factory:
            assert recipe.family.factory is not None
            self._import_factory(recipe.family.factory, trial_spec)
            return load_factory(recipe.family.factory)

        def make_model() -> tuple[keras.Model, bool]:
            seed_everything(trial_spec.seed)
            return self._make_model(trial_spec, recipe, data.shape)

        try:
            if recipe.family.factory is None:
                return check_built_in(recipe, data, make_model).to_record()
            return check_custom(
                recipe,
                data,
                import_factory,
                make_model,
                train_names,
                data_names,
                other_values,
            ).to_record()
        finally:
            self.drop()

    def epoch(self) -> dict[str, Any]:
        """Train the next epoch of the trial and validate.

        Returns:
            {"metrics": {"loss", "accuracy", "val_loss", "val_accuracy"}, "seconds": wall time of
            training and validation}; in regression "mae" and "val_mae" in place of the accuracies.
            A loss that is not finite is returned as it is. With early stopping, the reply to the
            last epoch also has "restored": {"epoch": number from 1, "metrics"}, and "stopped": True
            if training stopped early. "unkept" is the reason why the checkpoint could not be
            written, if it could not.
        """
        trial = self._current_trial()
        started = time.perf_counter()
        with attribute_user_errors(trial.factory):
            metrics = next(trial.fit, None)
        if metrics is None:
            raise RuntimeError(
                f"the trial has trained all of its {len(trial.replies)} epochs: finish it"
            )
        reply: dict[str, Any] = {"metrics": metrics, "seconds": time.perf_counter() - started}
        trial.memory.sample()
        if trial.fit.restored is not None:
            reply["restored"] = asdict(trial.fit.restored)
        if trial.fit.stopped:
            reply["stopped"] = True
        trial.replies.append(reply)
        if trial.checkpoint is not None:
            # Before the supervisor receives the epoch: an epoch that it knows is not trained again.
            try:
                trial.checkpoint.write(trial.program.model, trial.fit, trial.replies)
            except OSError as error:
                reply["unkept"] = str(error)
        return reply

    def finish(self, save_as: str | None) -> dict[str, Any]:
        """End the trial.

        Args:
            save_as: path of the model file, which must end in .keras; None to save no model.

        Returns:
            {"peak_memory_bytes": of this process during the trial, "train_seconds": of all epochs,
            "epoch_seconds": of the median epoch}. Also "unsaved", the reason why the model could
            not be saved, if it could not.
        """
        trial = self._current_trial()
        reply: dict[str, Any] = {
            "peak_memory_bytes": trial.memory.peak_bytes(),
            "train_seconds": sum(trial.epoch_seconds),
            "epoch_seconds": statistics.median(trial.epoch_seconds),
        }
        del trial  # `drop` frees the model only if nothing refers to it
        if save_as is not None:
            reply |= self._save(Path(save_as))
        self.drop()
        return reply

    def _save(self, path: Path) -> dict[str, str]:
        """Save the trial's model; return {"unsaved": why} if it can't be saved."""
        trial = self._current_trial()
        try:
            model = trial.recipe.add_target_offset(
                trial.program.model, trial.dataset.shape, trial.dataset.target_offset
            )
            save_model(model, path)
        except OSError as error:
            return {"unsaved": str(error)}
        except Exception as error:
            # A user-defined model may have parts that Keras cannot save.
            if trial.factory is None:
                raise
            return {"unsaved": format_error(error, trial.factory)}
        return {}

    def test(
        self, spec: Mapping[str, Any], opening: Mapping[str, Any], save_as: str
    ) -> dict[str, Any]:
        """Measure the network of a trial's checkpoint on the test set.

        Args:
            spec: as in `begin`, with the checkpoint of a training that has ended.
            opening: the attributes of a `RecordedOpening`.
            save_as: path of the file for the predictions; see `measure_on_test_set`.

        Returns:
            {"metrics": test_loss, and test_accuracy or test_mae}.

        Raises:
            RequestError: there is no such checkpoint, the opening is not recorded, the test set
                cannot be read, or the user's code failed.
            OSError: the predictions cannot be written.
        """
        try:
            self._restore(spec, "measured")
            trial, trial_spec = self._current_trial(), TrialSpec.read(spec, "the trial")
            data = trial_spec.data
            test_set = open_test_set(
                Path(data.folder), RecordedOpening(**opening), data.scale, data.centred
            )
            with attribute_user_errors(trial.factory):
                metrics = measure_on_test_set(
                    trial.program.model, test_set, trial.recipe, Path(save_as)
                )
            return {"metrics": metrics}
        finally:
            self.drop()

    def save(self, spec: Mapping[str, Any], save_as: str) -> dict[str, Any]:
        """Save the network of a trial's checkpoint as a model.

        Args:
            spec: as in `begin`, with the checkpoint of a training that has ended.
            save_as: path of the model file, which must end in .keras.

        Returns:
            {}, or {"unsaved": the reason why the model could not be saved}.

        Raises:
            RequestError: there is no such checkpoint, or the user's code failed.
        """
        try:
            self._restore(spec, "saved")
            return {**self._save(Path(save_as))}
        finally:
            self.drop()

    def _restore(self, spec: Mapping[str, Any], wanted: str) -> None:
        """Begin a trial whose checkpoint has its trained network.

        Args:
            spec: as in `begin`.
            wanted: what is to be done with the network, for the message.

        Raises:
            RequestError: there is no such checkpoint.
        """
        if not self.begin(spec).get("resumed"):
            raise RequestError(
                f"the checkpoint of a training must be readable: {spec.get('checkpoint')} is "
                f"missing or damaged, so its network can't be {wanted}."
            )

    def drop(self) -> None:
        """Drop the trial, or one that could not begin."""
        if self._trial is not None:
            # To the cache that it came from: other data may have been loaded since.
            self._trial.programs.release(self._trial.program)
        self._trial = None
        if self._has_models:
            _clear_keras_session()
            self._has_models = False

    def _set_up(self, spec: Mapping[str, Any]) -> TrialSpec:
        """Validate a specification; set precision and seeds."""
        self.drop()
        if self._on_gpu:
            self.device()  # raises if the GPU cannot be used
        trial_spec = TrialSpec.read(spec, "the trial")
        self._has_models = True
        # After `drop`, whose clearing of Keras' session resets the precision.
        precision.use_precision(self._precision)
        seed_everything(trial_spec.seed)
        return trial_spec

    def _get_program(self, spec: TrialSpec, recipe: Recipe, dataset: DeviceDataset) -> Program:
        """Return the trial's model with its compiled epoch."""
        model, _ = self._make_model(spec, recipe, dataset.shape)
        if self._xla != "auto":
            model.jit_compile = self._xla == "on"
        if recipe.family.factory is not None:
            # A user-defined model may depend on anything, so its epoch is compiled every time.
            return Program(model, recipe.compile_epoch(model, dataset))
        key = compile_key(spec, batch_is_compiled=not dataset.takes_any_batch_size)
        program = self._cache.programs.acquire(key, model)
        if program is not None:
            return program
        return Program(model, recipe.compile_epoch(model, dataset), key)

    def _make_model(
        self, spec: TrialSpec, recipe: Recipe, shape: DataShape
    ) -> tuple[keras.Model, bool]:
        """Describe and compile a model; return it, and whether it came compiled.

        Raises:
            RequestError: the user's code failed, or its model continues that of another trial.
        """
        factory = recipe.family.factory
        if factory is not None:
            self._import_factory(factory, spec)
        before = [] if factory is None else list_variables()
        model = recipe.describe(shape.input_shape, shape.outputs)
        came_compiled = bool(model.compiled)
        recipe.compile(model)
        if factory is not None:
            self._shared.start_trial(model, before, factory, recipe.train.optimizer)
        return model, came_compiled

    def _import_factory(self, factory: FactoryReference, spec: TrialSpec) -> None:
        """Import the user's file; whatever it makes or sets then is the same for all trials.

        Raises:
            RequestError: the import failed, or a file has changed since the sweep began.
        """
        if factory not in self._imported_precision:
            # Not the trial's seed: which trial comes first in a process depends on the others.
            seed_everything(IMPORT_SEED)
            load_factory(factory)
            check_user_files(factory, spec.code)
            seed_everything(spec.seed)
            self._imported_precision[factory] = precision.current_precision()
        # Clearing Keras' session has reset it since the import.
        precision.use_precision(self._imported_precision[factory])

    def _current_trial(self) -> _Trial:
        if self._trial is None:
            raise RuntimeError("no trial is under way: begin one first")
        return self._trial


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model as a .keras file, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    # Renamed when it is complete. Keras chooses the format by the suffix, so both names have it.
    unfinished = path.with_name(f".{path.stem}-{os.getpid()}.keras")
    unfinished.unlink(missing_ok=True)  # Keras would follow a link
    try:
        model.save(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _clear_keras_session() -> None:
    import keras  # not at the top: `preload` decides when the backend is imported

    keras.backend.clear_session()
    gc.collect()
