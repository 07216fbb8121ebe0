"""A few hosts with storage and what they offer, for tests of services that plan VMs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from app.access.context import Ctx
from app.core.hosts.capabilities import HostCapabilities
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db import models

GIB = 1 << 30
HOST_CAPABILITIES = HostCapabilities(
    hypervisor="kvm",
    arch="x86_64",
    machine="q35",
    machines=("pc", "q35"),
    vcpus_max=240,
    firmwares=("bios", "efi"),
    cpu_modes=("host-model", "host-passthrough"),
    disk_buses=("virtio", "sata", "scsi", "usb", "fdc"),
    video_models=("virtio", "vga"),
    graphics=("vnc",),
    rng=True,
)


def add_datacenter(ctx: Ctx) -> str:
    """A datacenter; its id."""
    datacenter = models.Datacenter(
        id=new_id(ObjectKind.DATACENTER), name="Paris", name_key="paris", created_at=ctx.now
    )
    ctx.session.add(datacenter)
    ctx.session.flush()
    return datacenter.id


def add_host(ctx: Ctx, datacenter_id: str, name: str, memory_bytes: int) -> models.Host:
    """A connected, managed host with a pool `local` and offers."""
    host = models.Host(
        id=new_id(ObjectKind.HOST),
        datacenter_id=datacenter_id,
        name=name,
        name_key=name,
        transport="ssh",
        address="192.0.2.1",
        port=22,
        user="root",
        socket="/var/run/libvirt/libvirt-sock",
        mode="managed",
        connection="connected",
        cpus=32,
        memory_bytes=memory_bytes,
        search_text=name,
        created_at=datetime.now(UTC),
    )
    ctx.session.add(host)
    ctx.session.flush()
    pool = models.Pool(
        id=new_id(ObjectKind.POOL),
        host_id=host.id,
        uuid="00000000-0000-4000-a000-000000000001",
        name="local",
        kind="dir",
        state="running",
        autostart=True,
        persistent=True,
        capacity_bytes=1 << 42,
        allocation_bytes=0,
        available_bytes=1 << 42,
        target_path="/images",
    )
    ctx.session.add_all(
        [
            pool,
            models.HostCapabilities(
                host_id=host.id, capabilities=asdict(HOST_CAPABILITIES), read_at=datetime.now(UTC)
            ),
        ]
    )
    ctx.session.flush()
    return host


def add_vm(ctx: Ctx, host: models.Host, name: str, **fields: object) -> models.Vm:
    """A VM that is off, with one disk vda of its own in `local`."""
    vm = models.Vm(
        id=new_id(ObjectKind.VM),
        host_id=host.id,
        uuid=f"00000000-0000-4000-9000-{abs(hash((host.id, name))) % 10**12:012}",
        name=name,
        name_key=name,
        **(  # what every row has, unless the test says otherwise
            {
                "state": "shutoff",
                "persistent": True,
                "autostart": False,
                "vcpus": 2,
                "memory_bytes": GIB,
                "search_text": name,
                "created_at": datetime.now(UTC),
            }
            | fields
        ),
    )
    ctx.session.add(vm)
    ctx.session.flush()
    pool = ctx.session.query(models.Pool).filter_by(host_id=host.id).one()
    disk = {
        "target": "vda",
        "device": "disk",
        "bus": "virtio",
        "source": f"/images/{name}-vda.qcow2",
        "format": "qcow2",
        "readonly": False,
    }
    ctx.session.add_all(
        [
            models.VmDefinition(
                vm_id=vm.id,
                digest="d" * 64,
                xml=f"<domain><name>{name}</name></domain>",
                parsed={
                    "machine": "q35",
                    "vcpus_max": 2,
                    "memory_max_bytes": GIB,
                    "disks": [disk],
                    "files": [{"source": disk["source"], "writes": True, "shared": False}],
                    "nics": [],
                },
                read_at=datetime.now(UTC),
            ),
            add_volume(pool, f"{name}-vda.qcow2"),
        ]
    )
    ctx.session.flush()
    return vm


def add_volume(pool: models.Pool, name: str) -> models.Volume:
    """A small volume of the pool."""
    return models.Volume(
        id=new_id(ObjectKind.VOLUME),
        pool_id=pool.id,
        name=name,
        path=f"/images/{name}",
        kind="file",
        format="qcow2",
        capacity_bytes=GIB,
        allocation_bytes=0,
    )
