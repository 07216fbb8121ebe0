"""Any change that a VM's hardware can get, as tasks keep it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.services.vms.reconfigure.compute_changes import (
    SetBootOrder,
    SetCompute,
    SetMemory,
    SetResources,
    SetTitle,
    SetVcpus,
)
from app.services.vms.reconfigure.device_changes import (
    AddDisk,
    AddFilesystem,
    AddHostDevice,
    AddNic,
    ChangeDisk,
    ChangeMedia,
    ChangeNic,
    RemoveDevice,
    RemoveFilesystem,
    RemoveHostDevice,
)

AnyChange = Annotated[
    SetVcpus
    | SetMemory
    | SetTitle
    | SetBootOrder
    | AddDisk
    | ChangeDisk
    | ChangeMedia
    | AddNic
    | ChangeNic
    | RemoveDevice
    | SetCompute
    | SetResources
    | AddHostDevice
    | RemoveHostDevice
    | AddFilesystem
    | RemoveFilesystem,
    Field(discriminator="do"),
]
"""Any change, as tasks keep them."""
