"""Which pools are the same storage, over all hosts.

Pools are the same when that was verified, or when they name the same target of a storage server. They may be the same
while pools of two hosts lie at the same path and nobody has found out whether they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.db.models import Pool, PoolDifference

# Kinds whose volumes two hosts may know by the same path without being the same storage.
LOCATED_BY_PATH = ("dir", "fs", "netfs", "logical")


def same_storage(session: Session, pool: Pool) -> list[Pool]:
    """The pools, of all hosts, that are the same storage as this one; it is one of them."""
    same = [Pool.id == pool.id]
    if pool.shared_mark:
        same.append(Pool.shared_mark == pool.shared_mark)
    if pool.source:
        same.append(Pool.source == pool.source)
    return list(session.scalars(sa.select(Pool).where(sa.or_(*same))))


def unverified(session: Session, pool: Pool) -> list[Pool]:
    """Pools that may be the same storage as this one: they lie at its path, or at that of a pool that is the same,
    on another host, and nobody has found out.
    """
    same = same_storage(session, pool)
    elsewhere = [
        sa.and_(sa.func.rtrim(Pool.target_path, "/") == directory, Pool.host_id.not_in(hosts))
        for directory, hosts in directories_of(same).items()
    ]
    if not elsewhere:
        return []
    query = sa.select(Pool).where(
        sa.or_(*elsewhere),
        Pool.kind.in_(LOCATED_BY_PATH),
        Pool.id.not_in([item.id for item in same]),
        Pool.id.not_in(different_from(same)),
    )
    return list(session.scalars(query))


def are_same(one: type[Pool], other: type[Pool]) -> sa.ColumnElement[bool]:
    """As `same_storage`, of a query with two pools."""
    return sa.or_(one.id == other.id, one.shared_mark == other.shared_mark, one.source == other.source)


def may_be_same(one: type[Pool], other: type[Pool]) -> sa.ColumnElement[bool]:
    """Of a query with two pools: whether they are the same storage, or may be and nobody has found out."""
    ours, near, far = aliased(Pool), aliased(Pool), aliased(Pool)
    different = sa.exists().where(
        are_same(one, ours), PoolDifference.pool_id == ours.id, PoolDifference.other_id == far.id
    )
    at_one_path = sa.exists().where(
        are_same(one, near),
        are_same(other, far),
        near.host_id != far.host_id,
        near.kind.in_(LOCATED_BY_PATH),
        far.kind.in_(LOCATED_BY_PATH),
        sa.func.rtrim(near.target_path, "/") == sa.func.rtrim(far.target_path, "/"),
        sa.not_(different.correlate(one, far)),
    )
    return sa.or_(are_same(one, other), at_one_path.correlate(one, other))


def directories_of(pools: Iterable[Pool]) -> dict[str, set[str]]:
    """Where pools have their volumes, and the hosts on which they have them there."""
    found: dict[str, set[str]] = {}
    for pool in pools:
        if pool.target_path and pool.kind in LOCATED_BY_PATH:
            found.setdefault(directory_of(pool), set()).add(pool.host_id)
    return found


def directory_of(pool: Pool) -> str:
    """Where a pool has its volumes; empty when that is no directory."""
    return (pool.target_path or "").rstrip("/")


def different_from(same: Iterable[Pool]) -> sa.Select[str]:
    """Pools that were found to be different storage from one of these, which are the same."""
    ours = [item.id for item in same]
    return sa.select(PoolDifference.other_id).where(PoolDifference.pool_id.in_(ours))


def is_shared(session: Session, host_id: str, pool_uuid: str) -> bool:
    """Whether another host has, or may have, the same storage as this pool of a host."""
    pool = session.scalar(sa.select(Pool).where(Pool.host_id == host_id, Pool.uuid == pool_uuid))
    if pool is None:
        return False
    return len(same_storage(session, pool)) > 1 or bool(unverified(session, pool))
