"""Secrets that a host keeps for its storage: set once, never read back. https://libvirt.org/formatsecret.html"""

from __future__ import annotations

from app.core.errors import HypervisorRefused
from app.core.storage.pools import PoolKind
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.secrets import secret_xml, usage_of


class PoolSecrets:
    """Secrets of pools that Vigie defines. A pool and its secret have the same UUID."""

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections

    def keep(self, uuid: str, kind: PoolKind, value: bytes) -> None:
        """Have the host keep the secret of a pool of this kind; one that it has already gets this value.

        Raises HypervisorRefused.
        """
        with self._connections.work() as work:
            secret = work.call(work.raw.secretDefineXML, secret_xml(uuid, kind), 0)
            try:
                work.call(secret.setValue, value, 0)
            except HypervisorRefused:
                work.call(secret.undefine)
                raise

    def forget(self, uuid: str) -> None:
        """Remove the secret of a pool; no error when there is none, or one that something else is for."""
        with self._connections.work() as work:
            try:
                secret = work.call(work.raw.secretLookupByUUIDString, uuid)
            except HypervisorRefused:
                return
            if work.call(secret.usageID) == usage_of(uuid):
                work.call(secret.undefine)
