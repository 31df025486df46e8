"""Options that both kinds of successive halving share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.errors import RequestError

MinResource = Annotated[int, Field(ge=1, description="The epoch after which trials are compared for the first time.")]
ReductionFactor = Annotated[
    int, Field(ge=2, description="Of so many trials that are compared one goes on, to so many times the epochs.")
]
BootstrapCount = Annotated[
    int, Field(ge=0, description="How many trials must have reached a comparison before any gets past it.")
]


def check_min_resource(min_resource: int, epochs: int) -> None:
    """See that the first comparison comes within the epochs of a trial.

    Raises:
        RequestError: it comes after the last.
    """
    if min_resource > epochs:
        raise RequestError(
            f"[search] pruner_options min_resource: must not exceed the {epochs} epochs of a trial; "
            f"received {min_resource}: lower it, or ask for more --epochs."
        )
