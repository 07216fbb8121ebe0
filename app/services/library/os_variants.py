"""Operating systems that osinfo-db knows."""

from __future__ import annotations

from datetime import date

from app.access.context import Ctx
from app.core.casefold import fold
from app.core.library.os_variants import System
from app.core.vms.create import SystemList, SystemRecord
from app.hypervisor.osinfo import systems

MOST = 1000


def list_systems(ctx: Ctx, text: str = "") -> SystemList:
    """Systems whose name or id holds the text, newest first."""
    ctx.require("vm.create")
    wanted = fold(text.strip())
    known = {each.short_id: each for each in systems().values()}.values()
    found = [each for each in known if wanted in fold(f"{each.name}\n{each.short_id}")]
    found.sort(key=lambda each: (each.released or date.min, each.name), reverse=True)
    return SystemList(items=tuple(_system(each) for each in found[:MOST]))


def _system(system: System) -> SystemRecord:
    return SystemRecord(
        id=system.short_id,
        name=system.name,
        family=system.family,
        released=system.released,
        memory_bytes=system.memory_bytes,
        disk_bytes=system.disk_bytes,
    )
