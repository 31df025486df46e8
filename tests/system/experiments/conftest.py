"""What tests of whole commands share."""

from tests.helpers.refusals import fails

__all__ = ["fails"]
