"""Filters of the lists of storage pools and volumes."""

from __future__ import annotations

from pydantic import Field

from app.core.specs import ListQuery, ObjectId


class PoolQuery(ListQuery):
    """Filters of the pool and network lists."""

    host: ObjectId | None = None


class VolumeQuery(ListQuery):
    """Filters of the volume list."""

    host: ObjectId | None = None
    pool: ObjectId | None = None
    unused: bool | None = Field(None, description="Only those that nothing uses; needs `pool`.")
