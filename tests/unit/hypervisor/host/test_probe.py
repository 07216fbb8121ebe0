"""Probes of hosts, over real sockets of this machine; what a real host shows is tested on the lab."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.core.errors import HostUnreachable, Unavailable
from app.core.hosts.endpoints import make_endpoint
from app.core.hosts.states import Transport
from app.hypervisor import HostProber, Target

DEADLINE_S = 1.0


@pytest.fixture
def silent() -> Iterator[Target]:
    """Something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        endpoint = make_endpoint(Transport.SSH, address="127.0.0.1", port=port)
        yield Target(replace(endpoint, loopback=True))


def test_only_so_many_are_probed_at_once_and_a_place_is_free_again_after_a_failure(silent: Target) -> None:
    prober = HostProber(connect_deadline_s=DEADLINE_S, call_deadline_s=DEADLINE_S, at_once=1)
    for _ in range(2):
        with ThreadPoolExecutor(1) as thread:
            begun = time.monotonic()
            first = thread.submit(prober.probe, silent)
            time.sleep(DEADLINE_S / 4)
            with pytest.raises(Unavailable) as reported:
                prober.probe(silent)
            assert reported.value.code == "too_many_looks"
            assert reported.value.texts().why == "At most 1 at a time."
            with pytest.raises(HostUnreachable):
                first.result()
            assert time.monotonic() - begun >= DEADLINE_S
