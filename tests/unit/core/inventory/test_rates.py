from app.core.hosts.observations import HostCounters
from app.core.inventory.rates import usage_between
from app.core.inventory.usage import UsageSample
from app.core.vms.observations import VmCounters

S = 1_000_000_000


def sample(at: float, *vms: VmCounters, host: HostCounters | None = None) -> UsageSample:
    return UsageSample(at, host or HostCounters(), vms)


def test_cpu_is_a_share_of_all_vcpus() -> None:
    before = sample(10, VmCounters("a", 1, cpu_time_ns=0, vcpus=4))
    after = sample(20, VmCounters("a", 1, cpu_time_ns=20 * S, vcpus=4))
    assert usage_between(before, after)[1]["a"].cpu_percent == 50.0


def test_a_restarted_vm_has_no_rate_but_memory() -> None:
    before = sample(10, VmCounters("a", 1, cpu_time_ns=0, vcpus=1, net_rx_bytes=10))
    after = sample(
        20,
        VmCounters("a", 2, cpu_time_ns=S, vcpus=1, net_rx_bytes=90, memory_bytes=100, memory_rss_bytes=130),
    )
    usage = usage_between(before, after)[1]["a"]
    assert (usage.cpu_percent, usage.net_rx_bps) == (None, None)
    assert (usage.memory_used_bytes, usage.memory_total_bytes) == (100, 100)


def test_a_counter_that_went_back_gives_no_rate() -> None:
    before = sample(10, VmCounters("a", 1, disk_read_bytes=1000, disk_write_bytes=0))
    after = sample(12, VmCounters("a", 1, disk_read_bytes=10, disk_write_bytes=1000))
    usage = usage_between(before, after)[1]["a"]
    assert usage.disk_read_bps is None
    assert usage.disk_write_bps == 500


def test_the_guests_word_on_memory_counts_more_than_the_process() -> None:
    after = sample(1, VmCounters("a", 1, memory_bytes=100, memory_unused_bytes=70, memory_rss_bytes=90))
    assert usage_between(None, after)[1]["a"].memory_used_bytes == 30


def test_host_cpu_and_memory() -> None:
    before = sample(0, host=HostCounters(cpu_busy_ns=0, cpu_total_ns=0))
    after = sample(1, host=HostCounters(25, 100, memory_total_bytes=1000, memory_free_bytes=400))
    usage = usage_between(before, after)[0]
    assert (usage.cpu_percent, usage.memory_used_bytes) == (25.0, 600)


def test_two_readings_at_the_same_instant_give_no_rate() -> None:
    vm = VmCounters("a", 1, cpu_time_ns=5, vcpus=1)
    assert usage_between(sample(3, vm), sample(3, vm))[1]["a"].cpu_percent is None
