"""The power verbs of a VM in the words of the API, and how a refusal is put."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.messages import N_


class VmVerb(StrEnum):
    """Power verbs of a VM, in the words of the API."""

    START = "start"
    SHUTDOWN = "shutdown"
    REBOOT = "reboot"
    RESET = "reset"
    FORCE_OFF = "force-off"
    INJECT_NMI = "inject-nmi"
    PAUSE = "pause"
    RESUME = "resume"
    SAVE = "save"
    RESTORE = "restore"
    AUTOSTART_ON = "autostart-on"
    AUTOSTART_OFF = "autostart-off"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action cannot be done now: a stable code, a message id with parameters, and what to do.

    The parameters are lists of message ids.
    """

    code: str
    reason: str
    params: dict[str, list[str]]
    hint: str


HOST_OBSERVED = Refusal(
    "host_observed",
    N_("The host is in observe mode: Vigie changes nothing on it."),
    {},
    N_("Switch the host to managed mode first."),
)
