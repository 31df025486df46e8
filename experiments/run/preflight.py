"""Preflight check: what a worker tries out, and what is said, before anything is recorded.

A worker names the device that its backend trains on, and checks the model on a few examples: see
`assay.models.preflight`. What was understood of data, model and names is shown as a few lines of
facts; what is doubtful is a line of its own that begins with "warning:".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assay.experiments.config.experiment import Experiment
from assay.experiments.data.preparation import PreparedData
from assay.experiments.formatting import format_count
from assay.experiments.run.execution import Execution
from assay.experiments.run.progress import Display
from assay.experiments.terminal_text import escape_line
from assay.experiments.tracking.schema import PREFLIGHT_TAG
from assay.models.errors import OutOfMemory, RequestError, SearchError
from assay.models.preflight.check import ModelFacts
from assay.search.objective import COSTS
from assay.search.workers.protocol import Died, Executor, Method, Raised

_POLL_SECONDS = 0.2
_MOST_UNUSED = 5

_OUTPUTS = {"scores": "logits", "fractions": "numbers between 0 and 1"}
"""What is said of kinds of outputs that are not called by their own name."""


@dataclass(frozen=True)
class Preflight:
    """What was understood before anything is trained.

    Attributes:
        experiment: what is trained, as the check has completed it.
        data: its prepared data.
        model: what a worker found; None if no worker was asked, or the model did not fit into
            memory.
    """

    experiment: Experiment
    data: PreparedData
    model: ModelFacts | None = None

    @property
    def warnings(self) -> list[str]:
        """What is doubtful, one line each."""
        found = list(self.data.find_warnings(self.experiment.data.scale))
        return found if self.model is None else [*found, *self.model.warnings]

    def lines(self) -> list[str]:
        """Return the facts as lines of text, without the warnings."""
        return [f"  {title + ':':9} {text}" for title, text in self._facts()]

    def _facts(self) -> Iterator[tuple[str, str]]:
        data = self.data
        yield "inputs", self._describe_inputs()
        yield "targets", self._describe_targets()
        split = f"{data.train_images:,} train, {data.validation_images:,} validation"
        yield "split", f"{split} ({data.validation_source}), {data.test_images:,} test"
        if self.model is not None:
            gives = _name_outputs(self.model.model_gives)
            takes = _name_outputs(self.model.loss_takes)
            yield (
                "model",
                f"{self.experiment.family.name}, {self.model.parameters:,} parameters"
                f"{', gives ' + gives if gives else ''}; loss {self.model.loss}"
                f"{' takes ' + takes if takes else ''}",
            )
        names = [
            f"{', '.join(names)} to [{table}]"
            for table, names in self.experiment.names_by_table().items()
            if names
        ]
        if names:
            yield "names", "; ".join(names)
        for note in self.experiment.notes():
            yield "note", note
        if self.model is not None and self.model.replaced_optimizer:
            yield (
                "note",
                f"the optimizer of [train] replaces the {self.model.replaced_optimizer} that the "
                "model comes with; optimizer = 'own' keeps it",
            )
        if self.unused:
            yield "not used", f"{', '.join(self.unused)} of {data.name}"

    @property
    def unused(self) -> list[str]:
        """The first names of what lies beside the data unused, and the number of the others."""
        names = list(self.data.unused)
        others = len(names) - _MOST_UNUSED
        return names if others <= 0 else [*names[:_MOST_UNUSED], f"{others:,} others"]

    def _describe_inputs(self) -> str:
        data, scale = self.data, self.experiment.data.scale
        layout = "" if data.layout is None else f", {data.layout}"
        numbers = f"{tuple(data.input_shape)} {data.input_type}{layout}, "
        numbers += _format_range(data.input_range)
        if self.model is not None and self.model.uses_indices:
            return f"{numbers}, used as indices, so not scaled"
        if scale == "none":
            return f"{numbers}, not scaled"
        return f"{numbers}, scaled to {_format_range(data.scaled_ranges[scale])} ({scale})"

    def _describe_targets(self) -> str:
        data = self.data
        if not data.class_counts:
            text = format_count(data.outputs, "number")
            if data.target_offset is None or not self.is_centred:
                return text
            offset = ", ".join(f"{number:.6g}" for number in data.target_offset)
            return f"{text}, trained without the offset {offset}"
        low, high = min(data.class_counts), max(data.class_counts)
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return f"{len(data.class_counts)} classes, {each} training examples each"

    @property
    def is_centred(self) -> bool:
        """Whether targets with a large offset are trained on without it."""
        return self.model is None or self.model.centred

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, as `--json` and the tag `assay.preflight` have it."""
        data, model, scale = self.data, self.model, self.experiment.data.scale
        counts = data.class_counts
        return {
            "input_shape": list(data.input_shape),
            "input_type": data.input_type,
            "layout": data.layout,
            "input_range": list(data.input_range),
            "scale": scale,
            "scaled_range": list(data.scaled_ranges[scale]),
            "outputs": data.outputs,
            "classes": {"count": len(counts), "smallest": min(counts), "largest": max(counts)}
            if counts
            else None,
            "split": {
                "train": data.train_images,
                "validation": data.validation_images,
                "test": data.test_images,
                "source": data.validation_source,
            },
            "model": None if model is None else self.experiment.family.name,
            "parameters": None if model is None else model.parameters,
            "model_gives": None if model is None else model.model_gives,
            "loss": None if model is None else model.loss,
            "loss_takes": None if model is None else model.loss_takes,
            "names": {
                table: list(names) for table, names in self.experiment.names_by_table().items()
            },
            "not_used": self.unused,
            "warnings": self.warnings,
        }

    def tags(self) -> dict[str, str]:
        """Return the tags of the study's run."""
        tags = {PREFLIGHT_TAG: json.dumps(self.to_record())}
        if self.model is not None:
            for name, value in self.model.keras_settings.items():
                tags[f"assay.keras.{name}"] = str(value)
            if self.model.precision:
                tags["assay.precision"] = self.model.precision
        return tags

    def show(self, display: Display) -> None:
        """Show the facts, then the warnings."""
        for line in self.lines():
            display.log(escape_line(line))  # names of arrays and classes may have newlines
        for warning in self.warnings:
            display.log(escape_line(f"warning: {warning}"))


def _format_range(numbers: tuple[float, float]) -> str:
    # Rounding leaves numbers such as -2e-16 where 0 is meant.
    largest = max(map(abs, numbers))
    low, high = (0.0 if abs(number) < 1e-9 * largest else number for number in numbers)
    return f"{low:.6g} to {high:.6g}"


def _name_outputs(kind: str | None) -> str | None:
    return None if kind is None else _OUTPUTS.get(kind, kind)


def confirm_device(execution: Execution, executor: Executor) -> Execution:
    """Return the execution with the device as the backend names it.

    On the CPU there is nothing to confirm: workers see no GPU there.

    Raises:
        RequestError: the backend finds no GPU that it can use.
        SearchError: workers can't be started.
    """
    if not execution.gpus:
        return execution
    worker = wait_for_worker(executor)
    reported = call(executor, worker, "device")["device"]
    executor.release(worker)
    return dataclasses.replace(execution, reported=reported)


def check_custom_model(
    preflight: Preflight, spec: Mapping[str, Any], executor: Executor, display: Display
) -> Preflight:
    """Check a user-defined model on a few examples; built-in families need no check.

    A model that does not fit into memory is no mistake of the factory: its trial will fail, and
    others may not.

    Args:
        preflight: experiment and data.
        spec: of the first trial.
        executor: of the workers.
        display: shows what the user should know of the model, such as why its epochs are slow.

    Returns:
        The facts, and the experiment as they complete it.

    Raises:
        RequestError: the factory fails, with the line of the user's file; its model lacks a metric
            that the search needs, or would be trained wrongly.
        SearchError: the worker died.
    """
    experiment = preflight.experiment
    if experiment.family.factory is None:
        return preflight
    worker = wait_for_worker(executor)
    try:
        facts = ModelFacts(
            **call(
                executor,
                worker,
                "check",
                spec=spec,
                train_names=list(experiment.unqualified_train_names),
                data_names=list(experiment.unqualified_data_names),
                other_values=experiment.other_model_values(spec["model"]),
            )
        )
        begun = call(executor, worker, "begin", spec=spec)
        call(executor, worker, "drop")
    except OutOfMemory:
        display.log(
            "warning: the model was not checked, since the first configuration does not fit into "
            "memory; begin with a [[baseline]] that does"
        )
        executor.replace(worker)
        return preflight
    if "note" in begun:
        display.log(begun["note"])
    executor.release(worker)
    _check_objectives(experiment, facts)
    experiment.search.check_directions(facts.directions)
    return dataclasses.replace(
        preflight, experiment=_complete_experiment(experiment, facts), model=facts
    )


def read_built_in_facts(
    preflight: Preflight, spec: Mapping[str, Any], executor: Executor
) -> Preflight:
    """Return the preflight with the facts of a built-in family's model.

    Args:
        preflight: experiment and data.
        spec: of the first trial.
        executor: of the workers.

    Raises:
        SearchError: the worker died.
    """
    if preflight.model is not None or preflight.experiment.family.factory is not None:
        return preflight
    worker = wait_for_worker(executor)
    try:
        facts = ModelFacts(**call(executor, worker, "check", spec=spec))
    except OutOfMemory:
        executor.replace(worker)
        return preflight
    executor.release(worker)
    return dataclasses.replace(preflight, model=facts)


def _complete_experiment(experiment: Experiment, facts: ModelFacts) -> Experiment:
    """Return the experiment with what only its model tells."""
    if facts.uses_indices and experiment.data.scale != "none":
        data = experiment.data.model_copy(update={"scale": "none"})
        experiment = dataclasses.replace(experiment, data=data)
    return experiment.with_float_ranges(facts.float_parameters)


def _check_objectives(experiment: Experiment, facts: ModelFacts) -> None:
    goals = experiment.search.goals
    for objective in goals.each:
        if objective.metric not in (*facts.metrics, *COSTS):
            raise RequestError(
                f"[search] objectives: the model of {experiment.family.name} measures "
                f"{', '.join(facts.metrics)}; received {str(objective)!r}: compile it with a "
                f"metric called {objective.metric.removeprefix('val_')!r}, or choose another "
                "objective."
            )


def wait_for_worker(executor: Executor) -> int:
    """Return the first worker that is idle, once one is.

    Raises:
        SearchError: workers can't be started.
    """
    while not executor.idle():
        executor.wait(_POLL_SECONDS)
    return executor.idle()[0]


def call(executor: Executor, worker: int, method: Method, **arguments: Any) -> Mapping[str, Any]:
    """Call a method of a worker's trainer, and wait for its return value.

    Raises:
        RequestError: the worker refused the request.
        OutOfMemory: memory ran out; the worker should be replaced.
        SearchError: the worker died.
        RuntimeError: any other exception in the worker.
    """
    executor.call(worker, method, **arguments)
    while True:
        for message in executor.wait(_POLL_SECONDS):
            if message.worker != worker:
                continue
            if isinstance(message, Died):
                raise SearchError(f"the worker died ({message.how}) during its call {method!r}.")
            if isinstance(message, Raised):
                raise _exception(message, method)
            return message.value


def _exception(message: Raised, method: Method) -> Exception:
    if message.out_of_memory:
        return OutOfMemory(f"memory ran out during a worker's call {method!r}: {message.error}")
    if message.request:
        return RequestError(message.error)
    return RuntimeError(f"{method} failed in a worker:\n{message.text}")
