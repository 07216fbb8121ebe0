"""Devices on which a user signed in before: a cookie tells them from strangers who guess."""

from __future__ import annotations

import hmac
import secrets
import time

from app.access.sign_in.login_limits import Guesser
from app.access.vault import Vault

DEVICE_S = 180 * 86400


def known_device(vault: Vault, cookie: str | None, user_id: str | None) -> Guesser | None:
    """The device that got this cookie when the user last signed in on it; None when it did not, or too long ago."""
    body, _, mark = (cookie or "").rpartition(".")
    if not body.isascii() or not hmac.compare_digest(mark.encode(), _device_mark(vault, body).encode()):
        return None
    owner, number, issued = body.split(".")
    if owner != user_id or time.time() - int(issued) > DEVICE_S:
        return None
    return Guesser("device", number, trusted=True)


def new_device(vault: Vault, user_id: str) -> str:
    """The value of a cookie by which `known_device` knows a device of the user again."""
    body = f"{user_id}.{secrets.token_hex(16)}.{int(time.time())}"
    return f"{body}.{_device_mark(vault, body)}"


def _device_mark(vault: Vault, body: str) -> str:
    return vault.mark(f"device {body}")
