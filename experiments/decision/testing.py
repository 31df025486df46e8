"""Measuring trained networks on the test set, by the workers that trained them."""

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
from assay.search.workers.protocol import Died, Executor, Message, Raised, Reply

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
    waiting, running, attempts = deque(jobs), dict[int, TestJob](), Counter[int]()
    while (waiting or running) and not should_stop():
        for worker in executor.idle():
            if waiting:
                running[worker] = job = waiting.popleft()
                attempts[job.training] += 1
                executor.call(worker, "test", **job.arguments)
        for message in executor.wait(_POLL_SECONDS):
            measured = running.pop(message.worker, None)
            _free_worker(executor, message)
            if measured is None:  # the answer to a call before
                continue
            if isinstance(message, Died) and attempts[measured.training] < _MOST_ATTEMPTS:
                waiting.append(measured)
                continue
            yield _read_answer(measured, message)


def _free_worker(executor: Executor, message: Message) -> None:
    """Make a worker idle that has answered."""
    if isinstance(message, Raised) and message.out_of_memory:
        executor.replace(message.worker)
    elif not isinstance(message, Died):
        executor.release(message.worker)


def _read_answer(job: TestJob, message: Message) -> FinalistTested:
    match message:
        case Reply():
            return FinalistTested(trial=job.training, metrics=message.value["metrics"])
        case Raised(bug=True):
            raise WorkerBug(message.text)
        case Raised():
            return FinalistTested(trial=job.training, error=message.error)
        case Died():
            return FinalistTested(trial=job.training, error=f"crashed ({message.how})")
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
