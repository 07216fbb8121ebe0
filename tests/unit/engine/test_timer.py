import threading
import time

from app.engine.timer import Timer


def test_calls_come_in_order_of_their_time() -> None:
    timer, reported, done = Timer(), [], threading.Event()
    now = time.monotonic()
    timer.at(now + 0.06, done.set)
    timer.at(now + 0.04, lambda: reported.append("second"))
    timer.at(now + 0.02, lambda: reported.append("first"))
    timer.start()
    assert done.wait(2)
    timer.stop()
    assert reported == ["first", "second"]


def test_a_call_that_fails_does_not_stop_the_timer() -> None:
    timer, done = Timer(), threading.Event()
    timer.start()
    timer.soon(lambda: [][0])
    timer.soon(done.set)
    assert done.wait(2)
    timer.stop()


def test_every_goes_on_after_a_failure_and_ends_with_the_timer() -> None:
    timer, counted = Timer(), threading.Semaphore(0)

    def call() -> None:
        counted.release()
        raise RuntimeError("wrong")

    timer.start()
    timer.every(0.01, call)
    for _ in range(3):
        assert counted.acquire(timeout=2)
    timer.stop()
    while counted.acquire(blocking=False):
        pass
    assert not counted.acquire(timeout=0.1)
