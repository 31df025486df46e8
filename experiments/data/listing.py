"""Every data set that an experiment can name, with a line of what it is."""

from __future__ import annotations

from experiments.data.generated import GENERATED
from experiments.data.known import KNOWN

OWN_SUMMARIES = {
    "npz:PATH": "your own arrays x_train, y_train, x_test, y_test in one file; for regression too",
    "folder:PATH": "your own images in train/<class>/ and test/<class>/; size = [h, w] resizes",
}


def summaries() -> dict[str, str]:
    """Return a line for each name, in the order to list them."""
    return {
        **{name: known.summary for name, known in KNOWN.items()},
        **{name: drawn.summary for name, drawn in GENERATED.items()},
        **OWN_SUMMARIES,
    }
