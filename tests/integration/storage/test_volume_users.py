"""What counts as use of a volume: whatever a definition names, however it spells it; nobody else gets it to write to."""

from __future__ import annotations

import pytest

from app.core.library.images import ImageSpec
from app.core.storage.volumes import VolumeClone, VolumeSpec
from app.core.vms.create.spec import DiskSpec, VmSpec
from app.core.vms.delete import DeleteSpec
from app.core.vms.states import VmState
from app.db.models import DeletedVm
from app.lab.hosts.host import LabHost
from app.lab.paths import POOLS
from app.services.library.image_register import register_image
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.vms.create import create
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.services.vms.reconfigure import devices_request
from tests.integration.site import Site
from tests.integration.storage.test_volume_checks import (
    MIB,
    ask,
    code_of,
    done,
    host,
    listed,
    pool,
    row,
    volume,
)

__all__ = ["host"]
LOCAL = POOLS["local"]


def created_resources(site: Site, name: str, format: str = "raw") -> str:
    """A new volume; its id."""
    spec = VolumeSpec(pool_id=pool(site).id, name=name, size_bytes=2 * MIB, format=format)
    done(site, create_volume, spec)
    found: str = volume(site, name).id
    return found


def vm_with(site: Site, host: LabHost, name: str, *disks: DiskSpec, machine: str | None = None) -> str | None:
    """Make a VM that is off; the code with which that is refused."""
    spec = VmSpec(
        name=name,
        host_id=site.host_ids[host.name],
        machine=machine,
        memory_bytes=64 * MIB,
        disks=disks,
        start=False,
    )
    return code_of(site, create.create_vm, spec)


def define(host: LabHost, site: Site, name: str, devices: str = "", system: str = "") -> None:
    """Have virsh define a VM with these devices."""
    host.define(
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type>{system}</os>"
        f"<devices>{devices}</devices></domain>"
    )
    site.wait_vm(name, VmState.SHUTOFF)


def refused(site: Site, host: LabHost, name: str) -> dict[str, str | None]:
    """With which codes it is refused to give a volume to a VM to write to, and to delete it."""
    found = volume(site, name).id
    return {
        "create": vm_with(site, host, "thief", DiskSpec(volume_id=found)),
        "shared": vm_with(site, host, "sharer", DiskSpec(volume_id=found, shareable=True)),
        "delete": code_of(site, delete_volume, found),
    }


IN_USE = {"create": "volume_in_use", "shared": "volume_in_use", "delete": "volume_in_use"}


def test_a_floppy_writes_to_nothing(host: LabHost, site: Site) -> None:
    first = created_resources(site, "disk.raw")
    assert vm_with(site, host, "owner", DiskSpec(volume_id=first)) is None
    assert (
        vm_with(site, host, "floppy", DiskSpec(device="floppy", bus="fdc", volume_id=first), machine="pc")
        is None
    )
    text = host.virsh("dumpxml", "--inactive", "floppy")
    assert "<readonly/>" in text[text.index("device='floppy'") :]
    virsh = "<disk type='file' device='floppy'><driver name='qemu' type='raw'/><target dev='fda' bus='fdc'/></disk>"
    define(host, site, "old", virsh)
    vm = site.vm("old")
    assert vm is not None
    with pytest.raises(Exception, match="the guest may write to"):
        ask(site, devices_request.change_media, vm.id, "fda", devices_request.Media(volume_id=first))


def test_a_shareable_disk_is_no_image_and_no_base(host: LabHost, site: Site) -> None:
    image, base = created_resources(site, "image.raw"), created_resources(site, "base.raw")
    done(site, register_image, ImageSpec(name="golden", volume_id=image))
    done(
        site,
        create_volume,
        VolumeSpec(pool_id=pool(site).id, name="over.qcow2", backing_volume_id=base),
    )
    assert refused(site, host, "image.raw") == IN_USE
    assert refused(site, host, "base.raw") == IN_USE


def test_a_vm_does_not_come_back_to_a_disk_that_is_an_image_or_a_base_now(host: LabHost, site: Site) -> None:
    image, base = created_resources(site, "image.raw"), created_resources(site, "base.raw")
    for name, found in (("imaged", image), ("based", base)):
        assert vm_with(site, host, name, DiskSpec(volume_id=found)) is None
        vm = site.vm(name)
        assert vm is not None
        done(site, delete.delete_vm, vm.id, DeleteSpec())
    done(site, register_image, ImageSpec(name="golden", volume_id=image))
    done(
        site,
        create_volume,
        VolumeSpec(pool_id=pool(site).id, name="over.qcow2", backing_volume_id=base),
    )
    for name in ("imaged", "based"):
        gone = row(site, DeletedVm, DeletedVm.name == name)
        assert code_of(site, undelete_vm, gone.id) == "volume_in_use", name
    assert host.virsh("list", "--all", "--name") == ""


def test_a_definition_that_names_a_disk_by_its_pool_tells_its_format(host: LabHost, site: Site) -> None:
    secret = created_resources(site, "secret.raw")
    assert vm_with(site, host, "victim", DiskSpec(volume_id=secret)) is None
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", f"{LOCAL}/secret.raw", "-F", "raw"]
    host.exec(*command, f"{LOCAL}/guest.img")
    by_name = (
        "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
        "<source pool='local' volume='guest.img'/><target dev='vda' bus='virtio'/></disk>"
    )
    define(host, site, "adopted", by_name)
    found = listed(host, site, "guest.img")
    assert (found.format, found.condition) == ("raw", "format_disagrees")
    clone = VolumeClone(name="stolen.img", format="raw")
    assert code_of(site, clone_volume, found.id, clone) == "volume_refused"


def test_the_base_of_an_external_snapshot_is_in_use(host: LabHost, site: Site) -> None:
    """Its overlay is no volume until the pool is read anew, so the definition alone tells."""
    created_resources(site, "snapped.raw")
    layer = (
        f"<backingStore type='file'><format type='raw'/><source file='{LOCAL}/snapped.raw'/></backingStore>"
    )
    snapped = (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{LOCAL}/snapped.s1'/>{layer}<target dev='vda' bus='virtio'/></disk>"
    )
    define(host, site, "snapped", snapped)
    assert refused(site, host, "snapped.raw") == IN_USE


def test_another_spelling_of_its_path_does_not_hide_a_disk(host: LabHost, site: Site) -> None:
    created_resources(site, "adopt.raw")
    doubled = (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{LOCAL}//adopt.raw'/><target dev='vda' bus='virtio'/></disk>"
    )
    define(host, site, "adopted", doubled)
    assert refused(site, host, "adopt.raw") == IN_USE


def test_variables_and_logs_that_are_volumes_are_in_use(host: LabHost, site: Site) -> None:
    created_resources(site, "log.raw")
    port = f"<serial type='file'><source path='{LOCAL}/log.raw'/><target port='0'/></serial>"
    define(host, site, "logger", port)
    assert refused(site, host, "log.raw") == IN_USE


def test_a_kernel_of_a_vm_is_not_deleted(host: LabHost, site: Site) -> None:
    created_resources(site, "kernel.raw")
    define(host, site, "direct", system=f"<kernel>{LOCAL}/kernel.raw</kernel>")
    assert refused(site, host, "kernel.raw") == IN_USE
