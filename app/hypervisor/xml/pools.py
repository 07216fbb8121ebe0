"""libvirt's XML of storage pools to define. https://libvirt.org/formatstorage.html"""

from __future__ import annotations

from app.core.pools import PoolSpec
from app.hypervisor.xml.write import node, text_of


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
