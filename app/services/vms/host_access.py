"""Who may have a guest reach its host: by what a definition names, and by what its interfaces are plugged into.

What a VM has already stays, whoever changes it: only what a change adds is judged. Undelete adds everything.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.errors import InvalidInput, NotAllowed
from app.core.messages import N_
from app.core.networks.attachments import Attachment, is_open
from app.core.vms.host_access import HOST_ACCESS_KINDS, host_access_of
from app.db.models import Host
from app.hypervisor.xml.domains.attachments import read_attachments
from app.hypervisor.xml.domains.read import read_vm
from app.hypervisor.xml.named import read_written
from app.inventory.vms.definitions import pool_places

HOST_ACCESS, USE_NETWORK = "vm.host-access", "network.use"


def require_for_definition(ctx: Ctx, host: Host, after: str, before: str | None = None) -> None:
    """Raise NotAllowed when the definition reaches its host in a way that the one before does not, and the actor
    may not have that. Without one before, all of it is new. Raises UnreadableXml.
    """
    host_access, attachments = _added(ctx.session, host.id, before, after)
    require_attachments(ctx, host, attachments)
    if host_access and not ctx.can(HOST_ACCESS):
        message = ", ".join(ctx.translate(HOST_ACCESS_KINDS[key]) for key in host_access)
        raise _not_allowed(
            ctx,
            ctx.say(
                N_("It gives the VM host access: %(parts)s. The privilege vm.host-access is missing."),
                {"parts": message},
            ),
        )


def adds_host_access(session: Session, host_id: str, before: str, after: str) -> bool:
    """Whether a definition reaches its host in a way that the one before does not. Raises UnreadableXml."""
    host_access, attachments = _added(session, host_id, before, after)
    host = session.get_one(Host, host_id)
    return bool(host_access) or any(not _is_open(host, attachment) for attachment in attachments)


def _added(
    session: Session, host_id: str, before: str | None, after: str
) -> tuple[list[str], list[Attachment]]:
    """What of `after` is new: keys of core.vms.host_access, and what interfaces are plugged into."""
    kept = set() if before is None else set(read_vm(before).reaches)
    if before is not None:  # what the guest could only read is new when it can write to it
        kept -= {("host_path", path) for path in read_written(after) - read_written(before)}
    plugged = set() if before is None else set(read_attachments(before))
    places = pool_places(session, [host_id])[host_id]
    host_access = host_access_of((reach for reach in read_vm(after).reaches if reach not in kept), places)
    return host_access, [attachment for attachment in read_attachments(after) if attachment not in plugged]


def _is_open(host: Host, attachment: Attachment) -> bool:
    return is_open(attachment, host.allowed_bridges or (), host.allowed_interfaces or ())


def require_attachments(ctx: Ctx, host: Host, new: Iterable[Attachment]) -> None:
    """Raise NotAllowed when the actor may not plug interfaces into these on this host."""
    for item in new:
        if item.kind == "network":
            ctx.require(USE_NETWORK)
        if not ctx.can(HOST_ACCESS) and not _is_open(host, item):
            raise _not_allowed(ctx, _why(ctx, host, item))


def require_tagged(ctx: Ctx, field: str) -> None:
    """Raise InvalidInput when the actor may not give an interface VLAN tags of its own."""
    if not ctx.can(HOST_ACCESS):
        raise InvalidInput(
            field,
            N_(
                "needs the privilege vm.host-access: a tag of its own takes the interface out of the VLAN of its network"
            ),
            hint=N_("Leave the tag out: the network or port group gives the interface its VLAN."),
        )


def _why(ctx: Ctx, host: Host, attachment: Attachment) -> str:
    named = {"name": attachment.source, "host": host.name, "kind": attachment.kind}
    if attachment.tags:
        named["tags"] = ", ".join(attachment.tags)
        rule = N_(
            "An interface has VLAN tags of its own (%(tags)s), which replace those of its network. The privilege vm.host-access is missing."
        )
    elif attachment.kind == "bridge":
        rule = N_(
            "Bridge %(name)s is not in the list of host %(host)s, and the privilege vm.host-access is missing."
        )
    elif attachment.kind != "direct":
        rule = N_("An interface of type %(kind)s gives host access. The privilege vm.host-access is missing.")
    elif attachment.source in (host.allowed_interfaces or ()):
        rule = N_(
            "Mode passthrough takes interface %(name)s away from host %(host)s. The privilege vm.host-access is missing."
        )
    else:
        rule = N_(
            "Interface %(name)s is not in the list of host %(host)s, and the privilege vm.host-access is missing."
        )
    return ctx.say(rule, named)


def _not_allowed(ctx: Ctx, why: str) -> NotAllowed:
    return NotAllowed(
        N_("You may not do this."),
        why=why,
        hint=N_(
            "Ask an administrator for that role, or to add the bridge or interface on the page of the host."
        ),
    )
