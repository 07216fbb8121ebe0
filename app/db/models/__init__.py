"""The tables."""

from app.db.models.access import Audit, Credential, Login, Token, User
from app.db.models.base import Base, Id, UtcDateTime
from app.db.models.hosts import Host, Offers
from app.db.models.inventory import Condition, Datacenter, Event, History, Tag
from app.db.models.library import Image, ImageCopy
from app.db.models.networks import Filter, Network
from app.db.models.storage import Pool, PoolDifference, Upload, Volume
from app.db.models.tasks import Epoch, IdempotencyKey, IdentityClaim, Reservation, Task, TaskLock
from app.db.models.usage import Usage
from app.db.models.vms import (
    CloudInitSeed,
    Console,
    ConsoleTicket,
    RemovedVm,
    SavedSpec,
    Vm,
    VmDefinition,
    VmScreen,
)

__all__ = [
    "Audit",
    "Base",
    "CloudInitSeed",
    "Condition",
    "Console",
    "ConsoleTicket",
    "Credential",
    "Datacenter",
    "Epoch",
    "Event",
    "Filter",
    "History",
    "Host",
    "Id",
    "IdempotencyKey",
    "IdentityClaim",
    "Image",
    "ImageCopy",
    "Login",
    "Network",
    "Offers",
    "Pool",
    "PoolDifference",
    "RemovedVm",
    "Reservation",
    "SavedSpec",
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
    "VmScreen",
    "Volume",
]
