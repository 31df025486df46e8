"""Tests by kind: unit, integration and system; beside them what measures, and what kills."""

import sys

if (pytest := sys.modules.get("pytest")) is not None:  # workers import this package too
    pytest.register_assert_rewrite("tests.helpers")  # what fails in a helper is shown as in a test
