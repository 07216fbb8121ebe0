import threading
import time

from app.engine.clock import Clock


def test_calls_come_in_order_of_their_time() -> None:
    clock, told, done = Clock(), [], threading.Event()
    now = time.monotonic()
    clock.at(now + 0.06, done.set)
    clock.at(now + 0.04, lambda: told.append("second"))
    clock.at(now + 0.02, lambda: told.append("first"))
    clock.start()
    assert done.wait(2)
    clock.stop()
    assert told == ["first", "second"]


def test_a_call_that_fails_does_not_stop_the_clock() -> None:
    clock, done = Clock(), threading.Event()
    clock.start()
    clock.soon(lambda: [][0])
    clock.soon(done.set)
    assert done.wait(2)
    clock.stop()


def test_every_goes_on_after_a_failure_and_ends_with_the_clock() -> None:
    clock, counted = Clock(), threading.Semaphore(0)

    def call() -> None:
        counted.release()
        raise RuntimeError("wrong")

    clock.start()
    clock.every(0.01, call)
    for _ in range(3):
        assert counted.acquire(timeout=2)
    clock.stop()
    while counted.acquire(blocking=False):
        pass
    assert not counted.acquire(timeout=0.1)
