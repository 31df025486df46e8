"""Trains several trials at a time, one per lane.

Trials that share a compile key train as one program, a trial batch; see
`assay.models.backends.jax_vmap`. All others train one after the other.
"""

from __future__ import annotations

import gc
import statistics
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.models import keras_compat, precision
from assay.models.backends.keras_fit import FallbackDataset
from assay.models.recipe import Recipe
from assay.models.training import augmentation
from assay.models.training.epoch import Metrics
from assay.models.training.fit import TrainingInputs, make_input_config
from assay.models.training.optimizers import effective_weight_decay
from assay.models.worker.memory import PeakMemory
from assay.models.worker.trainer import Trainer, save_model
from assay.models.worker.trial_spec import TrialSpec, compile_key

if TYPE_CHECKING:
    from assay.models.backends.jax_epoch import TrainingState
    from assay.models.backends.jax_vmap import VmapPrograms

_MOST_PROGRAMS = 8
"""Number of compile keys whose programs are kept, those of current trials included."""

Outcome = Mapping[str, Any] | Exception
"""What a call of a lane returned or raised."""


@dataclass(eq=False)
class VectorizedTrial:
    """A trial that can be part of a trial batch.

    Attributes:
        recipe: recipe of the trial.
        inputs: inputs of its epochs.
        programs: compiled epochs of its compile key.
        initial_state: state before its first epoch.
        dataset: its data.
        lanes: size of the program of each epoch; empty to choose the fastest.
        epoch_seconds: its share of the seconds of each epoch.
        batch: the trial batch that it is in; None before its first epoch.
    """

    recipe: Recipe
    inputs: TrainingInputs
    programs: VmapPrograms
    initial_state: TrainingState
    dataset: FallbackDataset
    lanes: Sequence[int] = ()
    epoch_seconds: list[float] = field(default_factory=list)
    batch: TrialBatch | None = None

    @property
    def epochs_left(self) -> int:
        """Number of epochs that remain."""
        return self.recipe.train.epochs - len(self.epoch_seconds)

    @property
    def state(self) -> TrainingState:
        """State after its last epoch."""
        return self.initial_state if self.batch is None else self.batch.get_state(self)


class TrialBatch:
    """Trials that train as one program until the last ends.

    They begin together, share a compile key and their batches, and have trained the same number of
    epochs.

    Args:
        trials: the trials; each continues from its state.
    """

    def __init__(self, trials: Sequence[VectorizedTrial]) -> None:
        from assay.models.backends.jax_vmap import stack_states  # not at the top: needs JAX

        self._programs = trials[0].programs
        size = 1  # a single trial never joins a larger program, which may just have failed
        if trials[0].lanes:
            size = max(trials[0].lanes[0], len(trials))
        elif len(trials) > 1:
            epochs = max(trial.epochs_left for trial in trials)
            size = self._programs.choose_size(len(trials), None, epochs)
        # A program for more trials than there are trains copies of the first one.
        self._trials = [*trials, *[trials[0]] * (size - len(trials))]
        self._states = stack_states([trial.state for trial in self._trials])
        for trial in trials:
            trial.batch = self

    @property
    def size(self) -> int:
        """Size of the program."""
        return len(self._trials)

    def get_state(self, trial: VectorizedTrial) -> TrainingState:
        """Return the state of a trial."""
        from assay.models.backends.jax_vmap import get_trial_state  # not at the top: needs JAX

        return get_trial_state(self._states, self._trials.index(trial))

    def train_epoch(self, trials: Sequence[VectorizedTrial]) -> dict[VectorizedTrial, Metrics]:
        """Train an epoch; return the metrics by trial.

        Each of them gets an equal share of the seconds.
        """
        self._drop_ended_trials(trials)
        epoch = len(trials[0].epoch_seconds)
        inputs = trials[0].inputs[epoch]  # only the learning rates differ between trials
        learning_rates = [
            trial.inputs.learning_rates(epoch) if trial in trials else inputs.learning_rates
            for trial in self._trials
        ]
        weight_decays = [effective_weight_decay(trial.recipe.train) for trial in self._trials]
        self._states, metrics, seconds = self._programs.train_epoch(
            self._states, inputs, learning_rates, weight_decays
        )
        results = {}
        for trial in trials:
            position = self._trials.index(trial)
            trial.epoch_seconds.append(seconds / len(trials))
            results[trial] = metrics[position]
            if len(learning_rates[position]) > 0:
                results[trial]["learning_rate"] = float(learning_rates[position][-1])
        return results

    def _drop_ended_trials(self, trials: Sequence[VectorizedTrial]) -> None:
        """Drop ended trials, if a smaller program should be faster, or take the recorded size."""
        from assay.models.backends.jax_vmap import select_trials  # not at the top: needs JAX

        epoch, lanes = len(trials[0].epoch_seconds), trials[0].lanes
        if epoch < len(lanes):
            size = max(lanes[epoch], len(trials))
        elif len(trials) == len(self._trials):
            return
        else:
            epochs = max(trial.epochs_left for trial in trials)
            size = self._programs.choose_size(len(trials), len(self._trials), epochs)
        if size != len(self._trials):
            positions = [self._trials.index(trial) for trial in trials]
            positions += [positions[0]] * (size - len(positions))
            self._states = select_trials(self._states, positions)
            self._trials = [self._trials[position] for position in positions]


class VmapTrainer(Trainer):
    """Trains one trial per lane; without `batch`, like `Trainer`.

    Args:
        threads: number of CPU threads, where the backend has this setting.
        calibrate: whether trials form a trial batch only if that was measured to be faster.
        options: see `Trainer`.

    Example:
        >>> trainer = VmapTrainer(threads=1)
        >>> trainer.batch([{"lane": 0, "method": "begin", "arguments": {"spec": spec}}])
        [{'parameters': 79510}]
    """

    def __init__(self, threads: int, calibrate: bool = True, **options: Any) -> None:
        super().__init__(threads, **options)
        self._options = options
        self._calibrate = calibrate
        self._vectorized_trials: dict[int, VectorizedTrial] = {}
        self._single_trainers: dict[int, Trainer] = {}
        self._programs: OrderedDict[tuple[object, ...], VmapPrograms] = OrderedDict()
        self._memory = PeakMemory()

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Answer calls of several lanes: {"lane", "method", "arguments"} each.

        Returns:
            By call, what the method of `Trainer` returns, or what it raised; an exception of one
            lane does not affect the others. For trials of a trial batch, "seconds" is an equal
            share without compiling, and "peak_memory_bytes" is that of the process during the
            trials of all lanes.
        """
        outcomes = {
            call["lane"]: _catch(self._answer, **call)
            for call in calls
            if not self._is_vectorized_epoch(call)
        }
        epoch_lanes = [call["lane"] for call in calls if self._is_vectorized_epoch(call)]
        outcomes |= self._train_lanes(epoch_lanes)
        return [outcomes[call["lane"]] for call in calls]

    def _is_vectorized_epoch(self, call: Mapping[str, Any]) -> bool:
        return call["method"] == "epoch" and call["lane"] in self._vectorized_trials

    def _answer(self, lane: int, method: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a call of one lane."""
        if method == "begin":
            return self._begin_lane(lane, **arguments)
        trial = self._vectorized_trials.get(lane)
        if trial is None:
            trainer = self._single_trainers.get(lane, self)
            if method in ("finish", "drop"):
                self._single_trainers.pop(lane, None)
            return getattr(trainer, method)(**arguments) or {}
        reply = self._finish_trial(trial, **arguments) if method == "finish" else {}
        self._drop_lane(lane)
        return reply

    def _begin_lane(self, lane: int, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Set up a trial in a lane."""
        self._drop_lane(lane)
        if not (self._vectorized_trials or self._single_trainers):
            self._memory = PeakMemory()
        trial_spec = TrialSpec.read(spec, "the trial")
        # Any other trial gets its own trainer; all of them share data set and programs.
        if not can_be_vectorized(trial_spec):
            trainer = Trainer(threads=0, cache=self._cache, **self._options)
            self._single_trainers[lane] = trainer
            return trainer.begin(spec)
        if self._on_gpu:
            self.device()
        precision.use_precision(self._precision)
        recipe = trial_spec.recipe()
        shape = self._cache.get_dataset(trial_spec).shape
        augmentation.check_augmentation(recipe.train, shape.input_shape)
        programs = self._get_programs(trial_spec)
        self._vectorized_trials[lane] = VectorizedTrial(
            recipe=recipe,
            inputs=TrainingInputs(recipe.train, shape, trial_spec.input_seed),
            programs=programs,
            initial_state=programs.initial_state(recipe, trial_spec.seed),
            lanes=trial_spec.lanes,
            dataset=self._cache.get_dataset(trial_spec),
        )
        return {"parameters": programs.parameters}

    def _get_programs(self, spec: TrialSpec) -> VmapPrograms:
        """Return the programs that a trial's batch shares."""
        from assay.models.backends.jax import JaxDataset  # not at the top: needs JAX
        from assay.models.backends.jax_vmap import VmapPrograms

        recipe, dataset = spec.recipe(), self._cache.get_dataset(spec)
        key = (
            compile_key(spec, decay_is_compiled=not keras_compat.is_supported()),
            # Order and crops must be the same too. The key has the shift already.
            recipe.train.flip,
            spec.input_seed,
            id(dataset),  # another one after the data were prepared again
        )
        if key not in self._programs:
            assert isinstance(dataset.fast, JaxDataset)
            config = make_input_config(recipe.train, recipe.one_hot)
            self._programs[key] = VmapPrograms(recipe, config, dataset.fast)
        self._programs.move_to_end(key)
        while len(self._programs) > _MOST_PROGRAMS:
            self._programs.popitem(last=False)
        return self._programs[key]

    def _train_lanes(self, lanes: Sequence[int]) -> dict[int, Outcome]:
        """Train an epoch of each of these lanes."""
        lane_of = {self._vectorized_trials[lane]: lane for lane in lanes}
        outcomes: dict[int, Outcome] = {}
        for trial, lane in lane_of.items():
            if trial.epochs_left == 0:
                outcomes[lane] = RuntimeError(
                    f"the trial has trained all of its {len(trial.epoch_seconds)} epochs: finish it"
                )
        trials = [trial for trial in lane_of if trial.epochs_left > 0]
        failed = self._form_batches([trial for trial in trials if trial.batch is None])
        outcomes |= {lane_of[trial]: error for trial, error in failed.items()}
        trials = [trial for trial in trials if trial not in failed]
        for batch in dict.fromkeys(trial.batch for trial in trials):
            batch_trials = [trial for trial in trials if trial.batch is batch]
            for trial, outcome in _train_batch(batch_trials).items():
                outcomes[lane_of[trial]] = outcome
        self._memory.sample()
        return outcomes

    def _form_batches(self, trials: Sequence[VectorizedTrial]) -> dict[VectorizedTrial, Exception]:
        """Form trial batches; return the trials that cannot begin."""
        failed: dict[VectorizedTrial, Exception] = {}
        for programs in dict.fromkeys(trial.programs for trial in trials):
            batch_trials = [trial for trial in trials if trial.programs is programs]
            if len(batch_trials) > 1 and self._is_faster(programs, len(batch_trials)):
                # For example, memory ran out: then each trial forms its own batch.
                with suppress(Exception):
                    TrialBatch(batch_trials)
            for trial in batch_trials:
                try:
                    if trial.batch is None:
                        TrialBatch([trial])
                except Exception as error:
                    failed[trial] = error
        return failed

    def _is_faster(self, programs: VmapPrograms, trials: int) -> bool:
        """Return whether a trial batch is faster; False if measuring fails."""
        if not self._calibrate:
            return True
        try:
            return programs.is_faster_together(trials)
        except Exception:
            return False

    def _finish_trial(self, trial: VectorizedTrial, save_as: str | None) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "peak_memory_bytes": self._memory.peak_bytes(),
            "train_seconds": sum(trial.epoch_seconds),
            "epoch_seconds": statistics.median(trial.epoch_seconds),
        }
        if save_as is not None:
            try:
                model = trial.programs.load_state(trial.state, trial.recipe)
                save_model(
                    trial.recipe.add_target_offset(
                        model, trial.dataset.shape, trial.dataset.target_offset
                    ),
                    Path(save_as),
                )
            except OSError as error:
                reply["unsaved"] = str(error)
        return reply

    def _drop_lane(self, lane: int) -> None:
        trial = self._vectorized_trials.pop(lane, None)
        if trial is not None and not self._vectorized_trials:
            gc.collect()  # frees the models that only gave their initial weights


def can_be_vectorized(spec: TrialSpec) -> bool:
    """Return whether a trial can be part of a trial batch.

    It must be of a built-in family, without early stopping and without checkpoints.
    """
    # Early stopping keeps weights and ends each trial at its own epoch, user-defined models are
    # compiled for every trial, and a checkpoint holds the state of one model.
    recipe = spec.recipe()
    return (
        recipe.family.factory is None
        and recipe.train.early_stopping is None
        and spec.checkpoint is None
    )


def _train_batch(trials: Sequence[VectorizedTrial]) -> dict[VectorizedTrial, Outcome]:
    """Train an epoch of trials of one batch, or one by one if that fails."""
    batch = trials[0].batch
    assert batch is not None
    try:
        return {
            trial: {
                "metrics": dict(metrics),
                "seconds": trial.epoch_seconds[-1],
                "lanes": batch.size,
            }
            for trial, metrics in batch.train_epoch(trials).items()
        }
    except Exception as error:
        if len(trials) == 1:
            return {trials[0]: error}
    # One trial may have used up the memory for all. Each continues alone from its last state, so
    # only that trial fails.
    outcomes: dict[VectorizedTrial, Outcome] = {}
    for trial in trials:
        try:
            TrialBatch([trial])
        except Exception as error:
            outcomes[trial] = error
        else:
            outcomes |= _train_batch([trial])
    return outcomes


def _catch(call: Callable[..., Mapping[str, Any]], **arguments: Any) -> Outcome:
    """Return what a call returns or raises."""
    try:
        return call(**arguments)
    except Exception as error:
        return error
