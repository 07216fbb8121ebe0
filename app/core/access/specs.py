"""Requests about users, tokens, credentials and the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from app.core.access.passwords import Password
from app.core.specs import ListQuery, Name, ObjectId, Spec

LoginName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}$")]
RoleName = Literal["viewer", "operator", "administrator"]
LanguageName = Literal["en", "fr"]


class UserSpec(Spec):
    """A person who may sign in."""

    name: LoginName
    password: Password
    role: RoleName = "viewer"
    display: Name | None = None
    language: LanguageName | None = None


class UserPatch(Spec):
    """Changes of a user; what is left out stays."""

    display: Name | None = None
    role: RoleName | None = None
    language: LanguageName | None = None
    disabled: bool | None = None
    password: Password | None = Field(
        None, description="A new password; it ends the user's logins and tokens."
    )
    keep_tokens: bool | None = Field(
        None, description="With a new password: whether the user's API tokens stay. They end by default."
    )


class PasswordChange(Spec):
    """A new password for oneself."""

    current: SecretStr = Field(max_length=200)
    new: Password
    keep_tokens: bool = Field(False, description="Whether your API tokens stay; they end by default.")


class TokenSpec(Spec):
    """A token for a program. It has the rights of its user."""

    name: Name
    expires_in_days: int = Field(
        90, ge=1, le=3650, description="Every token ends by itself, at most after ten years."
    )


class CredentialSpec(Spec):
    """A secret with which Vigie signs in to hosts. Which fields are needed depends on `kind`."""

    name: Name
    kind: Literal["ssh_key", "ssh_password", "tls"]
    private_key: SecretStr | None = Field(
        None, max_length=20_000, description="ssh_key, tls: PEM or OpenSSH."
    )
    passphrase: SecretStr | None = Field(None, max_length=1000, description="Of the private key.")
    password: SecretStr | None = Field(None, max_length=1000, description="ssh_password.")
    certificate: str | None = Field(None, max_length=50_000, description="tls: client certificate, PEM.")
    ca_certificate: str | None = Field(
        None, max_length=200_000, description="tls: authority of the hosts, PEM."
    )


class AuditQuery(ListQuery):
    """Filters of the audit, newest first."""

    actor: str | None = Field(None, max_length=64)
    target: ObjectId | None = None
    outcome: Literal["ok", "refused", "failed"] | None = None
