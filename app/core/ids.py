"""Vigie's own identifiers: opaque, stable, with a prefix that says what they name (`vm_…`, `host_…`)."""

from __future__ import annotations

import base64
import re
import secrets

from app.core.kinds import ObjectKind

_PREFIX = {
    ObjectKind.HOST: "host",
    ObjectKind.VM: "vm",
    ObjectKind.POOL: "pool",
    ObjectKind.VOLUME: "vol",
    ObjectKind.NETWORK: "net",
    ObjectKind.NWFILTER: "nwf",
    ObjectKind.IMAGE: "img",
    ObjectKind.PRESET: "spec",
    ObjectKind.DATACENTER: "dc",
    ObjectKind.TASK: "task",
    ObjectKind.USER: "user",
    ObjectKind.TOKEN: "tok",
    ObjectKind.CREDENTIAL: "cred",
    ObjectKind.LOGIN: "login",
    ObjectKind.CONSOLE: "con",
}
ID_PATTERN = r"^[a-z]{2,5}_[a-z2-7]{16}$"


def new_id(kind: ObjectKind) -> str:
    """Return a new identifier: the prefix of the kind and 80 random bits in base32."""
    return f"{_PREFIX[kind]}_{base64.b32encode(secrets.token_bytes(10)).decode().lower()}"


def kind_of(identifier: str) -> ObjectKind | None:
    """Return what an identifier names, or None when it is not one of ours."""
    if not re.match(ID_PATTERN, identifier):
        return None
    prefix = identifier.partition("_")[0]
    return next((kind for kind, item in _PREFIX.items() if item == prefix), None)
