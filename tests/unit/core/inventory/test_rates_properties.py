"""Whatever counters say, a rate is right or absent, never negative and never absurd."""

from dataclasses import fields, replace

from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.hosts.observations import HostCounters
from app.core.inventory.rates import usage_between
from app.core.inventory.usage import Usage, UsageSample
from app.core.vms.observations import VmCounters

counter = st.none() | st.integers(0, 2**63)
domain_ids = st.none() | st.integers(1, 5)
seconds = st.floats(0.001, 1e6)


@st.composite
def vm_counters(draw: st.DrawFn) -> VmCounters:
    names = [field.name for field in fields(VmCounters)][3:]
    values = {name: draw(counter) for name in names if name != "vcpus"}
    return VmCounters("a", draw(domain_ids), draw(counter), draw(st.none() | st.integers(0, 512)), **values)


def usage(before: VmCounters, after: VmCounters, interval: float) -> Usage:
    first, second = (
        UsageSample(5.0, HostCounters(), (before,)),
        UsageSample(5.0 + interval, HostCounters(), (after,)),
    )
    return usage_between(first, second)[1]["a"]


@given(vm_counters(), vm_counters(), seconds)
def test_no_rate_is_negative_and_no_share_above_all(
    before: VmCounters, after: VmCounters, interval: float
) -> None:
    result = usage(before, after, interval)
    for field in fields(Usage):
        value = getattr(result, field.name)
        assert value is None or value >= 0
    assert result.cpu_percent is None or result.cpu_percent <= 100


@given(vm_counters(), vm_counters(), seconds)
def test_another_start_has_no_rates(before: VmCounters, after: VmCounters, interval: float) -> None:
    assume(before.domain_id != after.domain_id)
    result = usage(before, after, interval)
    rates = (
        result.cpu_percent,
        result.disk_read_bps,
        result.disk_write_bps,
        result.net_rx_bps,
        result.net_tx_bps,
    )
    assert rates == (None,) * 5


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.floats(0.1, 1000))
def test_a_rate_is_the_growth_over_the_time(start: int, grown: int, interval: float) -> None:
    before = VmCounters("a", 1, net_rx_bytes=start)
    after = replace(before, net_rx_bytes=start + grown)
    rate = usage(before, after, interval).net_rx_bps
    assert rate is not None
    assert abs(rate * interval - grown) <= max(grown, 1) * 1e-6
