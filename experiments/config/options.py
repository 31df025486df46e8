"""Every option of `run` and `sweep`, written once.

The command line (`experiments/cli/common.py`), the Python functions (`experiments/api.py`), their
validation and the reference documentation are all made from the classes below. To add an option,
add a key here, and read it in `experiments/config/request.py`.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, TypeVar, get_type_hints

from assay.experiments.config.toml_text import check_integer
from assay.experiments.formatting import parse_seconds
from assay.models.errors import RequestError

BACKENDS = ("tensorflow", "jax", "torch")
EXPORT_FORMATS = ("keras", "onnx", "savedmodel")
XLA = ("auto", "on", "off")

DEFAULT_TOLERANCE = 0.001
"""Largest difference of a metric by which a run counts as reproduced; see docs/reference.md."""
_MOST_TEXT = 200

Kind: TypeAlias = Literal[
    "text", "path", "integer", "number", "flag", "duration", "values", "list", "any"
]
Configurations: TypeAlias = Sequence[Mapping[str, Any]] | str | Path
"""Configurations to try first: themselves, or the path of a JSON file that lists them."""

_EXPECTED: Mapping[Kind, str] = {
    "text": "text",
    "path": "a path",
    "integer": "a whole number",
    "number": "a number",
    "flag": "True or False",
    "values": "values by name, such as {'hidden_units': 100}",
    "list": "a list of configurations, or the path of a file that lists them",
    "duration": "a time",
    "any": "a value",
}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        help: what it does, in one sentence; `--help` and the docstrings of the functions show it.
        kind: of its value. A duration is in seconds, or text such as "90s", "10m" or "1h30m".
        default: its value if it is not given.
        default_text: the default in words, where None stands for something else.
        minimum: the least number that it can be.
        above: the number that it must exceed.
        metavar: what `--help` shows in place of the value.
        variable: the environment variable that sets it.
        completion: the name of its completer in `experiments/cli/completion.py`.
        off_help: of a flag that is on by default: what `--no-NAME` does, by which the command line
            turns it off.
    """

    help: str
    kind: Kind = "text"
    default: Any = None
    default_text: str | None = None
    minimum: int | None = None
    above: float | None = None
    metavar: str | None = None
    variable: str | None = None
    completion: str | None = None
    off_help: str | None = None

    @property
    def shown_default(self) -> str | None:
        """The default as `--help` shows it; None for a flag, whose name says it."""
        if self.kind == "flag":
            return None
        text = self.default_text or (None if self.default is None else str(self.default))
        return text if self.variable is None else f"{self.variable}, or {text}"

    def read(self, value: Any, name: str) -> Any:
        """Return a value after validation; a duration in seconds.

        Raises:
            RequestError: the option does not take the value.
        """
        if value is None:
            return self.default
        try:
            value = as_plain(value)
        except RequestError as error:
            raise RequestError(f"{name}: {error}.") from None
        if self.kind == "duration":
            return parse_seconds(value, name)
        if not self._is_valid(value):
            raise RequestError(f"{name} takes {self._expected()}; received {show_value(value)}.")
        return value

    def _is_valid(self, value: Any) -> bool:
        match self.kind:
            case "text":
                return isinstance(value, str)
            case "path":
                return isinstance(value, str | Path)
            case "integer":
                valid = isinstance(value, int) and not isinstance(value, bool)
            case "number":
                valid = isinstance(value, int | float) and not isinstance(value, bool)
                # Not math.isfinite, which fails for an integer that is too large for a float.
                valid = valid and abs(value) <= sys.float_info.max
            case "flag":
                return isinstance(value, bool)
            case "values":
                return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
            case "any":
                return True
            case "list":
                is_list = isinstance(value, Sequence) and not isinstance(value, bytes)
                return is_list or isinstance(value, Path)
        if not valid:
            return False
        least = self.minimum is None or value >= self.minimum
        return least and (self.above is None or value > self.above)

    def _expected(self) -> str:
        least = "" if self.minimum is None else f", {self.minimum} or more"
        above = "" if self.above is None else f" above {self.above:g}"
        return f"{_EXPECTED[self.kind]}{least}{above}"


class StoreOptions(TypedDict, total=False):
    """Where data are read and results are written."""

    home: Annotated[
        str | Path | None,
        Option(
            "Folder of everything that running produces.",
            kind="path",
            default_text="./mlruns",
            variable="ASSAY_HOME",
        ),
    ]
    data_dir: Annotated[
        str | Path | None,
        Option(
            "Folder of the data sets, each as NAME.npz.",
            kind="path",
            default_text="the Keras cache",
            variable="ASSAY_DATA_DIR",
        ),
    ]
    storage: Annotated[
        str | None,
        Option(
            "Optuna storage, as a URL.", default_text="SQLite in home", variable="ASSAY_STORAGE"
        ),
    ]
    tracking_uri: Annotated[
        str | None,
        Option(
            "MLflow tracking URI.", default_text="SQLite in home", variable="MLFLOW_TRACKING_URI"
        ),
    ]


_BACKEND = Option(
    "Keras backend: tensorflow, jax or torch.",
    default_text="KERAS_BACKEND, or tensorflow",
    completion="backends",
)
_DEVICE = Option(
    "Device: cpu, gpu (all GPUs) or gpu:N.",
    default_text="gpu if the backend can use one, else cpu",
    completion="devices",
)
_PRECISION = Option(
    "Keras dtype policy: float32, mixed_bfloat16 or mixed_float16.",
    default_text="float32",
    completion="precisions",
)


class HardwareOptions(TypedDict, total=False):
    """How trials use the hardware."""

    device: Annotated[str | None, _DEVICE]
    xla: Annotated[
        str | None,
        Option(
            "Compile training steps with XLA: on, off, or auto (as Keras decides).",
            default_text="auto",
            completion="xla",
        ),
    ]
    gpu_memory: Annotated[
        float | None,
        Option(
            "GPU memory of each worker, in MB, or up to 1 as a fraction of the GPU.",
            kind="number",
            above=0,
            default_text="as needed, or an equal share",
            metavar="MB|FRACTION",
        ),
    ]


class _BackendOptions(TypedDict, total=False):
    backend: Annotated[str | None, _BACKEND]
    precision: Annotated[str | None, _PRECISION]


class ExecutionOptions(_BackendOptions, HardwareOptions, total=False):
    """What trials train on."""


class DeterministicOption(TypedDict, total=False):
    """Whether training again gives the same bits."""

    deterministic: Annotated[
        bool,
        Option(
            "Train with deterministic operations, one trial at a time, so that training again on "
            "this machine gives the same numbers to the last bit. Can be slower.",
            kind="flag",
            default=False,
        ),
    ]


class TimeoutOptions(TypedDict, total=False):
    """When a worker that does not respond is given up."""

    trial_timeout: Annotated[
        str | float | None,
        Option(
            "Fail a trial whose worker does not respond within TIME (e.g. 90s, 10m).",
            kind="duration",
            default_text="never",
            metavar="TIME",
        ),
    ]


class RetryOption(TypedDict, total=False):
    """What is retried."""

    retries: Annotated[
        int,
        Option(
            "Retry a trial whose worker died up to this many times.",
            kind="integer",
            default=1,
            minimum=0,
        ),
    ]


class FailureOptions(RetryOption, total=False):
    """What is retried, and when a search is given up."""

    max_failures: Annotated[
        int,
        Option(
            "Stop the search after this many failed trials in a row.",
            kind="integer",
            default=5,
            minimum=1,
        ),
    ]


class SetOption(TypedDict, total=False):
    """Which hyperparameters are fixed."""

    set: Annotated[
        Mapping[str, Any] | None,
        Option(
            "Fix hyperparameters, searched or not, by name; where several tables have it, by "
            "model.NAME, train.NAME or data.NAME.",
            kind="values",
            metavar="KEY=VALUE",
        ),
    ]


class _RunOptions(TypedDict, total=False):
    epochs: Annotated[
        int | None,
        Option("Epochs to train.", kind="integer", minimum=1, default_text="the experiment's"),
    ]
    seed: Annotated[
        int | None,
        Option(
            "Random seed.",
            kind="integer",
            minimum=0,
            default_text="0, or that of the run that --like names",
        ),
    ]
    like: Annotated[
        str | None,
        Option(
            "Train the configuration of this run in MLflow again, changed by --set and the other "
            "options.",
            metavar="RUN_ID",
        ),
    ]


class RunOptions(
    _RunOptions,
    TimeoutOptions,
    SetOption,
    ExecutionOptions,
    DeterministicOption,
    StoreOptions,
    total=False,
):
    """Options of `assay run`."""


class WorkersOption(TypedDict, total=False):
    """How many trials train at the same time."""

    workers: Annotated[
        int | None,
        Option(
            "Number of trials that train at the same time.",
            kind="integer",
            minimum=1,
            default_text="one per GPU, or one per core",
        ),
    ]


class _FinalizeOptions(TypedDict, total=False):
    top: Annotated[
        int,
        Option(
            "Number of best configurations to train again; the baselines come on top.",
            kind="integer",
            default=3,
            minimum=1,
        ),
    ]
    seeds: Annotated[
        int,
        Option(
            "Number of seeds of each configuration.",
            kind="integer",
            default=5,
            minimum=3,
        ),
    ]
    splits: Annotated[
        bool,
        Option(
            "Draw the validation split anew for every seed too.",
            kind="flag",
            default=False,
        ),
    ]
    gap: Annotated[
        float | None,
        Option(
            "Say how many seeds a true difference of this size takes: points of accuracy, or the "
            "unit of the targets.",
            kind="number",
            above=0,
            metavar="POINTS",
        ),
    ]
    register: Annotated[
        bool,
        Option(
            "Register the leader in MLflow's model registry, with the alias champion.",
            kind="flag",
            default=True,
            off_help="Do not register the leader in MLflow's model registry.",
        ),
    ]
    report: Annotated[
        bool,
        Option(
            "Write the report of the study at the end.",
            kind="flag",
            default=True,
            off_help="Write no report at the end.",
        ),
    ]
    backend: Annotated[str | None, dataclasses.replace(_BACKEND, default_text="the study's")]
    precision: Annotated[str | None, dataclasses.replace(_PRECISION, default_text="the study's")]


class FinalizeOptions(
    _FinalizeOptions,
    WorkersOption,
    HardwareOptions,
    DeterministicOption,
    RetryOption,
    TimeoutOptions,
    StoreOptions,
    total=False,
):
    """Options of `assay finalize`."""


class _ReproduceOptions(TypedDict, total=False):
    tolerance: Annotated[
        float | None,
        Option(
            "Largest difference of a metric that passes; of values above 1, as a fraction of them.",
            kind="number",
            minimum=0,
            default_text=f"{DEFAULT_TOLERANCE:g}",
        ),
    ]
    experiment: Annotated[
        str | Path | None,
        Option(
            "The experiment's file, if it is not where it was.", kind="path", metavar="FILE.toml"
        ),
    ]
    device: Annotated[str | None, dataclasses.replace(_DEVICE, default_text="as recorded")]


class ReproduceOptions(
    _ReproduceOptions, DeterministicOption, TimeoutOptions, StoreOptions, total=False
):
    """Options of `assay reproduce`."""


class _SearchOptions(TypedDict, total=False):
    trials: Annotated[
        int | None,
        Option(
            "Number of complete or pruned trials at which the study is done.",
            kind="integer",
            minimum=1,
            default_text="the experiment's",
        ),
    ]
    epochs: Annotated[
        int | None,
        Option("Epochs per trial.", kind="integer", minimum=1, default_text="the experiment's"),
    ]
    timeout: Annotated[
        str | float | None,
        Option(
            "Start no trial after TIME (e.g. 90s, 10m, 1h30m).", kind="duration", metavar="TIME"
        ),
    ]
    sampler: Annotated[
        str | None,
        Option(
            "Sampler; 'assay list samplers' lists them.",
            default_text="the experiment's",
            completion="samplers",
        ),
    ]
    pruner: Annotated[
        str | None,
        Option(
            "Pruner; 'assay list pruners' lists them.",
            default_text="the experiment's",
            completion="pruners",
        ),
    ]
    seed: Annotated[
        int | None,
        Option(
            "Random seed; trial seeds are derived from it.",
            kind="integer",
            minimum=0,
            default_text="the study's, or 0",
        ),
    ]
    study: Annotated[
        str | None,
        Option("Name of the study.", default_text="the experiment's", completion="studies"),
    ]
    enqueue: Annotated[
        Configurations | None,
        Option("Configurations to try first: a JSON list.", kind="list", metavar="FILE.json"),
    ]
    fuse: Annotated[
        str | int,
        Option(
            "Number of similar trials that a worker trains together, on JAX: a number, off, or "
            "auto (where it is faster).",
            kind="any",  # a number or a word: read by `parse_fuse`
            default="auto",
            metavar="auto|off|K",
        ),
    ]
    checkpoint: Annotated[
        bool,
        Option(
            "Save every trial after each epoch, so that an interrupted one resumes from there.",
            kind="flag",
            default=False,
        ),
    ]


class SweepOptions(
    _SearchOptions,
    WorkersOption,
    SetOption,
    ExecutionOptions,
    DeterministicOption,
    FailureOptions,
    TimeoutOptions,
    StoreOptions,
    total=False,
):
    """Options of `assay sweep`."""


class _ProgressOption(TypedDict, total=False):
    progress: Annotated[
        bool,
        Option(
            "Draw a progress bar, on standard error outside notebooks. Nothing else is printed.",
            kind="flag",
            default=True,
        ),
    ]


class RunArguments(RunOptions, _ProgressOption, total=False):
    """Keyword arguments of the function `run`."""


class ReproduceArguments(ReproduceOptions, _ProgressOption, total=False):
    """Keyword arguments of the function `reproduce`."""


class SweepArguments(SweepOptions, _ProgressOption, total=False):
    """Keyword arguments of the function `sweep`."""


class FinalizeArguments(FinalizeOptions, _ProgressOption, total=False):
    """Keyword arguments of the function `finalize`."""


def options_of(group: type) -> dict[str, Option]:
    """Return the options of one of the classes above, by name."""
    return {name: hint.__metadata__[0] for name, hint in _hints(group).items()}


def read_options(
    group: type, given: Mapping[str, Any], spell: Callable[[str], str] = str
) -> dict[str, Any]:
    """Validate options and fill in defaults.

    Args:
        group: one of the classes above.
        given: values by name; None counts as not given.
        spell: makes of an option's name what an error calls it, such as "--timeout".

    Raises:
        RequestError: an option does not take its value.
    """
    return {
        name: option.read(given.get(name), spell(name))
        for name, option in options_of(group).items()
    }


def read_progress(given: Mapping[str, Any]) -> bool:
    """Return whether a progress bar is drawn.

    Args:
        given: the keyword arguments of `sweep` or `run`.

    Raises:
        RequestError: it is neither True nor False.
    """
    progress: bool = read_options(_ProgressOption, given)["progress"]
    return progress


def as_plain(value: Any) -> Any:
    """Convert NumPy's scalars and arrays to Python values, also in lists and dictionaries.

    A cell of a DataFrame is such a scalar. Other values are returned unchanged.

    Raises:
        RequestError: an integer does not fit into 64 bits, or a list contains itself.

    Example:
        >>> as_plain({"hidden_units": [np.int64(64), 32], "flip": np.bool_(True)})
        {'hidden_units': [64, 32], 'flip': True}
    """
    try:
        return _as_plain(value)
    except RecursionError:
        raise RequestError("a value must not contain itself, or be nested too deeply") from None


def _as_plain(value: Any) -> Any:
    numpy = sys.modules.get("numpy")  # what has not been imported has made no scalar
    if numpy is not None and isinstance(value, numpy.generic):
        value = value.item()
    elif numpy is not None and isinstance(value, numpy.ndarray):
        value = value.tolist()
    match value:
        case int():
            check_integer(value)
            return value
        case list() | tuple():
            return [_as_plain(item) for item in value]
        case Mapping():
            return {name: _as_plain(item) for name, item in value.items()}
        case _:
            return value


def show_value(value: object) -> str:
    """Return a value as an error shows it: on one line, and not too long."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list of lists
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


_Function = TypeVar("_Function", bound=Callable[..., Any])


def with_arguments(group: type) -> Callable[[_Function], _Function]:
    """Give a function of `**options` the signature and the documentation of a class of options.

    Notebooks and `help()` then show every option, which is still written once. A name that is no
    option is a TypeError, as for any Python function.
    """

    def decorate(function: _Function) -> _Function:
        (first, *_) = inspect.signature(function).parameters.values()
        options, hints = options_of(group), _hints(group)
        keywords = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=hints[name].__origin__,
            )
            for name, option in options.items()
        ]
        signature = inspect.signature(function)
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[first, *keywords]
        )
        described = "".join(
            f"        {name}: {_sentence(option)}\n" for name, option in options.items()
        )
        assert function.__doc__ is not None
        function.__doc__ = function.__doc__.replace("        **options: see below.\n", described)
        return function

    return decorate


def check_argument_names(function: str, group: type, given: Mapping[str, Any]) -> None:
    """Check that a function was called with names of options only.

    Raises:
        TypeError: a name is no option; the message names the nearest one.
    """
    known = options_of(group)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def _hints(group: type) -> dict[str, Any]:
    return get_type_hints(group, include_extras=True)


def _sentence(option: Option) -> str:
    default = "" if option.default_text is None else f" None: {option.shown_default}."
    return f"{option.help}{default}"
