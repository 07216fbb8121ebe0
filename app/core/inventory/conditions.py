"""Conditions: what holds of an object for a while and should not be so. Declared once, used by all.

A condition begins and ends by observation, never by a person. `subject` tells several of one kind of an object
apart (the path of a disk, the id of the other host); it is empty where there can be only one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_


@dataclass(frozen=True, slots=True)
class ConditionKind:
    """A kind of condition. All texts are message ids.

    `title` is short, for badges; `text` and `hint` are for the banner. `began` and `ended` are the events, with the
    parameters of the condition and `name` and `host` of the object.
    """

    code: str
    object_kind: ObjectKind
    severity: Severity
    title: str
    text: str
    hint: str
    began: str
    ended: str


@dataclass(frozen=True, slots=True)
class ObservedCondition:
    """That a condition holds now of the VM or pool with this UUID on the host that was read."""

    uuid: str
    subject: str = ""
    params: dict[str, str] = field(default_factory=dict)


class ConditionRecord(BaseModel):
    """Something that holds of an object for a while and should not be so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    severity: Severity
    title: str = Field(description="In a few words.")
    text: str
    hint: str = Field(description="What to do.")
    since: datetime = Field(description="When it was first observed.")
    params: dict[str, str] = Field({}, description="What it is about, such as the path of a disk.")


NOT_ANSWERING = "not_answering"
DISK_MISSING = "disk_missing"
DEFINED_ELSEWHERE = "defined_elsewhere"
MAY_RUN_ELSEWHERE = "may_run_elsewhere"
RUNS_TWICE = "runs_twice"
DIRECTORY_MISSING = "directory_missing"
READ_ONLY = "read_only"

CONDITIONS: dict[str, ConditionKind] = {
    kind.code: kind
    for kind in (
        ConditionKind(
            NOT_ANSWERING,
            ObjectKind.VM,
            Severity.ERROR,
            N_("Not answering"),
            N_("The VM's QEMU process does not answer: its statistics have stopped coming."),
            N_("Check the QEMU process and the storage on the host, or force the VM off."),
            N_("VM %(name)s does not answer: host %(host)s gets no statistics from its QEMU process."),
            N_("VM %(name)s answers again."),
        ),
        ConditionKind(
            DISK_MISSING,
            ObjectKind.VM,
            Severity.ERROR,
            N_("Disk file missing"),
            N_("The file of disk %(target)s is gone from the host: %(path)s."),
            N_("Restore the file, or remove the disk. A running VM loses the disk's data when it stops."),
            N_("The file of disk %(target)s of VM %(name)s is gone from host %(host)s: %(path)s."),
            N_("The file of disk %(target)s of VM %(name)s is no longer missing: %(path)s."),
        ),
        ConditionKind(
            DEFINED_ELSEWHERE,
            ObjectKind.VM,
            Severity.WARNING,
            N_("Defined on two hosts"),
            N_("Also defined on %(other)s, not running there."),
            N_("Undefine the VM on the host that should not have it, so that it cannot be started twice."),
            N_("VM %(name)s of host %(host)s is also defined on host %(other)s, not running there."),
            N_("VM %(name)s of host %(host)s is no longer defined on host %(other)s."),
        ),
        ConditionKind(
            MAY_RUN_ELSEWHERE,
            ObjectKind.VM,
            Severity.ERROR,
            N_("May run on two hosts"),
            N_("Ran on %(other)s when that host last answered, and may still run there."),
            N_("Make sure that %(other)s is off or cannot reach the VM's disks."),
            N_(
                "VM %(name)s runs on host %(host)s, and may still run on host %(other)s, which does not answer."
            ),
            N_("It is known again whether VM %(name)s runs on host %(other)s."),
        ),
        ConditionKind(
            RUNS_TWICE,
            ObjectKind.VM,
            Severity.ERROR,
            N_("Runs on two hosts"),
            N_(
                "Runs on %(other)s at the same time. If both use the same disks, their data is being damaged."
            ),
            N_("Force off one of the two now."),
            N_("VM %(name)s runs on host %(host)s and on host %(other)s at the same time."),
            N_("VM %(name)s no longer runs on host %(other)s."),
        ),
        ConditionKind(
            DIRECTORY_MISSING,
            ObjectKind.POOL,
            Severity.ERROR,
            N_("Folder missing"),
            N_("The pool's folder is gone from the host: %(path)s."),
            N_("Mount the file system or restore the folder on the host."),
            N_("The folder of storage pool %(name)s is gone from host %(host)s: %(path)s."),
            N_("The folder of storage pool %(name)s on host %(host)s is back: %(path)s."),
        ),
        ConditionKind(
            READ_ONLY,
            ObjectKind.POOL,
            Severity.ERROR,
            N_("Read-only"),
            N_("The file system of the pool's folder is mounted read-only: %(path)s."),
            N_("Check the host's kernel log and the storage, then mount it for writing again."),
            N_("The file system of storage pool %(name)s on host %(host)s is read-only now: %(path)s."),
            N_("The file system of storage pool %(name)s on host %(host)s can be written again: %(path)s."),
        ),
    )
}
