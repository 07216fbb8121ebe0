"""What is asked: the bodies of requests and the filters of lists. Unknown fields are refused.

Rules that need only the value itself are here; rules that need the inventory are in the services.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from app.core.actions import VmVerb
from app.core.ids import ID_PATTERN
from app.core.names import plain_name
from app.core.states import HostMode, HostState, ObjectKind, Severity, TaskState, VmState

MAX_LIMIT = 500


def _plain(value: object) -> object:
    return plain_name(value) if isinstance(value, str) else value


Plain = BeforeValidator(_plain)
"""Text is a name: in one form, without what cannot be seen."""
ObjectId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Name = Annotated[str, Plain, StringConstraints(min_length=1, max_length=63)]
TagName = Annotated[str, Plain, StringConstraints(pattern=r"^[\w][\w.:-]{0,31}$")]
Notes = Annotated[str, StringConstraints(max_length=10_000)]
Password = Annotated[SecretStr, Field(min_length=10, max_length=200)]
LoginName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}$")]
RoleName = Literal["viewer", "operator", "administrator"]
LanguageName = Literal["en", "fr"]


class Spec(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HostTarget(Spec):
    """Where a host is: a URI that is parsed, or its fields (core.endpoints checks each)."""

    uri: str | None = Field(None, max_length=500, examples=["qemu+ssh://root@kvm-01.example.org/system"])
    transport: Literal["ssh", "tls", "local", "simulated"] | None = None
    address: str | None = Field(None, max_length=253)
    port: int | None = None
    user: str | None = Field(None, max_length=64)
    socket: str | None = Field(None, max_length=107)
    credential_id: ObjectId | None = Field(None, description="How to sign in; not needed for local hosts.")
    fingerprint: str | None = Field(
        None, max_length=200, description="The identity that you confirm; leave out to be shown it (409)."
    )


class HostSpec(HostTarget):
    """A host to add."""

    name: Name
    mode: HostMode = HostMode.MANAGED
    datacenter_id: ObjectId | None = Field(None, description="Unset: the first datacenter.")
    tags: list[TagName] = Field([], max_length=50)
    notes: Notes = ""


DeviceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")]
"""A network device as the kernel names it: at most 15 characters."""


class HostPatch(Spec):
    """Changes of a host; what is left out stays."""

    name: Name | None = None
    mode: HostMode | None = None
    enabled: bool | None = None
    maintenance: bool | None = None
    datacenter_id: ObjectId | None = None
    address: str | None = Field(None, max_length=253)
    port: int | None = None
    user: str | None = Field(None, max_length=64)
    socket: str | None = Field(None, max_length=107)
    credential_id: ObjectId | None = None
    tags: list[TagName] | None = Field(None, max_length=50)
    notes: Notes | None = None
    allowed_bridges: list[DeviceName] | None = Field(
        None,
        max_length=200,
        description="Bridges of the host that VMs may be plugged into without the privilege vm.host-access.",
    )
    allowed_interfaces: list[DeviceName] | None = Field(
        None,
        max_length=200,
        description="Interfaces of the host that VMs may share by macvtap without the privilege vm.host-access; mode "
        "passthrough needs it in any case.",
    )


class IdentitySpec(Spec):
    """The identity of a host that the caller has compared and confirms."""

    fingerprint: str = Field(min_length=1, max_length=200)


class VmPatch(Spec):
    """What people own of a VM; what is left out stays."""

    tags: list[TagName] | None = Field(None, max_length=50)
    notes: Notes | None = None


class ActionOptions(Spec):
    """Options of a power verb. `method` and `timeout_s` are for shutdown and reboot."""

    method: Literal["auto", "agent", "acpi"] = Field(
        "auto", description="auto: the guest agent where one answers, else ACPI."
    )
    timeout_s: int = Field(
        120, ge=1, le=3600, description="How long the guest may take before the task fails."
    )
    force_after_timeout: bool = Field(
        False, description="Shutdown only: force off a guest that does not react."
    )


class Restoring(ActionOptions):
    """Params of a task that starts a VM from its saved memory."""

    host_access: bool = Field(False, description="The asker may have guests reach their hosts.")


class BulkAction(ActionOptions):
    """One verb on many VMs."""

    verb: VmVerb
    ids: list[ObjectId] = Field(min_length=1, max_length=5000)


class DatacenterSpec(Spec):
    """A datacenter."""

    name: Name


class UserSpec(Spec):
    """A person who may sign in."""

    name: LoginName
    password: Password
    role: RoleName = "viewer"
    display: Name | None = None
    language: LanguageName | None = None


class UserPatch(Spec):
    """Changes of a user; what is left out stays."""

    display: Name | None = None
    role: RoleName | None = None
    language: LanguageName | None = None
    disabled: bool | None = None
    password: Password | None = Field(
        None, description="A new password; it ends the user's logins and tokens."
    )
    keep_tokens: bool | None = Field(
        None, description="With a new password: whether the user's API tokens stay. They end by default."
    )


class PasswordChange(Spec):
    """A new password for oneself."""

    current: SecretStr = Field(max_length=200)
    new: Password
    keep_tokens: bool = Field(False, description="Whether your API tokens stay; they end by default.")


class TokenSpec(Spec):
    """A token for a program. It has the rights of its user."""

    name: Name
    expires_in_days: int = Field(
        90, ge=1, le=3650, description="Every token ends by itself, at most after ten years."
    )


class CredentialSpec(Spec):
    """A secret with which Vigie signs in to hosts. Which fields are needed depends on `kind`."""

    name: Name
    kind: Literal["ssh_key", "ssh_password", "tls"]
    private_key: SecretStr | None = Field(
        None, max_length=20_000, description="ssh_key, tls: PEM or OpenSSH."
    )
    passphrase: SecretStr | None = Field(None, max_length=1000, description="Of the private key.")
    password: SecretStr | None = Field(None, max_length=1000, description="ssh_password.")
    certificate: str | None = Field(None, max_length=50_000, description="tls: client certificate, PEM.")
    ca_certificate: str | None = Field(
        None, max_length=200_000, description="tls: authority of the hosts, PEM."
    )


class ListQuery(Spec):
    """What every list takes. `sort` is a column of the list, `-` before it reverses."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=4000)
    sort: str | None = Field(None, pattern=r"^-?[a-z_]{1,32}$")
    q: str | None = Field(None, max_length=200, description="Text that must occur.")


class VmQuery(ListQuery):
    """Filters of the VM list."""

    state: list[VmState] = []
    host: ObjectId | None = None
    datacenter: ObjectId | None = None
    tag: str | None = Field(None, max_length=64)
    stale: bool | None = None
    uuid: str | None = Field(None, max_length=36)
    name: str | None = Field(None, max_length=300, description="The exact name.")


class HostQuery(ListQuery):
    """Filters of the host list."""

    state: list[HostState] = []
    datacenter: ObjectId | None = None
    tag: str | None = Field(None, max_length=64)
    mode: HostMode | None = None


class PoolQuery(ListQuery):
    """Filters of the pool and network lists."""

    host: ObjectId | None = None


class VolumeQuery(ListQuery):
    """Filters of the volume list."""

    host: ObjectId | None = None
    pool: ObjectId | None = None
    unused: bool | None = Field(None, description="Only those that nothing uses; needs `pool`.")


class TaskQuery(ListQuery):
    """Filters of the task list, newest first."""

    state: list[TaskState] = []
    target: ObjectId | None = None
    host: ObjectId | None = None
    batch: str | None = Field(None, max_length=64)
    kind: str | None = Field(None, max_length=64)


class EventQuery(ListQuery):
    """Filters of the event list, newest first."""

    target: ObjectId | None = Field(None, description="Events of this object; of a host: of its VMs, too.")
    severity: list[Severity] = []
    kind: str | None = Field(None, max_length=64)


class AuditQuery(ListQuery):
    """Filters of the audit, newest first."""

    actor: str | None = Field(None, max_length=64)
    target: ObjectId | None = None
    outcome: Literal["ok", "refused", "failed"] | None = None


class TreeQuery(Spec):
    """Which children to show: of the root or of `parent`, in one of four views."""

    view: Literal["hosts", "vms", "storage", "networks"] = "hosts"
    parent: ObjectId | None = None
    kind: ObjectKind | None = None
