"""Users, sign-ins, tokens, credentials, consoles and the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class Audit(Base):
    """Who asked for what, and how it ended. Never holds secrets."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_at", "at"),
        Index("ix_audit_object_id_id", "object_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    actor_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str]
    via: Mapped[str]
    action: Mapped[str]
    object_kind: Mapped[str | None]
    object_id: Mapped[str | None] = mapped_column(Id)
    object_name: Mapped[str | None]
    outcome: Mapped[str]
    code: Mapped[str | None]
    detail: Mapped[dict[str, object]] = mapped_column(default=dict)
    remote: Mapped[str | None]


class User(Base):
    """A person who may sign in. `name_key` is the case-folded name."""

    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    display: Mapped[str]
    password_hash: Mapped[str | None]
    role: Mapped[str]
    language: Mapped[str | None]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class Login(Base):
    """A login session. `id` is public; the cookie's secret is kept only as its SHA-256."""

    __tablename__ = "login"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    remote: Mapped[str | None]
    user_agent: Mapped[str | None]


class Token(Base):
    """An API token, kept only as its SHA-256."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Credential(Base):
    """How Vigie signs in to hosts. `sealed` is the encrypted secret; `summary` its public part."""

    __tablename__ = "credential"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    summary: Mapped[str]
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)
