"""Random secrets of logins, tokens and consoles, and the form in which they are kept."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """Return 256 random bits as 43 url-safe characters."""
    return secrets.token_urlsafe(32)


def secret_digest(secret: str) -> str:
    """Return the form in which a random secret is kept: its SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
