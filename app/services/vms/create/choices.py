"""What the form of a new VM can offer: hosts, pools, networks, volumes and images."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import look_up, visible
from app.core.records import Record
from app.db.models import Host, HostCapabilities, Image, Network, Nwfilter, Pool, Volume
from app.inventory.available_hosts import is_available
from app.services.vms.cloud_init.known_drives import is_cloud_init_drive
from app.services.vms.create.config_builder import HOST_CAPABILITIES

MAX_CHOICES = 500


class Option(Record):
    """Something to choose: its id (or, for any host, its name), what people call it, and one more word."""

    key: str
    name: str
    about: str | None = None
    free_bytes: int | None = None


class Choices(Record):
    """Options for a chosen host, or for any: then pools and networks are names that some host has."""

    hosts: tuple[Option, ...]
    pools: tuple[Option, ...] = ()
    networks: tuple[Option, ...] = ()
    nwfilters: tuple[Option, ...] = ()
    volumes: tuple[Option, ...] = ()
    media: tuple[Option, ...] = ()
    images: tuple[Option, ...] = ()
    machines: tuple[str, ...] = ()
    firmwares: tuple[str, ...] = ("bios", "efi", "efi-secure")
    cpu_modes: tuple[str, ...] = ("host-model", "host-passthrough", "maximum")
    cpu_models: tuple[str, ...] = ()
    buses: tuple[str, ...] = ("virtio", "scsi", "sata", "usb")
    videos: tuple[str, ...] = ("virtio", "vga", "qxl", "bochs")
    graphics: tuple[str, ...] = ("vnc", "spice")
    tpm: bool = True
    huge_pages: bool = True


def list_choices(ctx: Ctx, host_id: str | None) -> Choices:
    """What can be chosen on this host; for an unknown host as for none."""
    ctx.require("vm.create")
    host: Host | None = None
    if host_id:
        host = look_up(ctx, Host, host_id)
    hosts, media, images = _hosts(ctx, host), _images(ctx, "iso"), _images(ctx, "disk")
    if host is None:
        pools = sa.select(Pool.name).where(Pool.state == "running").distinct().order_by(Pool.name)
        networks = sa.select(Network.name).where(Network.active.is_(True)).distinct().order_by(Network.name)
        return Choices(
            hosts=hosts,
            media=media,
            images=images,
            pools=_names(ctx, visible(ctx, pools, Pool, "pool.view")),
            networks=_names(ctx, visible(ctx, networks, Network, "network.view")),
        )
    volumes = _volumes(ctx, host)
    return Choices(
        hosts=hosts,
        media=media + tuple(item for item, is_media in volumes if is_media),
        images=images,
        pools=_pools(ctx, host),
        networks=_networks(ctx, host),
        nwfilters=_filters(ctx, host),
        volumes=tuple(item for item, is_media in volumes if not is_media),
        **_capabilities_of_row(ctx, host),
    )


def _names(ctx: Ctx, query: sa.Select[str]) -> tuple[Option, ...]:
    return tuple(Option(key=name, name=name) for name in ctx.session.scalars(query.limit(MAX_CHOICES)))


def _hosts(ctx: Ctx, chosen: Host | None) -> tuple[Option, ...]:
    query = sa.select(Host.id, Host.name).where(is_available()).order_by(Host.name_key).limit(MAX_CHOICES)
    found = [
        Option(key=row[0], name=row[1]) for row in ctx.session.execute(visible(ctx, query, Host, "host.view"))
    ]
    if chosen is not None and all(item.key != chosen.id for item in found):
        found.insert(0, Option(key=chosen.id, name=chosen.name))
    return tuple(found)


def _pools(ctx: Ctx, host: Host) -> tuple[Option, ...]:
    query = sa.select(Pool).where(Pool.host_id == host.id, Pool.state == "running").order_by(Pool.name)
    return tuple(
        Option(key=pool.id, name=pool.name, free_bytes=pool.available_bytes)
        for pool in ctx.session.scalars(visible(ctx, query, Pool, "pool.view").limit(MAX_CHOICES))
    )


def _networks(ctx: Ctx, host: Host) -> tuple[Option, ...]:
    query = sa.select(Network).where(Network.host_id == host.id, Network.active.is_(True))
    found = ctx.session.scalars(
        visible(ctx, query.order_by(Network.name), Network, "network.view").limit(MAX_CHOICES)
    )
    return tuple(Option(key=item.id, name=item.name, about=item.forward_mode) for item in found)


def _filters(ctx: Ctx, host: Host) -> tuple[Option, ...]:
    query = sa.select(Nwfilter.name).where(Nwfilter.host_id == host.id).order_by(Nwfilter.name)
    found = ctx.session.scalars(visible(ctx, query, Nwfilter, "network.view").limit(MAX_CHOICES))
    return tuple(Option(key=name, name=name) for name in found)


def _volumes(ctx: Ctx, host: Host) -> list[tuple[Option, bool]]:
    """Volumes of the host's pools, and whether each looks like a CD's image."""
    query = sa.select(Volume.id, Volume.name, Volume.format, Pool.name).join(Pool, Pool.id == Volume.pool_id)
    query = (
        query.where(Pool.host_id == host.id, sa.not_(is_cloud_init_drive()))
        .order_by(Volume.name)
        .limit(MAX_CHOICES)
    )
    return [
        (Option(key=key, name=name, about=pool), kind == "iso" or name.lower().endswith(".iso"))
        for key, name, kind, pool in ctx.session.execute(visible(ctx, query, Volume, "pool.view"))
    ]


def _images(ctx: Ctx, kind: str) -> tuple[Option, ...]:
    query = sa.select(Image.id, Image.name).where(Image.state == "ready", Image.kind == kind)
    rows = ctx.session.execute(
        visible(ctx, query.order_by(Image.name_key).limit(MAX_CHOICES), Image, "image.view")
    )
    return tuple(Option(key=row[0], name=row[1]) for row in rows)


def _capabilities_of_row(ctx: Ctx, host: Host) -> dict[str, object]:
    row = ctx.session.get(HostCapabilities, host.id)
    if row is None:
        return {}
    capabilities = HOST_CAPABILITIES.validate_python(row.capabilities)
    return {
        "machines": capabilities.machines,
        "firmwares": capabilities.firmwares,
        "cpu_modes": tuple(mode for mode in capabilities.cpu_modes if mode != "custom"),
        "cpu_models": tuple(model.name for model in capabilities.cpu_models if model.usable),
        "buses": capabilities.disk_buses,
        "videos": tuple(video_model for video_model in capabilities.video_models if video_model != "none"),
        "graphics": tuple(graphic for graphic in capabilities.graphics if graphic in ("vnc", "spice")),
        "tpm": capabilities.tpm,
        "huge_pages": bool(capabilities.huge_page_sizes),
    }
