"""Unit, integration and system tests; benchmarks, chaos tests and simulations."""

import sys

if (pytest := sys.modules.get("pytest")) is not None:  # workers import this package too
    pytest.register_assert_rewrite("tests.helpers")  # explain failed assertions of helpers
