"""What the planned parts of a VM touch: pools, volumes, images and networks, each with the privilege that it takes."""

from __future__ import annotations

from app.core.vms.config import DiskPlan, NicPlan
from app.db.models import Image, Network, Pool, Volume
from app.tasks.operation import Touch


def touched_by_disk(disk: DiskPlan) -> tuple[Touch, ...]:
    """The pool of a new volume, the volume that is attached, and the image that it is made from or holds."""
    touched: list[Touch] = []
    if disk.pool_id is not None:
        touched.append(Touch(Pool, disk.pool_id, "volume.edit"))
    if disk.volume_id is not None:
        touched.append(Touch(Volume, disk.volume_id, "volume.edit"))
    if disk.image_id is not None:
        touched.append(Touch(Image, disk.image_id, "image.view"))
    return tuple(touched)


def touched_by_nic(nic: NicPlan) -> tuple[Touch, ...]:
    """The network that it is connected to."""
    return () if nic.network_id is None else (Touch(Network, nic.network_id, "network.use"),)
