"""Created resources: what a task notes of a volume that it creates, so that it is told from what others make.

Only the host's answer makes a volume the task's own. Where a crash swallows the answer, the size tells: an empty volume
is created a little smaller than it is to be, by an amount that only the note knows, and then grown.
"""

from __future__ import annotations

import secrets

from app.core.vms.config import VolumePlan

VOLUME, VM = "volume", "vm"
# How far a volume has come. Without any, it was noted by an earlier version, before it was asked for.
REQUESTED, CREATED, FOUND = "requested", "created", "found"
GRAIN = 1024  # libvirt gives qemu-img sizes in KiB
MAX_GRAINS = 2**20


def volume_note(pool: str, name: str) -> dict[str, str]:
    """The note of a volume of this pool (UUID)."""
    return {"kind": VOLUME, "pool": pool, "name": name}


def marked_size(plan: VolumePlan) -> int | None:
    """The size by which a new empty volume is known; None where none can be.

    Copies are as large as their original, and QEMU grows no volume that is built on a larger one.
    """
    grains = plan.size_bytes // GRAIN
    if plan.clone_of or plan.backing_path or plan.preallocate or grains < 2:
        return None
    return GRAIN * (grains - 1 - secrets.randbelow(min(grains // 2, MAX_GRAINS)))
