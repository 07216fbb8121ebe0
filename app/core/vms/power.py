"""The power verbs of a VM, in the words of the API."""

from __future__ import annotations

from enum import StrEnum


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
