"""The records of a report: everything that its page shows.

`collect` writes them from a home, and `page` draws a page from them, without MLflow, Optuna or a
model. A report's `records.jsonl` has one record per line, with its class as `kind`. No number is
NaN or infinite: JSON has neither, and None stands for what is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from assay.models.errors import DamagedFile
from assay.search.events import INTERRUPTED_LABEL

FORMAT = 1
"""Version of the records. A page is drawn from records of this version alone."""

Value: TypeAlias = bool | int | FiniteFloat | str | list[Any] | None
"""The value of a hyperparameter. A list is one value, such as the widths of several layers."""

Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Interval(_Part):
    """A mean over seeds.

    Attributes:
        mean: the mean.
        sd: standard deviation of the seeds; None for one seed.
        low: lower end of the 95 % interval of the mean; None likewise.
        high: upper end of it.
        seeds: number of seeds.
    """

    mean: FiniteFloat
    sd: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    seeds: Count


class Bounds(_Part):
    """The bounds of an interval."""

    low: FiniteFloat
    high: FiniteFloat


class DataRecord(_Part):
    """A data set.

    Attributes:
        name: its name, such as "mnist" or "npz:images.npz".
        digest: digest of its arrays.
        verified: whether its digest is the published one, in words.
        note: what a reader must know of it; empty for nothing.
        noun: what an example is called: "images" or "examples".
        input_shape: shape of one input.
        classes: names of the classes; empty in regression.
        scale: scaling of the inputs.
        train_examples: number of training examples; None if not recorded, as below.
        validation_examples: number of validation examples.
        test_examples: number of test examples; None before the test set was opened.
    """

    name: str
    digest: str
    verified: str
    note: str
    noun: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    scale: str
    train_examples: Count | None
    validation_examples: Count | None
    test_examples: Count | None


class Check(_Part):
    """A check of a study: whether it fires (None: not applicable), and what it says."""

    name: str
    fired: bool | None
    text: str


class Command(_Part):
    """A command line.

    Attributes:
        purpose: what it is for: "search", "finalize", "reproduce", "report", ...
        line: the line; several, if it takes more than one.
        note: what it does or needs beside that, in words; empty for nothing.
    """

    purpose: str
    line: str
    note: str = ""


class Counts(_Part):
    """Number of trials by how they ended. `failed` does not include `interrupted`."""

    complete: Count
    pruned: Count
    failed: Count
    interrupted: Count
    running: Count


class Costs(_Part):
    """What a study took, in seconds; None if it is not recorded.

    Attributes:
        sweep: wall time of all sweeps.
        finalize: wall time of all finalizes; None without one.
        training: time in which the trials were trained, the sum over workers, without trials whose
            time is not recorded.
        finalist_training: time in which the finalists were trained, likewise.
    """

    sweep: FiniteFloat | None
    finalize: FiniteFloat | None
    training: FiniteFloat | None
    finalist_training: FiniteFloat | None


class StudyRecord(_Part):
    """A study.

    Attributes:
        study: its name, by which the other records refer to it.
        experiment: name of its experiment.
        title: what the experiment calls itself.
        source: where the experiment comes from.
        task: "classification" or "regression".
        question: the hyperparameter that the search asks about; None if none was declared.
        objectives: such as "maximize val_accuracy".
        metric: the objective by which validation chooses, without its direction.
        greater_is_better: its direction.
        test_metric: what the test set is measured by: "accuracy" or "mae".
        is_share: whether the metrics are shares of right answers, whose differences are points.
        data: the data set.
        family: the model family, or the user's function.
        fixed: hyperparameters that were not searched, by name.
        epochs: number of epochs of a full training.
        sampler: its name.
        pruner: its name.
        seed: random seed of the study.
        counts: its trials.
        best: number of the best trial; None with several objectives, or without a complete one.
        pareto: numbers of the Pareto front; empty with one objective.
        claim: what the best value rests on, one sentence each.
        checks: its checks.
        openings: how many times its test set was opened.
        leader: the trial whose configuration leads after finalize; None before.
        decision: what finalize found, one sentence each; empty before.
        unfinished: the finalize that was interrupted or is at work, in words; None without one.
        random_search: a random study of the same space, beside this one; None if none was given.
        untried: what was not tried, one sentence each.
        importance: why no importance is shown, by the metric of each objective that has none.
        expected_best: why no curve of the expected best value is shown; None if one is.
        expected_best_note: what the curve is of, and how its band was computed; empty without one.
        examples_note: of how many confused examples not all are shown, and why they have no images;
            empty if all are shown with theirs.
        network: which network its commands train again and serve, in words; empty without one.
        costs: what it took.
        execution: backend, device, precision and the like, by name.
        facts: what was understood of data and model, one line each.
        warnings: what was wrong with them, one line each.
        commands: how to run it again.
        toml: the experiment with everything that was set.
    """

    kind: Literal["study"] = "study"
    study: str
    experiment: str
    title: str
    source: str
    task: Literal["classification", "regression"]
    question: str | None
    objectives: tuple[str, ...]
    metric: str
    greater_is_better: bool
    test_metric: str
    is_share: bool
    data: DataRecord
    family: str
    fixed: Mapping[str, Value]
    epochs: Count
    sampler: str
    pruner: str
    seed: int | None
    counts: Counts
    best: Count | None
    pareto: tuple[Count, ...]
    claim: tuple[str, ...]
    checks: tuple[Check, ...]
    openings: Count
    leader: Count | None
    decision: tuple[str, ...]
    unfinished: str | None
    random_search: RandomSearch | None
    untried: tuple[str, ...]
    importance: Mapping[str, str]
    expected_best: str | None
    expected_best_note: str = ""
    examples_note: str = ""
    network: str = ""
    costs: Costs
    execution: Mapping[str, str]
    facts: tuple[str, ...]
    warnings: tuple[str, ...]
    commands: tuple[Command, ...]
    toml: str


class RandomSearch(_Part):
    """A random study of the same space, data and objective.

    Attributes:
        study: its name.
        trials: number of its trials that were counted: as many as the other study has.
        best: the best value among them; None if none is complete.
        train_seconds: training time of these trials; None if it is not recorded.
        sentence: how the two compare.
    """

    study: str
    trials: Count
    best: FiniteFloat | None
    train_seconds: FiniteFloat | None
    sentence: str


class HyperparameterRecord(_Part):
    """A searched hyperparameter, in the order of the space.

    Attributes:
        study: the study.
        name: its name.
        choices: its choices; empty for a range.
        low: lower end of a range; None for choices, as the next two.
        high: upper end.
        step: distance between its values; None if it is continuous.
        log: whether it is searched on a logarithmic scale.
        integer: whether its values are whole numbers.
        when: on which values of others it depends, in words; empty for none.
    """

    kind: Literal["hyperparameter"] = "hyperparameter"
    study: str
    name: str
    choices: tuple[Value, ...]
    low: FiniteFloat | None
    high: FiniteFloat | None
    step: FiniteFloat | None
    log: bool
    integer: bool
    when: str


class TrialRecord(_Part):
    """A trial.

    Attributes:
        study: the study.
        trial: its number.
        state: "complete", "pruned", "failed: REASON" or "running"; of a trial that was interrupted
            "failed: interrupted".
        values: value of each objective at its end; None where it is not finite or has none.
        params: searched hyperparameters by name.
        baseline: whether its configuration is a baseline of the experiment.
        origin: where its configuration comes from.
        seed: its random seed; None if it is not recorded.
        epochs: number of epochs that were trained.
        train_seconds: None if it is not recorded, as below.
        parameters: number of weights.
        run_id: its run in MLflow.
        error: the last line of its error; empty without one.
    """

    kind: Literal["trial"] = "trial"
    study: str
    trial: Count
    state: str
    values: tuple[FiniteFloat | None, ...]
    params: Mapping[str, Value]
    baseline: bool
    origin: str
    seed: int | None
    epochs: Count
    train_seconds: FiniteFloat | None
    parameters: Count | None
    run_id: str | None
    error: str

    @property
    def has_failed(self) -> bool:
        """Whether it failed by itself: a trial that was interrupted did not."""
        return self.state.startswith("failed") and self.state != INTERRUPTED_LABEL


class Difference(_Part):
    """A configuration minus the leader on the test set; see `evaluation.verdicts.Comparison`.

    Attributes:
        mean: the difference.
        low: lower end of its interval.
        high: upper end.
        p_value: adjusted for all comparisons of the finalize.
        reason: why the verdict is what it is.
    """

    mean: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    p_value: FiniteFloat | None
    reason: str

    @property
    def negated(self) -> Difference:
        """The leader minus the configuration."""
        mean, low, high = (
            None if end is None else -end for end in (self.mean, self.high, self.low)
        )
        return self.model_copy(update={"mean": mean, "low": low, "high": high})


class FinalistRecord(_Part):
    """A configuration of the last finalize; the records are in the order of validation.

    Attributes:
        study: the study.
        trial: the trial that the configuration is from.
        baseline: whether it is a baseline.
        params: searched hyperparameters by name.
        search_value: the trial's value; None if it was not complete.
        validation: the objective over the seeds; None without a complete training.
        test: the test metric over the seeds; None if it was not measured.
        generalization: where its mean lies on new seeds and new test examples, at 95 %; None if it
            is not known.
        optimism: search value minus mean of the re-trained ones, positive where the search
            flattered.
        verdict: "leader", "better", "worse", "not separable" or "not judged".
        difference: from the leader; None of the leader, and if it was not compared.
        failed: label of each training that failed.
        parameters: number of weights; None if it is not recorded.
        epoch_seconds: median seconds of an epoch; None likewise.
    """

    kind: Literal["finalist"] = "finalist"
    study: str
    trial: Count
    baseline: bool
    params: Mapping[str, Value]
    search_value: FiniteFloat | None
    validation: Interval | None
    test: Interval | None
    generalization: Bounds | None = None
    optimism: FiniteFloat | None
    verdict: str
    difference: Difference | None
    failed: tuple[str, ...]
    parameters: Count | None
    epoch_seconds: FiniteFloat | None


class TrainingRecord(_Part):
    """A re-training of a finalist.

    Attributes:
        study: the study.
        trial: the finalist's trial.
        training: its number.
        seed: its random seed.
        state: how it ended.
        validation: the objective at its end; None if it has none.
        test: metrics on the test set by name; empty if it was not measured.
        curves: values of each metric by epoch.
        run_id: its run in MLflow; None if it is not known.
    """

    kind: Literal["training"] = "training"
    study: str
    trial: Count
    training: Count
    seed: int
    state: str
    validation: FiniteFloat | None
    test: Mapping[str, FiniteFloat]
    curves: Mapping[str, tuple[FiniteFloat | None, ...]]
    run_id: str | None


class ClassRecord(_Part):
    """A class of the leader on the test set: means over its seeds.

    Attributes:
        study: the study.
        label: name of the class.
        examples: number of test examples.
        precision: share of right answers among its predictions.
        recall: share of its examples that were found.
        f1: harmonic mean of both, for each seed, then averaged.
        recall_low: smallest recall over the seeds.
        recall_high: largest recall over the seeds.
        predicted: how often each class was predicted for its examples, summed over the seeds: a row
            of the confusion matrix.
    """

    kind: Literal["class"] = "class"
    study: str
    label: str
    examples: Count
    precision: FiniteFloat
    recall: FiniteFloat
    f1: FiniteFloat
    recall_low: FiniteFloat
    recall_high: FiniteFloat
    predicted: tuple[Count, ...]


class ExampleRecord(_Part):
    """A test image that most of the leader's networks take for another class.

    Attributes:
        study: the study.
        index: its place in the test set.
        label: its class.
        predicted: the wrong class that is predicted most often.
        wrong: number of networks that are wrong.
        networks: number of networks.
        png: the image as PNG, in base64; empty for examples that are no images.
        width: of the PNG in pixels.
        height: likewise.
    """

    kind: Literal["example"] = "example"
    study: str
    index: Count
    label: str
    predicted: str
    wrong: Count
    networks: Count
    png: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=40_000)]
    width: Count
    height: Count


class ImportanceRecord(_Part):
    """Importance of a hyperparameter for an objective, the greatest share first.

    Attributes:
        study: the study.
        metric: the objective's.
        name: the hyperparameter's.
        evaluator: what estimated it.
        share: its share, from 0 to 1.
        low: lower end of the 95 % interval; None without one.
        high: upper end.
        p_value: of the test that it has no effect; None without one.
        passed: whether an effect is shown; None for an evaluator without a test.
    """

    kind: Literal["importance"] = "importance"
    study: str
    metric: str
    name: str
    evaluator: str
    share: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    p_value: FiniteFloat | None
    passed: bool | None


class EffectRecord(_Part):
    """Complete trials with one choice of a hyperparameter, or in one part of its range.

    Attributes:
        study: the study.
        metric: the objective's.
        name: the hyperparameter's.
        group: the choice or the part.
        trials: number of complete trials.
        mean: mean of their values.
        sd: standard deviation; None for one trial.
    """

    kind: Literal["effect"] = "effect"
    study: str
    metric: str
    name: str
    group: str
    trials: Count
    mean: FiniteFloat
    sd: FiniteFloat | None


class IsolationRecord(_Part):
    """The best over everything else, for one value of the hyperparameter in question.

    Attributes:
        study: the study.
        name: the hyperparameter in question.
        group: its value, or a part of its range.
        trials: number of complete trials with it.
        trial: number of the best of them.
        best: its value.
        low: lower end of the 95 % interval of `best`; None if it is not known.
        high: upper end.
    """

    kind: Literal["isolation"] = "isolation"
    study: str
    name: str
    group: str
    trials: Count
    trial: Count
    best: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None


class ExpectedBestRecord(_Part):
    """Best value to expect of a number of independent random trials (Lourie et al. 2023).

    Attributes:
        study: the study.
        trials: the number of trials.
        median: estimate of the median of the best value.
        low: lower end of the simultaneous 95 % band.
        high: upper end; None where the band is unbounded, as `low`.
    """

    kind: Literal["expected_best"] = "expected_best"
    study: str
    trials: Count
    median: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None


class ReferenceRecord(_Part):
    """A model that Assay did not train, measured on the same test set for comparison.

    Attributes:
        name: what it is, such as "SVM on Nystroem features"; its `ComparedRecord` has it too.
        description: how it was chosen and trained.
        seconds: time of one training; None if it is not known.
        command: the command that measured it.
    """

    kind: Literal["reference"] = "reference"
    name: str
    description: str
    seconds: FiniteFloat | None
    command: str


class ComparedRecord(_Part):
    """A configuration in the comparison of several studies, the leader first.

    Attributes:
        name: such as "mnist-mlp/12", or that of a reference.
        study: its study; None for a reference.
        trial: the trial that it is from; None likewise.
        baseline: whether it is a baseline of its study.
        params: its hyperparameters by name.
        validation: the objective over the seeds; None without a complete training.
        test: the test metric over the seeds; None if it was not measured.
        generalization: as in `FinalistRecord`.
        verdict: as in `FinalistRecord`, with the leader of all studies.
        difference: from that leader; None of the leader, and if it was not compared.
    """

    kind: Literal["compared"] = "compared"
    name: str
    study: str | None
    trial: Count | None
    baseline: bool
    params: Mapping[str, Value]
    validation: Interval | None
    test: Interval | None
    generalization: Bounds | None = None
    verdict: str
    difference: Difference | None


class ReportRecord(_Part):
    """The first record: what the report is about.

    Attributes:
        format: version of the records.
        title: of the page.
        studies: names of the studies, in the order of the page.
        comparison: what a comparison of all their finalists found, one sentence each; empty with
            one study, or if they can't be compared.
        comparisons: number of comparisons of these configurations that are adjusted together.
        level: what an adjusted p-value must be below for a verdict; None without comparisons.
        not_compared: why several studies are not compared; empty if they are.
        command: the command that makes it, if that is not `assay report`; else empty.
        collected: when the records were collected: UTC, such as "2026-11-27T14:00:00Z".
        version: of Assay.
    """

    kind: Literal["report"] = "report"
    format: int
    title: str
    studies: tuple[str, ...]
    comparison: tuple[str, ...] = ()
    comparisons: Count = 0
    level: FiniteFloat | None = None
    not_compared: str = ""
    command: str = ""
    collected: str
    version: str


class StudyEnvironment(_Part):
    """What a study was searched or finalized with, as its last session recorded it.

    Nothing in it identifies a person or a machine.

    Attributes:
        study: the study.
        stage: "search" or "finalize".
        began: when its first session began: UTC, such as "2026-11-27T14:00:00Z"; None if not known.
        ended: time of the last event; None likewise.
        settings: versions, processor, backend, device, threads, commit and the like, by name.
        packages: versions of all installed packages by name; empty if they are not recorded.
    """

    study: str
    stage: Literal["search", "finalize"]
    began: str | None
    ended: str | None
    settings: Mapping[str, str]
    packages: Mapping[str, str]


class Environment(_Part):
    """What the studies of a report ran in: `environment.json`.

    Attributes:
        format: version of the records.
        stages: what each study was searched and finalized with.
    """

    format: int = FORMAT
    stages: tuple[StudyEnvironment, ...]


Record = Annotated[
    ReportRecord
    | StudyRecord
    | HyperparameterRecord
    | TrialRecord
    | FinalistRecord
    | TrainingRecord
    | ClassRecord
    | ExampleRecord
    | ImportanceRecord
    | EffectRecord
    | IsolationRecord
    | ExpectedBestRecord
    | ReferenceRecord
    | ComparedRecord,
    Field(discriminator="kind"),
]

StudyRecord.model_rebuild()
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Record)
_RecordT = TypeVar("_RecordT", bound=_Part)


@dataclass(frozen=True)
class ReportRecords:
    """All records of a report.

    Attributes:
        report: what it is about.
        records: all others, in the order of the file.

    Example:
        >>> for trial in records.of(TrialRecord, "digits-mlp"):
        ...     print(trial.trial, trial.state)
    """

    report: ReportRecord
    records: tuple[Any, ...] = field(default=())

    @property
    def studies(self) -> list[StudyRecord]:
        """The studies, in the order of the page."""
        by_name = {record.study: record for record in self.records if record.kind == "study"}
        return [by_name[name] for name in self.report.studies]

    def all_of(self, kind: type[_RecordT]) -> list[_RecordT]:
        """Return the records of one kind, in the order of the file."""
        return [record for record in self.records if isinstance(record, kind)]

    def of(self, kind: type[_RecordT], study: str) -> list[_RecordT]:
        """Return the records of one kind that belong to a study, in the order of the file."""
        return [record for record in self.all_of(kind) if getattr(record, "study", None) == study]


def to_lines(records: ReportRecords) -> Iterator[str]:
    """Return the lines of `records.jsonl`."""
    for record in (records.report, *records.records):
        plain = record.model_dump(mode="json")
        # The kind first, for a reader of the file.
        yield json.dumps({"kind": plain.pop("kind"), **plain}, ensure_ascii=True, allow_nan=False)


def from_lines(lines: Iterable[str | bytes], name: str) -> ReportRecords:
    """Return the records of the lines of `records.jsonl`.

    Args:
        lines: its lines.
        name: the file, for messages.

    Raises:
        DamagedFile: a line is no record, or records are missing or contradict each other.
    """
    records: list[Any] = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(_ADAPTER.validate_json(line, strict=True))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"][:6]))
            raise DamagedFile(
                f"{name} line {number}: {place or 'the line'}: {first['msg']}; "
                "write the report again with 'assay report STUDY'."
            ) from None
    if not records or not isinstance(records[0], ReportRecord):
        raise DamagedFile(f"{name} must begin with the record of the report.")
    report = records[0]
    if report.format != FORMAT:
        raise DamagedFile(
            f"{name} must have records of format {FORMAT}; received format {report.format}: "
            "write the report again with 'assay report STUDY'."
        )
    known = [record.study for record in records if record.kind == "study"]
    if sorted(known) != sorted(set(report.studies)) or len(known) != len(report.studies):
        raise DamagedFile(f"{name} must have one record of each study that the report names.")
    for record in records[1:]:
        study = getattr(record, "study", None)
        if isinstance(record, ReportRecord) or (study is not None and study not in report.studies):
            raise DamagedFile(f"{name} has a record of a study that the report does not name.")
    return ReportRecords(report, tuple(records[1:]))
