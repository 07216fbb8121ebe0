"""Operating systems that osinfo-db knows."""

from __future__ import annotations

from datetime import date

from app.access.context import Ctx
from app.core.casefold import fold
from app.core.library.os_variants import OsVariant, OsVariantList, OsVariantRecord
from app.hypervisor.osinfo import os_variants

MAX_LISTED = 1000


def list_os_variants(ctx: Ctx, text: str = "") -> OsVariantList:
    """Systems whose name or id holds the text, newest first."""
    ctx.require("vm.create")
    wanted = fold(text.strip())
    known = {os_variant.short_id: os_variant for os_variant in os_variants().values()}.values()
    found = [item for item in known if wanted in fold(f"{item.name}\n{item.short_id}")]
    found.sort(key=lambda item: (item.released or date.min, item.name), reverse=True)
    return OsVariantList(items=tuple(_system(item) for item in found[:MAX_LISTED]))


def _system(os_variant: OsVariant) -> OsVariantRecord:
    return OsVariantRecord(
        id=os_variant.short_id,
        name=os_variant.name,
        family=os_variant.family,
        released=os_variant.released,
        memory_bytes=os_variant.memory_bytes,
        disk_bytes=os_variant.disk_bytes,
    )
