"""Which files, block devices and volumes a definition names, and whether the VM may write to them."""

from __future__ import annotations

import pytest

from app.core.vms.observations import FileUse
from app.hypervisor.xml.domains.disks import names_any, written_alone, written_together
from app.hypervisor.xml.domains.read import read_vm


def domain(devices: str = "", system: str = "", more: str = "") -> str:
    return (
        f"<domain type='qemu'><name>x</name><os><type>hvm</type>{system}</os>{more}"
        f"<devices>{devices}</devices></domain>"
    )


def disk(source: str, *, device: str = "disk", kind: str = "file", more: str = "") -> str:
    return f"<disk type='{kind}' device='{device}'><source {source}/><target dev='vda'/>{more}</disk>"


CASES = {
    "disk": (disk("file='/p/a'"), FileUse("/p/a", writes=True)),
    "block device": (disk("dev='/dev/vg/a'", kind="block"), FileUse("/dev/vg/a", writes=True)),
    "by pool and name": (disk("pool='p' volume='a'", kind="volume"), FileUse("p/a", writes=True)),
    "doubled slashes": (disk("file='//p/.//a'"), FileUse("/p/a", writes=True)),
    "dots": (disk("file='/p/x/../a'"), FileUse("/p/a", writes=True)),
    "read-only": (disk("file='/p/a'", more="<readonly/>"), FileUse("/p/a")),
    "shared": (disk("file='/p/a'", more="<shareable/>"), FileUse("/p/a", writes=True, shared=True)),
    "CD": (disk("file='/p/a'", device="cdrom"), FileUse("/p/a")),
    "floppy": (disk("file='/p/a'", device="floppy"), FileUse("/p/a", writes=True)),
    "floppy that is read-only": (disk("file='/p/a'", device="floppy", more="<readonly/>"), FileUse("/p/a")),
    "serial port": ("<serial type='file'><source path='/p/a'/></serial>", FileUse("/p/a", writes=True)),
    "log of a port": ("<console type='pty'><log file='/p/a'/></console>", FileUse("/p/a", writes=True)),
    "memory": (
        "<memory model='nvdimm'><source><path>/p/a</path></source></memory>",
        FileUse("/p/a", writes=True),
    ),
}  # fmt: skip
SYSTEM = {
    "kernel": "<kernel>/p/a</kernel>",
    "initrd": "<initrd>/p/a</initrd>",
    "loader": "<loader readonly='yes' type='pflash'>/p/a</loader>",
    "tables": "<acpi><table type='slic'>/p/a</table></acpi>",
    "template": "<nvram template='/p/a'/>",
}


@pytest.mark.parametrize("name", CASES)
def test_devices_name_files(name: str) -> None:
    devices, use = CASES[name]
    text = domain(devices)
    assert read_vm(text).files == (use,)
    assert names_any(text, {use.source})
    assert written_alone(text) == ([use.source] if use.writes and not use.shared else [])
    assert written_together(text) == ([use.source] if use.writes and use.shared else [])


@pytest.mark.parametrize("name", SYSTEM)
def test_what_a_vm_boots_from_is_read(name: str) -> None:
    assert read_vm(domain(system=SYSTEM[name])).files == (FileUse("/p/a"),)


def test_variables_of_the_firmware_are_written() -> None:
    for text in ("<nvram>/p/a</nvram>", "<nvram type='file'><source file='/p/a'/></nvram>"):
        assert read_vm(domain(system=text)).files == (FileUse("/p/a", writes=True),)


def test_layers_under_a_disk_are_read() -> None:
    deeper = "<backingStore type='file'><format type='raw'/><source file='/p//c'/></backingStore>"
    layers = f"<backingStore type='file'><format type='qcow2'/><source file='/p/b'/>{deeper}</backingStore>"
    found = read_vm(domain(disk("file='/p/a'", more=layers))).files
    assert found == (FileUse("/p/a", writes=True), FileUse("/p/b"), FileUse("/p/c"))


def test_a_copy_that_a_disk_is_about_to_become_is_written() -> None:
    mirror = "<mirror type='file' job='copy'><source file='/p/b'/></mirror>"
    assert FileUse("/p/b", writes=True) in read_vm(domain(disk("file='/p/a'", more=mirror))).files


def test_an_empty_drive_and_a_disk_on_the_network_name_no_file() -> None:
    empty = "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
    far = "<disk type='network'><source protocol='rbd' name='p/a'/><target dev='vda'/></disk>"
    assert read_vm(domain(empty + far)).files == ()
