"""The closed sets of states that objects can be in, and what each one allows to be said."""

from __future__ import annotations

from enum import StrEnum


class VmState(StrEnum):
    """State of a VM as last seen. `missing` and `unknown` are Vigie's own: neither ever means "stopped"."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    SAVED = "saved"
    SUSPENDED = "suspended"
    MISSING = "missing"
    UNKNOWN = "unknown"

    @property
    def is_active(self) -> bool:
        """True when a hypervisor process holds the VM's memory."""
        return self in (VmState.RUNNING, VmState.PAUSED, VmState.SUSPENDED)


class HostState(StrEnum):
    """State of the connection to a host, as its coordinator last saw it."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    NOT_ANSWERING = "not_answering"
    AUTH_FAILED = "auth_failed"
    IDENTITY_CHANGED = "identity_changed"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"

    @property
    def is_usable(self) -> bool:
        """True when work may be sent to the host."""
        return self in (HostState.CONNECTED, HostState.MAINTENANCE)


class HostMode(StrEnum):
    """`observe` never changes anything on the host; `managed` allows every action."""

    OBSERVE = "observe"
    MANAGED = "managed"


class Transport(StrEnum):
    """How Vigie reaches the host's libvirt socket."""

    SSH = "ssh"
    TLS = "tls"
    LOCAL = "local"
    SIMULATED = "simulated"  # libvirt's test driver; refused unless the settings say lab


class TaskState(StrEnum):
    """Life of a task. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True when the task will not change any more."""
        return self in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


ACTIVE_TASK_STATES = (TaskState.QUEUED, TaskState.RUNNING, TaskState.CANCELLING)


class ObjectKind(StrEnum):
    """What an id can name; used in routes, events, tasks and live topics."""

    HOST = "host"
    VM = "vm"
    POOL = "pool"
    VOLUME = "volume"
    NETWORK = "network"
    FILTER = "filter"
    IMAGE = "image"
    SPEC = "spec"
    DATACENTER = "datacenter"
    TASK = "task"
    USER = "user"
    TOKEN = "token"
    CREDENTIAL = "credential"
    LOGIN = "login"
    CONSOLE = "console"


class Verdict(StrEnum):
    """Outcome of one compatibility check."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class Severity(StrEnum):
    """Weight of an event."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
