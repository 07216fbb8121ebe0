"""Every list of the console. A column's `key` names the macro in the table's `cells` template that draws it."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.access.records import AuditRecord, CredentialRecord, TokenRecord, UserRecord
from app.core.access.specs import AuditQuery
from app.core.hosts.records import HostRecord
from app.core.hosts.specs import HostQuery
from app.core.hosts.states import ADMIN_STATE_TITLES, HOST_CONNECTION_TITLES
from app.core.inventory.records import DatacenterRecord, EventRecord
from app.core.inventory.specs import EventQuery
from app.core.kinds import Severity
from app.core.library.images import ImageRecord
from app.core.messages import N_
from app.core.records import Ref
from app.core.specs import ListQuery
from app.core.storage.records import PoolRecord, VolumeRecord
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.core.tasks.states import TASK_STATE_TITLES
from app.core.vms.power import VmVerb
from app.core.vms.records import VmRecord
from app.core.vms.specs import VmQuery
from app.core.vms.states import VM_STATE_TITLES
from app.web.pages.rendering.table_types import Choice, Column, CreateLink, Empty, R, Table


def _titled(titles: Mapping[R, str]) -> tuple[tuple[str, str], ...]:
    return tuple((str(value), title) for value, title in titles.items())


SEVERITY_TITLES: dict[Severity, str] = {
    Severity.INFO: N_("Information"),
    Severity.WARNING: N_("Warning"),
    Severity.ERROR: N_("Error"),
}
OUTCOME_TITLES = {"ok": N_("Accepted"), "refused": N_("Refused"), "failed": N_("Error")}
MODE_TITLES = {"managed": N_("Managed"), "observe": N_("Observed")}


def _when(value: object) -> str | None:
    return None if value is None else str(value)


def _name(ref: Ref | None) -> str | None:
    return None if ref is None else ref.name


def _yes(value: bool) -> str:
    return "yes" if value else "no"


VMS: Table[VmRecord] = Table(
    key="vms",
    title=N_("Virtual machines"),
    path="/vms",
    cells="vms/_cells.html",
    query=VmQuery,
    rows_path="/vms/rows",
    live="tree",
    columns=(
        Column("name", N_("Name"), lambda vm: vm.name, sort="name", pinned=True),
        Column("state", N_("State"), lambda vm: vm.state.value, sort="state"),
        Column("host", N_("Host"), lambda vm: vm.host_name, sort="host"),
        Column("cpu", N_("CPU"), lambda vm: vm.usage.cpu_percent, sort="cpu"),
        Column("memory", N_("Memory"), lambda vm: vm.usage.memory_used_bytes, sort="memory_used"),
        Column("disk", N_("Disk"), lambda vm: vm.disk_bytes, sort="disk", number=True, shown=False),
        Column("disk_io", N_("Disk I/O"), lambda vm: vm.usage.disk_iops, shown=False, number=True),
        Column("net", N_("Network"), lambda vm: vm.usage.net_rx_bps, shown=False, number=True),
        Column("addresses", N_("Addresses"), lambda vm: " ".join(vm.addresses)),
        Column("os", N_("Guest"), lambda vm: vm.os_name, shown=False),
        Column("vcpus", N_("vCPUs"), lambda vm: vm.vcpus, sort="vcpus", shown=False, number=True),
        Column(
            "assigned",
            N_("Assigned memory"),
            lambda vm: vm.memory_bytes,
            sort="memory",
            shown=False,
            number=True,
        ),
        Column("autostart", N_("Autostart"), lambda vm: _yes(vm.autostart), shown=False),
        Column("tags", N_("Tags"), lambda vm: " ".join(vm.tags)),
        Column("since", N_("Since"), lambda vm: _when(vm.state_since), sort="state_since", shown=False),
        Column("uuid", N_("UUID"), lambda vm: vm.uuid, shown=False),
        Column("seen", N_("Seen"), lambda vm: _when(vm.observed_at)),
    ),
    choices=(Choice("state", N_("State"), _titled(VM_STATE_TITLES)),),
    verbs=(
        VmVerb.START,
        VmVerb.SHUTDOWN,
        VmVerb.REBOOT,
        VmVerb.PAUSE,
        VmVerb.RESUME,
        VmVerb.SAVE,
        VmVerb.RESTORE,
        VmVerb.RESET,
        VmVerb.FORCE_OFF,
    ),
    empty=Empty(
        N_("No virtual machines yet."),
        N_("Add a host: every VM on it appears here by itself, and none is restarted."),
        N_("Add a host"),
        "/hosts/new",
        "host.add",
    ),
)

HOSTS: Table[HostRecord] = Table(
    key="hosts",
    title=N_("Hosts"),
    path="/hosts",
    cells="hosts/_cells.html",
    query=HostQuery,
    rows_path="/hosts/rows",
    live="tree",
    columns=(
        Column("name", N_("Host"), lambda host: host.name, sort="name", pinned=True),
        Column("state", N_("State"), lambda host: host.status.value, sort="connection"),
        Column("connection", N_("Connection"), lambda host: host.connection.value, shown=False),
        Column(
            "admin_state", N_("Admin state"), lambda host: host.admin_state, sort="admin_state", shown=False
        ),
        Column(
            "datacenter", N_("Datacenter"), lambda host: host.datacenter_name, sort="datacenter", shown=False
        ),
        Column("cpu", N_("CPU"), lambda host: host.usage.cpu_percent, sort="cpu"),
        Column("memory", N_("Memory"), lambda host: host.usage.memory_used_bytes, sort="memory_used"),
        Column("vms", N_("VMs"), lambda host: host.vm_count, sort="vm_count", number=True),
        Column("hardware", N_("Hardware"), lambda host: host.cpu_model),
        Column("mode", N_("Mode"), lambda host: host.mode.value),
        Column("address", N_("Address"), lambda host: host.address, sort="address", shown=False),
        Column("versions", N_("Versions"), lambda host: host.libvirt_version, shown=False),
        Column(
            "check", N_("Compatibility"), lambda host: host.worst_check.value if host.worst_check else None
        ),
        Column("tags", N_("Tags"), lambda host: " ".join(host.tags), shown=False),
        Column("seen", N_("Seen"), lambda host: _when(host.observed_at)),
    ),
    choices=(
        Choice("connection", N_("Connection"), _titled(HOST_CONNECTION_TITLES)),
        Choice("admin_state", N_("Admin state"), _titled(ADMIN_STATE_TITLES)),
        Choice("mode", N_("Mode"), _titled(MODE_TITLES)),
    ),
    empty=Empty(
        N_("No hosts yet."),
        N_("Add a machine that runs libvirt; nothing is installed on it and nothing is restarted."),
        N_("Add a host"),
        "/hosts/new",
        "host.add",
    ),
)

POOLS: Table[PoolRecord] = Table(
    key="pools",
    title=N_("Storage pools"),
    path="/storage",
    cells="storage/_pool_cells.html",
    create=CreateLink(N_("New pool"), "/storage/new", "pool.edit"),
    query=PoolQuery,
    live="tree",
    columns=(
        Column("name", N_("Pool"), lambda pool: pool.name, sort="name", pinned=True),
        Column("state", N_("State"), lambda pool: pool.state, sort="state"),
        Column("host", N_("Host"), lambda pool: pool.host_name, sort="host"),
        Column("kind", N_("Kind"), lambda pool: pool.kind, sort="kind"),
        Column("usage", N_("Used"), lambda pool: pool.allocation_bytes),
        Column("capacity", N_("Capacity"), lambda pool: pool.capacity_bytes, sort="capacity", number=True),
        Column("available", N_("Free"), lambda pool: pool.available_bytes, sort="available", number=True),
        Column("volumes", N_("Volumes"), lambda pool: pool.volume_count, number=True),
        Column("shared", N_("Shared"), lambda pool: "" if pool.shared is None else _yes(pool.shared)),
        Column("path", N_("Path"), lambda pool: pool.target_path, shown=False),
        Column("autostart", N_("Autostart"), lambda pool: _yes(pool.autostart), shown=False),
        Column("seen", N_("Seen"), lambda pool: _when(pool.observed_at)),
    ),
    empty=Empty(
        N_("No storage pools."),
        N_("Pools appear here as soon as a host has one; virsh pool-list shows what a host knows."),
        N_("Show the hosts"),
        "/hosts",
    ),
)

VOLUMES: Table[VolumeRecord] = Table(
    key="volumes",
    title=N_("Volumes"),
    path="/storage/volumes",
    cells="storage/_volume_cells.html",
    query=VolumeQuery,
    live="tree",
    columns=(
        Column("name", N_("Volume"), lambda volume: volume.name, sort="name", pinned=True),
        Column("pool", N_("Pool"), lambda volume: volume.pool_name),
        Column("host", N_("Host"), lambda volume: volume.host_name),
        Column("format", N_("Format"), lambda volume: volume.format),
        Column("usage", N_("Used"), lambda volume: volume.allocation_bytes, sort="allocation"),
        Column(
            "capacity", N_("Capacity"), lambda volume: volume.capacity_bytes, sort="capacity", number=True
        ),
        Column("path", N_("Path"), lambda volume: volume.path, sort="path"),
        Column("backing", N_("Backing file"), lambda volume: volume.backing_path, shown=False),
        Column("seen", N_("As of"), lambda volume: _when(volume.observed_at)),
    ),
    empty=Empty(
        N_("No volumes."),
        N_("Volumes of active pools appear here; start an inactive pool on its host to see what it holds."),
        N_("Show the pools"),
        "/storage",
    ),
)

IMAGES: Table[ImageRecord] = Table(
    key="images",
    title=N_("Images"),
    path="/images",
    cells="library/_cells.html",
    query=ListQuery,
    live="tree",
    columns=(
        Column("name", N_("Name"), lambda image: image.name, sort="name", pinned=True),
        Column("kind", N_("Kind"), lambda image: image.kind, sort="kind"),
        Column("state", N_("State"), lambda image: image.state, sort="state"),
        Column("os", N_("Guest system"), lambda image: image.os),
        Column("size", N_("Size"), lambda image: image.size_bytes, sort="size", number=True),
        Column("hosts", N_("On hosts"), lambda image: " ".join(place.host.name for place in image.places)),
    ),
    empty=Empty(
        N_("No images yet."),
        N_(
            "Upload an ISO or a disk image to a pool, then make it an image: VMs can be made from it on every host."
        ),
        N_("New image"),
        "/images/new",
        "image.edit",
    ),
)

TASKS: Table[TaskRecord] = Table(
    key="tasks",
    title=N_("Tasks"),
    path="/tasks",
    cells="tasks/_cells.html",
    query=TaskQuery,
    live="tasks",
    columns=(
        Column("title", N_("Task"), lambda task: task.title, pinned=True),
        Column("target", N_("Target"), lambda task: _name(task.target)),
        Column("state", N_("State"), lambda task: task.state.value),
        Column("actor", N_("By"), lambda task: task.actor),
        Column("host", N_("Host"), lambda task: _name(task.host)),
        Column("created", N_("Asked"), lambda task: _when(task.created_at), sort="created_at"),
        Column("took", N_("Took"), lambda task: task.took_s, number=True),
        Column("action", "", lambda task: task.error.title if task.error else None),
    ),
    choices=(Choice("state", N_("State"), _titled(TASK_STATE_TITLES)),),
    empty=Empty(
        N_("No tasks yet."),
        N_("Everything that Vigie does on a host is a task: start a VM and it appears here."),
        N_("Show the virtual machines"),
        "/vms",
    ),
)

EVENTS: Table[EventRecord] = Table(
    key="events",
    title=N_("Events"),
    path="/events",
    cells="inventory/_event_cells.html",
    query=EventQuery,
    live="events",
    columns=(
        Column("at", N_("When"), lambda event: _when(event.at), sort="at"),
        Column("severity", N_("Severity"), lambda event: event.severity.value, shown=False),
        Column("message", N_("Event"), lambda event: event.message, pinned=True),
        Column("target", N_("Object"), lambda event: _name(event.target)),
        Column("host", N_("Host"), lambda event: _name(event.host)),
        Column("actor", N_("By"), lambda event: event.actor),
    ),
    choices=(Choice("severity", N_("Severity"), _titled(SEVERITY_TITLES)),),
    empty=Empty(
        N_("No events yet."),
        N_("What happens to hosts and VMs is written here, whoever did it."),
    ),
)

AUDIT: Table[AuditRecord] = Table(
    key="audit",
    title=N_("Audit"),
    path="/audit",
    cells="access/_audit_cells.html",
    query=AuditQuery,
    columns=(
        Column("at", N_("When"), lambda entry: _when(entry.at), sort="at"),
        Column("actor", N_("Who"), lambda entry: entry.actor, pinned=True),
        Column("action", N_("Action"), lambda entry: entry.action),
        Column("target", N_("Object"), lambda entry: _name(entry.target)),
        Column("outcome", N_("Outcome"), lambda entry: entry.outcome),
        Column(
            "detail",
            N_("Detail"),
            lambda entry: ", ".join(f"{key}={value}" for key, value in entry.detail.items()),
        ),
        Column("via", N_("Through"), lambda entry: entry.via),
        Column("remote", N_("From"), lambda entry: entry.remote, shown=False),
    ),
    choices=(Choice("outcome", N_("Outcome"), _titled(OUTCOME_TITLES)),),
    empty=Empty(
        N_("Nothing was asked for yet."),
        N_("Each change that a person or a program asks for is kept here, refused ones included."),
    ),
)

USERS: Table[UserRecord] = Table(
    key="users",
    title=N_("Users"),
    path="/users",
    cells="access/_user_cells.html",
    query=ListQuery,
    columns=(
        Column("name", N_("Name"), lambda user: user.name, sort="name", pinned=True),
        Column("display", N_("Shown as"), lambda user: user.display),
        Column("role", N_("Role"), lambda user: user.role, sort="role"),
        Column("state", N_("State"), lambda user: "disabled" if user.disabled else "enabled"),
        Column(
            "last_login", N_("Last sign-in"), lambda user: _when(user.last_login_at), sort="last_login_at"
        ),
        Column("created", N_("Created"), lambda user: _when(user.created_at), shown=False),
    ),
    empty=Empty(N_("No users."), N_("Create one for each person, so that the audit can say who did what.")),
)

TOKENS: Table[TokenRecord] = Table(
    key="tokens",
    title=N_("API tokens"),
    path="/tokens",
    cells="access/_token_cells.html",
    query=ListQuery,
    searchable=False,
    exportable=False,
    columns=(
        Column("name", N_("Name"), lambda token: token.name, pinned=True),
        Column("prefix", N_("Begins with"), lambda token: token.prefix),
        Column("user", N_("User"), lambda token: token.user_name),
        Column("created", N_("Created"), lambda token: _when(token.created_at)),
        Column("used", N_("Last used"), lambda token: _when(token.last_used_at)),
        Column("expires", N_("Ends"), lambda token: _when(token.expires_at)),
        Column("action", "", lambda token: None, pinned=True),
    ),
    empty=Empty(
        N_("No tokens yet."),
        N_("A token lets a program use the REST API with your rights. Create one above."),
    ),
)

CREDENTIALS: Table[CredentialRecord] = Table(
    key="credentials",
    title=N_("Credentials"),
    path="/credentials",
    cells="hosts/_credential_cells.html",
    query=ListQuery,
    columns=(
        Column("name", N_("Name"), lambda row: row.name, sort="name", pinned=True),
        Column("kind", N_("Kind"), lambda row: row.kind, sort="kind"),
        Column("summary", N_("Identity"), lambda row: row.summary),
        Column("hosts", N_("Hosts"), lambda row: row.host_count, number=True),
        Column("updated", N_("Changed"), lambda row: _when(row.updated_at)),
        Column("action", "", lambda row: None, pinned=True),
    ),
    empty=Empty(
        N_("No credentials yet."),
        N_("A credential is how Vigie signs in to hosts. Its secret is encrypted and never shown again."),
        N_("Create a credential"),
        "/credentials/new",
        "credential.edit",
    ),
)

DATACENTERS: Table[DatacenterRecord] = Table(
    key="datacenters",
    title=N_("Datacenters"),
    path="/datacenters",
    cells="inventory/_datacenter_cells.html",
    query=ListQuery,
    searchable=False,
    exportable=False,
    live="tree",
    columns=(
        Column("name", N_("Name"), lambda row: row.name, pinned=True),
        Column("hosts", N_("Hosts"), lambda row: row.host_count, number=True),
        Column("vms", N_("VMs"), lambda row: row.vm_count, number=True),
        Column("action", "", lambda row: None, pinned=True),
    ),
    empty=Empty(
        N_("No datacenters yet."),
        N_("A datacenter is the top of the tree: create one for each site."),
    ),
)
