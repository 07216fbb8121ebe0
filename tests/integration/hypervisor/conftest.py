"""Hosts that are closed after each test."""

from collections.abc import Iterator

import pytest

from app.hypervisor import Target
from tests.integration.hypervisor.targets import Opened, OpenHost


@pytest.fixture
def open_host() -> Iterator[OpenHost]:
    """A function that opens a target; what it opened is closed after the test."""
    requested: list[Opened] = []

    def make(target: Target, *, call_deadline_s: float = 5, connect_deadline_s: float = 10) -> Opened:
        requested.append(
            Opened(target, call_deadline_s=call_deadline_s, connect_deadline_s=connect_deadline_s)
        )
        return requested[-1]

    yield make
    for opened in requested:
        opened.host.close()
