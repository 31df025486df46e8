"""Records of reports that no study was run for: every kind, seeded."""

from __future__ import annotations

import base64
import itertools
import math
import random
import statistics
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from assay.experiments.report.records import (
    FORMAT,
    Bounds,
    Check,
    ClassRecord,
    Command,
    ComparedRecord,
    Costs,
    Counts,
    DataRecord,
    Difference,
    EffectRecord,
    Environment,
    ExampleRecord,
    ExpectedBestRecord,
    FinalistRecord,
    HyperparameterRecord,
    ImportanceRecord,
    Interval,
    IsolationRecord,
    RandomSearch,
    ReferenceRecord,
    ReportRecord,
    ReportRecords,
    StudyEnvironment,
    StudyRecord,
    TrainingRecord,
    TrialRecord,
)

COLLECTED = "2026-11-27T14:39:18Z"
EPOCHS = 12
VALIDATION_EXAMPLES, TEST_EXAMPLES = 1_000, 2_000
DIGITS = tuple("0123456789")
T_95 = 2.776  # of Student's t with 4 degrees of freedom
TOML = 'title = "Digits"\n\n[data]\nname = "digits"\n\n[space.learning_rate]\nlow = 0.0001\n'


def finalized(seed: int = 0) -> ReportRecords:
    """Return a study of images with three finalists on five seeds, and a baseline."""
    return _report("Digits", _study("digits-mlp", random.Random(seed)))


def unfinished(seed: int = 0) -> ReportRecords:
    """Return a study that was never finalized."""
    return _report("Digits, searched", _study("searched", random.Random(seed), finalists=0))


def asking(seed: int = 0) -> ReportRecords:
    """Return a random search that asks about the activation."""
    rng = random.Random(seed)
    study = _study("asking", rng, sampler="random", question="activation")
    return _report("Which activation?", study)


def pareto(seed: int = 0, finalists: int = 0) -> ReportRecords:
    """Return a study of two objectives."""
    objectives = ("maximize val_accuracy", "minimize parameters")
    study = _study("pareto", random.Random(seed), objectives=objectives, finalists=finalists)
    return _report("Accuracy against size", study)


def regression(seed: int = 0) -> ReportRecords:
    """Return a study of a regression."""
    study = _study("sine", random.Random(seed), objectives=("minimize val_mae",), trials=24)
    return _report("A sine", study)


def failing(seed: int = 0) -> ReportRecords:
    """Return a study in which every trial fails."""
    rng = random.Random(seed)
    reasons = ("diverged", "diverged", "diverged", "out of memory")
    return _report("Nothing works", _study("failing", rng, failures=reasons, trials=8))


def empty() -> ReportRecords:
    """Return a study without a trial."""
    return _report("Nothing yet", _study("empty", random.Random(0), trials=0, finalists=0))


def large(seed: int = 0) -> ReportRecords:
    """Return a study of 1,000 trials and 100 classes."""
    classes = tuple(f"class {number}" for number in range(100))
    study = _study("large", random.Random(seed), trials=1_000, finalists=5, classes=classes)
    return _report("A large study", study)


def several(seed: int = 0) -> ReportRecords:
    """Return three studies that are compared with one another and with a reference."""
    rng = random.Random(seed)
    studies = [
        _study("linear", rng, trials=12, finalists=1, level=0.91),
        _study("mlp", rng, trials=30, finalists=2, level=0.955),
        _study("cnn", rng, trials=20, finalists=2, level=0.975),
    ]
    reference = ReferenceRecord(
        name="SVM on Nystroem features",
        description="Chosen among nine settings by validation, trained on all training images.",
        seconds=41.5,
        command="python -m tests.reference_models digits",
    )
    compared = _compare([one for study in studies for one in study], rng)
    report = _report("Three models of the digits", *studies)
    return ReportRecords(
        report.report.model_copy(
            update={
                "comparison": (f"{compared[0].name} leads: its mean is the highest.",),
                "comparisons": math.comb(len(compared), 2),
                "level": 0.05,
                "command": "make benchmark-report DATA=digits",
            }
        ),
        (*report.records, reference, *compared),
    )


def uncompared(seed: int = 0) -> ReportRecords:
    """Return studies of two data sets, which can't be compared."""
    rng = random.Random(seed)
    cifar = {"name": "cifar10", "input_shape": (32, 32, 3), "digest": "c" * 64}
    studies = [
        _study("digits-mlp", rng, trials=20, finalists=2),
        _study("digits-cnn", rng, trials=20, finalists=2, level=0.98),
        _study("cifar10-cnn", rng, trials=20, finalists=2, level=0.72, data=cifar),
        _study("cifar10-open", rng, trials=10, finalists=0, level=0.6, data=cifar),
    ]
    report = _report("Digits and CIFAR-10", *studies)
    reason = "studies must have the same test set to be compared; these have two"
    return ReportRecords(report.report.model_copy(update={"not_compared": reason}), report.records)


def hostile(seed: int = 0) -> ReportRecords:
    """Return studies in which each text of a user is another hostile string."""
    return replace_texts(several(seed), hostile_strings(seed))


KINDS: Mapping[str, Callable[[], ReportRecords]] = {
    "finalized": finalized,
    "unfinished": unfinished,
    "asking": asking,
    "pareto": pareto,
    "pareto-finalized": lambda: pareto(finalists=3),
    "regression": regression,
    "failing": failing,
    "empty": empty,
    "large": large,
    "several": several,
    "uncompared": uncompared,
    "hostile": hostile,
}
"""Builders of records by kind."""


def environment_of(records: ReportRecords) -> Environment:
    """Return what the studies of a report ran in."""
    settings = {"version.assay": "0.1.0", "version.python": "3.11.7", "commit": "e8e4a418"}
    return Environment(
        stages=tuple(
            StudyEnvironment(
                study=study.study,
                stage=stage,
                began="2026-11-20T08:00:00Z",
                ended="2026-11-20T09:30:00Z",
                settings={**settings, "dirty": "yes" if stage == "finalize" else "no"},
                packages={"keras": "3.15.1", "numpy": "2.4.6"},
            )
            for study in records.studies
            for stage in (("search", "finalize") if study.leader is not None else ("search",))
        )
    )


def _report(title: str, *studies: Sequence[Any]) -> ReportRecords:
    names = tuple(study[0].study for study in studies)
    report = ReportRecord(
        format=FORMAT, title=title, studies=names, collected=COLLECTED, version="0.1.0"
    )
    return ReportRecords(report, tuple(record for study in studies for record in study))


# A study.


def _study(
    name: str,
    rng: random.Random,
    *,
    trials: int = 40,
    finalists: int = 3,
    level: float = 0.96,
    objectives: tuple[str, ...] = ("maximize val_accuracy",),
    sampler: str = "tpe",
    question: str | None = None,
    failures: Sequence[str] = (),
    classes: tuple[str, ...] = DIGITS,
    data: Mapping[str, Any] | None = None,
) -> list[Any]:
    metric = objectives[0].partition(" ")[2]
    is_regression = metric != "val_accuracy"
    space = list(_space(name))
    tried = [
        _trial(name, number, space, rng, level, objectives, sampler, failures)
        for number in range(trials)
    ]
    complete = [one for one in tried if one.state == "complete"]
    sign = 1 if is_regression else -1
    complete.sort(key=lambda one: sign * (one.values[0] or 0.0))
    chosen = complete[:finalists]
    if chosen and tried[0].state == "complete" and tried[0] not in chosen:
        chosen.append(tried[0])
    again = [_finalist(name, one, rng, is_regression) for one in chosen]
    trainings = [training for _, group in again for training in group]
    ordered = sorted(
        (one for one, _ in again),
        key=lambda one: sign * (one.validation.mean),
    )
    judged = _judge(ordered)
    leader = judged[0].trial if judged else None
    counts = Counts(
        complete=len(complete),
        pruned=sum(one.state == "pruned" for one in tried),
        failed=sum(one.state.startswith("failed") and "interr" not in one.state for one in tried),
        interrupted=sum("interrupted" in one.state for one in tried),
        running=0,
    )
    front = _front(complete) if len(objectives) > 1 else ()
    study = StudyRecord(
        study=name,
        experiment=name,
        title=f"Perceptron on the digits ({name})",
        source="NYU CS-UY 4563 lecture 16",
        task="regression" if is_regression else "classification",
        question=question,
        objectives=objectives,
        metric=metric,
        greater_is_better=not is_regression,
        test_metric="mae" if is_regression else "accuracy",
        is_share=not is_regression,
        data=DataRecord(
            **{
                "name": "sine" if is_regression else "digits",
                "digest": "b" * 64,
                "verified": "yes",
                "note": "",
                "noun": "examples" if is_regression else "images",
                "input_shape": (1,) if is_regression else (8, 8, 1),
                "classes": () if is_regression else classes,
                "scale": "unit",
                "train_examples": 5_000,
                "validation_examples": VALIDATION_EXAMPLES,
                "test_examples": None if leader is None else TEST_EXAMPLES,
                **(data or {}),
            }
        ),
        family="mlp",
        fixed={"hidden_layers": 1, "dropout": 0.0, "epochs": EPOCHS},
        epochs=EPOCHS,
        sampler=sampler,
        pruner="hyperband",
        seed=0,
        counts=counts,
        best=complete[0].trial if complete and len(objectives) == 1 else None,
        pareto=front,
        claim=_claim(complete, tried, metric) if complete else (),
        checks=_checks(bool(complete)),
        openings=0 if leader is None else 1,
        leader=leader,
        decision=_decide(judged, metric),
        unfinished=None,
        random_search=RandomSearch(
            study="random",
            trials=trials,
            best=level,
            train_seconds=100.0,
            sentence=f"The first {trials} trials of random search reach {level:.4f}.",
        )
        if name == "mlp"
        else None,
        untried=(
            "The search did not vary hidden_layers = 1.",
            "No other model than mlp, and no other number of epochs than 12.",
        ),
        importance={}
        if len(complete) >= 20
        else {metric: f"'ranks' takes at least 20 complete trials; it has {len(complete)}"},
        expected_best=None
        if sampler == "random"
        else f"Trials of the sampler {sampler} are no independent draws.",
        expected_best_note="Median of the best value of n trials, with a simultaneous 95 % band."
        if sampler == "random"
        else "",
        costs=Costs(
            sweep=85.3 + trials,
            finalize=None if leader is None else 28.4,
            training=52.3 + trials,
            finalist_training=None if leader is None else 16.6,
        ),
        execution={"backend": "tensorflow", "device": "cpu", "workers": "2"},
        facts=("inputs: (8, 8, 1) uint8, scaled to 0 to 1", "split: 5000 train, 1000 validation"),
        warnings=("3 training images occur twice.",) if name == "digits-mlp" else (),
        commands=(
            Command(purpose="search", line=f"assay sweep {name} --trials {trials}"),
            Command(purpose="finalize", line=f"assay finalize {name}"),
            Command(purpose="report", line=f"assay report {name}"),
        ),
        toml=TOML,
    )
    records: list[Any] = [study, *space, *tried, *judged, *trainings]
    if leader is not None and not is_regression:
        records += _classes(name, classes, rng)
        records += _examples(name, classes, rng)
    records += _importances(name, space, objectives, len(complete))
    records += _effects(name, complete, objectives)
    if question is not None:
        records += _isolations(name, question, complete)
    if sampler == "random":
        records += _expected_best(name, complete)
    return records


def _space(study: str) -> Iterator[HyperparameterRecord]:
    plain: dict[str, Any] = {
        "study": study,
        "choices": (),
        "low": None,
        "high": None,
        "step": None,
        "log": False,
        "integer": False,
        "when": "",
    }
    ranges: list[dict[str, Any]] = [
        {"name": "hidden_units", "low": 8.0, "high": 128.0, "log": True, "integer": True},
        {"name": "activation", "choices": ("sigmoid", "tanh", "relu")},
        {"name": "batch_size", "choices": (16, 32, 64, 128)},
        {"name": "learning_rate", "low": 1e-4, "high": 0.1, "log": True},
        {"name": "optimizer", "choices": ("adam", "momentum")},
        {"name": "momentum", "low": 0.5, "high": 0.99, "when": "optimizer = momentum"},
    ]
    for one in ranges:
        yield HyperparameterRecord(**{**plain, **one})


def _draw(one: HyperparameterRecord, rng: random.Random) -> Any:
    if one.choices:
        return rng.choice(one.choices)
    assert one.low is not None
    assert one.high is not None
    if not one.log:
        return rng.uniform(one.low, one.high)
    value = math.exp(rng.uniform(math.log(one.low), math.log(one.high)))
    return round(value) if one.integer else value


def _trial(
    study: str,
    number: int,
    space: Sequence[HyperparameterRecord],
    rng: random.Random,
    level: float,
    objectives: Sequence[str],
    sampler: str,
    failures: Sequence[str],
) -> TrialRecord:
    params = {one.name: _draw(one, rng) for one in space}
    if number == 0:
        params.update(hidden_units=32, activation="sigmoid", learning_rate=0.001, batch_size=32)
    if params["optimizer"] == "adam":
        del params["momentum"]
    distance = abs(math.log10(params["learning_rate"]) + 2.2)
    loss = 0.02 * distance**2 + (0.03 if params["activation"] == "sigmoid" else 0.0)
    loss += 0.15 / params["hidden_units"] + abs(rng.gauss(0, 0.006))
    if params["optimizer"] == "momentum" and params["momentum"] > 0.95:
        loss += 0.2
    value = round((level - loss) * VALIDATION_EXAMPLES) / VALIDATION_EXAMPLES
    state = "complete"
    if failures:
        state = f"failed: {failures[number % len(failures)]}"
    elif number % 11 == 7:
        state = "failed: interrupted" if number == 7 else "failed: diverged"
    elif sampler == "tpe" and number and rng.random() < 0.3 + 0.5 * (loss > 0.05):
        state, value = "pruned", value - 0.1
    if objectives[0].startswith("minimize"):
        value = 1.1 - value
    parameters = params["hidden_units"] * 75 + 10
    has_values = not state.startswith("failed")
    values = (value, float(parameters))[: len(objectives)] if has_values else ()
    return TrialRecord(
        study=study,
        trial=number,
        state=state,
        values=values if has_values else (None,) * len(objectives),
        params=params,
        baseline=number == 0,
        origin="baseline" if number == 0 else sampler,
        seed=rng.getrandbits(32),
        epochs=3 if state == "pruned" else EPOCHS,
        train_seconds=rng.uniform(1, 4),
        parameters=parameters,
        run_id=f"{rng.getrandbits(128):032x}",
        error="a metric is not finite: {'loss': nan}" if state.startswith("failed") else "",
    )


def _finalist(
    study: str, trial: TrialRecord, rng: random.Random, is_regression: bool
) -> tuple[FinalistRecord, list[TrainingRecord]]:
    search = trial.values[0] or 0.0
    flattered = 0.004 if not is_regression else -0.004
    validation = [search - flattered + rng.gauss(0, 0.003) for _ in range(5)]
    test = [value - flattered / 2 + rng.gauss(0, 0.002) for value in validation]
    metric, own = ("mae", "val_mae") if is_regression else ("accuracy", "val_accuracy")
    trainings = [
        TrainingRecord(
            study=study,
            trial=trial.trial,
            training=number,
            seed=rng.getrandbits(32),
            state="complete",
            validation=validation[number],
            test={f"test_{metric}": test[number], "test_loss": 0.1},
            curves=_curves(own, validation[number], rng, is_regression),
            run_id=f"{rng.getrandbits(128):032x}",
        )
        for number in range(5)
    ]
    mean = statistics.fmean(validation)
    finalist = FinalistRecord(
        study=study,
        trial=trial.trial,
        baseline=trial.baseline,
        params=trial.params,
        search_value=search,
        validation=_interval(validation),
        test=_interval(test),
        generalization=Bounds(low=min(test) - 0.01, high=max(test) + 0.01),
        optimism=mean - search if is_regression else search - mean,
        verdict="not judged",
        difference=None,
        failed=(),
        parameters=trial.parameters,
        epoch_seconds=0.0137,
    )
    return finalist, trainings


def _curves(
    metric: str, end: float, rng: random.Random, falls: bool
) -> dict[str, tuple[float | None, ...]]:
    def curve(end: float, start: float) -> tuple[float | None, ...]:
        return tuple(
            end + (start - end) * math.exp(-0.55 * epoch) + rng.gauss(0, 0.003)
            for epoch in range(EPOCHS)
        )

    start = 0.9 if falls else 0.5
    train_end = end - 0.02 if falls else min(end + 0.02, 0.995)
    return {
        metric.removeprefix("val_"): curve(train_end, start),
        metric: curve(end, start),
        "loss": curve(0.05, 2.0),
        "val_loss": curve(0.12, 1.8),
    }


def _interval(values: Sequence[float]) -> Interval:
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    half = T_95 * sd / math.sqrt(len(values))
    return Interval(mean=mean, sd=sd, low=mean - half, high=mean + half, seeds=len(values))


def _judge(finalists: Sequence[FinalistRecord]) -> list[FinalistRecord]:
    """Return finalists with verdicts: a baseline is worse, any other not separable."""
    judged = []
    for place, one in enumerate(finalists):
        if place == 0:
            judged.append(one.model_copy(update={"verdict": "leader"}))
            continue
        assert one.test is not None
        assert finalists[0].test is not None
        mean = one.test.mean - finalists[0].test.mean
        half = 0.4 * abs(mean) if one.baseline else 1.5 * abs(mean) + 0.002
        reason = "the 95 % interval excludes 0" if one.baseline else "the 95 % interval includes 0"
        difference = Difference(
            mean=mean, low=mean - half, high=mean + half, p_value=0.2, reason=reason
        )
        verdict = "worse" if one.baseline else "not separable"
        judged.append(one.model_copy(update={"verdict": verdict, "difference": difference}))
    return judged


def _decide(judged: Sequence[FinalistRecord], metric: str) -> tuple[str, ...]:
    if not judged:
        return ()
    leader, *others = judged
    same = [str(one.trial) for one in others if one.verdict == "not separable"]
    return (
        f"Trial {leader.trial} leads: its mean {metric} over the seeds is the best.",
        *((f"It is not separable from {', '.join(same)} with this budget.",) if same else ()),
        *(
            f"Trial {one.trial} is worse than trial {leader.trial} on the test set."
            for one in others
            if one.verdict == "worse"
        ),
        "A true gap of about 1.3 points between them would be found with 80 % probability.",
    )


def _claim(
    complete: Sequence[TrialRecord], tried: Sequence[TrialRecord], metric: str
) -> tuple[str, ...]:
    return (
        f"{complete[0].values[0]:.4f} on 1,000 validation examples, the best of {len(tried)} "
        "trials; this network on new examples: 0.9189 to 0.9857",
        "7 other complete trials lie within its 95 % interval; each was trained once: finalize "
        "trains the best again",
    )


def _checks(is_complete: bool) -> tuple[Check, ...]:
    fired = (True, False, None) if is_complete else (None, None, None)
    texts = (
        "7 complete trials lie within the best's interval: raise validation under [data]",
        "the best is not at an edge towards which values improve, in 2 ranges",
        "not applicable: no trial was pruned",
    )
    names = ("validation too small", "edge of a range", "pruner too greedy")
    return tuple(
        Check(name=name, fired=state, text=text)
        for name, state, text in zip(names, fired, texts, strict=True)
    )


def _front(complete: Sequence[TrialRecord]) -> tuple[int, ...]:
    front = []
    for one in complete:
        if not any(
            other.values[0] >= one.values[0]
            and other.values[1] <= one.values[1]
            and other.values != one.values
            for other in complete
        ):
            front.append(one.trial)
    return tuple(front)


def _classes(study: str, classes: Sequence[str], rng: random.Random) -> Iterator[ClassRecord]:
    examples = TEST_EXAMPLES // len(classes)
    for row, label in enumerate(classes):
        predicted = [0] * len(classes)
        wrong = round(rng.uniform(0.0, 0.09) * 5 * examples)
        for _ in range(wrong):
            column = (row + rng.choice((1, 1, 1, 3, 7))) % len(classes)
            predicted[column] += column != row
        predicted[row] = 5 * examples - sum(predicted)
        recall = predicted[row] / (5 * examples)
        yield ClassRecord(
            study=study,
            label=label,
            examples=examples,
            precision=min(recall + 0.01, 1.0),
            recall=recall,
            f1=min(recall + 0.005, 1.0),
            recall_low=max(recall - 0.02, 0.0),
            recall_high=min(recall + 0.02, 1.0),
            predicted=tuple(predicted),
        )


def _examples(study: str, classes: Sequence[str], rng: random.Random) -> Iterator[ExampleRecord]:
    for number in range(12):
        label, predicted = rng.sample(classes, 2)
        yield ExampleRecord(
            study=study,
            index=17 * number + 3,
            label=label,
            predicted=predicted,
            wrong=5 - number % 3,
            networks=5,
            png=_png(8, rng),
            width=8,
            height=8,
        )


def _png(side: int, rng: random.Random) -> str:
    """Return a square grey image as PNG, in base64."""
    rows = b"".join(
        b"\0" + bytes(rng.randrange(256) if 1 < column < 6 else 0 for column in range(side))
        for _ in range(side)
    )
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _importances(
    study: str,
    space: Sequence[HyperparameterRecord],
    objectives: Sequence[str],
    complete: int,
) -> Iterator[ImportanceRecord]:
    if complete < 20:
        return
    for objective in objectives:
        for place, one in enumerate(space):
            share = 0.45 / (place + 1)
            yield ImportanceRecord(
                study=study,
                metric=objective.partition(" ")[2],
                name=one.name,
                evaluator="ranks",
                share=share,
                low=max(share - 0.2, 0.0),
                high=share + 0.2,
                p_value=0.001 * 4**place,
                passed=place < 2,
            )


def _effects(
    study: str, complete: Sequence[TrialRecord], objectives: Sequence[str]
) -> Iterator[EffectRecord]:
    for place, objective in enumerate(objectives):
        for name in ("activation", "batch_size", "optimizer"):
            groups: dict[str, list[float]] = {}
            for one in complete:
                groups.setdefault(str(one.params[name]), []).append(one.values[place] or 0.0)
            for group, values in sorted(groups.items()):
                yield EffectRecord(
                    study=study,
                    metric=objective.partition(" ")[2],
                    name=name,
                    group=group,
                    trials=len(values),
                    mean=statistics.fmean(values),
                    sd=statistics.stdev(values) if len(values) > 1 else None,
                )


def _isolations(
    study: str, question: str, complete: Sequence[TrialRecord]
) -> Iterator[IsolationRecord]:
    groups: dict[str, list[TrialRecord]] = {}
    for one in complete:
        groups.setdefault(str(one.params[question]), []).append(one)
    for group, members in groups.items():
        best = members[0].values[0] or 0.0
        yield IsolationRecord(
            study=study,
            name=question,
            group=group,
            trials=len(members),
            trial=members[0].trial,
            best=best,
            low=best - 0.03,
            high=min(best + 0.01, 1.0),
        )


def _expected_best(study: str, complete: Sequence[TrialRecord]) -> Iterator[ExpectedBestRecord]:
    values = sorted(one.values[0] or 0.0 for one in complete)
    for number in range(1, len(values) + 1):
        median = values[min(int(len(values) * 0.5 ** (1 / number)), len(values) - 1)]
        yield ExpectedBestRecord(
            study=study,
            trials=number,
            median=median,
            low=None if number == 1 else max(median - 0.08 / number, values[0]),
            high=median + 0.02 if number < 6 else None,
        )


def _compare(records: Sequence[Any], rng: random.Random) -> list[ComparedRecord]:
    finalists = [one for one in records if isinstance(one, FinalistRecord)]
    finalists.sort(key=lambda one: -(one.validation.mean if one.validation else 0.0))
    candidates: list[dict[str, Any]] = [
        {
            "name": f"{one.study}/{one.trial}",
            "study": one.study,
            "trial": one.trial,
            "baseline": one.baseline,
            "params": one.params,
            "validation": one.validation,
            "test": one.test,
            "generalization": one.generalization,
        }
        for one in finalists
    ]
    svm = [0.93 + rng.gauss(0, 0.002) for _ in range(5)]
    reference = dict.fromkeys(("study", "trial", "validation"))
    name = "SVM on Nystroem features"
    candidates.append(
        {**reference, "name": name, "baseline": False, "params": {}, "test": _interval(svm)}
    )
    compared = []
    for place, one in enumerate(candidates):
        mean = one["test"].mean - candidates[0]["test"].mean
        half = 0.012
        verdict = "leader" if place == 0 else "worse" if mean < -half else "not separable"
        difference = Difference(
            mean=mean, low=mean - half, high=mean + half, p_value=0.1, reason="synthetic"
        )
        compared.append(
            ComparedRecord(**one, verdict=verdict, difference=difference if place else None)
        )
    return compared


# Hostile texts.

_HOSTILE = (
    "<script>alert({n})</script>",
    '"><img src=x onerror=alert({n})>',
    "'><svg/onload=alert({n})>",
    "</style><script>alert({n})</script>",
    "</title><h1 id=h{n}>{n}</h1>",
    "<!-- {n}",
    "--><b>{n}</b><!--",
    "]]><a href=javascript:alert({n})>{n}</a>",
    '" onmouseover="alert({n})" x="',
    "&lt;script&gt;alert({n})&lt;/script&gt;",
    "&#60;img src=x onerror=alert({n})&#62;",
    "{{{{ {n} * 7 }}}}{{% for x in y %}}",
    "[{n}](javascript:alert({n}))",
    "![{n}](http://127.0.0.1/{n}.png)",
    "http://127.0.0.1/{n} www.example.com/{n} a{n}@example.com",
    "`{n}` ```\n```\n<b>{n}</b>",
    "a{n} | b | c\n| --- | --- |",
    "# {n}\n- {n}\n> {n}\n1. {n}",
    "*{n}* __{n}__ ~~{n}~~ \\* \\",
    "$\\frac{{{n}}}{{0}}$ $x_{n}",
    "$$\\undefined{{{n}}}$$ $",
    "%s %({n})d {{0}} ${{HOME}}",
    "\x00\x07\x1b[31m{n}\x1b]0;{n}\x07\r\n\x85\u2028",
    "\u202e{n}\u202c\u200b\ufeff\u2066",
    "\ud800{n}\udfff",
    "😀 {n} 汉字 עברית العربية กำ",
    "Z{n}" + "\u0301\u0327\u0489" * 30,
    "A" * 400 + "{n}",
    "<iframe src=data:text/html,<script>alert({n})</script>></iframe>",
    "<link rel=stylesheet href=http://127.0.0.1/{n}.css>",
    "<meta http-equiv=refresh content=0;url=http://127.0.0.1/{n}>",
    "@import url(http://127.0.0.1/{n});",
    ":tada: #{n} @somebody {n}. ===\n---",
    "  {n}\t  ",
    "<a{n}>&nbsp;</a{n}><textarea><details open ontoggle=alert({n})>",
)


def hostile_strings(seed: int = 0) -> Iterator[str]:
    """Yield strings that mean something to HTML, SVG, Markdown, TeX or a terminal, for ever.

    No two are the same.
    """
    rng = random.Random(seed)
    for number in itertools.count(1_000):
        first = _HOSTILE[number % len(_HOSTILE)]
        second = rng.choice(_HOSTILE) if rng.random() < 0.3 else ""
        yield (first + second).format(n=number)


_STRUCTURE = frozenset({"kind", "task", "verdict", "png", "test_metric", "collected", "noun"})


def replace_texts(records: ReportRecords, texts: Iterator[str]) -> ReportRecords:
    """Return records in which each text of a user is one of others, each text always the same."""
    found: dict[str, str] = {}

    def swap(text: str) -> str:
        if not text:
            return text
        if text not in found:
            found[text] = next(texts)
        return found[text]

    def change(name: str, value: Any) -> Any:
        match value:
            case BaseModel():
                return replaced(value)
            case str() if name in _STRUCTURE:
                return value
            case str() if name == "objectives":
                direction, _, metric = value.partition(" ")
                return f"{direction} {swap(metric)}"
            case str() if name == "state":
                state, colon, reason = value.partition(": ")
                return f"{state}{colon}{swap(reason)}"
            case str():
                return swap(value)
            case tuple() | list():
                return type(value)(change(name, item) for item in value)
            case dict():
                return {swap(key): change(name, item) for key, item in value.items()}
            case _:
                return value

    def replaced(record: Any) -> Any:
        return record.model_copy(
            update={name: change(name, getattr(record, name)) for name in type(record).model_fields}
        )

    return ReportRecords(replaced(records.report), tuple(map(replaced, records.records)))
