"""Slots are shared in turn between groups: nobody who asks for many keeps the others out."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from app.access.sign_in.fair_queue import FairQueue


class NoPlace(Exception):
    pass


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Queue:
    """One slot, which the test holds, and whoever waits for it, in the order in which they are served."""

    def __init__(self, threads: ThreadPoolExecutor, **options: int) -> None:
        self.queue = FairQueue(1, wait_s=60, **options)
        self.served: list[str] = []
        self._threads = threads
        self._held = ExitStack()
        self._held.enter_context(self.queue.slot("holder", NoPlace))

    def ask(self, group: str, *, trusted: bool = False) -> Future[None]:
        def work() -> None:
            with self.queue.slot(group, NoPlace, trusted=trusted):
                self.served.append(group)

        before = self.queue.waiting
        requested = self._threads.submit(work)
        until(lambda: requested.done() or self.queue.waiting > before or self.queue.waiting >= 4)
        return requested

    def let_go(self) -> None:
        self._held.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Queue]]:
    with ThreadPoolExecutor(40) as threads, ExitStack() as exit_stack:

        @contextmanager
        def closing(queue: Queue) -> Iterator[Queue]:
            yield queue
            queue.let_go()

        yield lambda **options: exit_stack.enter_context(closing(Queue(threads, **options)))


def test_groups_are_served_in_turn(make: Callable[..., Queue]) -> None:
    one = make(per_group=9, places=9)
    requested = [one.ask(group) for group in "aaab"] + [one.ask("c")]
    one.let_go()
    for item in requested:
        item.result(30)
    assert one.served == ["a", "b", "c", "a", "a"]


def test_a_group_has_so_many_and_no_more(make: Callable[..., Queue]) -> None:
    one = make(per_group=2, places=9)
    waiting = [one.ask("a"), one.ask("a")]
    with pytest.raises(NoPlace):
        one.ask("a").result(30)
    one.let_go()
    for item in waiting:
        item.result(30)


def test_a_newcomer_takes_a_place_of_the_group_that_has_most(make: Callable[..., Queue]) -> None:
    one = make(per_group=4, places=4)
    many = [one.ask("a") for _ in range(4)]
    new = one.ask("b")
    until(lambda: any(item.done() for item in many))
    one.let_go()
    new.result(30)
    refused = [item for item in many if isinstance(item.exception(30), NoPlace)]
    assert len(refused) == 1
    assert sorted(one.served) == ["a", "a", "a", "b"]


def test_strangers_do_not_take_the_places_of_those_who_are_known(make: Callable[..., Queue]) -> None:
    one = make(per_group=1, places=4)
    strangers = [one.ask(group) for group in "abcd"]
    with pytest.raises(NoPlace):
        one.ask("e").result(30)
    known = one.ask("mine", trusted=True)
    until(lambda: one.queue.waiting == 5)
    one.let_go()
    for item in (*strangers, known):
        item.result(30)


def test_who_waited_for_too_long_is_refused_and_leaves_nothing_behind() -> None:
    queue = FairQueue(1, per_group=2, places=4, wait_s=0.05)
    with queue.slot("holder", NoPlace):
        with pytest.raises(NoPlace), queue.slot("a", NoPlace):
            raise AssertionError
        assert queue.waiting == 0
    done = threading.Event()
    with queue.slot("a", NoPlace):
        done.set()
    assert done.is_set()
