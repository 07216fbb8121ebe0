"""Which hosts this engine owns: it alone connects to them, reads them and runs their tasks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class HostOwnership(Protocol):
    """Shares the hosts out among the engines: no host is owned by two at the same time."""

    def claim(self, host_ids: Collection[str]) -> frozenset[str]:
        """Own those of these hosts that no other engine owns; return all of them that this engine owns now.

        Asked again and again, since hosts of an engine that ended become free, and a lost one is not returned.
        """

    def release(self, host_id: str) -> None:
        """Let go of a host, once nothing of this engine is connected to it any more. No effect on one not owned."""


class SingleProcessHostOwnership:
    """The only engine there is owns every host."""

    def claim(self, host_ids: Collection[str]) -> frozenset[str]:
        """All of them."""
        return frozenset(host_ids)

    def release(self, host_id: str) -> None:
        """Nobody else waits for it."""
