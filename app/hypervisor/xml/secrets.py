"""libvirt's XML of secrets for storage. https://libvirt.org/formatsecret.html"""

from __future__ import annotations

from app.core.storage.pools import SECRET_KINDS, PoolKind
from app.hypervisor.xml.write import node, text_of

_NAMED_BY = {"ceph": "name", "iscsi": "target"}  # which element of a usage names what it is for


def secret_xml(uuid: str, kind: PoolKind) -> str:
    """The definition of a pool's secret: kept on disk, and handed out to nobody."""
    usage = SECRET_KINDS[kind]
    return text_of(
        node(
            "secret",
            node("uuid", uuid),
            node("description", "Made by Vigie for a storage pool."),
            node("usage", node(_NAMED_BY[usage], usage_of(uuid)), type=usage),
            ephemeral="no",
            private="yes",
        )
    )


def usage_of(uuid: str) -> str:
    """What tells a secret of Vigie's from others."""
    return f"vigie-pool-{uuid}"
