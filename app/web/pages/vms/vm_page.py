"""What a VM's page offers and shows, decided from the VM and what the reader may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.core.hosts.states import HostMode
from app.core.vms.records import VerbRecord, VmDetail
from app.core.vms.states import VmState
from app.services.vms.power import VERBS

# Questions that the header has for verbs with options, by verb.
ASKS = {"shutdown": "ask-shutdown", "reboot": "ask-reboot"}
_NEXT = ("start", "resume", "restore", "shutdown")
_MENU = ("start", "shutdown", "reboot", "pause", "resume", "save", "restore")
_INTERRUPTING = tuple(verb.value for verb, operation in VERBS.items() if operation.confirm)
_AUTOSTART = ("autostart-on", "autostart-off")


@dataclass(frozen=True, slots=True)
class PowerVerb:
    """A power verb where the header offers it; `kind` is that of the button, `ask` the id of its question."""

    record: VerbRecord
    kind: str = "default"

    @property
    def ask(self) -> str | None:
        """The question with its options."""
        return ASKS.get(self.record.verb)


@dataclass(frozen=True, slots=True)
class VmPage:
    """One VM for one reader; `can` tells whether the reader holds a privilege."""

    vm: VmDetail
    can: Callable[[str], bool]

    @property
    def is_missing(self) -> bool:
        """Its host does not list it any more."""
        return self.vm.state is VmState.MISSING

    @property
    def has_crashed(self) -> bool:
        """It has crashed, as far as is known now."""
        return self.vm.state is VmState.CRASHED and not self.vm.stale

    @property
    def is_managed(self) -> bool:
        """Vigie may change things on its host."""
        return self.vm.host_mode is HostMode.MANAGED

    @property
    def offers_edit(self) -> bool:
        """Its hardware may be changed by the reader."""
        return self.can("vm.edit") and self.is_managed and not self.is_missing

    @property
    def offers_hardware_edit(self) -> bool:
        """The same, and it has a definition that stays."""
        return self.offers_edit and self.vm.persistent

    @property
    def offers_xml_edit(self) -> bool:
        """Its definition may be edited as text by the reader."""
        return self.may_restore and self.vm.persistent and not self.is_missing

    @property
    def may_restore(self) -> bool:
        """An earlier definition may be made the present one by the reader."""
        return self.can("vm.edit-xml") and self.is_managed

    @property
    def offers_delete(self) -> bool:
        """It may be deleted, or defined again, by the reader."""
        return self.can("vm.delete") and self.is_managed

    @property
    def may_remove_from_inventory(self) -> bool:
        """It is missing, and the reader may remove it from the inventory."""
        return self.is_missing and self.can("vm.configure")

    @property
    def has_power(self) -> bool:
        """The reader may turn it on and off."""
        return bool(self.vm.actions) and self.can("vm.power")

    @property
    def next_verbs(self) -> list[PowerVerb]:
        """What is possible now and done most, as buttons; the first is the main one unless it ends something."""
        found = [record for record in self._verbs(_NEXT) if record.allowed]
        return [
            PowerVerb(record, "primary" if number == 0 and record.verb != "shutdown" else "default")
            for number, record in enumerate(found)
        ]

    @property
    def menu_verbs(self) -> list[PowerVerb]:
        """The power menu above its rule."""
        return [PowerVerb(record) for record in self._verbs(_MENU)]

    @property
    def interrupting_verbs(self) -> list[PowerVerb]:
        """The power menu below its rule: the guest gets no warning."""
        return [PowerVerb(record) for record in self._verbs(_INTERRUPTING)]

    @property
    def autostart_verbs(self) -> list[PowerVerb]:
        """What would change whether it starts with its host."""
        if not self.can("vm.configure"):
            return []
        return [PowerVerb(record) for record in self._verbs(_AUTOSTART) if record.code != "already_so"]

    @property
    def is_watched(self) -> bool:
        """Its screen changes and the reader may see it."""
        return self.vm.state.is_active and not self.vm.stale and self.can("vm.console")

    @property
    def has_screenshot(self) -> bool:
        """There is a picture of its screen that the reader may see."""
        return self.vm.screenshot_at is not None and self.vm.state.is_active and self.can("vm.console")

    @property
    def display_kinds(self) -> str:
        """VNC, SPICE."""
        return ", ".join(graphic.kind for graphic in self.vm.graphics).upper()

    @property
    def displays(self) -> list[tuple[str, str]]:
        """Kind and address of each display."""
        return [
            (
                graphic.kind.upper(),
                (graphic.listen or "") + (f":{graphic.port}" if (graphic.port or 0) > 0 else ""),
            )
            for graphic in self.vm.graphics
        ]

    @property
    def vcpus_limit(self) -> int | None:
        """To how many vCPUs it can grow, when it can."""
        most = self.vm.vcpus_max or 0
        return most if most > self.vm.vcpus else None

    @property
    def disk_used_bytes(self) -> int | None:
        """What its disks take, as far as is known."""
        return sum(disk.allocation_bytes or 0 for disk in self.vm.disks) or None

    @property
    def net_bps(self) -> float | None:
        """What it receives and sends, in bytes per second."""
        usage = self.vm.usage
        if usage.net_rx_bps is None:
            return None
        return usage.net_rx_bps + (usage.net_tx_bps or 0)

    def _verbs(self, verbs: tuple[str, ...]) -> list[VerbRecord]:
        known = {record.verb: record for record in self.vm.actions}
        return [known[verb] for verb in verbs if verb in known]
