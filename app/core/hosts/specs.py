"""Requests about hosts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.core.hosts.states import AdminState, HostConnection, HostMode, HostStatus
from app.core.specs import ListQuery, Name, Notes, ObjectId, Spec, TagName


class HostTarget(Spec):
    """Where a host is: a URI that is parsed, or its fields (core.hosts.endpoints checks each)."""

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
    admin_state: AdminState | None = Field(
        None,
        description="disabled: Vigie closes its connection and leaves the host alone. maintenance: no new VM is placed "
        "on it; what runs there stays. enabled: neither.",
    )
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


class HostQuery(ListQuery):
    """Filters of the host list."""

    connection: list[HostConnection] = Field([])
    admin_state: list[AdminState] = Field([])
    datacenter: ObjectId | None = None
    tag: str | None = Field(None, max_length=64)
    mode: HostMode | None = None


def status_filters(status: HostStatus) -> str:
    """The filters of the host list, as a query string, that show the hosts of a status."""
    if status is HostStatus.DISABLED:
        return f"admin_state={AdminState.DISABLED}"
    if status is HostStatus.MAINTENANCE:
        return f"connection={HostConnection.CONNECTED}&admin_state={AdminState.MAINTENANCE}"
    if status is HostStatus.CONNECTED:
        return f"connection={status}&admin_state={AdminState.ENABLED}"
    return f"connection={status}&admin_state={AdminState.ENABLED}&admin_state={AdminState.MAINTENANCE}"
