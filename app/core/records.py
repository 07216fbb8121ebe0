"""What services answer: one shape for pages, API and command line.

These are the schemas of the REST API. Times are UTC, sizes bytes, rates per second. Text that came from a
host or a guest is untrusted. Every observed object carries `observed_at` and `stale`: when its host was last
heard, and whether that is too long ago to be believed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.core.conditions import ConditionRecord
from app.core.states import HostMode, HostState, ObjectKind, Severity, TaskState, Transport, Verdict, VmState

T = TypeVar("T")


class Record(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Record, Generic[T]):
    """A part of a list: `next` is the cursor of the following part, `total` counts what the filter lets through."""

    items: list[T]
    next: str | None = None
    total: int


class Ref(Record):
    """A pointer to an object with what is needed to show it."""

    kind: ObjectKind
    id: str
    name: str


class UsageRecord(Record):
    """Rates over the last interval; null where they cannot be known (not running, first reading, no support)."""

    cpu_percent: float | None = Field(None, description="Of all its vCPUs or threads, 0 to 100.")
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_read_bps: float | None = Field(None, description="Bytes per second.")
    disk_write_bps: float | None = None
    disk_iops: float | None = None
    net_rx_bps: float | None = None
    net_tx_bps: float | None = None


class VerbRecord(Record):
    """One action on an object: allowed now, or why not."""

    verb: str
    title: str = Field(description="In the language of the asker.")
    allowed: bool
    confirm: bool = Field(description="Whether people are asked first, because the guest may lose data.")
    code: str | None = Field(None, description="Stable code of the refusal.")
    why: str | None = None
    hint: str | None = None


class VmRecord(Record):
    """A VM in a list."""

    id: str
    uuid: str
    name: str
    title: str | None = None
    host_id: str
    host_name: str
    state: VmState
    state_reason: str | None = None
    state_since: datetime | None = None
    stale: bool
    observed_at: datetime | None
    duplicate: bool = Field(False, description="It runs on another host, too, at the same time.")
    persistent: bool
    autostart: bool
    vcpus: int
    memory_bytes: int
    disk_bytes: int | None = Field(None, description="Capacity of all its disks.")
    os_name: str | None = None
    guest_hostname: str | None = None
    addresses: list[str] = []
    tags: list[str] = []
    usage: UsageRecord
    conditions: list[ConditionRecord] = Field([], description="What is wrong with it now, the worst first.")
    task: TaskBrief | None = Field(None, description="The task that holds it now.")


class DiskRecord(Record):
    """A disk of a VM."""

    target: str
    device: str
    bus: str
    source: str | None = None
    format: str | None = None
    readonly: bool = False
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None
    pending: Literal["added", "removed"] | None = Field(None, description="At the next power-off.")


class NicRecord(Record):
    """A network interface of a VM."""

    mac: str
    kind: str
    source: str | None = None
    model: str | None = None
    target: str | None = None
    filter: str | None = Field(None, description="The traffic filter that it names.")
    addresses: list[str] = []
    pending: Literal["added", "removed"] | None = Field(None, description="At the next power-off.")


class GraphicsRecord(Record):
    """A display of a VM."""

    kind: str
    listen: str | None = None
    port: int | None = None


class DeviceRecord(Record):
    """Any other device: its kind and one line about it."""

    kind: str
    summary: str


class VmDetail(VmRecord):
    """A VM with all that is known about it."""

    notes: str = ""
    description: str | None = None
    domain_id: int | None = None
    os_id: str | None = None
    arch: str | None = None
    machine: str | None = None
    firmware: str | None = None
    hypervisor: str | None = None
    cpu_mode: str | None = None
    cpu_model: str | None = None
    vcpus_max: int | None = None
    memory_max_bytes: int | None = None
    has_managed_save: bool = False
    has_agent_channel: bool = False
    agent_connected: bool = False
    host_state: HostState
    host_mode: HostMode
    disks: list[DiskRecord] = []
    nics: list[NicRecord] = []
    graphics: list[GraphicsRecord] = []
    devices: list[DeviceRecord] = []
    actions: list[VerbRecord] = []
    definition_read_at: datetime | None = None
    screen_at: datetime | None = Field(None, description="When the last screenshot was taken.")
    pending: list[str] = Field([], description="Parts that will be others after the next power-off.")
    dangers: list[str] = Field([], description="What of its definition lets its guest reach its host.")
    version: int = Field(description="Changes with each edit of tags or notes; the ETag.")


class CheckRecord(Record):
    """One line of a compatibility report."""

    key: str
    title: str
    verdict: Verdict
    reason: str
    mend: str | None = None


class HostRecord(Record):
    """A host in a list."""

    id: str
    name: str
    datacenter_id: str
    datacenter_name: str
    transport: Transport
    address: str
    port: int
    user: str
    mode: HostMode
    state: HostState
    state_reason: str | None = None
    state_since: datetime | None = None
    stale: bool
    observed_at: datetime | None
    hostname: str | None = None
    libvirt_uuid: str | None = None
    libvirt_version: str | None = None
    hypervisor_version: str | None = None
    cpu_model: str | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    vm_count: int = 0
    vm_running: int = 0
    worst_check: Verdict | None = None
    tags: list[str] = []
    usage: UsageRecord


class HostDetail(HostRecord):
    """A host with all that is known about it."""

    notes: str = ""
    maintenance: bool = Field(
        False, description="Whether maintenance was begun; `state` says so only while it is connected."
    )
    allowed_bridges: list[str] = Field([], description="Bridges that VMs may use without vm.host-access.")
    allowed_interfaces: list[str] = Field(
        [], description="Interfaces that VMs may share by macvtap without the privilege vm.host-access."
    )
    socket: str
    credential_id: str | None = None
    credential_name: str | None = None
    fingerprint: str | None = Field(None, description="The identity that was confirmed.")
    fingerprint_seen: str | None = Field(
        None, description="Another identity, seen since; work is refused until confirmed."
    )
    arch: str | None = None
    cpu_vendor: str | None = None
    cpu_name: str | None = None
    cpu_features: list[str] = []
    sockets: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    numa_nodes: int | None = None
    kvm: bool | None = None
    checks: list[CheckRecord] = []
    checked_at: datetime | None = None
    synced_at: datetime | None = None
    created_at: datetime
    vcpus_promised: int = Field(0, description="vCPUs of its running VMs.")
    memory_promised_bytes: int = Field(0, description="Memory of its running VMs.")
    version: int


class HostCheck(Record):
    """What a host looks like before it is added."""

    fingerprint: str | None
    hostname: str
    libvirt_uuid: str
    libvirt_version: str
    hypervisor_version: str
    cpus: int
    memory_bytes: int
    vm_count: int
    checks: list[CheckRecord]
    already_host: Ref | None = Field(None, description="The registered host with the same libvirt UUID.")


class DatacenterRecord(Record):
    """A datacenter: the top of the tree."""

    id: str
    name: str
    host_count: int = 0
    vm_count: int = 0
    version: int


class PoolRecord(Record):
    """A storage pool."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    kind: str
    state: str
    stale: bool
    observed_at: datetime | None
    autostart: bool
    persistent: bool
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int
    target_path: str | None = None
    volume_count: int = 0
    volumes_read_at: datetime | None = Field(None, description="When its volumes were read last.")
    shared: bool | None = Field(
        None, description="Whether other hosts have the same storage; null: not known."
    )
    shared_with: tuple[Ref, ...] = Field((), description="Those hosts; only when one pool is asked for.")
    proven_at: datetime | None = Field(None, description="When that was found out.")
    pending: bool | None = Field(None, description="Of one pool: a definition waits for its next start.")
    conditions: list[ConditionRecord] = Field([], description="What is wrong with it now, the worst first.")
    links_checked: bool = Field(True, description="Whether Vigie can see symbolic links on this host.")
    stop_reason: str | None = Field(None, description="Why it stopped by itself, as far as it is known.")


class VolumeRecord(Record):
    """A volume of a pool."""

    id: str
    name: str
    path: str
    pool_id: str
    pool_name: str
    host_id: str
    host_name: str
    kind: str
    format: str | None = None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None = None
    condition: Literal["incomplete", "format_disagrees", "refused"] | None = Field(
        None, description="What holds the volume back from use."
    )
    condition_reason: str | None = None
    links_checked: bool = Field(True, description="Whether Vigie can see symbolic links on this host.")
    checked_at: datetime | None = Field(None, description="When it was last checked, before a use.")
    stale: bool
    observed_at: datetime | None


class NetworkRecord(Record):
    """A virtual network of a host."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    active: bool
    autostart: bool
    persistent: bool
    stale: bool
    observed_at: datetime | None
    bridge: str | None = None
    forward_mode: str
    addresses: list[str] = []
    dhcp: bool = False
    mtu: int | None = None
    vlan: str | None = None
    vm_count: int = Field(0, description="VMs that are plugged into it, running or not.")


class TaskBrief(Record):
    """A task as shown beside its target."""

    id: str
    kind: str
    title: str
    state: TaskState
    progress: int | None


class Problem(BaseModel):
    """An error, as RFC 9457 says it, with Vigie's own fields."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="A URI that names the kind of problem; about:blank is never used.")
    title: str
    status: int
    detail: str | None = None
    code: str
    why: str | None = Field(None, description="The check that failed, with its figures.")
    hint: str | None = Field(None, description="What to do.")
    field: str | None = Field(None, description="The field that breaks the rule.")
    errors: list[FieldProblem] | None = None
    task: str | None = Field(None, description="For a busy object: the task that holds it.")
    fingerprint: str | None = Field(None, description="For an identity to confirm: what the host showed.")


class FieldProblem(BaseModel):
    """One field that breaks a rule."""

    field: str
    rule: str


class TaskRecord(Record):
    """Work that was asked for."""

    id: str
    kind: str
    title: str
    state: TaskState
    progress: int | None = Field(ge=0, le=100, description="Percent; null while it cannot be told.")
    message: str | None = None
    target: Ref | None = None
    host: Ref | None = None
    actor: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancellable: bool
    batch_id: str | None = Field(None, description="Tasks of one bulk request share it.")
    result: dict[str, str | int | float | bool | None] | None = None
    error: TaskError | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from its beginning to its end, once it has ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds(), 1)


class TaskError(Record):
    """Why a task failed and what to do."""

    code: str
    title: str
    why: str | None = None
    hint: str | None = None
    detail: str | None = Field(
        None, description="What the hypervisor said; only with the privilege host.diagnose."
    )
    next_verb: str | None = Field(None, description="The action that would go further, such as force-off.")


class BulkRefusal(Record):
    """A VM of a bulk request that got no task, and why."""

    vm: Ref
    problem: Problem


class BulkRecord(Record):
    """Answer to a bulk request: a task for each VM that allows the action, a reason for each other."""

    batch_id: str
    tasks: list[TaskRecord]
    refused: list[BulkRefusal]


class EventRecord(Record):
    """Something that happened."""

    id: int
    at: datetime
    kind: str
    severity: Severity
    message: str = Field(description="In the language of the asker.")
    target: Ref | None = None
    host: Ref | None = None
    task_id: str | None = None
    actor: str | None = Field(None, description="Who asked Vigie for it; null: nobody did.")
    outside: bool = Field(
        False,
        description="Whether somebody did it outside Vigie. Otherwise, without an actor, Vigie saw or did it itself.",
    )


class AuditRecord(Record):
    """Who asked for what, and how it ended. Never holds secrets."""

    id: int
    at: datetime
    actor: str
    via: Literal["page", "api", "cli", "system"]
    action: str
    target: Ref | None = None
    outcome: Literal["ok", "refused", "failed"]
    code: str | None = None
    detail: dict[str, str | int | bool | None] = {}
    remote: str | None = None


class UserRecord(Record):
    """A person who may sign in."""

    id: str
    name: str
    display: str
    role: Literal["viewer", "operator", "administrator"]
    language: str | None = None
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None = None
    version: int


class SessionRecord(Record):
    """A login of the asker."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    remote: str | None
    user_agent: str | None
    current: bool


class TokenRecord(Record):
    """An API token without its secret."""

    id: str
    name: str
    prefix: str
    user_id: str
    user_name: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class NewToken(TokenRecord):
    """A token that was just made. `token` is shown this once."""

    token: str


class CredentialRecord(Record):
    """How Vigie signs in to hosts, without its secret."""

    id: str
    name: str
    kind: Literal["ssh_key", "ssh_password", "tls"]
    summary: str = Field(
        description="Public part: key fingerprint, or subject and end date of the certificate."
    )
    host_count: int = 0
    created_at: datetime
    updated_at: datetime
    version: int


class Meter(Record):
    """How much of something is used."""

    used: float
    total: float
    percent: float | None


class Overview(Record):
    """The dashboard."""

    hosts: dict[str, int] = Field(description="Number of hosts by state.")
    vms: dict[str, int] = Field(description="Number of VMs by state.")
    stale_vms: int
    duplicate_vms: int
    cpu: Meter
    memory: Meter
    storage: Meter
    vcpus_promised: int
    cpus: int
    memory_promised_bytes: int
    attention: list[Attention]
    busiest: list[VmRecord]


class Attention(Record):
    """Something an administrator should look at."""

    severity: Severity
    message: str
    hint: str | None = None
    url: str


for _model in (VmRecord, VmDetail, Problem, TaskRecord, Overview, BulkRecord, BulkRefusal):
    _model.model_rebuild()
