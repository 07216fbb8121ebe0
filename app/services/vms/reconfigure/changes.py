"""Any change that a VM's hardware can get, as tasks keep it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.services.vms.reconfigure.compute_changes import (
    SetBootOrder,
    SetMachine,
    SetMemory,
    SetTitle,
    SetTuning,
    SetVcpus,
)
from app.services.vms.reconfigure.device_changes import (
    AddDisk,
    AddFolder,
    AddHostDevice,
    AddNic,
    ChangeDisk,
    ChangeMedia,
    ChangeNic,
    RemoveDevice,
    RemoveFolder,
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
    | SetMachine
    | SetTuning
    | AddHostDevice
    | RemoveHostDevice
    | AddFolder
    | RemoveFolder,
    Field(discriminator="do"),
]
"""Any change, as tasks keep them."""
