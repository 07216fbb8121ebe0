from app.core.inventory.reports import Hint
from app.engine.hosts.event_debouncer import BURST, COALESCE_S, EVERY_S, SELDOM_S, EventDebouncer

START = Hint("vm", "a", "started")
REBOOT = Hint("vm", "a", "rebooted")


def follow(queue: EventDebouncer, now: float) -> list[Hint]:
    taken = queue.take(now)
    queue.followed(now)
    return taken


def test_the_first_is_followed_at_once_and_what_comes_close_behind_together() -> None:
    queue = EventDebouncer()
    assert queue.add(START, 100.0) == 100.0
    assert follow(queue, 100.0) == [START]
    later = [Hint("vm", "b", "started"), Hint("vm", "c", "stopped")]
    assert [queue.add(hint, 100.01) for hint in later] == [100.0 + COALESCE_S] * 2
    assert follow(queue, 100.0 + COALESCE_S) == later
    assert follow(queue, 101.0) == []


def test_what_happens_again_and_again_is_followed_seldom_and_told_whole() -> None:
    queue, followed, reported = EventDebouncer(), 0, 0
    for tick in range(600):
        now = 100.0 + tick / 10
        queue.add(REBOOT, now)
        taken = follow(queue, now)
        followed += bool(taken)
        reported += len(taken)
    assert followed == BURST + 60 // SELDOM_S["rebooted"] - 1
    assert follow(queue, now + SELDOM_S["rebooted"]) == [REBOOT] * (600 - reported)


def test_one_noisy_vm_holds_up_no_other_event() -> None:
    queue = EventDebouncer()
    for tick in range(100):
        queue.add(REBOOT, 100.0 + tick / 10)
        follow(queue, 100.0 + tick / 10)
    others = [START, Hint("vm", "b", "rebooted"), Hint("pool", "a", "stopped")]
    for other in others:
        assert queue.add(other, 110.0) <= 110.0 + COALESCE_S
    assert follow(queue, 110.1) == others


def test_a_start_is_never_more_than_a_second_late() -> None:
    queue = EventDebouncer()
    for tick in range(100):
        due = queue.add(START, 100.0 + tick / 10)
        assert due <= 100.0 + tick / 10 + EVERY_S
        follow(queue, 100.0 + tick / 10)


def test_after_a_pause_it_is_as_at_first() -> None:
    queue = EventDebouncer()
    for tick in range(50):
        queue.add(START, 100.0 + tick / 10)
        follow(queue, 100.0 + tick / 10)
    follow(queue, 110.0)
    assert queue.add(START, 130.0) == 130.0


def test_what_waits_says_when_it_is_due() -> None:
    queue = EventDebouncer()
    for _ in range(BURST + 1):
        queue.add(START, 100.0)
        queue.take(100.0)
    assert queue.followed(100.0) == 100.0 + EVERY_S
    queue.clear()
    assert queue.followed(100.0) is None
