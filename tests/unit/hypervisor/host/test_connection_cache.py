"""Open hosts are shared, kept for a while after use, and opened anew when they must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

import pytest

from app.core.errors import HostUnreachable
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.states import Transport
from app.hypervisor import Host, HostConnectionCache, Target

IDLE_S = 0.3
HERE = Target(Endpoint(Transport.SIMULATED, "one.example", None, None, "/one"))
MOVED = Target(Endpoint(Transport.SIMULATED, "two.example", None, None, "/two"))


class Opened:
    """A connection, as far as the cache knows one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Hosts:
    """Opens hosts and remembers them."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.out_of_reach = False

    def open(self, target: Target) -> Host:
        if self.out_of_reach:
            raise HostUnreachable("no route")
        self.opened.append(Opened(target))
        return cast(Host, self.opened[-1])


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture
def cache(hosts: Hosts) -> HostConnectionCache:
    return HostConnectionCache(hosts.open, idle_s=IDLE_S)


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_who_use_a_host_at_the_same_time_share_one_connection(
    hosts: Hosts, cache: HostConnectionCache
) -> None:
    together = threading.Barrier(8)

    def use(_: int) -> Host:
        together.wait()
        with cache.use("host_1", 1, HERE) as host:
            together.wait()
            return host

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(use, range(8)))) == 1
    assert len(hosts.opened) == 1
    with cache.use("host_2", 1, HERE) as other:
        assert other is hosts.opened[1]


def test_it_is_kept_for_the_next_user_and_closed_once_nobody_came(
    hosts: Hosts, cache: HostConnectionCache
) -> None:
    for _ in range(2):
        with cache.use("host_1", 1, HERE):
            pass
    assert [item.is_open for item in hosts.opened] == [True]
    with cache.use("host_1", 1, HERE):
        time.sleep(2 * IDLE_S)
        assert hosts.opened[0].is_open, "it is used"
    eventually(lambda: not hosts.opened[0].is_open)
    with cache.use("host_1", 1, HERE):
        assert [item.is_open for item in hosts.opened] == [False, True]


def test_another_configuration_opens_it_anew_and_leaves_who_uses_the_other_one(
    hosts: Hosts, cache: HostConnectionCache
) -> None:
    with cache.use("host_1", 1, HERE) as before, cache.use("host_1", 2, MOVED) as after:
        assert cast(Opened, after).target is MOVED
        assert before.is_open
    assert [item.is_open for item in hosts.opened] == [False, True]
    with cache.use("host_1", 3, HERE):
        assert [item.is_open for item in hosts.opened] == [False, False, True]


def test_a_lost_one_is_opened_anew(hosts: Hosts, cache: HostConnectionCache) -> None:
    with cache.use("host_1", 1, HERE):
        hosts.opened[0].is_open = False
        with cache.use("host_1", 1, HERE) as again:
            assert again is hosts.opened[1]
        assert hosts.opened[1].is_open
    cache.close()
    assert not hosts.opened[1].is_open


def test_one_that_cannot_be_opened_is_tried_again_by_the_next(
    hosts: Hosts, cache: HostConnectionCache
) -> None:
    hosts.out_of_reach = True
    with pytest.raises(HostUnreachable), cache.use("host_1", 1, HERE):
        pass
    hosts.out_of_reach = False
    with cache.use("host_1", 1, HERE) as host:
        assert host.is_open
    eventually(lambda: not hosts.opened[0].is_open)


def test_all_are_closed_at_the_end_also_those_in_use(hosts: Hosts, cache: HostConnectionCache) -> None:
    with ExitStack() as held:
        held.enter_context(cache.use("host_1", 1, HERE))
        with cache.use("host_2", 1, HERE):
            pass
        cache.close()
        assert [item.is_open for item in hosts.opened] == [False, False]
