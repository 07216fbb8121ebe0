"""VM definitions on a host: made, changed, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import libvirt

from app.core.errors import HypervisorRefused, VmGone
from app.core.vms.config import VmConfig
from app.hypervisor.domains import queries
from app.hypervisor.domains.effects import changed_meanwhile
from app.hypervisor.transport.connection import NO_DEADLINE
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.domains import build
from app.hypervisor.xml.domains.secrets import with_secrets

_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)


class Domains:
    """Verbs on definitions. `touched` is called when something may have changed."""

    def __init__(self, connections: HostConnections, touched: Callable[[], None]) -> None:
        self._connections = connections
        self._touched = touched

    def find(self, name: str) -> str | None:
        """UUID of the VM of that name; None when there is none."""
        with self._connections.looks() as work:
            try:
                found: str = work.call(work.raw.lookupByName, name).UUIDString()
            except VmGone:
                return None
            return found

    def xml(self, uuid: str, *, saved: bool, secure: bool = False) -> str:
        """The definition now, or the one that counts after the next power-off. Raises VmGone.

        `secure`: with the passwords of its displays; such a text is never kept or shown as it is.
        """
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if saved else 0
        if secure:
            flags |= libvirt.VIR_DOMAIN_XML_SECURE
        with self._connections.looks() as work:
            text: str = work.call(queries.find_vm(work, uuid).XMLDesc, flags)
            return text

    def saved_state_xml(self, uuid: str) -> str:
        """The definition with which the VM's saved state goes on. Raises VmGone, HypervisorRefused when there is none."""
        with self._connections.work() as work:
            text: str = work.call(queries.find_vm(work, uuid).managedSaveGetXMLDesc, 0)
            return text

    def snapshots(self, uuid: str) -> tuple[str, ...]:
        """Names of the VM's snapshots. Raises VmGone."""
        with self._connections.reads() as reads:
            found = reads.call(queries.find_vm(reads, uuid).snapshotListNames, 0)
            return tuple(sorted(map(str, found)))

    def create(self, plan: VmConfig) -> None:
        """Define a new VM. Raises HypervisorRefused."""
        self.define(build.domain(plan))

    def define(self, xml: str) -> None:
        """Define a VM, or define it anew. The host validates it. Raises HypervisorRefused."""
        with self._connections.work() as work:
            try:
                work.call(work.raw.defineXMLFlags, xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            finally:
                self._touched()

    def redefine(self, uuid: str, xml: str, digest: str | None) -> None:
        """Put another definition in the place of the saved one. Passwords of displays stay, which nobody was shown.

        Raises VmGone, HypervisorRefused (changed_meanwhile) when the saved one has another SHA-256 than `digest`.
        """
        with self._connections.work() as work:
            vm = queries.find_vm(work, uuid)
            now = str(work.call(vm.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))
            if digest is not None and _digest(now) != digest and _digest(xml) != _digest(now):
                raise changed_meanwhile()
            secure = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
            whole = with_secrets(xml, str(work.call(vm.XMLDesc, secure)))
            try:
                work.call(work.raw.defineXMLFlags, whole, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            finally:
                self._touched()

    def rename(self, uuid: str, name: str) -> None:
        """Give a VM that is off another name. Raises VmGone, HypervisorRefused."""
        with self._connections.work() as work:
            try:
                work.call(queries.find_vm(work, uuid).rename, name, 0)
            finally:
                self._touched()

    def undefine(self, uuid: str, *, keep_nvram: bool = False, keep_tpm: bool = False) -> None:
        """Remove a definition with its saved state, and NVRAM and TPM state unless kept. Raises VmGone."""
        nvram = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM if keep_nvram else libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        tpm = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM if keep_tpm else libvirt.VIR_DOMAIN_UNDEFINE_TPM
        flags = _UNDEFINE | nvram
        with self._connections.long() as work:
            try:
                vm = queries.find_vm(work, uuid)
                try:
                    work.call(vm.undefineFlags, flags | tpm, deadline_s=NO_DEADLINE)
                except HypervisorRefused as error:
                    # Older hosts do not know the flags of TPM state, which they then remove with the VM.
                    if error.code != "invalid_argument":
                        raise
                    work.call(vm.undefineFlags, flags, deadline_s=NO_DEADLINE)
            finally:
                self._touched()


def _digest(xml: str) -> str:
    return hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest()
