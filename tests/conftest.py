"""Fixtures and options for all tests."""

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.services import logins

# Files that take longest are begun first, so that no process works on one alone at the end.
EARLY = (
    "test_kills.py", "test_shell.py", "test_demo.py", "test_schema.py", "test_new_vm.py", "test_power.py",
    "test_hardware.py", "test_vms.py", "test_main_job.py", "test_storage.py", "test_mirror.py", "test_creation.py",
    "test_start.py", "test_lost_moves.py", "test_consoles.py", "test_console.py", "test_fleet.py",
)  # fmt: skip
pytest_plugins = ["tests.databases", "tests.labfixture"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the random suites in tests/soak."""
    group = parser.getgroup("soak")
    group.addoption("--long", action="store_true", help="all trials of the random suites, not only a few")
    group.addoption("--seed", type=int, help="seed of the random suites; unset: drawn, and printed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by how long they take, longest first, as far as EARLY says; the rest as collected."""
    places = {name: place for place, name in enumerate(EARLY)}
    items.sort(key=lambda item: places.get(item.path.name, len(EARLY)))


@pytest.fixture(scope="session", autouse=True)
def _quick_password_hashes() -> None:
    """Argon2 with the least cost: what servers in processes of their own hash keeps the real one."""
    logins._hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
