"""Storage pools, volumes and networks of hosts. What a listing lacks is deleted: nobody owns anything of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from app.core.hosts.capabilities import Offers
from app.core.ids import new_id
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.networks.observations import NetworkObservation
from app.core.notices import TREE
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.storage.pools import DEVICE_POOLS
from app.core.storage.states import POOL_STATE_TITLES
from app.db import models
from app.hypervisor.xml import pools as pool_definitions
from app.inventory.batch import Batch, Row, table
from app.inventory.identity_claims import claimed_ids
from app.inventory.leases import observe_leases
from app.inventory.merged_report import News
from app.inventory.nwfilters import observe_filters
from app.inventory.vms.definitions import MAX_INTEGER, refresh_dangers, refresh_disk_bytes
from app.inventory.volume_formats import VolumeFormats

OFFERS = TypeAdapter(Offers)
STOPPED_BY = N_(
    "libvirt cannot read the folder %(folder)s because of incomplete image files: %(files)s. Delete or complete them on the host, then start the pool."
)
_FILES_NAMED = 5
SHOW_AGE_AFTER = timedelta(seconds=5)
_VOLUME = ("path", "kind", "format", "capacity_bytes", "allocation_bytes", "backing_path")


def observe_stock(batch: Batch, news: Iterable[News]) -> None:
    """Write what the hosts' listings say of pools, volumes and networks."""
    told = list(news)
    pools = {each.host_id: each for each in told if each.pools is not None}
    networks = {each.host_id: each for each in told if each.networks is not None}
    read: list[tuple[str, str, Sequence[VolumeObservation]]] = []
    if pools:
        before = _before(batch, models.Pool, pools)
        ids = claimed_ids(batch.session, pools)
        moved = {
            each.host_id
            for each in pools.values()
            if _observe_pools(batch, each, before.get(each.host_id, {}), ids, read)
        }
        if moved:
            batch.write()
            refresh_dangers(batch, moved)
    if networks:
        before = _before(batch, models.Network, networks)
        ids = claimed_ids(batch.session, networks)
        for each in networks.values():
            _observe_networks(batch, each, before.get(each.host_id, {}), ids)
    _find_pools(batch, told, read)
    observe_leases(batch, told)
    observe_filters(batch, told)
    _observe_volumes(batch, read)
    offering = [each for each in told if each.offers is not None]
    if offering:
        _observe_offers(batch, offering)


def _find_pools(
    batch: Batch, news: Sequence[News], read: list[tuple[str, str, Sequence[VolumeObservation]]]
) -> None:
    """Volumes that came without their pools go to the rows that these have."""
    bare = {each.host_id: each.volumes for each in news if each.volumes}
    if not bare:
        return
    rows = table(models.Pool).c
    query = sa.select(rows.id, rows.host_id, rows.uuid).where(rows.host_id.in_(list(bare)))
    for row in batch.session.execute(query):
        volumes = bare[row.host_id].get(row.uuid)
        if volumes is not None:
            read.append((row.host_id, row.id, volumes))


def _observe_offers(batch: Batch, news: Sequence[News]) -> None:
    """What hosts offer is replaced whole: it changes with their hardware and software only."""
    rows = table(models.Offers)
    known = set(
        batch.session.scalars(
            sa.select(rows.c.host_id).where(rows.c.host_id.in_([each.host_id for each in news]))
        )
    )
    for each in news:
        assert each.offers is not None
        row = {"offers": OFFERS.dump_python(each.offers, mode="json"), "read_at": batch.now}
        if each.host_id in known:
            batch.update(models.Offers, each.host_id, row, by="host_id")
        else:
            batch.insert(models.Offers, {"host_id": each.host_id, **row})


def _before(
    batch: Batch, model: type[models.Base], host_ids: Iterable[str]
) -> dict[str, dict[str, sa.Row[Any]]]:
    found: dict[str, dict[str, sa.Row[Any]]] = {}
    rows = table(model)
    for row in batch.session.execute(sa.select(rows).where(rows.c.host_id.in_(list(host_ids)))):
        found.setdefault(row.host_id, {})[row.uuid] = row
    return found


def _observe_pools(
    batch: Batch,
    news: News,
    before: dict[str, sa.Row[Any]],
    ids: dict[tuple[str, str], str],
    read: list[tuple[str, str, Sequence[VolumeObservation]]],
) -> bool:
    """Write the pools of one host; return whether their folders are others than before."""
    assert news.pools is not None
    folders = {row.target_path for row in before.values()}
    for pool in {each.uuid: each for each in news.pools}.values():
        row = before.pop(pool.uuid, None)
        pool_id = row.id if row is not None else ids.get((news.host_id, pool.uuid)) or new_id(ObjectKind.POOL)
        wanted = _pool_columns(pool)
        if row is None:
            extra = {"volume_count": 0, "volumes_read_at": None, "stopped_by": None, "links_hidden": None}
            batch.insert(
                models.Pool, {"id": pool_id, "host_id": news.host_id, "uuid": pool.uuid, **wanted, **extra}
            )
            _appeared(batch, news, ObjectKind.POOL, pool_id, pool.name)
        else:
            wanted |= _stopped_by(pool)
            if not _same_pool(row.live_xml or row.xml, pool.live_xml or pool.xml):
                # It may be another storage now.
                wanted |= {"shared_mark": None, "proven_at": None, "verify_requested_at": None}
                batch.delete(models.PoolDifference, pool_id, by="pool_id")
                batch.delete(models.PoolDifference, pool_id, by="other_id")
            _update(batch, news, ObjectKind.POOL, row, wanted)
            if row.state != pool.state:
                text = N_("Storage pool %(name)s on host %(host)s is in state “%(state)s” now.")
                state = [POOL_STATE_TITLES[pool.state]]
                _tell(batch, news, ObjectKind.POOL, pool_id, pool.name, "pool.state", text, state=state)
        if pool.volumes is not None:
            read.append((news.host_id, pool_id, pool.volumes))
    for row in before.values():
        _vanished(batch, news, ObjectKind.POOL, row)
    return folders != {pool.target_path for pool in news.pools}


def _stopped_by(pool: PoolObservation) -> Row:
    """Why a pool is off, as far as a file of it did that; nothing when nobody looked."""
    if pool.state == "running":
        return {"stopped_by": None}
    if not pool.broken_files:
        return {}
    files = ", ".join(pool.broken_files[:_FILES_NAMED])
    return {"stopped_by": {"why": STOPPED_BY, "params": {"folder": pool.target_path, "files": files}}}


def _pool_columns(pool: PoolObservation) -> Row:
    return {
        "name": pool.name,
        "kind": pool.kind,
        "state": pool.state,
        "autostart": pool.autostart,
        "persistent": pool.persistent,
        "capacity_bytes": min(pool.capacity_bytes, MAX_INTEGER),
        "allocation_bytes": min(pool.allocation_bytes, MAX_INTEGER),
        "available_bytes": min(pool.available_bytes, MAX_INTEGER),
        "target_path": pool.target_path,
        "xml": pool.xml,
        "live_xml": pool.live_xml,
        "source": pool.source,
    }


def _same_pool(before: str | None, after: str | None) -> bool:
    """Whether two texts define the same storage; what libvirt fills in while it runs does not count."""
    if before is None or after is None:
        return before == after
    return pool_definitions.same(before, after)


def _observe_networks(
    batch: Batch, news: News, before: dict[str, sa.Row[Any]], ids: dict[tuple[str, str], str]
) -> None:
    assert news.networks is not None
    for network in {each.uuid: each for each in news.networks}.values():
        row = before.pop(network.uuid, None)
        wanted = _network_columns(network)
        # A network that is off has no leases; those of one that runs come with readings of their own.
        leases: Row = {} if network.active else {"leases": None, "leases_read_at": None}
        if row is None:
            network_id = ids.get((news.host_id, network.uuid)) or new_id(ObjectKind.NETWORK)
            key = {"id": network_id, "host_id": news.host_id, "uuid": network.uuid}
            batch.insert(models.Network, {"leases": None, "leases_read_at": None, **key, **wanted})
            _appeared(batch, news, ObjectKind.NETWORK, network_id, network.name)
            continue
        _update(batch, news, ObjectKind.NETWORK, row, wanted)
        if row.leases is not None and leases:
            batch.update(models.Network, row.id, leases)
        if row.active != network.active:
            on, off = (
                N_("Network %(name)s on host %(host)s was started."),
                N_("Network %(name)s on host %(host)s stopped."),
            )
            _tell(
                batch,
                news,
                ObjectKind.NETWORK,
                row.id,
                network.name,
                "network.state",
                on if network.active else off,
            )
    for row in before.values():
        _vanished(batch, news, ObjectKind.NETWORK, row)


def _network_columns(network: NetworkObservation) -> Row:
    return {
        "name": network.name,
        "active": network.active,
        "autostart": network.autostart,
        "persistent": network.persistent,
        "bridge": network.bridge,
        "forward_mode": network.forward_mode,
        "addresses": list(network.addresses),
        "dhcp": network.dhcp,
        "xml": network.xml,
        "live_xml": network.live_xml,
        "mtu": network.mtu,
        "vlan": network.vlan,
    }


_MODELS: dict[ObjectKind, type[models.Base]] = {
    ObjectKind.POOL: models.Pool,
    ObjectKind.NETWORK: models.Network,
}
_APPEARED = {
    ObjectKind.POOL: N_("Storage pool %(name)s appeared on host %(host)s."),
    ObjectKind.NETWORK: N_("Network %(name)s appeared on host %(host)s."),
}
_CHANGED = {
    ObjectKind.POOL: N_("The definition of storage pool %(name)s on host %(host)s was changed."),
    ObjectKind.NETWORK: N_("The definition of network %(name)s on host %(host)s was changed."),
}
_VANISHED = {
    ObjectKind.POOL: N_("Storage pool %(name)s is no longer on host %(host)s."),
    ObjectKind.NETWORK: N_("Network %(name)s is no longer on host %(host)s."),
}


def _update(batch: Batch, news: News, kind: ObjectKind, row: sa.Row[Any], wanted: Row) -> None:
    changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if changes:
        batch.update(_MODELS[kind], row.id, changes)
        batch.topics |= {row.id, news.host_id}
        if "name" in changes:
            batch.topics.add(TREE)
        is_other = changes.get("xml") and row.xml and changes["xml"] != row.xml
        if is_other and not (kind is ObjectKind.POOL and _same_pool(row.xml, changes["xml"])):
            batch.version(kind, row.id, news.host_id, row.xml, changes["xml"])
            _tell(batch, news, kind, row.id, row.name, f"{kind.value}.changed", _CHANGED[kind])


def _appeared(batch: Batch, news: News, kind: ObjectKind, object_id: str, name: str) -> None:
    batch.topics |= {object_id, news.host_id, TREE}
    if not news.first:
        _tell(batch, news, kind, object_id, name, f"{kind.value}.appeared", _APPEARED[kind])


def _vanished(batch: Batch, news: News, kind: ObjectKind, row: sa.Row[Any]) -> None:
    batch.delete(_MODELS[kind], row.id)
    batch.delete(models.Condition, row.id, by="object_id")
    batch.topics |= {row.id, news.host_id, TREE}
    _tell(
        batch,
        news,
        kind,
        row.id,
        row.name,
        f"{kind.value}.vanished",
        _VANISHED[kind],
        severity=Severity.WARNING,
    )


def _tell(
    batch: Batch,
    news: News,
    kind: ObjectKind,
    object_id: str,
    name: str,
    event: str,
    message: str,
    *,
    severity: Severity = Severity.INFO,
    **params: list[str],
) -> None:
    batch.tell(
        event,
        message,
        {"name": name, "host": news.host_name, **params},
        object_kind=kind,
        object_id=object_id,
        object_name=name,
        host=news.host,
        severity=severity,
    )


def _observe_volumes(batch: Batch, read: list[tuple[str, str, Sequence[VolumeObservation]]]) -> None:
    """Write the volumes of the pools that were read with them, and what follows for the sizes of VMs."""
    if not read:
        return
    batch.write()  # new pools must be there before their volumes and counts
    rows = table(models.Volume)
    query = sa.select(rows).where(rows.c.pool_id.in_([pool_id for _, pool_id, _ in read]))
    before: dict[str, dict[str, sa.Row[Any]]] = {}
    for row in batch.session.execute(query):
        before.setdefault(row.pool_id, {})[row.name] = row
    pools = table(models.Pool).c
    facts = sa.select(pools.id, pools.volumes_read_at, pools.kind).where(
        pools.id.in_([pool_id for _, pool_id, _ in read])
    )
    known = {row.id: row for row in batch.session.execute(facts)}
    resized: set[str] = set()
    devices: set[str] = set()  # hosts of which other devices are volumes now
    for host_id, pool_id, volumes in read:
        formats = VolumeFormats(batch, host_id, pool_id)
        if _observe_volumes_of(batch, pool_id, volumes, before.get(pool_id, {}), formats):
            resized.add(host_id)
            if known[pool_id].kind in DEVICE_POOLS:
                devices.add(host_id)
        if _is_due(batch, known[pool_id].volumes_read_at):
            batch.topics.add(pool_id)
        counted = {"volume_count": len(volumes), "volumes_read_at": batch.now}
        batch.update(models.Pool, pool_id, counted)
    if resized:
        batch.write()
        refresh_disk_bytes(batch, resized)
    if devices:
        refresh_dangers(batch, devices)


def _is_due(batch: Batch, read_at: datetime | None) -> bool:
    """Whether pages that show how old the volumes are have shown an age for long enough."""
    return read_at is None or batch.now - read_at > SHOW_AGE_AFTER


def _observe_volumes_of(
    batch: Batch,
    pool_id: str,
    volumes: Sequence[VolumeObservation],
    before: dict[str, sa.Row[Any]],
    formats: VolumeFormats,
) -> bool:
    """Write the volumes of one pool; return whether any was added, removed or resized."""
    resized = False
    for volume in {each.name: each for each in volumes}.values():
        wanted = {name: getattr(volume, name) for name in _VOLUME}
        wanted |= {name: min(wanted[name], MAX_INTEGER) for name in ("capacity_bytes", "allocation_bytes")}
        row = before.pop(volume.name, None)
        wanted = formats.settle(volume, row, wanted)
        volume_id = new_id(ObjectKind.VOLUME) if row is None else row.id
        if wanted.get("condition") and (row is None or row.condition != wanted["condition"]):
            formats.tell(volume_id, volume.name, wanted)
        if row is None:
            blank = {"condition": None, "condition_why": None, "condition_params": None, "checked_at": None}
            key = {"id": volume_id, "pool_id": pool_id, "name": volume.name}
            batch.insert(models.Volume, blank | key | wanted)
            resized = True
            continue
        changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if changes:
            batch.update(models.Volume, row.id, changes)
            batch.topics.add(pool_id)
            resized |= "capacity_bytes" in changes or "path" in changes
    for row in before.values():
        batch.delete(models.Volume, row.id)
    if resized or before:
        batch.topics.add(pool_id)
    return resized or bool(before)
