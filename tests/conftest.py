"""Fixtures and options for all tests."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access import login_limits

pytest_plugins = ["tests.databases", "tests.labfixture"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the random suites in tests/soak."""
    group = parser.getgroup("soak")
    group.addoption("--long", action="store_true", help="all trials of the random suites, not only a few")
    group.addoption("--seed", type=int, help="seed of the random suites; unset: drawn, and printed")


@pytest.fixture(scope="session", autouse=True)
def _quick_password_hashes() -> None:
    """Argon2 with the least cost: what servers in processes of their own hash keeps the real one."""
    login_limits._hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
