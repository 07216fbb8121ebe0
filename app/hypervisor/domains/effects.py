"""When a change of a VM's hardware takes effect, and why not at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.core.errors import HypervisorRefused
from app.core.messages import N_

# What libvirt says when a hot-plugged device finds no place on a bus.
_NO_PORT = ("No more available PCI slots", "No more available PCI addresses", "No PCI buses available")


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a change counts `now`, or only after the next power-off; `refusal` says why, where the host did."""

    now: bool
    refusal: HypervisorRefused | None = None


NOW, LATER = Effect(True), Effect(False)


def attempt(live: Callable[[], object]) -> Effect:
    """Try it on the VM that runs; a refusal leaves it for after the power-off."""
    try:
        live()
    except HypervisorRefused as refused:
        return Effect(False, _explained(refused))
    return NOW


def together(effects: Iterable[Effect]) -> Effect:
    """Of several changes that belong together: the first that does not count now, if any."""
    return next((effect for effect in effects if not effect.now), NOW)


def held() -> Effect:
    """The guest keeps a device that it was asked to let go of."""
    return Effect(
        False,
        HypervisorRefused(
            N_("The guest has not released the device."),
            hint=N_("Unmount or disable it in the guest, or shut the VM down."),
            code="device_held",
        ),
    )


def changed_meanwhile() -> HypervisorRefused:
    """What was to be changed is not what the asker saw."""
    return HypervisorRefused(
        N_("Somebody changed the definition in between."),
        hint=N_("Load it again and repeat your change."),
        code="changed_meanwhile",
    )


def _explained(refused: HypervisorRefused) -> HypervisorRefused:
    """In words for people, where libvirt has only an internal error."""
    if any(words in (refused.detail or "") for words in _NO_PORT):
        return HypervisorRefused(
            N_("The VM has no free PCI port for another device."),
            hint=N_("Shut the VM down and start it again: the host then adds a port."),
            code="no_free_port",
            detail=refused.detail,
        )
    return refused
