"""The compatibility report: each shortcoming is named, with its mend; what is not known never passes."""

from dataclasses import replace

import pytest

from app.core.hosts.compatibility import report
from app.core.hosts.observations import HostFacts
from app.core.hosts.states import Verdict
from app.core.storage.observations import PoolObservation
from app.core.vms.observations import DefinitionObservation, VmObservation
from app.core.vms.states import VmState

KEYS = (
    "virtualization", "slat", "iommu", "kvm", "cpu", "versions", "lock_manager", "clock", "space", "migration",
    "passthrough",
)  # fmt: skip
GOOD = HostFacts(
    libvirt_uuid="u", hostname="h", hypervisor="QEMU", libvirt_version="9.0.0", hypervisor_version="7.2.0",
    arch="x86_64", cpu_vendor="Intel", cpu_model="Skylake-Server", cpu_name=None, sockets=1, cores_per_socket=8,
    threads_per_core=2, cpus=16, memory_bytes=2**36, virtualization="vmx", slat=True, iommu=True, kvm=True,
    lock_manager="lockd", clock_skew_s=0.1, migration_port_open=True,
)  # fmt: skip
UNKNOWN = replace(
    GOOD, slat=None, iommu=None, kvm=None, lock_manager=None, clock_skew_s=None, migration_port_open=None,
    cpu_model=None,
)  # fmt: skip


def pool(available: int) -> PoolObservation:
    return PoolObservation("u", "images", "dir", "running", True, True, 100, 100 - available, available, "/p")


def verdicts(facts: HostFacts, *pools: PoolObservation) -> dict[str, str]:
    checks = report(facts, pools or (pool(50),), ())
    assert all(check.reason % check.params for check in checks)
    assert all(check.remedy for check in checks if check.verdict != Verdict.PASS)
    return {check.key: check.verdict for check in checks}


def test_a_good_host_passes_all() -> None:
    assert tuple(verdicts(GOOD)) == KEYS
    assert set(verdicts(GOOD).values()) == {Verdict.PASS}


def test_what_is_not_known_never_passes() -> None:
    found = verdicts(UNKNOWN)
    unknown = {"slat", "iommu", "kvm", "cpu", "lock_manager", "clock", "migration"}
    assert {key for key, verdict in found.items() if verdict == Verdict.WARN} == unknown


@pytest.mark.parametrize(
    ("change", "key", "verdict"),
    [
        ({"virtualization": None, "kvm": False}, "virtualization", Verdict.FAIL),
        ({"slat": False}, "slat", Verdict.FAIL),
        ({"iommu": False}, "iommu", Verdict.WARN),
        ({"kvm": False}, "kvm", Verdict.FAIL),
        ({"libvirt_version": "5.9.0"}, "versions", Verdict.FAIL),
        ({"libvirt_version": "8.0.0"}, "versions", Verdict.WARN),
        ({"libvirt_version": "12.8.0"}, "versions", Verdict.PASS),
        ({"libvirt_version": ""}, "versions", Verdict.FAIL),
        ({"lock_manager": "none"}, "lock_manager", Verdict.WARN),
        ({"clock_skew_s": -5.0}, "clock", Verdict.WARN),
        ({"clock_skew_s": 3600.0}, "clock", Verdict.FAIL),
        ({"migration_port_open": False}, "migration", Verdict.FAIL),
    ],
)
def test_each_shortcoming_is_named(change: dict[str, object], key: str, verdict: Verdict) -> None:
    assert verdicts(replace(GOOD, **change))[key] == verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(("free", "verdict"), [(50, Verdict.PASS), (9, Verdict.WARN), (1, Verdict.FAIL)])
def test_the_fullest_pool_counts(free: int, verdict: Verdict) -> None:
    assert verdicts(GOOD, pool(80), pool(free))["space"] == verdict


def test_space_is_not_known_without_a_running_pool() -> None:
    assert verdicts(GOOD, replace(pool(50), state="inactive"))["space"] == Verdict.WARN


def test_vms_that_are_tied_to_the_processor() -> None:
    definition = DefinitionObservation(
        "", "", "hvm", "x86_64", "pc", "bios", "kvm", 1, 1, "host-passthrough", None, 1, 1
    )
    vm = VmObservation(
        "u", "<b>tied</b>", VmState.RUNNING, None, 1, True, False, False, definition=definition
    )
    check = report(GOOD, (), (vm,))[-1]
    assert (check.key, check.verdict) == ("passthrough", Verdict.WARN)
    assert check.params == {"count": 1, "names": "<b>tied</b>"}


def test_address_translation_needs_a_processor_that_virtualizes() -> None:
    bare = replace(GOOD, virtualization=None, kvm=False, slat=None)
    found = {check.key: check for check in report(bare, (pool(50),), ())}
    assert found["slat"].verdict == Verdict.WARN
    assert "comes with Intel VT-x or AMD-V" in found["slat"].reason
    assert "SSH" not in (found["slat"].remedy or "")


def test_clocks_are_compared_in_whole_seconds() -> None:
    for skew in (0.5, 2.25):
        checks = report(replace(GOOD, clock_skew_s=skew), (pool(50),), ())
        (clock,) = [check for check in checks if check.key == "clock"]
        assert "." not in str(clock.params["seconds"])
