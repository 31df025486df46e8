"""Lookup of names."""

from __future__ import annotations

import pytest

from assay.models.errors import RequestError
from assay.models.names import check_name
from assay.models.training.config import OPTIMIZERS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        RequestError, match=r"unknown optimizer 'adm': must be one of sgd, .* Did you mean 'adam'"
    ):
        check_name("optimizer", "adm", OPTIMIZERS)
