"""The lock by which tasks hold the name of a VM that is to be on a host."""

from __future__ import annotations

from app.core.casefold import fold


def vm_name_lock(host_id: str, name: str) -> str:
    """The name by which tasks hold the name of a VM that is to be on a host."""
    return f"{host_id}/vm/{fold(name)}"
