"""Measuring trained networks on the test set, and saving one, by workers."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from assay.models.data import RecordedOpening
from assay.models.errors import WorkerBug
from assay.models.files import replace_file
from assay.models.worker.testing import read_predictions
from assay.search.events import FinalistTested
from assay.search.workers.protocol import Died, Executor, Message, Method, Raised, Reply

_POLL_SECONDS = 0.2
_MOST_ATTEMPTS = 2


@dataclass(frozen=True)
class TestJob:
    """A trained network to be measured.

    Attributes:
        training: number of its training.
        spec: specification of the training, with its checkpoint.
        opening: where it is recorded that the test set is opened.
        save_as: file for the predictions.
    """

    __test__ = False  # pytest takes the name for that of a test

    training: int
    spec: Mapping[str, Any]
    opening: RecordedOpening
    save_as: Path

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of a worker's `test`."""
        return {
            "spec": dict(self.spec),
            "opening": dataclasses.asdict(self.opening),
            "save_as": str(self.save_as),
        }


def measure(
    executor: Executor, jobs: Iterable[TestJob], should_stop: Callable[[], object]
) -> Iterator[FinalistTested]:
    """Measure networks on the test set; yield the result of each as it comes.

    A network whose worker dies is measured once more.

    Args:
        executor: the workers.
        jobs: what is measured.
        should_stop: checked all the time.

    Raises:
        WorkerBug: Assay's own code failed in a worker.
        SearchError: workers can't be started.
    """
    by_training = {job.training: job.arguments for job in jobs}
    for training, message in _call_workers(executor, "test", by_training, should_stop):
        match message:
            case Reply():
                yield FinalistTested(trial=training, metrics=message.value["metrics"])
            case _:
                yield FinalistTested(trial=training, error=_read_failure(message))


def save_network(
    executor: Executor,
    training: int,
    spec: Mapping[str, Any],
    save_as: Path,
    should_stop: Callable[[], object],
) -> str | None:
    """Save the network of a training as a model; return why it was not, or None.

    A worker that dies is replaced once.

    Args:
        executor: the workers.
        training: number of the training.
        spec: its specification, with its checkpoint.
        save_as: file for the model, which ends in .keras.
        should_stop: checked all the time.

    Raises:
        WorkerBug: Assay's own code failed in a worker.
        SearchError: workers can't be started.
    """
    arguments = {"spec": dict(spec), "save_as": str(save_as)}
    for _, message in _call_workers(executor, "save", {training: arguments}, should_stop):
        match message:
            case Reply():
                unsaved = message.value.get("unsaved")
                return None if unsaved is None else str(unsaved)
            case _:
                return _read_failure(message)
    return "the command was interrupted"


def _call_workers(
    executor: Executor,
    method: Method,
    jobs: Mapping[int, Mapping[str, Any]],
    should_stop: Callable[[], object],
) -> Iterator[tuple[int, Message]]:
    """Call a method once for each training; yield each answer as it comes.

    Args:
        executor: the workers.
        method: the method.
        jobs: its arguments, by the number of the training.
        should_stop: checked all the time.
    """
    waiting, running, attempts = deque(jobs), dict[int, int](), Counter[int]()
    while (waiting or running) and not should_stop():
        for worker in executor.idle():
            if waiting:
                running[worker] = training = waiting.popleft()
                attempts[training] += 1
                executor.call(worker, method, **jobs[training])
        for message in executor.wait(_POLL_SECONDS):
            answered = running.pop(message.worker, None)
            _free_worker(executor, message)
            if answered is None:  # the answer to a call before
                continue
            if isinstance(message, Died) and attempts[answered] < _MOST_ATTEMPTS:
                waiting.append(answered)
                continue
            yield answered, message


def _free_worker(executor: Executor, message: Message) -> None:
    """Make a worker idle that has answered."""
    if isinstance(message, Raised) and message.out_of_memory:
        executor.replace(message.worker)
    elif not isinstance(message, Died):
        executor.release(message.worker)


def _read_failure(message: Raised | Died) -> str:
    """Return in a line why a call failed.

    Raises:
        WorkerBug: Assay's own code failed.
    """
    match message:
        case Raised(bug=True):
            raise WorkerBug(message.text)
        case Raised():
            return message.error
        case Died():
            return f"crashed ({message.how})"
        case _:
            assert_never(message)


def write_test_report(predictions_file: Path, report_file: Path, classes: Sequence[str]) -> None:
    """Write the confusion matrix, and precision, recall and F1 of each class, as JSON.

    Args:
        predictions_file: predictions of a network; see `read_predictions`.
        report_file: file to write.
        classes: names of the classes 0, 1, 2, ...

    Raises:
        OSError: the file can't be written.
        ValueError: the predictions can't be read.
    """
    predictions, targets = read_predictions(predictions_file)
    report = build_class_report(predictions, targets, classes)
    with replace_file(report_file) as file:
        file.write(json.dumps(report, indent=1).encode())


def build_class_report(
    predictions: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], classes: Sequence[str]
) -> dict[str, Any]:
    """Return the confusion matrix, and precision, recall and F1 of each class.

    A class that is never predicted has the precision 0, and one without examples the recall 0, as
    in scikit-learn with `zero_division=0`.

    Args:
        predictions: predicted labels (n,).
        targets: labels (n,).
        classes: names of the classes.

    Returns:
        {"classes", "precision", "recall", "f1", "examples"} by class, "macro_f1", and
        "confusion_matrix" with a row for each true class and a column for each predicted one.
    """
    # Here, because it takes a second to import.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = range(len(classes))
    precision, recall, f1, examples = precision_recall_fscore_support(
        targets, predictions, labels=labels, zero_division=0
    )
    return {
        "classes": list(classes),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "examples": examples.tolist(),
        "macro_f1": float(np.mean(f1)),
        "confusion_matrix": confusion_matrix(targets, predictions, labels=labels).tolist(),
    }
