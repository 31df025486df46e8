"""The program that is written beside an exported network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Recipe:
    """How a format is used.

    Attributes:
        needs: the packages, beside NumPy.
        imports: lines that import them.
        load: a line that loads the network from `folder`.
        call: a line that computes `outputs` of `x`.
    """

    needs: str
    imports: Sequence[str]
    load: str
    call: str


_RECIPES: Mapping[str, _Recipe] = {
    "keras": _Recipe(
        "keras and {backend}",
        (
            "import os",
            "from pathlib import Path",
            "",
            'os.environ["KERAS_BACKEND"] = {backend!r}',
            "import keras",
            "import numpy as np",
        ),
        "model = keras.saving.load_model(folder / {network})",
        "outputs = np.asarray(model.predict(x, verbose=0))",
    ),
    "onnx": _Recipe(
        "onnxruntime",
        ("from pathlib import Path", "", "import numpy as np", "import onnxruntime"),
        "session = onnxruntime.InferenceSession(folder / {network})",
        'outputs = session.run(None, {{"raw": x}})[0]',
    ),
    "savedmodel": _Recipe(
        "tensorflow",
        ("from pathlib import Path", "", "import numpy as np", "import tensorflow as tf"),
        "model = tf.saved_model.load(folder / {network})",
        "outputs = model.serve(x).numpy()",
    ),
}


def write_program(
    to: str, study: str, names: Mapping[str, str], settings: Mapping[str, Any]
) -> str:
    """Return a program that loads an exported network and classifies its example.

    Args:
        to: the format.
        study: name of the study.
        names: names of the files: "network" and "example".
        settings: of the served model.
    """
    # Only TensorFlow has the 64 bits that some inputs and values need.
    is_wide = any(settings[name] for name in ("centre", "target_offset", "in_float64"))
    # Texts of the user become literals in ASCII, which nothing can end early.
    known = {
        "backend": "tensorflow" if is_wide else settings["backend"],
        "network": ascii(names["network"]),
    }
    recipe, labels = _RECIPES[to], settings["labels"]
    shape = ", ".join(map(str, (1, *settings["shape"])))
    lines = [
        f"# Runs one raw example through a network of the study {study!a}.",
        f"# It needs numpy, {recipe.needs.format(**known)}.",
        *(line.format(**known) for line in recipe.imports),
        "",
        "folder = Path(__file__).parent",
        recipe.load.format(**known),
        f"x = np.load(folder / {names['example']!a})  # {settings['dtype']} ({shape})",
    ]
    if settings["size"] is not None:
        height, width = settings["size"]
        lines += [
            "# An image of another size is resized as for the training:",
            "#     from PIL import Image",
            f"#     resized = image.resize(({width}, {height}), "
            f"Image.Resampling.{settings['resize'].upper()})",
            "#     x = np.asarray(resized)[np.newaxis]",
        ]
    lines += [recipe.call.format(**known)]
    if labels is None:
        lines += ['print("value:", outputs[0].tolist())']
    else:
        lines += [
            f"labels = {[*labels]!a}",
            'print("probabilities:", outputs[0].tolist())',
            'print("label:", labels[outputs[0].argmax()])',
        ]
    return "\n".join(lines) + "\n"
