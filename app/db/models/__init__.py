"""The tables."""

from app.db.models.base import Base, Id, UtcDateTime
from app.db.models.conditions import Condition
from app.db.models.consoles import Console, ConsoleTicket
from app.db.models.inventory import (
    Datacenter,
    Filter,
    History,
    Host,
    Network,
    Offers,
    Pool,
    PoolDifference,
    Tag,
    Usage,
    Vm,
    VmDefinition,
    VmScreen,
    Volume,
)
from app.db.models.library import CloudInitSeed, Image, ImageCopy, SavedSpec, Upload
from app.db.models.people import Credential, Login, Token, User
from app.db.models.records import Audit, Epoch, Event, IdempotencyKey, RemovedVm, Reservation, Task, TaskLock

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
