"""What is answered about users, sessions, tokens, credentials and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.records import Record, Ref


class AuditRecord(Record):
    """Who asked for what, and how it ended. Never holds secrets."""

    id: int
    at: datetime
    actor: str
    via: Literal["page", "api", "cli", "system"]
    action: str
    target: Ref | None = None
    outcome: Literal["ok", "refused", "failed"]
    code: str | None = None
    detail: dict[str, str | int | bool | None] = Field({})
    remote: str | None = None


class UserRecord(Record):
    """A person who may sign in."""

    id: str
    name: str
    display: str
    role: Literal["viewer", "operator", "administrator"]
    language: str | None = None
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None = None
    version: int


class SessionRecord(Record):
    """A login of the asker."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    remote: str | None
    user_agent: str | None
    current: bool


class TokenRecord(Record):
    """An API token without its secret."""

    id: str
    name: str
    prefix: str
    user_id: str
    user_name: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class NewToken(TokenRecord):
    """A token that was just made. `token` is shown this once."""

    token: str


class CredentialRecord(Record):
    """How Vigie signs in to hosts, without its secret."""

    id: str
    name: str
    kind: Literal["ssh_key", "ssh_password", "tls"]
    summary: str = Field(
        description="Public part: key fingerprint, or subject and end date of the certificate."
    )
    host_count: int = 0
    created_at: datetime
    updated_at: datetime
    version: int
