"""Records as services answer them, with names as hostile as hosts and guests can make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from app.core.access.records import AuditRecord, CredentialRecord, SessionRecord, TokenRecord, UserRecord
from app.core.hosts.records import CheckRecord, HostCheck, HostDetail
from app.core.hosts.states import AdminState, HostConnection, HostMode, Transport, Verdict
from app.core.ids import new_id
from app.core.inventory.records import DatacenterRecord, EventRecord
from app.core.kinds import ObjectKind, Severity
from app.core.networks.records import NetworkRecord
from app.core.records import Ref, UsageRecord
from app.core.storage.records import PoolRecord, VolumeRecord
from app.core.tasks.records import TaskBrief, TaskError, TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.records import DeviceRecord, DiskRecord, GraphicsRecord, NicRecord, VerbRecord, VmDetail
from app.core.vms.states import VmState

HTML = "<img src=x onerror=alert(1)>\"'&"
RTL = "safe\u202egnp.exe"
LONG = "n" * 250
HOSTILE = (HTML, RTL, LONG)

NOW = datetime.now(UTC)
_NUMBERS = count(1)
HOST_ID = new_id(ObjectKind.HOST)
USAGE = UsageRecord(
    cpu_percent=41.5,
    memory_used_bytes=3 << 30,
    memory_total_bytes=4 << 30,
    disk_read_bps=12_000.0,
    disk_write_bps=1_400_000.0,
    disk_iops=184.0,
    net_rx_bps=2_300_000.0,
    net_tx_bps=180_000.0,
)
NO_USAGE = UsageRecord.model_validate({})


def verbs(state: VmState) -> list[VerbRecord]:
    """Some verbs, one of them refused."""
    on = state is VmState.RUNNING
    return [
        VerbRecord(
            verb="start",
            title="Start",
            allowed=not on,
            confirm=False,
            why="The VM is running.",
            hint="Stop it.",
        ),
        VerbRecord(verb="shutdown", title="Shut down", allowed=on, confirm=False, why="The VM is off."),
        VerbRecord(verb="force-off", title="Force off", allowed=on, confirm=True, why="The VM is off."),
        VerbRecord(verb="autostart-on", title="Start with the host", allowed=True, confirm=False),
    ]


def vm(
    name: str = "web-01", state: VmState = VmState.RUNNING, *, stale: bool = False, busy: bool = False
) -> VmDetail:
    """A VM."""
    active = state.is_active
    return VmDetail(
        id=new_id(ObjectKind.VM),
        uuid="8a6e0804-2bd0-4672-b79d-d97027f9071a",
        name=name,
        title=name,
        host_id=HOST_ID,
        host_name=name,
        state=state,
        state_reason=HTML if state is VmState.CRASHED else None,
        state_since=NOW - timedelta(days=41, hours=6),
        stale=stale,
        observed_at=NOW - timedelta(seconds=95 if stale else 2),
        duplicate=name == HTML,
        persistent=True,
        autostart=True,
        vcpus=8,
        memory_bytes=4 << 30,
        disk_bytes=500 << 30,
        os_name=name if name in HOSTILE else "Debian 13",
        guest_hostname=name,
        addresses=["10.20.4.17", "fd00:20::17"],
        tags=["postgres", "prod"],
        usage=USAGE if active else NO_USAGE,
        task=TaskBrief(
            id=new_id(ObjectKind.TASK), kind="vm.start", title="Start", state=TaskState.RUNNING, progress=40
        )
        if busy
        else None,
        notes=HTML,
        description=name,
        arch="x86_64",
        machine="pc-q35-7.2",
        firmware="efi",
        hypervisor="kvm",
        cpu_mode="host-model",
        vcpus_max=16,
        memory_max_bytes=8 << 30,
        has_agent_channel=True,
        agent_connected=active,
        host_connection=HostConnection.NOT_ANSWERING if stale else HostConnection.CONNECTED,
        host_admin_state=AdminState.ENABLED,
        host_mode=HostMode.MANAGED,
        disks=[
            DiskRecord(
                target="vda",
                device="disk",
                bus="virtio",
                source=f"/var/lib/libvirt/images/{name}.qcow2",
                format="qcow2",
                capacity_bytes=500 << 30,
                allocation_bytes=236 << 30,
            ),
            DiskRecord(target="sda", device="cdrom", bus="sata", readonly=True),
        ],
        nics=[
            NicRecord(
                mac="52:54:00:12:34:56",
                kind="network",
                source=name,
                model="virtio",
                target="vnet3",
                addresses=["10.20.4.17"],
            )
        ],
        graphics=[GraphicsRecord(kind="vnc", listen="127.0.0.1", port=5900)],
        devices=[
            DeviceRecord(kind="rng", summary="virtio /dev/urandom"),
            DeviceRecord(kind="serial", summary=name),
        ],
        actions=[] if stale else verbs(state),
        definition_read_at=NOW,
        screenshot_at=NOW - timedelta(seconds=3) if active else None,
        version=3,
    )


def checks() -> list[CheckRecord]:
    """A report with each verdict."""
    return [
        CheckRecord(
            key="virtualization",
            title="Virtualization",
            verdict=Verdict.PASS,
            reason="The processor offers VT-x.",
        ),
        CheckRecord(
            key="lock",
            title="Lock manager",
            verdict=Verdict.WARN,
            reason="None is set.",
            remedy="Set lock_manager to lockd in qemu.conf.",
        ),
        CheckRecord(
            key="kvm", title="KVM", verdict=Verdict.FAIL, reason=HTML, remedy="Load the module kvm_intel."
        ),
    ]


def host(
    name: str = "kvm-par-01",
    connection: HostConnection = HostConnection.CONNECTED,
    admin_state: AdminState = AdminState.ENABLED,
) -> HostDetail:
    """A host."""
    stale = connection is not HostConnection.CONNECTED
    return HostDetail(
        id=new_id(ObjectKind.HOST),
        name=name,
        datacenter_id=new_id(ObjectKind.DATACENTER),
        datacenter_name=name,
        transport=Transport.SSH,
        address="kvm-par-01.example.org",
        port=22,
        user="root",
        mode=HostMode.MANAGED,
        connection=connection,
        connection_reason=HTML if stale else None,
        connection_since=NOW - timedelta(seconds=38),
        admin_state=admin_state,
        stale=stale,
        observed_at=NOW - timedelta(seconds=38 if stale else 1),
        hostname=name,
        libvirt_uuid="1f3c9c9e-3d36-4c6e-b7f6-1f4ac4dfa0c1",
        libvirt_version="9.0.0",
        hypervisor_version="7.2.22",
        cpu_model="EPYC-Genoa",
        cpus=128,
        memory_bytes=512 << 30,
        vm_count=12,
        vm_running=9,
        worst_check=Verdict.WARN,
        tags=["prod"],
        usage=UsageRecord(cpu_percent=66.0, memory_used_bytes=470 << 30, memory_total_bytes=512 << 30),
        notes=HTML,
        socket="/var/run/libvirt/libvirt-sock",
        credential_id=new_id(ObjectKind.CREDENTIAL),
        credential_name=name,
        fingerprint="SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        fingerprint_seen="SHA256:9Wz2kK2QpOa1xqLr6yqzJmQ3cXJk0m7lq2p7m6m3d1A",
        arch="x86_64",
        cpu_vendor="AMD",
        cpu_name="AMD EPYC 9354 32-Core Processor",
        cpu_features=["aes", "avx2", "svm"],
        sockets=2,
        cores_per_socket=32,
        threads_per_core=2,
        numa_nodes=2,
        kvm=True,
        checks=checks(),
        checked_at=NOW,
        synced_at=NOW,
        created_at=NOW - timedelta(days=100),
        vcpus_allocated=310,
        memory_allocated_bytes=480 << 30,
        version=7,
    )


def host_check(*, known: bool = False) -> HostCheck:
    """What is seen of a host before it is added."""
    return HostCheck(
        fingerprint="SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        hostname=HTML,
        libvirt_uuid="1f3c9c9e-3d36-4c6e-b7f6-1f4ac4dfa0c1",
        libvirt_version="9.0.0",
        hypervisor_version="7.2.22",
        cpus=16,
        memory_bytes=64 << 30,
        vm_count=5,
        checks=checks(),
        already_host=Ref(kind=ObjectKind.HOST, id=HOST_ID, name=HTML) if known else None,
    )


def task(state: TaskState = TaskState.RUNNING, name: str = "web-01") -> TaskRecord:
    """A task; a failed one says why and what goes further."""
    failed = state is TaskState.FAILED
    return TaskRecord(
        id=new_id(ObjectKind.TASK),
        kind="vm.shutdown",
        title="Shut down",
        state=state,
        progress=100 if state.is_final else 40,
        message="Waiting for the guest to stop." if not state.is_final else None,
        target=Ref(kind=ObjectKind.VM, id=new_id(ObjectKind.VM), name=name),
        host=Ref(kind=ObjectKind.HOST, id=HOST_ID, name=name),
        actor=name,
        created_at=NOW - timedelta(seconds=125),
        started_at=NOW - timedelta(seconds=124),
        finished_at=NOW - timedelta(seconds=3) if state.is_final else None,
        cancellable=True,
        batch_id="batch1",
        error=TaskError(
            code="guest_ignored",
            title="The guest did not shut down.",
            why="It was asked by ACPI and still ran after 120 s.",
            hint="Force it off, or look at its console.",
            detail=HTML,
            next_verb="force-off",
        )
        if failed
        else None,
    )


def event(name: str = "web-01") -> EventRecord:
    """An event."""
    return EventRecord(
        id=next(_NUMBERS),
        at=NOW - timedelta(minutes=3),
        kind="vm.crashed",
        severity=Severity.ERROR,
        message=f"{name} has crashed.",
        target=Ref(kind=ObjectKind.VM, id=new_id(ObjectKind.VM), name=name),
        host=Ref(kind=ObjectKind.HOST, id=HOST_ID, name=name),
    )


def audit(name: str = "admin") -> AuditRecord:
    """An audit entry."""
    return AuditRecord(
        id=next(_NUMBERS),
        at=NOW,
        actor=name,
        via="page",
        action="vm.shutdown",
        target=Ref(kind=ObjectKind.VM, id=new_id(ObjectKind.VM), name=name),
        outcome="refused",
        code="wrong_state",
        detail={"name": name},
        remote="10.0.0.9",
    )


def pool(name: str = "default") -> PoolRecord:
    """A storage pool."""
    return PoolRecord(
        id=new_id(ObjectKind.POOL),
        uuid="0f0c9c9e-3d36-4c6e-b7f6-1f4ac4dfa0c1",
        name=name,
        host_id=HOST_ID,
        host_name=name,
        kind="dir",
        state="running",
        stale=False,
        observed_at=NOW,
        autostart=True,
        persistent=True,
        capacity_bytes=2 << 40,
        allocation_bytes=(2 << 40) - (120 << 30),
        available_bytes=120 << 30,
        target_path=f"/srv/{name}",
        volume_count=14,
    )


def volume(name: str = "web-01.qcow2") -> VolumeRecord:
    """A volume."""
    return VolumeRecord(
        id=new_id(ObjectKind.VOLUME),
        name=name,
        path=f"/srv/{name}",
        pool_id=new_id(ObjectKind.POOL),
        pool_name=name,
        host_id=HOST_ID,
        host_name=name,
        kind="file",
        format="qcow2",
        capacity_bytes=40 << 30,
        allocation_bytes=9 << 30,
        backing_path=f"/srv/base-{name}",
        stale=False,
        observed_at=NOW,
    )


def network(name: str = "default") -> NetworkRecord:
    """A network."""
    return NetworkRecord(
        id=new_id(ObjectKind.NETWORK),
        uuid="2f0c9c9e-3d36-4c6e-b7f6-1f4ac4dfa0c1",
        name=name,
        host_id=HOST_ID,
        host_name=name,
        active=True,
        autostart=True,
        persistent=True,
        stale=False,
        observed_at=NOW,
        bridge="virbr0",
        forward_mode="nat",
        addresses=["192.168.122.1/24"],
        dhcp=True,
    )


def user(name: str = "ana") -> UserRecord:
    """A user."""
    return UserRecord(
        id=new_id(ObjectKind.USER),
        name="ana",
        display=name,
        role="operator",
        disabled=False,
        created_at=NOW,
        last_login_at=NOW,
        version=1,
    )


def token(name: str = "backup") -> TokenRecord:
    """An API token."""
    return TokenRecord(
        id=new_id(ObjectKind.TOKEN),
        name=name,
        prefix="vigie_AbC",
        user_id=new_id(ObjectKind.USER),
        user_name=name,
        created_at=NOW,
        last_used_at=NOW,
    )


def credential(name: str = "lab key") -> CredentialRecord:
    """A credential."""
    return CredentialRecord(
        id=new_id(ObjectKind.CREDENTIAL),
        name=name,
        kind="ssh_key",
        summary="SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        host_count=2,
        created_at=NOW,
        updated_at=NOW,
        version=1,
    )


def datacenter(name: str = "Paris") -> DatacenterRecord:
    """A datacenter."""
    return DatacenterRecord(id=new_id(ObjectKind.DATACENTER), name=name, host_count=3, vm_count=31, version=1)


def session() -> SessionRecord:
    """A login."""
    return SessionRecord(
        id="login_1",
        created_at=NOW,
        last_seen_at=NOW,
        expires_at=NOW + timedelta(hours=8),
        remote="10.0.0.9",
        user_agent=HTML,
        current=True,
    )
