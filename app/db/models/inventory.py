"""The inventory: what hosts say is mirrored here, beside what people own of it.

The rows that lists are made of (`host`, `vm`) are kept narrow: definitions and pictures have tables of their
own. Text that lists search is folded into `search_text` (lower case) when the row is written.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class Datacenter(Base):
    """The top of the tree."""

    __tablename__ = "datacenter"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Tag(Base):
    """Tags of hosts and VMs, for filters; the rows themselves carry a copy to show."""

    __tablename__ = "tag"

    object_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True, index=True)


class History(Base):
    """A version of the lasting definition of a VM, pool, network or filter: since when, and who made it.

    An object whose definition never changed has none; with the first change both versions are written, the first
    with `since` unset, because it was so before Vigie knew it.
    """

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_object_id_id", "object_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    object_kind: Mapped[str]
    object_id: Mapped[str] = mapped_column(Id)
    host_id: Mapped[str | None] = mapped_column(Id)
    xml: Mapped[str]
    digest: Mapped[str]
    since: Mapped[datetime | None]
    actor_name: Mapped[str | None]
    task_id: Mapped[str | None] = mapped_column(Id)


class Event(Base):
    """Something that happened. `message` is a message id with `params`."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_object_id_id", "object_id", "id"),
        Index("ix_event_host_id_id", "host_id", "id"),
        Index("ix_event_at", "at"),
        {"sqlite_autoincrement": True},  # ids are never used again: streams resume by them
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    kind: Mapped[str]
    severity: Mapped[str]
    message: Mapped[str]
    params: Mapped[dict[str, object]] = mapped_column(default=dict)
    object_kind: Mapped[str | None]
    object_id: Mapped[str | None] = mapped_column(Id)
    object_name: Mapped[str | None]
    host_id: Mapped[str | None] = mapped_column(Id)
    host_name: Mapped[str | None]
    task_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str | None]


class Condition(Base):
    """A condition that holds now (core.inventory.conditions); the row goes when it is over.

    `host_id` is the host on which it was observed, which need not be the object's own.
    """

    __tablename__ = "condition"

    object_id: Mapped[str] = mapped_column(Id, primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    object_kind: Mapped[str]
    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), index=True)
    params: Mapped[dict[str, object]] = mapped_column(default=dict)
    since: Mapped[datetime]
