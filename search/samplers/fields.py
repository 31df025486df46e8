"""Options that several samplers share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Startup = Annotated[
    int, Field(ge=0, description="How many complete trials there must be before it does more than draw at random.")
]
Probability = Annotated[float, Field(ge=0, le=1)]
