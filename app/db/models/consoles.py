"""Consoles: tickets to open one, and who is connected."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class ConsoleTicket(Base):
    """A right to open one console once, soon; kept only as its SHA-256.

    Bound to who asked: the login of a browser, or the token of a program; and to the origin of the page that
    asked, if one did.
    """

    __tablename__ = "console_ticket"

    secret_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]  # vnc, serial, spice
    view_only: Mapped[bool]
    force: Mapped[bool]
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("user_account.id", ondelete="CASCADE"))
    login_id: Mapped[str | None] = mapped_column(Id)
    token_id: Mapped[str | None] = mapped_column(Id)
    origin: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Console(Base):
    """A console that is open now. Rows of a server that ended are removed by its next start."""

    __tablename__ = "console"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    view_only: Mapped[bool]
    user_id: Mapped[str] = mapped_column(Id)
    user_name: Mapped[str]
    remote: Mapped[str | None]
    opened_at: Mapped[datetime]
