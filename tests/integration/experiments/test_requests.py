"""Bad input gives one clear line, exit code 2, and writes nothing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.experiments.config.request import read_sweep
from assay.models import files as files_module
from tests.helpers.experiment_files import EXPERIMENT, OWN
from tests.helpers.limits import time_limit
from tests.helpers.refusals import Fails

CNN = """
title = "convolutions"
[data]
name = "digits"
[model]
family = "cnn"
[space]
blocks = { low = 1, high = 4 }
"""

PLAIN = 'title = "mine"\n[data]\nname = "digits"\n[model]\nfamily = '


SWEEP = ["sweep", "digits-mlp"]
WITH = EXPERIMENT.replace
FIXED = PLAIN.__add__
MINE = ["sweep", "mine.toml"]
LISTED = [*SWEEP, "--enqueue", "list.json"]


def setting(*values: str) -> list[str]:
    return [*SWEEP, *(part for value in values for part in ("--set", value))]


_MANY = ",".join(['{"l2": 0}'] * 100_001)

# (id, command, words that the message must contain, files beside it)
BAD: list[tuple[str, list[str], str, dict[str, str]]] = [
    ("an experiment that is not there", ["sweep", "digit-mlp"], "Did you mean 'digits-mlp'", {}),
    ("the same of run", ["run", "nothing-like-it"], "must be one of cifar10-cnn", {}),
    ("a TOML that is not there", ["sweep", "./missing.toml"], "there is no file missing.toml", {}),
    ("the experiment of no user", ["sweep", "~no-such-user/x.toml"], "an existing user's folder", {}),
    ("a list of no user", [*SWEEP, "--enqueue", "~no-such-user/x.json"], "an existing user's folder", {}),
    ("the data of no user", MINE, "npz:PATH must be a path", {"mine.toml": WITH('"digits"', '"npz:~no-such-user/x"')}),
    ("the network of no user", MINE, "there is no file ~no-such", {"mine.toml": WITH('"mlp"', '"~no-such-user/n.py:f"')}),
    ("a new network of no user", ["new", "mine", "--model", "~no-such-user/n.py:f"], "an existing user's", {}),
    ("a verb that is not there", ["swep", "digits-mlp"], "Did you mean 'sweep'?", {}),
    ("a study without a name", [*SWEEP, "--study", ""], "must be a line of text; received ''", {}),
    ("a study of two lines", [*SWEEP, "--study", "a\nb"], "must be a line of text", {}),
    ("an option that is not there", [*SWEEP, "--trails", "3"], "--trials", {}),
    ("a key that --set does not know", [*SWEEP, "--set", "hiden_units=3"], "Did you mean 'hidden_units'", {}),
    ("--set without a value", [*SWEEP, "--set", "hidden_units"], "key=value", {}),
    ("a sampler that is not there", [*SWEEP, "--sampler", "tpee"], "Did you mean 'tpe'?", {}),
    ("a pruner that is not there", [*SWEEP, "--pruner", "hyper"], "hyperband, median, none", {}),
    ("an activation that is not there", [*SWEEP, "--set", "activation=rleu"], "Did you mean 'relu'?", {}),
    ("an activation that cannot be trained", [*SWEEP, "--set", "activation=heaviside"], "heaviside", {}),
    ("an optimizer that is not there", [*SWEEP, "--set", "optimizer=adamm"], "Did you mean 'adam'", {}),
    ("an initializer that is not there", [*SWEEP, "--set", "initializer=he"], "he_normal", {}),
    ("a backend that is not there", [*SWEEP, "--backend", "theano"], "tensorflow, jax, torch", {}),
    ("a GPU that is not there", [*SWEEP, "--device", "gpu"], "--device gpu needs an NVIDIA GPU", {}),
    ("the same of run", ["run", "digits-mlp", "--device", "gpu:1"], "--device gpu:1 needs an NVIDIA GPU", {}),
    ("a device that is none", [*SWEEP, "--device", "tpu"], "cpu, gpu or gpu:N, such as gpu:0; received 'tpu'", {}),
    ("a precision that is none", [*SWEEP, "--precision", "bfloat16"], "Did you mean 'mixed_bfloat16'", {}),
    ("a precision of run", ["run", "digits-mlp", "--precision", "half"], "must be one of float32, mixed_", {}),
    ("XLA or what", [*SWEEP, "--xla", "yes"], "must be one of auto, on, off", {}),
    ("JAX without XLA", [*SWEEP, "--backend", "jax", "--xla", "off"], "JAX always compiles with XLA", {}),
    ("memory of a GPU on the processor", [*SWEEP, "--device", "cpu", "--gpu-memory", "0.4"], "is for GPUs", {}),
    ("no memory", [*SWEEP, "--gpu-memory", "0"], "--gpu-memory takes a number above 0; received 0", {}),
    ("memory that is no number", [*SWEEP, "--gpu-memory", "4GB"], "'4GB' is not a valid float", {}),
    ("trials together, no JAX", [*SWEEP, "--fuse", "8", "--backend", "tensorflow"], "only the backend 'jax'", {}),
    ("no trials together", [*SWEEP, "--fuse", "0"], "1 or more; received '0'", {}),
    ("words of trials together", [*SWEEP, "--fuse", "all"], "fuse must be auto, off, or the number of trials", {}),
    ("no trials", [*SWEEP, "--trials", "0"], "--trials", {}),
    ("trials that are no number", [*SWEEP, "--trials", "many"], "'many' is not a valid integer", {}),
    ("no epochs", [*SWEEP, "--epochs", "0"], "--epochs", {}),
    ("no workers", [*SWEEP, "--workers", "0"], "--workers", {}),
    ("a negative seed", [*SWEEP, "--seed", "-1"], "--seed", {}),
    ("a timeout of nothing", [*SWEEP, "--timeout", "0s"], "above 0", {}),
    ("a timeout that is no time", [*SWEEP, "--timeout", "soon"], "90s, 10m or 1h30m; received 'soon'", {}),
    ("an empty batch", [*SWEEP, "--set", "batch_size=0"], "batch_size: input should be greater than or equal to 1", {}),
    ("a batch that is half", [*SWEEP, "--set", "batch_size=32.5"], "received 32.5", {}),
    ("a batch beyond the split", [*SWEEP, "--set", "batch_size=5000"], "training split; received 5000", {}),
    ("a negative rate", [*SWEEP, "--set", "learning_rate=-0.1"], "greater than 0; received -0.1", {}),
    ("a rate of infinity", [*SWEEP, "--set", "learning_rate=inf"], "finite", {}),
    ("momentum without its optimizer", [*SWEEP, "--set", "momentum=0.9"], "optimizer 'momentum'", {}),
    ("a dropout of all", [*SWEEP, "--set", "dropout=1.0"], "less than 1; received 1.0", {}),
    ("more blocks than the images can be halved", ["sweep", "cnn.toml"], "set blocks to at most 3", {"cnn.toml": CNN}),
    ("validation of everything", [*SWEEP, "--set", "validation=1437"], "fewer than the training set's 1,437", {}),
    ("a data set that is not there", MINE, "Did you mean 'mnist'", {"mine.toml": WITH("digits", "mnits")}),
    ("a family that is not there", MINE, "linear, mlp, cnn", {"mine.toml": WITH('"mlp"', '"mpl"')}),
    ("no family", MINE, "must say its family", {"mine.toml": WITH('family = "mlp"', "")}),
    ("no title", MINE, "must say 'title'", {"mine.toml": WITH('title = "mine"', "")}),
    ("a table that is not there", MINE, "Did you mean 'train'", {"mine.toml": WITH("[train]", "[trian]")}),
    ("a key that is not there", MINE, "Did you mean 'epochs'", {"mine.toml": WITH("epochs", "epocs")}),
    (
        "a name in the space that is not there",
        MINE,
        "Did you mean 'activation'",
        {"mine.toml": WITH("activation =", "activatoin =")},
    ),
    ("a low above high", MINE, "low = 40, high = 8", {"mine.toml": WITH("low = 4", "low = 40")}),
    (
        "a logarithm of nothing",
        MINE,
        "must lie above 0",
        {"mine.toml": WITH("low = 4, high = 8", "low = 0, high = 8, log = true")},
    ),
    ("an empty list", MINE, "must not be empty", {"mine.toml": WITH('["relu", "tanh"]', "[]")}),
    (
        "a choice that cannot be trained",
        MINE,
        "heaviside",
        {"mine.toml": WITH('["relu", "tanh"]', '["relu", "heaviside"]')},
    ),
    ("units below one", MINE, "received -3", {"mine.toml": WITH("low = 4", "low = -3")}),
    (
        "searched and fixed at once",
        MINE,
        "searched and fixed",
        {"mine.toml": WITH('"mlp"', '"mlp"\nhidden_units = 3')},
    ),
    (
        "a baseline outside the space",
        MINE,
        "[[baseline]] hidden_units: must be a whole number from 4 to 8; received 50",
        {"mine.toml": WITH("hidden_units = 5", "hidden_units = 50")},
    ),
    (
        "a baseline of another name",
        MINE,
        "does not search 'units'",
        {"mine.toml": WITH("hidden_units = 5", "units = 5")},
    ),
    (
        "one metric as two objectives",
        MINE,
        "each metric may be one objective",
        {"mine.toml": EXPERIMENT + '[search]\nobjectives = ["maximize accuracy", "minimize accuracy"]'},
    ),
    (
        "no objective at all",
        MINE,
        "a search needs an objective",
        {"mine.toml": EXPERIMENT + "[search]\nobjectives = []"},
    ),
    (
        "a metric of another task",
        MINE,
        "unknown metric in [search] objectives 'val_mae'",
        {"mine.toml": EXPERIMENT + '[search]\nobjectives = ["minimize val_mae"]'},
    ),
    (
        "an objective the wrong way round",
        MINE,
        "write minimize val_loss, or any_direction = true",
        {"mine.toml": EXPERIMENT + '[search]\nobjectives = ["maximize val_loss"]'},
    ),
    (
        "a range of what is no number",
        MINE,
        "[space] flip: is not a number, so it has no range",
        {"mine.toml": EXPERIMENT + "[space.flip]\nlow = 0\nhigh = 1"},
    ),
    (
        "a range of units between whole numbers",
        MINE,
        "[space] hidden_units: is a whole number",
        {"mine.toml": WITH("low = 4", "low = 4.5")},
    ),
    (
        "a name of the wrong table",
        [*SWEEP, "--set", "model.learning_rate=0.1"],
        "[model] does not know 'learning_rate'",
        {},
    ),
    (
        "a name that both tables have",
        [*MINE, "--set", "epsilon=0.1", "--set", "model.epsilon=0.1"],
        "[train] and [model] both have it; write train.epsilon or model.epsilon",
        {"mine.toml": OWN, "nets.py": ""},
    ),
    (
        "a condition on a name that is not there",
        MINE,
        "'optimiser' is neither searched nor fixed",
        {"mine.toml": EXPERIMENT + '[space.momentum]\nlow = 0.1\nhigh = 0.9\nwhen = { optimiser = "momentum" }'},
    ),
    (
        "a parameter that is searched without what it is of",
        MINE,
        "momentum is a setting of the optimizer 'momentum'",
        {"mine.toml": EXPERIMENT + "[space.momentum]\nlow = 0.1\nhigh = 0.9"},
    ),
    (
        "a baseline with a parameter that does not exist beside the rest",
        MINE,
        "dropout: exists only when activation = 'tanh'",
        {
            "mine.toml": WITH("hidden_units = 5", 'activation = "relu"\ndropout = 0.3')
            + '[space.dropout]\nlow = 0.1\nhigh = 0.9\nwhen = { activation = "tanh" }'
        },
    ),
    (
        "an objective of no metric",
        MINE,
        "Did you mean 'val_accuracy'",
        {"mine.toml": EXPERIMENT + '[search]\nobjectives = ["maximize val_acuracy"]'},
    ),
    ("a layer for each grain of sand", [*SWEEP, "--set", "hidden_layers=1000000000"], "or equal to 100; received", {}),
    (
        "a grid of a tiny step",
        [*MINE, "--sampler", "grid"],
        "a grid takes at most 100,000 values of a range: [space] l2 is 0.0 to 1.0, step 1e-09",
        {"mine.toml": EXPERIMENT + "[space.l2]\nlow = 0\nhigh = 1\nstep = 1e-9"},
    ),
    (
        "a grid of many integers",
        [*MINE, "--sampler", "grid"],
        "a grid takes at most 100,000 values of a range: [space] hidden_units",
        {"mine.toml": WITH("high = 8", "high = 1000000")},
    ),
    (
        "baselines without end",
        MINE,
        "[[baseline]] may be given at most 1,000 times; received 1,002",
        {"mine.toml": EXPERIMENT + "[[baseline]]\nhidden_units = 5\n" * 1_001},
    ),
    ("a TOML of 1 MB and more", MINE, "at most 1,000,000 bytes", {"mine.toml": "#" * 1_000_001}),
    ("an --enqueue of 16 MB and more", LISTED, "at most 16,000,000 bytes", {"list.json": " " * 16_000_001}),
    ("an --enqueue without end", LISTED, "at most 100,000 configurations", {"list.json": f"[{_MANY}]"}),
    ("no TOML at all", MINE, "is no TOML", {"mine.toml": "title = = 3"}),
    ("a file that is no text", ["sweep", "bytes.toml"], "can't be read", {}),
    ("an --enqueue that is not there", LISTED, "there is no file list.json", {}),
    ("an --enqueue that is no JSON", LISTED, "can't be read as JSON", {"list.json": "[{"}),
    ("an --enqueue that is no list", LISTED, "must hold a list", {"list.json": '{"hidden_units": 10}'}),
    ("an --enqueue of numbers", LISTED, "must hold a list", {"list.json": "[1, 2]"}),
    ("an --enqueue of another name", LISTED, "Did you mean 'hidden_units'", {"list.json": '[{"hidden_unit": 10}]'}),
    ("an --enqueue outside a range", LISTED, "received 4096", {"list.json": '[{"hidden_units": 4096}]'}),
    ("an --enqueue outside the choices", LISTED, "received 'elu'", {"list.json": '[{"activation": "elu"}]'}),
    ("an npz that is not there", MINE, "own.npz", {"mine.toml": WITH("digits", "npz:own.npz")}),
    (
        "an npz that is none",
        MINE,
        "own.npz",
        {"mine.toml": WITH("digits", "npz:own.npz"), "own.npz": "not a zip"},
    ),
    ("a storage without a driver", [*SWEEP, "--storage", "oracle://x/y"], "needs a driver that is not installed", {}),
    ("a storage that is not there", [*SWEEP, "--storage", "sqlite:////nowhere/at/all.db"], "can't be reached", {}),
    ("a study that is not there", ["ui", "no-such-study", "--no-open"], "there is no study 'no-such-study'", {}),
    ("a kind that is not there", ["list", "modles"], "Did you mean 'models'", {}),
    (
        "an option that the sampler does not have",
        MINE,
        "[search] sampler_options does not know 'n_startup': it knows n_startup_trials",
        {"mine.toml": EXPERIMENT + "[search]\nsampler_options = { n_startup = 3 }"},
    ),
    (
        "an option of the sampler that cannot be",
        MINE,
        "[search] sampler_options n_ei_candidates: input should be greater than or equal to 1; received 0",
        {"mine.toml": EXPERIMENT + "[search]\nsampler_options = { n_ei_candidates = 0 }"},
    ),
    (
        "an option of another pruner",
        MINE,
        "[search] pruner_options does not know 'n_warmup_steps'",
        {"mine.toml": EXPERIMENT + '[search]\npruner = "asha"\npruner_options = { n_warmup_steps = 1 }'},
    ),
    (
        "a pruner that would compare after the last epoch",
        MINE,
        "[search] pruner_options min_resource: must not exceed the 2 epochs of a trial; received 3",
        {"mine.toml": EXPERIMENT + '[search]\npruner = "asha"\npruner_options = { min_resource = 3 }'},
    ),
    ("too many trials for gp", [*SWEEP, "--sampler", "gp", "--trials", "501"], "at most 500 trials", {}),
    (
        "nothing that cmaes could search",
        [*MINE, "--sampler", "cmaes", "--set", "hidden_units=5"],
        "'cmaes' searches ranges of numbers: received a [space] of activation",
        {"mine.toml": EXPERIMENT},
    ),
    (
        "importances that are not there",
        MINE,
        "[search] importance: unknown importance 'anova'",
        {"mine.toml": EXPERIMENT + '[search]\nimportance = "anova"'},
    ),
    ("a set that is drawn nearly named", MINE, "Did you mean 'xor'", {"mine.toml": WITH("digits", "xorr")}),
    (
        "samples of a set that has its own",
        MINE,
        "remove samples",
        {"mine.toml": WITH('"digits"', '"digits"\nsamples = 9')},
    ),
    (
        "noise on digits",
        MINE,
        "noise is only for xor",
        {"mine.toml": WITH('"digits"', '"digits"\nnoise = 0.1')},
    ),
    (
        "a seed for digits",
        MINE,
        "seed is only for xor",
        {"mine.toml": WITH('"digits"', '"digits"\nseed = 1')},
    ),
    ("too few samples", MINE, "samples: input should be", {"mine.toml": WITH('"digits"', '"xor"\nsamples = 3')}),
    ("negative noise", MINE, "noise: input should be", {"mine.toml": WITH('"digits"', '"xor"\nnoise = -1')}),
    ("moons without noise", MINE, "noise must be above 0", {"mine.toml": WITH('"digits"', '"moons"\nnoise = 0')}),
    ("a seed that is half", MINE, "seed: input should be", {"mine.toml": WITH('"digits"', '"xor"\nseed = 0.5')}),
    ("a function with classes", MINE, "task must be 'regression'", {"mine.toml": WITH("digits", "runge")}),
    (
        "more to train on than there are",
        MINE,
        "at most the 1,198 images that validation leaves; received 5,000",
        {"mine.toml": WITH('"digits"', '"digits"\ntrain_images = 5000')},
    ),
    ("nothing to train on", MINE, "train_images: input", {"mine.toml": WITH('"digits"', '"digits"\ntrain_images = 0')}),
    ("a size for digits", MINE, "only for folder:PATH", {"mine.toml": WITH('"digits"', '"digits"\nsize = [9, 9]')}),
    (
        "a size that is none",
        MINE,
        "must be [height, width]",
        {"mine.toml": WITH('"digits"', '"folder:pets"\nsize = "28x28"')},
    ),
    ("a folder that is not there", MINE, "pets is not there", {"mine.toml": WITH("digits", "folder:pets")}),
    ("a folder without a name", MINE, "must contain the path of a folder", {"mine.toml": WITH("digits", "folder:")}),
    ("a width without its layer", [*SWEEP, "--set", "hidden_units_2=8"], "at least 2 hidden layers", {}),
    (
        "widths and another number of layers",
        MINE,
        "received [8, 4] with hidden_layers = 3",
        {"mine.toml": FIXED('"mlp"\nhidden_units = [8, 4]\nhidden_layers = 3')},
    ),
    (
        "a list of no widths",
        MINE,
        "one per hidden layer; received []",
        {"mine.toml": FIXED('"mlp"\nhidden_units = []')},
    ),
    ("a penalty below 0", MINE, "received -0.1", {"mine.toml": FIXED('"linear"\nl1 = -0.1')}),
    ("a batch_norm that is no boolean", MINE, "received 1", {"mine.toml": FIXED('"mlp"\nbatch_norm = 1')}),
    ("blocks of no residual network", MINE, "received 0", {"mine.toml": FIXED('"resnet"\nblocks = 0')}),
    # what [train] can say
    ("a loss that is not there", setting("loss=mse"), "must be one of cross_entropy, binary_cross_entropy, hinge", {}),
    ("smoothing of no probability", setting("loss=hinge", "label_smoothing=0.1"), "cross_entropy and binary_cross", {}),
    ("smoothing of everything", setting("label_smoothing=1.0"), "less than 1; received 1.0", {}),
    ("rho without its optimizer", setting("rho=0.9"), "rho is a setting of the optimizer 'rmsprop' alone", {}),
    ("betas without theirs", setting("optimizer=sgd", "beta_2=0.9"), "the optimizers adam and adamw alone", {}),
    ("an epsilon of plain descent", setting("optimizer=sgd", "epsilon=0.1"), "rmsprop, adam and adamw alone", {}),
    ("looking ahead without momentum", setting("nesterov=true"), "nesterov = True with optimizer = 'adam'", {}),
    ("clipping in two ways", setting("clip_norm=1.0", "clip_value=1.0"), "exclude each other", {}),
    ("clipping to nothing", setting("clip_norm=0"), "greater than 0", {}),
    ("a schedule that is not there", setting("schedule=cosin"), "Did you mean 'cosine'", {}),
    ("steps of a cosine", setting("schedule=cosine", "step_factor=0.5"), "the schedule 'step' alone", {}),
    ("an end of no cosine", setting("final_fraction=0.5"), "the schedule 'cosine' alone", {}),
    ("a step to nothing", setting("schedule=step", "step_factor=0"), "greater than 0", {}),
    ("warming up beyond the end", setting("epochs=3", "warmup_epochs=4"), "warmup_epochs = 4.0 with epochs = 3", {}),
    ("no patience", setting("early_stopping=0"), "greater than or equal to 1; received 0", {}),
    ("a flip that is neither", setting("flip=maybe"), "valid boolean; received 'maybe'", {}),
    ("a shift the other way", setting("shift=-1"), "greater than or equal to 0; received -1", {}),
    ("a study to delete that is not there", ["delete", "digits-mlp", "--yes"], "there is none yet", {}),
    ("a new experiment over a file", ["new", "mine"], "mine.toml is there already", {"mine.toml": "mine"}),
    ("a new experiment of the catalogue's name", ["new", "digits-mlp"], "of the catalogue", {}),
    ("a new experiment without a name", ["new", ""], "a name or a path that ends in one", {}),
    ("a new experiment that is a folder", ["new", "sub/"], "a name or a path that ends in one", {}),
    ("a new experiment in no folder", ["new", "sub/mine"], "there is no sub", {}),
    ("a new experiment of no data set", ["new", "mine", "--data", "mnits"], "Did you mean 'mnist'", {}),
    ("a new experiment of no file", ["new", "mine", "--data", "npz:own.npz"], "own.npz", {}),
    ("a new experiment of no family", ["new", "mine", "--model", "mpl"], "Did you mean 'mlp'", {}),
    ("a new experiment of no function", ["new", "mine", "--model", "nets.py:"], "write nets.py:build", {}),
    ("a new experiment of no module", ["new", "mine", "--model", "my nets:build"], "write nets.py:build", {}),
    ("a factory whose file is not there", MINE, "nets.py", {"mine.toml": OWN}),
    (
        "an optimizer of one's own without a model of one's own",
        MINE,
        "needs a user-defined factory",
        {"mine.toml": WITH("epochs = 2", 'epochs = 2\noptimizer = "own"')},
    ),
    (
        "a shift as large as the image",
        MINE,
        "shift",
        {"mine.toml": WITH("epochs = 2", "epochs = 2\nshift = 8")},
    ),
    (
        "flipping points of the plane",
        MINE,
        "need images",
        {"mine.toml": WITH('"digits"', '"xor"').replace("epochs = 2", "epochs = 2\nflip = true")},
    ),
    # show
    ("a study to show that is not there", ["show", "digits-mlp"], "there is none yet", {}),
    ("a run that is not there", ["show", "0" * 32], "there is no run 0000", {}),
    ("a trial of no study", ["show", "digits-mlp", "--trial", "0"], "there is none yet", {}),
    ("an importance to show that is not there", ["show", "x", "--importance", "fanov"], "Did you mean 'fanova'", {}),
    ("no study to show", ["show"], "Missing argument", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "words", "files"), [pytest.param(*case[1:], id=case[0]) for case in BAD]
)
def test_bad_input_gets_one_clear_line(
    command: list[str], words: str, files: dict[str, str], fails: Fails, tmp_path: Path
) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert words in fails(*command)


PLANTED: dict[str, Callable[[Path], object]] = {
    "a pipe that nothing writes to": os.mkfifo,
    "a link to such a pipe": lambda path: (
        os.mkfifo(path.with_name("pipe")),
        path.symlink_to("pipe"),
    ),
    "zeros without end": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/ptmx"),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize(
    ("command", "name", "data"),
    [
        (MINE, "mine.toml", None),
        (["run", "mine.toml"], "mine.toml", None),
        (LISTED, "list.json", None),
        (MINE, "own.npz", "npz:own.npz"),
        (["new", "another", "--data", "npz:own.npz"], "own.npz", None),
        ([*MINE, "--data-dir", "."], "mnist.npz", "mnist"),
        (MINE, "pets/train/cat/0.png", "folder:pets"),
    ],
)
def test_what_blocks_or_never_ends_is_refused(
    command: list[str],
    name: str,
    data: str | None,
    plant: Callable[[Path], object],
    fails: Fails,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files_module, "PIPE_START_SECONDS", 0.5)
    if data is not None:
        (tmp_path / "mine.toml").write_text(WITH("digits", data))
    for label in ("cat", "dog"):
        for part in ("train", "test"):
            (folder := tmp_path / "pets" / part / label).mkdir(parents=True)
            for number in range(1, 41):
                Image.new("L", (4, 4), number).save(folder / f"{number}.png")
    plant(tmp_path / name)
    with time_limit(60):
        line = fails(*command)
    assert Path(name).name in line


@pytest.mark.parametrize("is_behind_a_link", [True, False])
def test_an_experiment_and_a_list_may_come_from_pipes(
    is_behind_a_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = []
    with contextlib.ExitStack() as stack:
        for name, text in (("mine.toml", EXPERIMENT), ("list.json", '[{"hidden_units": 8}]')):
            read, write = os.pipe()
            stack.callback(os.close, read)
            os.write(write, text.encode())
            os.close(write)
            if is_behind_a_link:
                (tmp_path / name).symlink_to(f"/dev/fd/{read}")
            places.append(name if is_behind_a_link else f"/dev/fd/{read}")
        with time_limit(60):
            experiment, request, _ = read_sweep(places[0], {"enqueue": places[1]})
    assert experiment.title == "mine"
    assert request.enqueued == [{"hidden_units": 8}]


@pytest.mark.parametrize("gpu", ["0", "0,1"])
def test_a_gpu_without_libraries_is_refused_with_the_package_to_install(
    gpu: str, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpu)
    assert "make sweep EXTRAS=gpu, or pip install '.[gpu]'" in fails(
        "sweep", "digits-mlp", "--device", "gpu"
    )


def test_data_that_cannot_be_downloaded_is_refused_with_the_file_to_provide(
    fails: Fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    line = fails("sweep", "mnist-mlp", "--data-dir", str(tmp_path / "data"))
    assert str(tmp_path / "data" / "mnist.npz") in line


def test_a_truncated_npz_is_named(fails: Fails, tmp_path: Path) -> None:
    arrays = {name: np.zeros((40, 4), "float32") for name in ("x_train", "x_test")}
    labels = {name: np.arange(40) % 2 for name in ("y_train", "y_test")}
    np.savez_compressed(tmp_path / "own.npz", **arrays, **labels)
    content = (tmp_path / "own.npz").read_bytes()
    (tmp_path / "own.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "mine.toml").write_text(WITH("digits", "npz:own.npz"))
    assert "own.npz" in fails("sweep", "mine.toml")


def test_a_home_that_cannot_be_written_is_named(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "--home" in fails("sweep", "digits-mlp", home="file/home")


def test_a_password_is_never_shown(fails: Fails) -> None:
    line = fails(
        "sweep", "digits-mlp", "--storage", "postgresql+psycopg://assay:hunter2@127.0.0.1:9/none"
    )
    assert "hunter2" not in line
    assert "assay:***@127.0.0.1" in line or "psycopg" in line


def test_a_tracking_store_that_does_not_answer_is_named(
    fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    line = fails(
        "ui", "digits-mlp", "--no-open", "--tracking-uri", "http://assay:hunter2@127.0.0.1:9"
    )
    assert "can't be reached" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mysql://ann:hunter2@127.0.0.1:9/db", "needs a driver that is not installed"),
        ("mysql+pymysql://ann:hunter2@127.0.0.1:9/db", "needs a driver that is not installed"),
        ("mssql://ann:hunter2@127.0.0.1:9/db", "needs a driver that is not installed"),
        ("nonsense://ann:hunter2@127.0.0.1:9/db", "can't be reached"),
        ("postgresql://ann:hunter2@db:port/x", "can't be reached"),
        ("http://ann:hunter2@[", "can't be reached"),
    ],
)
def test_a_tracking_store_that_cannot_be_opened_is_named(
    uri: str, words: str, fails: Fails
) -> None:
    line = fails("show", "0" * 32, "--tracking-uri", uri)
    assert words in line
    assert "hunter2" not in line


def test_json_and_a_bad_request_leave_standard_output_empty(fails: Fails) -> None:
    fails("sweep", "digits-mlp", "--trials", "0", "--json")
    fails("run", "digits-mlp", "--set", "nonsense=1", "--json")


def test_a_list_in_a_message_is_valid_json(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([{}]))
    assert "received [{}]" in fails("sweep", "digits-mlp", "--enqueue", "list.json")


def test_a_folder_of_images_is_checked_before_anything_is_written(
    fails: Fails, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(WITH("digits", "folder:pets"))
    for label in ("cat", "dog"):
        (tmp_path / "pets" / "train" / label).mkdir(parents=True)
        for number in range(40):
            Image.new("L", (4, 4), number).save(
                tmp_path / "pets" / "train" / label / f"{number}.png"
            )
    assert "there is no folder" in fails("sweep", "mine.toml")
    (tmp_path / "pets" / "test" / "dog").mkdir(parents=True)
    (tmp_path / "pets" / "test" / "dog" / "notes.txt").write_text("no image")
    assert "dog/notes.txt is not an image" in fails("sweep", "mine.toml")
