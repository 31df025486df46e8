"""Collecting the records of a report from a home.

Everything on the page comes from here. What a store does not have, such as the journals of a study
of another home, or MLflow while it is away, is left out, and the records say so.
"""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from assay.experiments.data.sources.published import PUBLISHED_SETS
from assay.experiments.decision.outcome import TEST_METRIC
from assay.experiments.decision.sentences import describe_evaluation, describe_judged
from assay.experiments.evaluation.proportions import is_share_metric, network_interval
from assay.experiments.formatting import format_count, format_ordinal
from assay.experiments.report.collection.commands import describe_network, list_commands
from assay.experiments.report.collection.compared import (
    Benchmark,
    StudyComparison,
    compare_studies,
    describe_openings,
    describe_unfinalized,
)
from assay.experiments.report.collection.confused import collect_examples
from assay.experiments.report.collection.expected_best import (
    collect_expected_best,
    explain_no_curve,
)
from assay.experiments.report.collection.finalists import (
    collect_classes,
    collect_finalists,
    collect_trainings,
)
from assay.experiments.report.collection.plain import (
    last_line,
    mask_toml,
    to_count,
    to_finite,
    to_private_text,
    to_private_value,
    to_text,
    to_value,
    to_values,
)
from assay.experiments.report.collection.random_search import compare_with_random
from assay.experiments.report.collection.sources import StudySources, train_seconds
from assay.experiments.report.collection.untried import list_untried
from assay.experiments.report.records import (
    FORMAT,
    Check,
    Costs,
    Counts,
    DataRecord,
    EffectRecord,
    Environment,
    HyperparameterRecord,
    ImportanceRecord,
    IsolationRecord,
    RandomSearch,
    ReportRecord,
    ReportRecords,
    StudyEnvironment,
    StudyRecord,
    TrialRecord,
)
from assay.experiments.results.finalizes import count_openings
from assay.experiments.results.frames import final_values, searched_params
from assay.experiments.run.study_locks import find_runner
from assay.experiments.workspace import StorePaths
from assay.search.events import StudyOpened
from assay.search.history import TrialHistory
from assay.search.importances import group_trials
from assay.search.space import Parameter
from assay.search.storage.stored_values import BASELINE, ORIGIN, SEED, STATE

_UNKNOWN = "unknown"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_IMAGE_DIMENSIONS = 3
_LONGEST_SESSION_SECONDS = 366 * 86_400  # a longer one began or ended by a clock that was far off
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
_EXECUTION_TAGS = (
    *("backend", "device", "precision", "workers", "threads", "deterministic", "fuse", "xla"),
    *("gpu_memory", "processor", "cores", "memory"),
)
_ENVIRONMENT_TAGS = (
    *("version.assay", "commit", "dirty", "version.python", "version.keras"),
    *("version.tensorflow", "version.jax", "version.torch", "version.optuna", "version.mlflow"),
    *_EXECUTION_TAGS,
    *("platform", "packages.digest", "code.digest"),
)


def collect(
    sources: Sequence[StudySources],
    store_paths: StorePaths,
    benchmark: Benchmark | None = None,
    now: datetime.datetime | None = None,
) -> tuple[ReportRecords, Environment]:
    """Return the records of a report about one study or several, and what they ran in.

    Args:
        sources: what was read of the studies, in the order of the page.
        store_paths: where the stores are. MLflow need not answer: then no run is known.
        benchmark: what a benchmark adds to its studies; None for any other report.
        now: time of the report; None: the time of the call.

    Raises:
        RequestError: a journal can't be read.

    Example:
        >>> sources = [read_sources("digits-mlp", store_paths)]
        >>> records, environment = collect(sources, store_paths)
        >>> records.studies[0].claim
    """
    references = () if benchmark is None else benchmark.references
    records: list[Any] = []
    for one in sources:
        records += collect_study(one, [other for other in sources if other is not one])
    if len(sources) > 1:
        # A study that was only searched has nothing to be compared.
        names = [one.name for one in sources if one.finalized is not None]
        comparison = compare_studies(names, store_paths, references)
        openings = {one.name: count_openings(one.finalizes) for one in sources}
        notes = [*describe_unfinalized(sources), *describe_openings(sources, openings, references)]
    else:
        comparison, notes = StudyComparison(), []
    sentences = comparison.sentences
    # A path is masked up to the end of a text, so the notes are added behind.
    reason = to_private_text(comparison.reason)
    if reason and notes:
        reason = " ".join([f"{reason.rstrip('.')}.", *notes])
    elif notes:
        sentences = [*sentences, *notes]
    time = datetime.datetime.now(datetime.UTC) if now is None else now.astimezone(datetime.UTC)
    report = ReportRecord(
        format=FORMAT,
        title=_title(sources) if benchmark is None else benchmark.title,
        studies=tuple(to_text(one.name) for one in sources),
        comparison=tuple(map(to_text, sentences)),
        comparisons=comparison.comparisons,
        level=comparison.level,
        not_compared=to_text(reason),
        command="" if benchmark is None else benchmark.command,
        collected=time.strftime(_TIME_FORMAT),
        version=importlib.metadata.version("assay"),
    )
    records += [*comparison.records, *(one.record for one in references)]
    stages = tuple(stage for one in sources for stage in _environments(one))
    return ReportRecords(report, tuple(records)), Environment(stages=stages)


def _title(sources: Sequence[StudySources]) -> str:
    if len(sources) == 1:
        return _study_title(sources[0])
    return f"Comparison of {', '.join(to_text(one.name) for one in sources)}"


def _study_title(sources: StudySources) -> str:
    return to_text(sources.provenance.get("assay.title") or sources.name)


def collect_study(sources: StudySources, others: Sequence[StudySources]) -> Iterator[Any]:
    """Yield the records of a study.

    Args:
        sources: what the stores have of it.
        others: the other studies of the report.
    """
    examples, examples_note = collect_examples(sources)
    curve, curve_note = collect_expected_best(sources)
    random_search = compare_with_random(sources, others)
    hyperparameters = list(_hyperparameters(sources))
    yield _study(
        sources,
        hyperparameters,
        random_search,
        # A curve that can't be drawn is explained in place of its note.
        expected_best=None if curve else explain_no_curve(sources),
        expected_best_note=curve_note,
        examples_note=examples_note,
    )
    yield from hyperparameters
    yield from _trials(sources)
    yield from collect_finalists(sources)
    yield from collect_trainings(sources)
    yield from collect_classes(sources)
    yield from examples
    yield from _importances(sources)
    yield from _effects(sources)
    yield from _isolations(sources)
    yield from curve


def _study(
    sources: StudySources,
    hyperparameters: Sequence[HyperparameterRecord],
    random_search: RandomSearch | None,
    expected_best: str | None,
    expected_best_note: str,
    examples_note: str,
) -> StudyRecord:
    result, objectives = sources.result, sources.objectives
    evaluation = sources.evaluation
    leader = evaluation.leader if evaluation is not None else None
    if leader is None and sources.finalized is not None:
        leader = sources.finalized.verdicts.leader
    study_evaluation = result.evaluation
    return StudyRecord(
        study=to_text(sources.name),
        experiment=to_text(result.experiment),
        title=_study_title(sources),
        source=to_text(sources.provenance.get("assay.source", "")),
        task=sources.task,
        question=None if sources.question is None else to_text(sources.question),
        objectives=tuple(to_text(one) for one in objectives.each),
        metric=to_text(sources.judged.metric),
        greater_is_better=sources.judged.direction == "maximize",
        test_metric=TEST_METRIC[sources.task],
        is_share=is_share_metric(sources.judged.metric),
        data=_data(sources),
        family=to_private_text(sources.fingerprint.get("family", _UNKNOWN)),
        fixed=_fixed(sources),
        epochs=_epochs(sources, hyperparameters),
        sampler=to_text(", ".join(sources.samplers) or _UNKNOWN),
        pruner=to_text(", ".join(sources.recorded_values("assay.pruner")) or _UNKNOWN),
        seed=_seed(sources),
        counts=_counts(sources),
        best=None if result.best is None else result.best["number"],
        pareto=tuple(trial["number"] for trial in result.pareto or ()),
        claim=tuple(map(to_text, [] if result.claim is None else result.claim.sentences())),
        checks=tuple(
            Check(name=check.name, fired=check.fired, text=to_text(check.text))
            for check in (() if study_evaluation is None else study_evaluation.checks)
        ),
        openings=count_openings(sources.finalizes),
        leader=leader,
        decision=tuple(map(to_text, _decision(sources))),
        unfinished=_unfinished(sources),
        random_search=random_search,
        untried=tuple(map(to_text, list_untried(sources, hyperparameters))),
        importance={
            to_text(metric): to_text(report.reason)
            for metric, report in result.importance.items()
            if report.reason is not None
        },
        expected_best=expected_best,
        expected_best_note=expected_best_note,
        examples_note=examples_note,
        network=to_text(describe_network(sources, leader)),
        costs=_costs(sources),
        execution=_tags(sources.opened, _EXECUTION_TAGS),
        facts=tuple(_facts(sources.preflight)),
        warnings=tuple(map(to_private_text, _warnings(sources.preflight))),
        commands=tuple(list_commands(sources, leader)),
        toml=mask_toml(sources.toml),
    )


def _seed(sources: StudySources) -> int | None:
    seed = sources.study.user_attrs.get(SEED)
    return seed if type(seed) is int else None


def _fixed(sources: StudySources) -> dict[str, Any]:
    fixed = sources.fingerprint.get("fixed")
    fixed = fixed if isinstance(fixed, dict) else {}
    return {to_text(name): to_private_value(value) for name, value in fixed.items()}


def _epochs(sources: StudySources, hyperparameters: Sequence[HyperparameterRecord]) -> int:
    """Return the number of epochs of a full training."""
    for name in ("epochs", "train.epochs"):
        fixed = sources.fingerprint.get("fixed")
        if isinstance(fixed, dict) and (epochs := to_count(fixed.get(name))) is not None:
            return epochs
        for one in hyperparameters:
            if one.name == name:
                choices = [count for choice in one.choices if (count := to_count(choice))]
                return to_count(one.high) or max(choices, default=0)
    return max((len(trial.epochs) for trial in sources.history.trials.values()), default=0)


def _counts(sources: StudySources) -> Counts:
    running = sum(trial.state.name == "RUNNING" for trial in sources.trials)
    return Counts(**sources.result.counts, running=running)


def _tags(opened: StudyOpened | None, names: Iterable[str]) -> dict[str, str]:
    """Return recorded tags by their names without "assay."."""
    provenance = {} if opened is None else opened.provenance
    return {
        name: to_private_text(provenance[f"assay.{name}"])
        for name in names
        if f"assay.{name}" in provenance
    }


def _environments(sources: StudySources) -> Iterator[StudyEnvironment]:
    finalize = sources.finalize_record
    stages: Mapping[Literal["search", "finalize"], StudyOpened | None] = {
        "search": sources.opened,
        "finalize": None if finalize is None else finalize.opened,
    }
    for stage, opened in stages.items():
        history = sources.history if stage == "search" else sources.finalize_history
        if opened is not None:
            yield StudyEnvironment(
                study=to_text(sources.name),
                stage=stage,
                began=_format_time(min(begin for begin, _ in history.sessions)),
                ended=_format_time(max(end for _, end in history.sessions)),
                settings=_tags(opened, _ENVIRONMENT_TAGS),
                packages={
                    to_text(name): to_text(version) for name, version in opened.packages.items()
                },
            )


def _format_time(seconds: float) -> str | None:
    if seconds <= 0:  # no clock says so
        return None
    try:
        time = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return None
    return time.strftime(_TIME_FORMAT)


# Data.


def _data(sources: StudySources) -> DataRecord:
    recorded, fingerprint = sources.data, sources.fingerprint
    data, split = (_mapping(fingerprint.get(name)) for name in ("data", "split"))
    name = str(recorded.get("name", data.get("name", _UNKNOWN)))
    shape = recorded.get("input_shape") or sources.preflight.get("input_shape")
    sizes = tuple(map(to_count, shape)) if isinstance(shape, list | tuple) else ()
    verified = str(sources.provenance.get("assay.dataset.verified", _UNKNOWN))
    classes = recorded.get("classes")
    evaluation = sources.evaluation
    return DataRecord(
        name=to_private_text(name),
        digest=to_text(recorded.get("digest", data.get("digest", _UNKNOWN))),
        verified=_describe_verified(verified, is_published=name in PUBLISHED_SETS),
        # Data of one's own have no published digest, which is nothing to warn of.
        note=to_text(verified.removeprefix("no: "))
        if name in PUBLISHED_SETS and verified.startswith("no: ")
        else "",
        noun="images" if len(sizes) == _IMAGE_DIMENSIONS else "examples",
        input_shape=tuple(size for size in sizes if size is not None),
        classes=tuple(map(to_text, classes)) if isinstance(classes, list | tuple) else (),
        scale=to_text(recorded.get("scale", data.get("scale", _UNKNOWN))),
        train_examples=to_count(recorded.get("train_examples", split.get("train"))),
        validation_examples=to_count(recorded.get("validation_examples", split.get("validation"))),
        test_examples=None if evaluation is None else evaluation.examples,
    )


def _describe_verified(recorded: str, *, is_published: bool) -> str:
    """Return whether the digest is the published one, from what is recorded."""
    if recorded == "yes":
        return "its digest is the published one"
    if not recorded.startswith("no"):
        return "not recorded"
    if not is_published:
        return "not compared: no digest is published"
    return to_private_text(f"not the published one: {recorded.removeprefix('no: ')}")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _facts(preflight: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the preflight check understood, from its record, which may hold anything."""
    shape, split, classes = (preflight.get(name) for name in ("input_shape", "split", "classes"))
    if isinstance(shape, list):
        text = f"inputs: {tuple(shape)} {preflight.get('input_type')}"
        if preflight.get("layout") is not None:
            text += f", {preflight['layout']}"
        text += f", {_format_range(preflight.get('input_range'))}"
        if preflight.get("scale") not in (None, "none"):
            scaled = _format_range(preflight.get("scaled_range"))
            text += f", scaled to {scaled} ({preflight['scale']})"
        yield to_text(text)
    if isinstance(classes, dict):
        low, high = classes.get("smallest"), classes.get("largest")
        each = f"{low}" if low == high else f"{low} to {high}"
        yield to_text(f"targets: {classes.get('count')} classes, {each} training examples each")
    elif preflight.get("outputs") is not None:
        yield to_text(f"targets: {preflight['outputs']} numbers per example")
    if isinstance(split, dict):
        yield to_text(
            f"split: {split.get('train')} train, {split.get('validation')} validation "
            f"({split.get('source')}), {split.get('test')} test"
        )
    if preflight.get("model") is not None:
        model = to_private_text(preflight["model"])
        parameters, loss = preflight.get("parameters"), preflight.get("loss")
        # Others have another number, if a hyperparameter of the network's size is searched.
        yield to_text(
            f"model: {model}, {parameters} parameters in the first configuration; loss {loss}"
        )
    unused = preflight.get("not_used")
    if isinstance(unused, list) and unused:
        yield to_private_text(f"not used: {', '.join(map(str, unused))}")


def _format_range(ends: object) -> str:
    numbers = [to_finite(end) for end in ends] if isinstance(ends, list) else []
    return " to ".join(_UNKNOWN if number is None else f"{number:.6g}" for number in numbers)


def _warnings(preflight: Mapping[str, Any]) -> list[str]:
    warnings = preflight.get("warnings")
    return [str(warning) for warning in warnings] if isinstance(warnings, list) else []


# What finalize found, in words.


def _decision(sources: StudySources) -> Iterator[str]:
    finalized = sources.finalized
    if finalized is None:
        return
    if sources.evaluation is not None:
        yield from describe_evaluation(sources.evaluation)
    else:
        yield describe_judged(finalized.verdicts)
        # Its path says something within home alone.
        reason = str(sources.lost).replace(f"{sources.store_paths.workspace.path}/", "")
        yield f"What follows from the predictions is not known: {to_private_text(reason)}"
    for earlier in finalized.earlier:
        yield describe_judged(earlier)
    best = sources.result.best
    if best is not None and not finalized.has_trained(best["number"]):
        yield (
            f"Trial {best['number']}, now the best of the search, was not trained again: it came "
            "later."
        )


def _unfinished(sources: StudySources) -> str | None:
    unfinished = sources.unfinished
    if unfinished is None:
        return None
    is_running = find_runner(sources.store_paths, sources.name) is not None
    state = "is at work" if is_running else "was interrupted"
    opened = "was opened" if unfinished.is_opened else "was not opened yet"
    text = (
        f"The {format_ordinal(unfinished.opening)} finalize {state}: {unfinished.trained} of "
        f"{format_count(unfinished.trainings, 'training')} have ended, and the test set {opened} "
        "for it"
    )
    if is_running:
        return f"{text}."
    again = sources.command("finalize", sources.name, *unfinished.options)
    return to_text(f"{text}. It goes on with: {again}")


# Costs and commands.


def _costs(sources: StudySources) -> Costs:
    trainings = [training for one in sources.finalizes for training in one.trainings.values()]
    return Costs(
        sweep=_wall_seconds(sources.history.sessions),
        finalize=_wall_seconds(sources.finalize_history.sessions),
        training=_training_seconds(sources.history.trials.values()),
        finalist_training=_training_seconds(trainings),
    )


def _wall_seconds(sessions: Iterable[tuple[float, float]]) -> float | None:
    """Return the time in which at least one session was at work.

    Supervisors of a shared study work at the same time.

    Returns:
        None without a session, and where a recorded time is off by years.
    """
    total, last, is_known = 0.0, float("-inf"), False
    for begin, end in sorted(sessions):
        if begin <= 0 or end - begin > _LONGEST_SESSION_SECONDS:
            return None
        total += max(0.0, end - max(begin, last))
        last, is_known = max(last, end), True
    return total if is_known else None


def _training_seconds(trials: Iterable[TrialHistory]) -> float | None:
    """Return the sum of the trials' training times; None without a trial."""
    seconds = [found for trial in trials if (found := train_seconds(trial)) is not None]
    return sum(seconds) if seconds else None


# Space and trials.


def _hyperparameters(sources: StudySources) -> Iterator[HyperparameterRecord]:
    if sources.experiment is not None:
        for name, parameter in sources.experiment.space.items():
            yield _hyperparameter(sources, name, parameter)
        return
    # Without its experiment, Optuna knows the names that trials have had.
    known: dict[str, BaseDistribution] = {}
    for trial in sources.trials:
        for name, distribution in trial.distributions.items():
            known.setdefault(name, distribution)
    texts = _mapping(sources.fingerprint.get("space"))
    for name, distribution in known.items():
        when = str(texts.get(name, "")).partition(", when ")[2]
        yield _hyperparameter(sources, name, Parameter(distribution), when)


def _hyperparameter(
    sources: StudySources, name: str, parameter: Parameter, when: str = ""
) -> HyperparameterRecord:
    distribution = parameter.distribution
    low: float | None = None
    high, step = low, low
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
    is_choice = isinstance(distribution, CategoricalDistribution)
    return HyperparameterRecord(
        study=to_text(sources.name),
        name=to_text(name),
        choices=tuple(map(to_value, parameter.extreme_values())) if is_choice else (),
        low=to_finite(low),
        high=to_finite(high),
        step=to_finite(step),
        log=bool(getattr(distribution, "log", False)),
        integer=isinstance(distribution, IntDistribution),
        when=to_text(" and ".join(map(str, parameter.when)) or when),
    )


def _trials(sources: StudySources) -> Iterator[TrialRecord]:
    frame = sources.result.trials
    runs = {
        int(number): run_id for number, run_id in frame["run_id"].items() if isinstance(run_id, str)
    }
    for trial in sources.trials:
        recorded = sources.history.trials.get(trial.number)
        end = None if recorded is None else recorded.end
        values = final_values(trial, recorded, sources.objectives)
        origin = trial.user_attrs.get(ORIGIN) if recorded is None else recorded.begun.origin
        seed = trial.user_attrs.get(SEED)
        epochs = (trial.last_step or 0) if recorded is None else len(recorded.epochs)
        yield TrialRecord(
            study=to_text(sources.name),
            trial=trial.number,
            state=to_text(trial.user_attrs.get(STATE) or _STATES[trial.state.name]),
            values=tuple(map(to_finite, values or [None] * len(sources.objectives.each))),
            params=to_values(searched_params(trial, sources.history)),
            baseline=bool(trial.user_attrs.get(BASELINE)),
            origin=to_text(origin or _UNKNOWN),
            seed=seed if type(seed) is int else None,
            epochs=epochs,
            train_seconds=train_seconds(recorded),
            parameters=None if end is None else to_count(end.metrics.get("parameters")),
            run_id=runs.get(trial.number),
            error=last_line(None if end is None else end.error),
        )


# Importance, effects and the question.


def _importances(sources: StudySources) -> Iterator[ImportanceRecord]:
    for metric, report in sources.result.importance.items():
        for name, found in report.shares.items():
            share = to_finite(found.share)
            if share is not None:
                yield ImportanceRecord(
                    study=to_text(sources.name),
                    metric=to_text(metric),
                    name=to_text(name),
                    evaluator=report.evaluator,
                    share=share,
                    low=to_finite(found.low),
                    high=to_finite(found.high),
                    p_value=to_finite(found.p_value),
                    passed=found.passed,
                )


def _effects(sources: StudySources) -> Iterator[EffectRecord]:
    for metric, report in sources.result.importance.items():
        for name, effects in report.effects.items():
            for effect in effects:
                mean = to_finite(effect.mean)
                if mean is not None:
                    yield EffectRecord(
                        study=to_text(sources.name),
                        metric=to_text(metric),
                        name=to_text(name),
                        group=to_text(effect.group),
                        trials=effect.n,
                        mean=mean,
                        sd=to_finite(effect.sd),
                    )


def _isolations(sources: StudySources) -> Iterator[IsolationRecord]:
    """Yield the best over everything else for each value of the hyperparameter in question."""
    question, claim = sources.question, sources.result.claim
    if question is None or claim is None:
        return
    objective = sources.objectives.each[0]
    ended = [trial for trial in sources.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    having = [trial for trial in ended if question in trial.params]
    groups, labels = group_trials(question, having)
    for group, label in enumerate(labels):
        members = [one for one, of in zip(having, groups, strict=True) if of == group]
        complete = [
            (to_finite(one.values[0]), one.number)
            for one in members
            if one.state.name == "COMPLETE"
        ]
        values = [(value, number) for value, number in complete if value is not None]
        if not values:
            continue
        sign = -1 if objective.direction == "maximize" else 1
        best, number = min(values, key=lambda one: (sign * one[0], one[1]))
        low = high = None
        if claim.unknown is None and claim.examples is not None:
            # Of a network that is the best of so many; see `network_interval`.
            interval = network_interval(best, claim.examples, len(members))
            low, high = interval.low, interval.high
        yield IsolationRecord(
            study=to_text(sources.name),
            name=to_text(question),
            group=to_text(label),
            trials=len(values),
            trial=number,
            best=best,
            low=low,
            high=high,
        )
