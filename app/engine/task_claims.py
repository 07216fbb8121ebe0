"""Which tasks this engine has taken: each has a slot, on its host and in all, from the claim to the release."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class TaskClaims(Protocol):
    """Makes sure that one engine at a time has a task, and counts what this one has.

    A claim comes before the task is begun. Somebody else may have begun it all the same: an engine that read the
    queue at the same time, or the recovery after a crash, which claims nothing. Then the claim is withdrawn.
    """

    def claim(self, task_id: str, host_id: str) -> bool:
        """Take a slot for a task that waits for a host; False when it is taken, by this engine or another."""

    def withdraw(self, task_id: str) -> None:
        """Give back the slot of a task that was not begun after all. No effect on one that runs here."""

    def run(self, task_id: str, host_id: str) -> None:
        """The task runs here now, on this host. It has its slot from now on at the latest."""

    def release(self, task_id: str) -> None:
        """The task has ended: its slot is free. No effect on one that has none."""

    def held(self) -> Mapping[str, str]:
        """The tasks that have a slot in this engine now, each with the id of its host."""


@dataclass(frozen=True, slots=True)
class _Slot:
    host_id: str
    runs: bool


class SingleProcessTaskClaims:
    """The slots of the only engine there is. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}

    def claim(self, task_id: str, host_id: str) -> bool:
        """Take a slot; False when the task has one."""
        with self._lock:
            if task_id in self._slots:
                return False
            self._slots[task_id] = _Slot(host_id, runs=False)
            return True

    def withdraw(self, task_id: str) -> None:
        """Free the slot unless the task runs."""
        with self._lock:
            slot = self._slots.get(task_id)
            if slot is not None and not slot.runs:
                del self._slots[task_id]

    def run(self, task_id: str, host_id: str) -> None:
        """Keep the slot until `release`, whatever is withdrawn."""
        with self._lock:
            self._slots[task_id] = _Slot(host_id, runs=True)

    def release(self, task_id: str) -> None:
        """Free the slot."""
        with self._lock:
            self._slots.pop(task_id, None)

    def held(self) -> Mapping[str, str]:
        """A copy of what is held now."""
        with self._lock:
            return {task_id: slot.host_id for task_id, slot in self._slots.items()}
