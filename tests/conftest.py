"""Fixtures and options for all tests."""

import pytest

pytest_plugins = ["tests.databases", "tests.labfixture"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the random suites in tests/soak."""
    group = parser.getgroup("soak")
    group.addoption("--long", action="store_true", help="all trials of the random suites, not only a few")
    group.addoption("--seed", type=int, help="seed of the random suites; unset: drawn, and printed")
