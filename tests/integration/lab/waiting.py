"""Wait for something that happens by itself."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from app.lab.errors import LabError
from app.lab.host import LabHost

T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, timeout_s: float = 30) -> T:
    """Return the first true answer of `look`; a LabError of it counts as not yet."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except LabError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {timeout_s:g} s")


def wait_for_agent(host: LabHost, uuid: str) -> None:
    """Wait until the guest's agent answers."""
    ping = '{"execute": "guest-ping"}'
    wait_for(lambda: host.virsh("qemu-agent-command", uuid, ping), "guest agent", 90)


def wait_for_state(host: LabHost, uuid: str, state: str, timeout_s: float = 30) -> None:
    """Wait until virsh says this state of the VM."""
    wait_for(lambda: host.virsh("domstate", uuid) == state, f"state {state}", timeout_s)


def find_save_writer(others: frozenset[str] = frozenset()) -> int:
    """The process through which libvirt writes a VM's memory, but none of these others (names in /proc)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for number in set(os.listdir("/proc")) - others:
            with suppress(OSError):
                if number.isdigit() and b"libvirt_iohelper" in Path(f"/proc/{number}/cmdline").read_bytes():
                    return int(number)
    raise AssertionError("no save began")
