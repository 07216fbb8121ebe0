"""Which replicas of Vigie serve this database, and which of them this one is.

A replica is one Vigie: its web process and the engine that it forked. Its id marks what only it can serve or go on
with: the consoles that are open in it, and the tasks that its executor has begun.
"""

from __future__ import annotations

from typing import Protocol

# What the task log calls an executor that was given no id, so that work begun by earlier releases is gone on with.
ONLY = "local"


class Replicas(Protocol):
    """The replicas of one Vigie, as this one knows them."""

    @property
    def own_id(self) -> str:
        """The id of this replica. It stays the same over a restart."""

    def living_ids(self) -> frozenset[str]:
        """The ids of the replicas that may be alive now, this one among them."""


class SingleProcessReplicas:
    """There is one replica: whatever carries another id is left over from one that has ended."""

    @property
    def own_id(self) -> str:
        """Always the same."""
        return ONLY

    def living_ids(self) -> frozenset[str]:
        """This one alone."""
        return frozenset({ONLY})
