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
    last: LabError | None = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except LabError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {timeout_s:g} s; last: {last}")


def wait_for_agent(host: LabHost, uuid: str) -> None:
    """Wait until the guest's agent answers."""
    ping = '{"execute": "guest-ping"}'
    # Without a limit virsh waits for ever for an agent that lost the question, and has others wait behind it.
    wait_for(lambda: host.virsh("qemu-agent-command", uuid, ping, "--timeout", "10"), "guest agent", 90)


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
