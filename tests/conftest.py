"""Fixtures and options for all tests."""

import hashlib
import os
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.access.sign_in import passwords

pytest_plugins = ["tests.interrupts", "tests.databases", "tests.labfixture"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the random suites in tests/soak, and of golden files."""
    group = parser.getgroup("soak")
    group.addoption("--long", action="store_true", help="all trials of the random suites, not only a few")
    group.addoption("--seed", type=int, help="seed of the random suites; unset: drawn, and printed")
    group = parser.getgroup("golden")
    group.addoption("--update-golden", action="store_true", help="write golden files anew; read the diff")


def pytest_configure(config: pytest.Config) -> None:
    """Let no CI agree with whatever the code writes."""
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError(
            "--update-golden is for people: golden files are read before they are committed"
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that use hosts of the lab first, in a mixed order.

    Each is one worker's work and may take minutes: at the end the others would wait for it, and side by side those
    of one kind (browsers, guests that boot) would slow each other down.
    """
    with_hosts = {item.path for item in items if _uses_hosts(item)}
    items.sort(key=lambda item: (item.path not in with_hosts, _digest_of(item.path)))


def _uses_hosts(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("lab") is not None or bool(fixtures & {"lab", "make_fleet"})


def _digest_of(path: Path) -> str:
    return hashlib.sha256("/".join(path.parts[-3:]).encode()).hexdigest()


@pytest.fixture(scope="session", autouse=True)
def _quick_password_hashes() -> None:
    """Argon2 with the least cost: what servers in processes of their own hash keeps the real one."""
    passwords._hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
