"""Version guard for internals of Keras and TensorFlow.

`is_supported()` says whether the installed releases are those that the tests ran with. With any
other release, each use below is replaced by its fallback, which needs Keras' documented API only
and gives the same numbers. `tests/system/models/test_keras_compat.py` compares both ways.

Optimizer steps by TensorFlow's kernels
    what      replaces `update_step` of an Adam, AdamW or SGD instance while a graph is traced;
              reads `_momentums`, `_velocities`, `momentums`, `_get_variable_index` and the `handle`
              of TensorFlow's variables
    where     backends/tensorflow_optimizers.py, `_kernel_steps`
    why       a kernel passes over each array once, Keras' own step about ten times; epochs of small
              batches are up to a quarter shorter
    guard     is_supported(); exactly these classes, without `amsgrad`
    fallback  Keras' own step

Optimizer updates without tf.distribute
    what      replaces `_backend_update_step` and `_apply_weight_decay` of `keras.src` TFOptimizer
              while a graph is traced; calls `_use_weight_decay`
    where     backends/tensorflow_optimizers.py, `_direct_updates`
    why       tf.distribute keeps the graph of every trial: a worker grows by 4.4 MB per trial
              instead of 0.4 MB
    guard     is_supported(); classes that do not override these methods; no distribution strategy
    fallback  Keras' own updates

Seeding without TensorFlow
    what      sets the globals of Keras' seed generator, in `keras.src`
    where     keras_compat.py, `set_random_seed`
    why       `keras.utils.set_random_seed` imports TensorFlow where it is installed, which takes
              longer than many a training on JAX
    guard     is_supported(); only on JAX
    fallback  `keras.utils.set_random_seed`

Creating variables without computing
    what      calls `Model._symbolic_build`, as Keras' `fit` does
    where     keras_compat.py, `build_variables`
    why       variables of metrics must exist before an epoch is traced on JAX
    guard     is_supported()
    fallback  `Model.evaluate` on one image, and `Optimizer.build`

Another optimizer in a compiled model
    what      reads `Model._compile_config`
    where     keras_compat.py, `replace_optimizer`
    why       keeps the loss and metrics objects of a user-defined model as they are
    guard     is_supported()
    fallback  `Model.get_compile_config`, which serialises them; a model whose loss or metrics
              cannot be serialised is refused

A weight decay per trial
    what      assigns `Optimizer.weight_decay` while a JAX program is traced, and relies on Keras
              reading it then
    where     backends/jax_epoch.py, `override_weight_decay`
    why       each trial of a trial batch has its own weight decay; in Keras it is a constant
    guard     is_supported()
    fallback  trials with different weight decays are not trained in one trial batch

Inputs of layers
    what      replaces `Layer.__call__` while the preflight check calls a model
    where     keras_compat.py, `record_layer_calls`
    why       shows what a layer receives inside any model, subclassed ones too
    guard     is_supported()
    fallback  nothing is recorded, so inputs that are scaled twice draw no warning

Directions of metrics
    what      reads `Metric._direction`, and the metrics inside that of `compile`
    where     keras_compat.py, `metric_directions`
    why       an objective that asks for the worst value of a model's own metric is refused
    guard     is_supported()
    fallback  metrics of unknown names are accepted in both directions

Numbers in layer names
    what      sets the counters from which Keras numbers the names of layers, in `keras.src` global
              state
    where     keras_compat.py, `reserve_layer_names`
    why       `clear_session` restarts them, while layers at the top of a user's file keep their
              names: the next model would have two layers of one name
    guard     is_supported()
    fallback  such a model fails in the second trial of a worker, with Keras' own message

Hidden packages
    what      makes scikit-learn, matplotlib, pandas, IPython and JAX appear not to be installed
              while Keras and TensorFlow are imported
    where     worker/preload.py
    why       their optional imports of these take 1.6 of 3.5 s
    guard     is_supported(); packages that are not yet imported; undone after the import
    fallback  a slower start

Epochs as one execution (backends/tensorflow.py, backends/jax_epoch.py) call `train_step`,
`test_step`, `reset_metrics` and `get_metrics_result` of a model in a loop inside a graph. These
methods are documented. Which of them a user-defined model overrides is read from the module of each
method (backends/keras_fit.py). User-defined models, and with an unsupported release all models, are
trained by Keras' `fit` if they cannot be traced. `keras.config.disable_traceback_filtering`
(architectures/custom.py) is documented too; that `clear_session` enables the filtering again is
not, and concerns error messages only.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from assay.models.errors import RequestError

if TYPE_CHECKING:
    import keras

_KERAS_RELEASES = ("3.15.",)
_TENSORFLOW_RELEASES = ("2.21.",)


@functools.cache
def is_supported() -> bool:
    """Return whether the installed releases are those of the tests.

    No backend is imported. Without TensorFlow, only the release of Keras counts.
    """
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    return _is_release("keras", _KERAS_RELEASES) and (
        not has_tensorflow or _is_release("tensorflow", _TENSORFLOW_RELEASES)
    )


def _is_release(package: str, releases: tuple[str, ...]) -> bool:
    try:
        return version(package).startswith(releases)
    except PackageNotFoundError:
        return False


def set_random_seed(seed: int) -> None:
    """Set the seeds of Python, NumPy and Keras.

    On JAX it does not import TensorFlow.
    """
    import keras  # not at the top: the worker's `preload` decides when Keras is imported

    if keras.backend.backend() != "jax" or not is_supported():
        keras.utils.set_random_seed(seed)
        return
    import numpy as np  # not at the top: `--help` imports no numpy
    from keras.src.backend.common import global_state
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
    from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

    # As in `keras.utils.set_random_seed` of Keras 3.15, without `tf.random.set_seed`.
    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
    random.seed(seed)
    np.random.seed(seed)


def build_variables(model: keras.Model, x: Any, y: Any) -> None:
    """Create the variables of model, optimizer and metrics.

    Args:
        model: compiled.
        x: shape and type of inputs, with `shape` (1, *input_shape) and `dtype`.
        y: likewise of targets.
    """
    if is_supported():
        model._symbolic_build(data_batch=(x, y))
        return
    import numpy as np  # not at the top: `--help` imports no numpy

    # A user-defined model may change its variables in an evaluation. Copies, because JAX may give
    # the arrays away.
    values = [np.array(variable.value) for variable in model.variables]
    model.evaluate(np.zeros(x.shape, x.dtype), np.zeros(y.shape, y.dtype), batch_size=1, verbose=0)
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)
    model.optimizer.build(model.trainable_variables)


def replace_optimizer(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile a compiled model again, with another optimizer.

    Raises:
        RequestError: the release of Keras is not supported, and the loss or the metrics of the
            model cannot be serialised.
    """
    import keras  # not at the top: settings are checked without a backend

    if is_supported():
        config = model._compile_config.config
    else:
        try:
            config = keras.saving.deserialize_keras_object(model.get_compile_config())
        except Exception as error:
            raise RequestError(
                "a model that comes compiled must have a loss and metrics that Keras "
                f"{keras.version()} can serialise: received {model.loss!r:.60}; "
                "use optimizer = 'own', or return the model uncompiled."
            ) from error
    # The method of keras.Model: a subclass may override `compile` with other arguments, and what it
    # set beside these stays as it is.
    keras.Model.compile(model, **{**config, "optimizer": optimizer})


@contextlib.contextmanager
def record_layer_calls() -> Iterator[list[tuple[keras.Layer, Any]]]:
    """Record the layers that are called in this context, with their first argument.

    Inner layers come before the layers and models that contain them. Empty with a release of Keras
    that is not supported.
    """
    import keras  # not at the top: settings are checked without a backend

    calls: list[tuple[keras.Layer, Any]] = []
    if not is_supported():
        yield calls
        return
    original = keras.Layer.__call__

    @functools.wraps(original)
    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        result = original(layer, *args, **kwargs)
        calls.append((layer, args[0] if args else None))
        return result

    keras.Layer.__call__ = call
    try:
        yield calls
    finally:
        keras.Layer.__call__ = original


def as_array(value: Any) -> Any:
    """Return a tensor as a NumPy array; None if it is none, or has no value yet."""
    import keras  # not at the top: settings are checked without a backend

    try:
        return keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
    except Exception:
        return None


def reserve_layer_names(names: Iterable[str]) -> None:
    """Make Keras number the next layers so that none gets one of these names.

    Args:
        names: names of layers, such as "dense" and "dense_3".
    """
    if not is_supported():
        return
    from keras.src.backend.common import global_state

    counters = global_state.get_global_attribute(
        "object_name_uids", default=defaultdict(int), set_to_default=True
    )
    for name in names:
        kind, _, number = name.rpartition("_")
        if number.isdecimal() and kind:
            counters[kind] = max(counters[kind], int(number) + 1)
        else:
            counters[name] = max(counters[name], 1)


def metric_directions(model: keras.Model) -> dict[str, Literal["maximize", "minimize"]]:
    """Return in which direction each metric of a trained model is better, where Keras knows it."""
    if not is_supported():
        return {}
    return {
        metric.name: direction
        for metric in (*model.metrics, *compiled_metrics(model))
        if (direction := metric_direction(metric)) is not None
    }


def compiled_metrics(model: keras.Model) -> list[Any]:
    """Return the metrics that `compile` was given, once the model was trained."""
    if not is_supported():
        return []
    return [inner for metric in model.metrics for inner in getattr(metric, "metrics", [])]


def metric_direction(metric: Any) -> Literal["maximize", "minimize"] | None:
    """Return in which direction a metric is better, where Keras knows it."""
    if not is_supported():
        return None
    words: Mapping[str, Literal["maximize", "minimize"]] = {"up": "maximize", "down": "minimize"}
    return words.get(getattr(metric, "_direction", None) or "")
