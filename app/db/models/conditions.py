"""What holds of an object and should not be so."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


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
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    since: Mapped[datetime]
