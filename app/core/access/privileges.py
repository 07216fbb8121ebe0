"""Privileges (`noun.verb`) and the built-in roles that hold them."""

from __future__ import annotations

from enum import StrEnum

VIEW = frozenset(
    {
        "host.view",
        "vm.view",
        "pool.view",
        "network.view",
        "task.view",
        "event.view",
        "datacenter.view",
        "image.view",
    }
)
# `vm.view-xml`: whole definitions, with their metadata, in which other tools keep what is not for everybody.
OPERATE = VIEW | {
    "vm.power",
    "vm.configure",
    "vm.annotate",
    "vm.console",
    "vm.view-xml",
    "vm.create",
    "vm.edit",
    "vm.delete",
    "network.use",
    "pool.operate",
    "volume.edit",
    "volume.delete",
    "image.edit",
    "task.cancel",
}
# `vm.host-access`: what lets a guest, or whoever changes it, reach its host (core.vms.host_access).
ADMINISTER = OPERATE | {
    "vm.edit-xml",
    "vm.host-access",
    "pool.edit",
    "network.edit",
    "host.add",
    "host.edit",
    "host.remove",
    "host.trust",
    "host.view-diagnostics",
    "datacenter.edit",
    "credential.view",
    "credential.edit",
    "user.view",
    "user.edit",
    "token.edit-any",
    "audit.view",
}

PRIVILEGES = ADMINISTER


class Role(StrEnum):
    """Built-in roles; each holds all that the one before holds."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    @property
    def privileges(self) -> frozenset[str]:
        """The privileges that this role holds everywhere."""
        return {Role.VIEWER: VIEW, Role.OPERATOR: OPERATE, Role.ADMINISTRATOR: ADMINISTER}[self]
