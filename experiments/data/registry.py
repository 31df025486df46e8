"""The table of data sources: their names, their keys of [data], their tasks.

`assay/experiments/data/sources/__init__.py` says how to add a source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assay.experiments.data.sources.base import Source
from assay.experiments.data.sources.generated import check_generated, locate_generated
from assay.experiments.data.sources.image_folder import FOLDER_PREFIX, locate_folder
from assay.experiments.data.sources.npz_file import NPZ_PREFIX, locate_npz_file
from assay.experiments.data.sources.published import PUBLISHED_SETS, locate_published
from assay.experiments.data.sources.toy_sets import FUNCTIONS, POINTS
from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.tasks import Task


@dataclass(frozen=True)
class SourceEntry:
    """One row of the table.

    Attributes:
        summaries: one line about each data set, by its name. The name of a source that takes a path
            ends in PATH, such as "npz:PATH".
        task: the task that its targets are for; None if they can be for either.
        locate: returns the `Source` of a data set. Called with `name`, `data_dir`, `base` and the
            values of `keys` by name; None for a key that is not set.
        keys: keys of [data] that this source takes and other sources do not.
        check: raises a RequestError for values that the source cannot use. Called with `name` and
            the values of `keys` by name, before anything is located.
        prefix: the part of the name before PATH; None if the source takes no path.
        path_kind: what PATH leads to.
    """

    summaries: Mapping[str, str]
    task: Task | None
    locate: Callable[..., Source]
    keys: tuple[str, ...] = ()
    check: Callable[..., None] | None = None
    prefix: str | None = None
    path_kind: Literal["file", "folder"] | None = None

    def matches(self, name: str) -> bool:
        """Return whether `name` is one of this source's data sets."""
        return name in self.summaries if self.prefix is None else name.startswith(self.prefix)


SOURCES: tuple[SourceEntry, ...] = (
    SourceEntry(
        summaries={name: published.summary for name, published in PUBLISHED_SETS.items()},
        task="classification",
        locate=locate_published,
    ),
    # Points and functions have the same keys, but an entry has one task: hence two entries.
    SourceEntry(
        summaries={name: generated.summary for name, generated in POINTS.items()},
        task="classification",
        locate=locate_generated,
        keys=("samples", "noise", "seed"),
        check=check_generated,
    ),
    SourceEntry(
        summaries={name: generated.summary for name, generated in FUNCTIONS.items()},
        task="regression",
        locate=locate_generated,
        keys=("samples", "noise", "seed"),
        check=check_generated,
    ),
    SourceEntry(
        summaries={
            "npz:PATH": "your own arrays x_train, y_train, x_test, y_test, "
            "also x_val, y_val; regression too"
        },
        task=None,  # y can be labels or numbers: only the file tells
        locate=locate_npz_file,
        keys=("layout",),
        prefix=NPZ_PREFIX,
        path_kind="file",
    ),
    SourceEntry(
        summaries={
            "folder:PATH": "your own images in train/<class>/, test/<class>/, "
            "also val/<class>/; size = [h, w]"
        },
        task="classification",
        locate=locate_folder,
        keys=("size",),
        prefix=FOLDER_PREFIX,
        path_kind="folder",
    ),
)
"""Every source of data sets, in the order of `assay list datasets`."""

SOURCE_KEYS: tuple[str, ...] = tuple(dict.fromkeys(key for entry in SOURCES for key in entry.keys))
"""Keys of [data] that only some sources take."""


def summarize_data_sets() -> dict[str, str]:
    """Return one line about each data set by name, in the order to list them."""
    return {name: line for entry in SOURCES for name, line in entry.summaries.items()}


def get_source_entry(name: str) -> SourceEntry:
    """Return the source that a data set belongs to.

    Args:
        name: the name under [data], such as "mnist" or "npz:arrays.npz".

    Raises:
        RequestError: no source has this name, or its path is missing.
    """
    for entry in SOURCES:
        if entry.matches(name):
            if name == entry.prefix:
                raise RequestError(
                    f"{name}PATH must contain the path of a {entry.path_kind}; received {name!r}."
                )
            return entry
    check_name("data set", name, summarize_data_sets())
    raise AssertionError(f"check_name accepts {name!r}, which matches no entry of SOURCES")


def check_source_keys(name: str, values: Mapping[str, Any]) -> None:
    """Check the keys that only some sources take.

    Args:
        name: the name under [data].
        values: the values of `SOURCE_KEYS` by name; None for a key that is not set.

    Raises:
        RequestError: the data set does not take a key, or cannot use its value.
    """
    entry = get_source_entry(name)
    for key, value in values.items():
        # A key without effect is refused: two experiments that differ in it would be equal.
        if value is not None and key not in entry.keys:
            takers = (taker for other in SOURCES if key in other.keys for taker in other.summaries)
            raise RequestError(
                f"{key} is only for {', '.join(takers)}; received name = {name!r}: remove {key}."
            )
    if entry.check is not None:
        entry.check(name, **{key: values[key] for key in entry.keys})
