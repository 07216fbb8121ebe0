"""Tasks, their locks and reservations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tasks.stored import StoredAnswer, StoredError
from app.db.models.base import Base, Id


class Task(Base):
    """Work that was asked for. What it holds until its end are rows of `TaskLock`.

    The row is the outbox: written in the transaction of the request, taken up by the engine after commit.
    """

    __tablename__ = "task"
    __table_args__ = (
        Index(
            "ix_task_created_resources",
            "id",
            sqlite_where=text("created_resources IS NOT NULL"),
            postgresql_where=text("created_resources IS NOT NULL"),
        ),
        Index("ix_task_created_at_id", "created_at", "id"),
        Index("ix_task_state_created_at", "state", "created_at"),
        Index("ix_task_target_id_created_at", "target_id", "created_at"),
        Index("ix_task_host_id_created_at", "host_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str]  # vm.start, vm.shutdown, …
    title: Mapped[str]  # message id
    params: Mapped[dict[str, object]] = mapped_column(default=dict)
    params_version: Mapped[int] = mapped_column(
        Integer, default=1, server_default="1"
    )  # of the operation's parameters
    state: Mapped[str]
    progress: Mapped[int | None] = mapped_column(Integer)  # percent; None while nobody can tell
    message: Mapped[str | None]  # message id
    message_params: Mapped[dict[str, object]] = mapped_column(default=dict)
    target_kind: Mapped[str | None]
    target_id: Mapped[str | None] = mapped_column(Id)
    target_name: Mapped[str | None]
    host_id: Mapped[str | None] = mapped_column(Id)
    host_name: Mapped[str | None]
    actor_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str]
    batch_id: Mapped[str | None] = mapped_column(Id, index=True)
    cancellable: Mapped[bool] = mapped_column(default=False)
    created_resources: Mapped[list[dict[str, str]] | None] = mapped_column(
        JSON(none_as_null=True)
    )  # what it began to make, for those who clean up
    sent_at: Mapped[datetime | None]  # a step that must not be repeated was sent to the host
    acted_at: Mapped[datetime | None]  # it last sent a change to the host, and was not refused
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, object] | None]
    error: Mapped[StoredError | None] = mapped_column(JSON)


class TaskLock(Base):
    """A thing that an active task holds, by name: exclusively, or together with others that only read it.

    The rows of a task go in the transaction that ends it.
    """

    __tablename__ = "task_lock"
    __table_args__ = (
        Index(
            "uq_task_lock_exclusive",
            "name",
            unique=True,
            sqlite_where=text("exclusive IS 1"),
            postgresql_where=text("exclusive IS TRUE"),
        ),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(
        Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    exclusive: Mapped[bool]


class Reservation(Base):
    """What a task under way takes of a host. Counts while the task is active and its VM does not run yet."""

    __tablename__ = "reservation"

    task_id: Mapped[str] = mapped_column(Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True)
    host_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)


class IdentityClaim(Base):
    """The id that an object is to have which a task creates, so that tasks, events and history name the same one."""

    __tablename__ = "identity_claim"
    __table_args__ = (Index("ix_identity_claim_host_id_uuid", "host_id", "uuid"),)

    task_id: Mapped[str] = mapped_column(Id, ForeignKey("task.id", ondelete="CASCADE"), primary_key=True)
    object_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)
    host_id: Mapped[str] = mapped_column(Id)
    uuid: Mapped[str]


class IdempotencyKey(Base):
    """A request that was answered once; the same key gives the same answer."""

    __tablename__ = "idempotency_key"

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    answer: Mapped[StoredAnswer] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(index=True)


class Epoch(Base):
    """One row: which database this is, and a number that grows with every step of a task (see db.epoch)."""

    __tablename__ = "epoch"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    database: Mapped[str]
    number: Mapped[int]
