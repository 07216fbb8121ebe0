import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.engine.thread_pool import ElasticThreadPool


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def created_resources(workers: int, **options: float) -> ElasticThreadPool:
    return ElasticThreadPool(workers, **options)  # type: ignore[arg-type]


def tick_until(pool: ElasticThreadPool, done: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, pool.health()
        pool.tick()
        time.sleep(0.01)


def test_hung_jobs_do_not_starve_the_others(release: threading.Event) -> None:
    pool = created_resources(2, slow_after_s=0.1)
    for _ in range(20):
        pool.submit(release.wait)
    done = threading.Event()
    pool.submit(done.set)
    tick_until(pool, done.is_set)
    pool.stop()


def test_no_more_than_the_workers_run_at_once() -> None:
    pool = created_resources(3, slow_after_s=60)
    lock, now, most = threading.Lock(), 0, 0
    ended = threading.Semaphore(0)

    def job() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        ended.release()

    for _ in range(30):
        pool.submit(job)
    for _ in range(30):
        assert ended.acquire(timeout=5)
    pool.stop()
    assert most == 3


def test_suspects_never_take_all_threads(release: threading.Event) -> None:
    pool = created_resources(2, max_threads=8, slow_after_s=0.02)
    for _ in range(50):
        pool.submit(release.wait, suspect=True)
    tick_until(pool, lambda: pool.health().slow >= 6)
    done = threading.Event()
    pool.submit(done.set)
    tick_until(pool, done.is_set)
    assert pool.health().running <= 6
    pool.stop()


def test_urgent_jobs_overtake_and_no_job_waits_for_ever() -> None:
    pool = created_resources(1)
    block, order = threading.Event(), []
    pool.submit(lambda: block.wait(5) and None)
    done = threading.Event()
    pool.submit(lambda: order.append("later"), slack_s=5)
    pool.submit(lambda: order.append("soon"))
    pool.submit(done.set, slack_s=9)
    block.set()
    assert done.wait(5)
    pool.stop()
    assert order == ["soon", "later"]


def test_what_can_wait_waits_while_hosts_are_connecting(release: threading.Event) -> None:
    pool = created_resources(4, slow_after_s=60)
    done: list[str] = []
    answered = threading.Event()
    for _ in range(2):
        pool.submit(release.wait, suspect=True)
        pool.submit(answered.wait)
    for _ in range(4):
        pool.submit(lambda: done.append("connect"), suspect=True, first=True)
    pool.submit(lambda: done.append("volumes"), slack_s=300)
    pool.submit(lambda: done.append("sync"))
    answered.set()
    tick_until(pool, lambda: done == ["sync"])
    time.sleep(0.1)
    pool.tick()
    assert done == ["sync"], "half of the workers connect, the others are for what is due"
    release.set()
    tick_until(pool, lambda: len(done) == 6)
    assert done[-1] == "volumes"
    pool.stop()


def test_hosts_that_hang_again_and_again_hold_up_nothing(release: threading.Event) -> None:
    """While hundreds of hosts hung, readings that may wait never began, and held up those behind them."""
    pool = created_resources(4, slow_after_s=60)
    answered, done = threading.Event(), threading.Event()
    for _ in range(2):
        pool.submit(release.wait, suspect=True)
        pool.submit(answered.wait)
    for _ in range(4):
        pool.submit(release.wait, suspect=True)
    pool.submit(done.set, slack_s=300)
    answered.set()
    tick_until(pool, done.is_set)
    pool.stop()


def test_threads_are_used_again_and_end() -> None:
    pool = created_resources(4, idle_s=0.1)
    for _ in range(50):
        done = threading.Event()
        pool.submit(done.set)
        assert done.wait(5)
    assert pool.health().threads <= 2
    tick_until(pool, lambda: pool.health().threads == 0)
    pool.stop()


def test_a_job_that_fails_does_not_cost_a_worker() -> None:
    pool = created_resources(1)

    def wrong() -> None:
        raise RuntimeError("wrong")

    for _ in range(3):
        pool.submit(wrong)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(5)
    tick_until(pool, lambda: pool.health().running == 0)
    pool.stop()
