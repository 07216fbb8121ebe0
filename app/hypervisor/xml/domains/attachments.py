"""Finds in a definition what its network interfaces are plugged into."""

from __future__ import annotations

from app.core.networks.attachments import Attachment
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.write import Element


def read_attachments(xml: str) -> tuple[Attachment, ...]:
    """What each interface is plugged into, in the order of the definition. Raises UnreadableXml."""
    found = []
    for nic in parse(xml, "domain").iterfind("devices/interface"):
        kind, source = nic.get("type", ""), nic.find("source")
        name = mode = ""
        if source is not None:
            name = source.get("dev" if kind == "direct" else kind) or ""
            mode = source.get("mode") or ("vepa" if kind == "direct" else "")  # libvirt's default
        found.append(Attachment(kind, name, mode, _tags(nic)))
    return tuple(found)


def _tags(nic: Element) -> tuple[str, ...]:
    """The VLANs that an interface names, and by `trunk` and `native` how it takes them."""
    vlan = nic.find("vlan")
    if vlan is None:
        return ()
    trunk = ("trunk",) if vlan.get("trunk") == "yes" else ()
    return (
        tuple(f"{tag.get('id', '')} {tag.get('nativeMode', '')}".strip() for tag in vlan.iterfind("tag"))
        + trunk
    )
