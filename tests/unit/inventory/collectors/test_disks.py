"""Which VMs are read again because the statistics name other disks than their definitions."""

from dataclasses import replace

from app.core.hosts.observations import HostCounters
from app.core.inventory.usage import UsageSample
from app.core.vms.observations import VmCounters, VmObservation
from app.core.vms.states import VmState
from app.hypervisor.xml.domains.read import read_vm
from app.inventory.collectors.disk_paths import DiskPaths
from app.inventory.collectors.disk_sizes import DiskSizes

DISK = "<disk type='file'><source file='{0}'/><target dev='vda'/></disk>"
EMPTY = "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
REMOTE = "<disk type='network'><source protocol='nbd' name='x'/><target dev='vdb'/></disk>"


def seen(path: str) -> VmObservation:
    xml = f"<domain type='kvm'><name>x</name><devices>{DISK.format(path)}{EMPTY}{REMOTE}</devices></domain>"
    vm = VmObservation("u", "x", VmState.RUNNING, None, 1, True, False, False)
    return replace(vm, definition=read_vm(xml))


def sample(*paths: tuple[str, str | None]) -> UsageSample:
    return UsageSample(0.0, HostCounters(None, None, None, None), (VmCounters("u", 1, disk_paths=paths),))


def test_a_vm_is_read_again_until_it_was_read_and_once_only() -> None:
    watch = DiskPaths()
    over = sample(("vda", "/over"), ("sda", None), ("vdb", None), ("vdz", "/new"))
    assert watch.elsewhere(over) == set(), "it was not read yet"
    watch.learn([seen("/base")], complete=True)
    assert watch.elsewhere(sample(("vda", "/base"), ("sda", None), ("vdb", None))) == set()
    assert watch.elsewhere(sample()) == set(), "a hung QEMU tells nothing"
    assert watch.elsewhere(over) == {"u"}
    assert watch.elsewhere(over) == {"u"}, "it was not read since"
    watch.learn([seen("/base")])
    assert watch.elsewhere(over) == set(), "its definition names it otherwise"
    assert watch.elsewhere(sample(("vda", "/other"))) == {"u"}
    watch.learn([seen("/other")])
    assert watch.elsewhere(sample(("vda", "/other"))) == set()
    assert watch.elsewhere(sample(("sda", "/medium.iso"))) == {"u"}
    watch.forget("u")
    assert watch.elsewhere(over) == set()


def test_a_disk_that_was_resized_is_noticed_once_and_another_run_is_no_resize() -> None:
    sizes = DiskSizes()

    def sized(domain_id: int, size: int | None) -> UsageSample:
        vm = VmCounters("u", domain_id, disk_capacity_bytes=size)
        return UsageSample(0.0, HostCounters(), (vm,))

    assert not sizes.changed(sized(1, 10))
    assert not sizes.changed(sized(1, None)), "a hung QEMU tells nothing"
    assert sizes.changed(sized(1, 20))
    assert not sizes.changed(sized(1, 20))
    assert not sizes.changed(sized(2, 30))
