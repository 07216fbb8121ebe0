"""When a VM counts as not answering: by statistics alone."""

from app.core.hosts.observations import HostCounters
from app.core.inventory.conditions import NOT_ANSWERING
from app.core.inventory.usage import UsageSample
from app.core.vms.observations import VmCounters
from app.inventory.collectors.condition_watch import ConditionWatch


def sample(*silent: str, complete: bool = True) -> UsageSample:
    vms = tuple(VmCounters(uuid, 1, answers=uuid not in silent) for uuid in ("one", "two"))
    return UsageSample(0.0, HostCounters(), vms if complete else (), complete=complete)


def not_answering(watch: ConditionWatch, seen: UsageSample) -> list[str] | None:
    """The VMs that do not answer; None when nothing is told anew."""
    reported = watch.silent(seen)
    return [item.uuid for item in reported[NOT_ANSWERING]] if NOT_ANSWERING in reported else None


def test_one_reading_without_statistics_is_no_condition_and_is_repeated_at_once() -> None:
    watch = ConditionWatch()
    assert not_answering(watch, sample()) == []
    assert not_answering(watch, sample("one")) is None
    assert watch.poll_soon
    assert not_answering(watch, sample("one")) == ["one"]
    assert not watch.poll_soon
    assert not_answering(watch, sample("one")) is None
    assert not_answering(watch, sample()) == []


def test_a_reading_that_hung_is_the_first_sign() -> None:
    watch = ConditionWatch()
    assert not_answering(watch, sample(complete=False)) is None
    assert watch.poll_soon
    assert not_answering(watch, sample("two")) == ["two"]


def test_a_new_connection_is_told_all_again() -> None:
    watch = ConditionWatch()
    assert not_answering(watch, sample()) == []
    assert not_answering(watch, sample()) is None
    watch.forget_reported()
    assert not_answering(watch, sample()) == []
