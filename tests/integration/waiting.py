"""Wait for something that happens by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

from app.lab.errors import LabError
from app.lab.hosts.host import LabHost

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, timeout_s: float = 30) -> T:
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


def wait_for_save(host: LabHost) -> int:
    """The process that is to write a VM's memory, inside `LabHost.held_saves`; SIGCONT lets it go on."""
    return wait_for(host.save_writer, "a save has begun")
