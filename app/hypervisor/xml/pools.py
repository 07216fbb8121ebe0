"""libvirt's XML of storage pools: written, compared. https://libvirt.org/formatstorage.html"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lxml import etree

from app.core.storage.pools import PoolSpec
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.write import node, text_of

# Where pools of these kinds find their target on a storage server, beside the server itself: element, attribute.
_ON_SERVER: dict[str, tuple[tuple[str, str | None], ...]] = {
    "netfs": (("source/dir", "path"),),
    "rbd": (("source/name", None),),
    "gluster": (("source/name", None), ("source/dir", "path")),
}


@dataclass(frozen=True, slots=True)
class PoolPlaces:
    """Where a pool's definition says that it lies, and what it is made of."""

    kind: str
    target_path: str | None
    source_device: str | None
    source_name: str | None


def pool_xml(spec: PoolSpec, uuid: str) -> str:
    """The definition of a new pool. Its secret, if it has one, has the same UUID."""
    tree = node("pool", node("name", spec.name), node("uuid", uuid), type=spec.kind)
    source = node("source")
    if spec.source_host:
        source.append(node("host", name=spec.source_host))
    if spec.source_path:
        source.append(node("dir", path=spec.source_path))
    if spec.kind == "gluster":
        source.append(node("dir", path="/"))
    if spec.source_device and spec.kind == "scsi":
        source.append(node("adapter", type="scsi_host", name=spec.source_device))
    elif spec.source_device:
        source.append(node("device", path=spec.source_device))
    if spec.source_name:
        source.append(node("name", spec.source_name))
    if spec.initiator:
        source.append(node("initiator", node("iqn", name=spec.initiator)))
    if spec.auth_user:
        kind = "ceph" if spec.kind == "rbd" else "chap"
        source.append(node("auth", node("secret", uuid=uuid), type=kind, username=spec.auth_user))
    if len(source):
        tree.append(source)
    target = spec.target_path or (f"/dev/{spec.source_name}" if spec.kind == "logical" else None)
    if target:
        tree.append(node("target", node("path", target)))
    return text_of(tree)


def same(one: str, other: str) -> bool:
    """Whether two definitions of a pool mean the same; see `digest`. Raises UnreadableXml."""
    return one == other or _plain(one) == _plain(other)


def digest(xml: str) -> str:
    """What two texts of the same definition have in common, whether the pool ran when they were read.

    A pool that starts or is refreshed gets the owner and mode that its directory has now written into its
    definition, the saved one included, and nothing tells them from those that somebody defined. So they do not
    count, nor do its fill and the free parts of its disks. Raises UnreadableXml.
    """
    return hashlib.sha256(_plain(xml).encode(errors="surrogatepass")).hexdigest()


def _plain(xml: str) -> str:
    tree = parse(xml, "pool")
    for path in ("capacity", "allocation", "available", "target/permissions", "source/device/freeExtent"):
        for entry in tree.findall(path):
            parent = entry.getparent()
            if parent is not None:
                parent.remove(entry)
    for item in tree.iter():
        item.text = (item.text or "").strip()
        item.tail = None
    tree[:] = [item for item in tree if len(item) or item.text or item.attrib]  # `<source/>` says nothing
    return etree.tostring(tree, method="c14n", encoding=None).decode()


def read_places(xml: str) -> PoolPlaces:
    """Where a pool lies. Raises UnreadableXml."""
    tree = parse(xml, "pool")
    device = tree.find("source/device")
    return PoolPlaces(
        tree.get("type", ""),
        tree.findtext("target/path"),
        None if device is None else device.get("path"),
        tree.findtext("source/name"),
    )


def source_of(xml: str) -> str | None:
    """What a pool names on a storage server: pools of several hosts that name the same are the same storage.

    None for one whose storage is local, or seems so to its host. Raises UnreadableXml.
    """
    tree = parse(xml, "pool")
    kind = tree.get("type", "")
    device = tree.find("source/device")
    if kind in ("iscsi", "iscsi-direct") and device is not None:
        return f"iscsi {device.get('path', '')}"  # an IQN names one target in the world, by whichever portal
    servers = sorted(host.get("name", "") for host in tree.findall("source/host"))
    found = [(tree.find(path), attribute) for path, attribute in _ON_SERVER.get(kind, ())]
    parts = [
        (item.get(attribute, "") if attribute else item.text or "").rstrip("/")
        for item, attribute in found
        if item is not None
    ]
    if not servers or not any(parts):
        return None
    return f"{kind} {','.join(servers)}:{' '.join(parts)}"
