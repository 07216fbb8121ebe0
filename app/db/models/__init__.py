"""The tables."""

from app.db.models.access import Audit, Credential, Login, Token, User
from app.db.models.base import Base, Id, UtcDateTime
from app.db.models.hosts import Host, HostCapabilities
from app.db.models.inventory import Condition, Datacenter, Event, History, Tag
from app.db.models.library import Image, ImageCopy
from app.db.models.networks import Network, Nwfilter
from app.db.models.storage import Pool, PoolDifference, Upload, Volume
from app.db.models.tasks import Epoch, IdempotencyKey, IdentityClaim, Reservation, Task, TaskLock
from app.db.models.usage import Usage
from app.db.models.vms import (
    CloudInitDrive,
    Console,
    ConsoleTicket,
    DeletedVm,
    Vm,
    VmDefinition,
    VmPreset,
    VmScreenshot,
)

__all__ = [
    "Audit",
    "Base",
    "CloudInitDrive",
    "Condition",
    "Console",
    "ConsoleTicket",
    "Credential",
    "Datacenter",
    "DeletedVm",
    "Epoch",
    "Event",
    "History",
    "Host",
    "HostCapabilities",
    "Id",
    "IdempotencyKey",
    "IdentityClaim",
    "Image",
    "ImageCopy",
    "Login",
    "Network",
    "Nwfilter",
    "Pool",
    "PoolDifference",
    "Reservation",
    "Tag",
    "Task",
    "TaskLock",
    "Token",
    "Upload",
    "Usage",
    "User",
    "UtcDateTime",
    "Vm",
    "VmDefinition",
    "VmPreset",
    "VmScreenshot",
    "Volume",
]
