"""libvirt's XML of storage volumes. https://libvirt.org/formatstorage.html#storage-volume-xml"""

from __future__ import annotations

from app.core.vms.config import VolumePlan
from app.hypervisor.xml.write import node, text_of


def volume_xml(plan: VolumePlan) -> str:
    """The definition of a volume to make."""
    tree = node(
        "volume",
        node("name", plan.name),
        node("capacity", str(plan.size_bytes), unit="bytes"),
        node("target", node("format", type=plan.format)),
    )
    if plan.preallocate:
        tree.append(node("allocation", str(plan.size_bytes), unit="bytes"))
    elif not plan.clone_of:
        tree.append(node("allocation", "0", unit="bytes"))
    if plan.backing_path:
        tree.append(
            node(
                "backingStore",
                node("path", plan.backing_path),
                node("format", type=plan.backing_format or "qcow2"),
            )
        )
    return text_of(tree)
