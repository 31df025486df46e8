"""The command lines of a report: those that were given, and those that can follow."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator

from assay.experiments.config.options import DEFAULT_TOLERANCE
from assay.experiments.decision.finalists import plan_options
from assay.experiments.decision.outcome import TEST_METRIC
from assay.experiments.formatting import format_metric
from assay.experiments.report.collection.plain import to_finite, to_text
from assay.experiments.report.collection.sources import StudySources
from assay.experiments.report.records import Command
from assay.experiments.serving.model_folder import SERVING_EXAMPLE_FILE
from assay.experiments.tracking.lookup import find_model_runs
from assay.experiments.tracking.schema import COMMAND_TAG, MODEL_FOLDER
from assay.experiments.workspace import DEFAULT_HOME
from assay.models.errors import RequestError

_REPRODUCED = (
    f"every metric of every epoch must be within {DEFAULT_TOLERANCE:g} of the recorded one; a "
    f"value above 1, within {DEFAULT_TOLERANCE:g} of itself; --data-dir FOLDER names where the "
    "data are, if they are not to be downloaded"
)
_PORT = 5001


def list_commands(sources: StudySources, leader: int | None) -> Iterator[Command]:
    """Yield the commands that were given, and those that can follow."""
    name = sources.name
    recorded = sources.recorded_values(COMMAND_TAG)
    for line in recorded:
        yield _command("search", _with_home(sources, line))
    if not recorded:
        yield _command(
            "search", sources.command("sweep", sources.result.experiment, "--study", name)
        )
    # Without a complete trial there is nothing to train again, and no network.
    has_complete = any(trial.state.name == "COMPLETE" for trial in sources.trials)
    if has_complete or sources.finalized is not None:
        yield _command("finalize", _finalize_command(sources))
    run_id = _find_reproduced_run(sources, leader)
    if run_id is not None:
        yield _command("reproduce", sources.command("reproduce", run_id), _REPRODUCED)
        yield _command("train", sources.command("run", "--like", run_id))
    yield from _serving_commands(sources)
    if has_complete or sources.finalized is not None:
        # Of several objectives no trial is the best.
        front = sources.result.pareto if leader is None else None
        having = [one for one in front or () if one["model"] is not None] or front
        chosen = ("--trial", str(having[0]["number"])) if having else ()
        yield _command("export", sources.command("export", name, *chosen, "--to", "keras"))
    yield _command("ui", sources.command("ui", name))
    yield _command("report", sources.command("report", name))


def describe_network(sources: StudySources, leader: int | None) -> str:
    """Return which network the commands train again and serve; empty without one.

    Args:
        sources: the study.
        leader: the trial that leads after finalize; None before.
    """
    best, finalized, evaluation = sources.result.best, sources.finalized, sources.evaluation
    if finalized is None:
        if best is None or sources.result.model is None:
            return ""
        return (
            f"The stored network is that of trial {best['number']}, the best of the search. MLflow "
            "has it in the run of the study, and its training in the run of the trial."
        )
    registration = finalized.verdicts.registration
    if registration is None or registration.unsaved is not None:
        return ""
    networks = 0 if evaluation is None else len(evaluation.leader_trainings)
    of = f", the best of its {networks} networks on validation" if networks > 1 else ""
    text = f"The stored network is that of training {registration.training} of trial {leader}{of}."
    training = finalized.record.trainings.get(registration.training)
    tested = {} if training is None or training.tested is None else training.tested.metrics
    metric = TEST_METRIC[sources.task]
    value = to_finite(tested.get(f"test_{metric}"))
    if value is None or networks < 2:
        return text
    return (
        f"{text} By itself it has a test {metric} of {format_metric(value)}: the figures of the "
        "configuration are averages over its networks, and not those of an ensemble."
    )


def _command(purpose: str, line: str, note: str = "") -> Command:
    return Command(purpose=purpose, line=to_text(line), note=note)


def _serving_commands(sources: StudySources) -> Iterator[Command]:
    """Yield what serves the model, and asks it about the example that is logged with it."""
    model = _find_model_to_serve(sources)
    if model is None:
        return
    # Another store's address may name a machine.
    store = _own_store(sources) if sources.store_paths.has_own_tracking else ""
    serve = f"mlflow models serve --model-uri {model} --env-manager uv --port {_PORT}"
    file = SERVING_EXAMPLE_FILE
    example = f"mlflow artifacts download --artifact-uri {model}/{file} --dst-path ."
    ask = f"curl -H 'Content-Type: application/json' -d @{file} 127.0.0.1:{_PORT}/invocations"
    yield _command("serve", f"{store}{serve}")
    yield _command("ask", f"{store}{example}\n{ask}", _describe_requests(sources))


def _describe_requests(sources: StudySources) -> str:
    """Return what the served network takes, and what it answers."""
    answer = "its value"
    if sources.task == "classification":
        answer = "its label and the probability of each class"
    raw = sources.data.get("raw")
    shape = raw.get("shape") if isinstance(raw, dict) else None
    takes = ""
    if isinstance(shape, list | tuple) and isinstance(raw, dict):
        sizes = " x ".join(map(str, shape))
        takes = (
            f'a request is {{"inputs": [example, ...]}}, each {sizes} of {raw.get("dtype")}, as '
        )
        takes += "they are in the data, not scaled; "
    return to_text(f"{takes}the answer has, for each example, {answer}")


def _own_store(sources: StudySources) -> str:
    """Return the setting of home's own MLflow store, before a command of MLflow."""
    options = list(sources.store_options)
    home = options[options.index("--home") + 1] if "--home" in options else DEFAULT_HOME
    address = f"sqlite:///{home.removeprefix('./').rstrip('/')}/mlflow.db"
    return f"MLFLOW_TRACKING_URI={shlex.quote(address)} "


def _find_model_to_serve(sources: StudySources) -> str | None:
    """Return the address of the network to use; None if MLflow does not have it.

    It is the registered one of the leader; before finalize, that of the best trial.
    """
    if sources.finalized is None:
        return sources.result.model
    run_id = _find_registered_run(sources)
    if run_id is None:
        return None
    # The journal says what was to be registered; MLflow may have refused it, or have lost it.
    with contextlib.suppress(RequestError):
        if find_model_runs(sources.store_paths, [run_id]):
            return f"runs:/{run_id}/{MODEL_FOLDER}"
    return None


def _find_registered_run(sources: StudySources) -> str | None:
    finalized = sources.finalized
    return None if finalized is None else finalized.registered_run(sources.result.finalist_runs)


def _finalize_command(sources: StudySources) -> str:
    record = sources.finalize_record
    if record is None:
        return sources.command("finalize", sources.name)
    given = record.opened.provenance.get(COMMAND_TAG)
    options = plan_options(record.plan)
    if given:
        return _with_home(sources, given)
    return sources.command("finalize", sources.name, *options)


def _with_home(sources: StudySources, typed: str) -> str:
    """Return a command as it was typed, with the home that ASSAY_HOME gave it."""
    options = list(sources.store_options)
    if "--home" in typed or "--home" not in options:
        return typed
    return f"ASSAY_HOME={shlex.quote(options[options.index('--home') + 1])} {typed}"


def _find_reproduced_run(sources: StudySources, leader: int | None) -> str | None:
    """Return the run that stands for the study: of its leader, else of its best trial.

    Of the leader it is the run of the network that is registered, if one is.
    """
    registered = _find_registered_run(sources)
    if registered is not None:
        return registered
    if sources.evaluation is not None:
        runs = sources.evaluation.leader_runs(sources.result.finalist_runs)
        if runs:
            return runs[0]
    best = sources.result.best
    if leader is not None or best is None:
        return None
    run_id = best["run_id"]
    return None if run_id is None else str(run_id)
