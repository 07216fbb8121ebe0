"""Edits that do not overwrite each other: each names the version of the row that it was made from."""

from __future__ import annotations

from app.core.errors import EditConflict
from app.core.messages import N_
from app.db.models import Credential, Datacenter, Host, Image, User, Vm, VmPreset

Versioned = User | Credential | Datacenter | Host | Image | Vm | VmPreset


def check_version(row: Versioned, expected: int | None) -> None:
    """Raise EditConflict when the row is not the version that the asker saw (None: whatever it is)."""
    if expected is not None and row.version != expected:
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
