"""Where network interfaces of VMs are plugged in, and which of that an operator may choose."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# An interface in this mode is taken from the host, so naming it in the host's list is not enough.
PASSTHROUGH = "passthrough"


@dataclass(frozen=True, slots=True)
class Attachment:
    """What one interface is plugged into. `kind` is libvirt's type of the interface, `mode` that of macvtap.

    `tags` are the VLANs that the interface itself names; they replace those of its network.
    """

    kind: str
    source: str
    mode: str = ""
    tags: tuple[str, ...] = ()


def is_open(attachment: Attachment, bridges: Collection[str], interfaces: Collection[str]) -> bool:
    """Whether it needs no access to the host: a network, or a bridge or interface that the host's lists name.

    An interface with VLAN tags of its own leaves the VLANs that were meant for it, so it always needs that.
    """
    if attachment.tags:
        return False
    if attachment.kind == "network":
        return True
    if attachment.kind == "bridge":
        return attachment.source in bridges
    return attachment.kind == "direct" and attachment.mode != PASSTHROUGH and attachment.source in interfaces
