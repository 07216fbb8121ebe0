"""The search palette: objects, pages, and actions on VMs.

VMs are found by name, title, UUID, MAC or IP address, the guest's host name or tag; hosts by name, address, host name or
tag; datacenters, storage pools, networks and images by name; volumes by name, or by path where the text has a slash.
"""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.access.paging import begins, contains, holds, mentions, storable
from app.core.casefold import fold, spellings
from app.core.hosts.states import status_of
from app.core.inventory.records import SearchHit
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.db.models import Datacenter, Host, Image, Network, Pool, Vm, Volume
from app.inventory.staleness import is_stale
from app.services.vms.power import VERBS

# Address, the names by which pages and menus call it (the page's own first), and the privilege that it needs.
PAGES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("/", (N_("Dashboard"),), None),
    ("/hosts", (N_("Hosts"),), "host.view"),
    ("/hosts/new", (N_("Add a host"),), "host.add"),
    ("/datacenters", (N_("Datacenters"),), "datacenter.view"),
    ("/vms", (N_("Virtual machines"), N_("VMs")), "vm.view"),
    ("/vms/new", (N_("New virtual machine"), N_("New VM")), "vm.create"),
    ("/vms/deleted", (N_("Deleted VMs"),), "vm.delete"),
    ("/storage", (N_("Storage"), N_("Storage pools")), "pool.view"),
    ("/storage/volumes", (N_("Volumes"),), "pool.view"),
    ("/images", (N_("Images"),), "image.view"),
    ("/networks", (N_("Networks"),), "network.view"),
    ("/networks/logical", (N_("Networks across the fleet"),), "network.view"),
    ("/nwfilters", (N_("Network filters"),), "network.view"),
    ("/networks/mac-conflicts", (N_("MAC conflicts"),), "vm.view"),
    ("/tasks", (N_("Tasks"),), "task.view"),
    ("/events", (N_("Events"),), "event.view"),
    ("/credentials", (N_("Credentials"),), "credential.view"),
    ("/users", (N_("Users"),), "user.view"),
    ("/audit", (N_("Audit"),), "audit.view"),
    ("/tokens", (N_("API tokens"),), None),
    ("/account", (N_("Your account"), N_("My account")), None),
)
MAX_ACTIONS = 5


def search(ctx: Ctx, text: str, limit: int = 20) -> list[SearchHit]:
    """What matches, best first: actions, exact names, names that begin with the text, names that hold it, the rest.

    Pages and other objects are looked for only where actions, VMs and hosts are fewer than `limit`.
    """
    wanted = fold(text.strip())
    if not wanted or not storable(wanted):
        return []
    hits = [*_actions(ctx, wanted), *_vms(ctx, wanted, limit), *_hosts(ctx, wanted, limit)]
    if len(hits) < limit:
        hits += _pages(ctx, wanted)
        for hits_of_kind in (_datacenters, _pools, _networks, _images, _volumes):
            hits += hits_of_kind(ctx, wanted, limit)
    ranked = sorted(hits, key=lambda hit: 0 if hit.kind == "action" else _rank(hit, wanted))
    return ranked[:limit]


def _rank(hit: SearchHit, wanted: str) -> int:
    name = fold(hit.name)
    if name == wanted:
        return 1
    if name.startswith(wanted):
        return 2
    return 3 if wanted in name else 4


def _vms(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    """By prefix of the name first, which an index answers; only if that is too few, by everything else."""
    rows = _vm_rows(ctx, begins(ctx.services.database, Vm.name_key, wanted), limit)
    if len(rows) < limit:
        seen = {row.id for row in rows}
        more = _vm_rows(ctx, holds(Vm.search_text, wanted), limit)
        rows += [row for row in more if row.id not in seen][: limit - len(rows)]
    return [
        SearchHit(
            kind="vm",
            id=row.id,
            name=row.name,
            url=f"/vms/{row.id}",
            state=row.state,
            stale=is_stale(ctx, row.host_connection, row.observed_at),
            where=row.host_name,
            matched=_matched(row.search_text, row.name, wanted),
        )
        for row in rows
    ]


def _vm_rows(ctx: Ctx, where: sa.ColumnElement[bool], limit: int) -> list[sa.Row[*tuple[object, ...]]]:
    query = sa.select(
        Vm.id,
        Vm.name,
        Vm.state,
        Vm.persistent,
        Vm.autostart,
        Vm.search_text,
        Host.name.label("host_name"),
        Host.connection.label("host_connection"),
        Host.admin_state.label("host_admin_state"),
        Host.mode.label("host_mode"),
        Host.observed_at,
    ).join(Host, Host.id == Vm.host_id)
    # A walk along the index of names would read every row on its own; see paging.
    found = sa.select(Vm.id, Vm.name_key).where(where).cte("found").prefix_with("MATERIALIZED")
    query = query.join(found, found.c.id == Vm.id).order_by(found.c.name_key, found.c.id).limit(limit)
    return list(ctx.session.execute(visible(ctx, query, Vm, "vm.view")))


def _matched(search_text: str, name: str, wanted: str) -> str | None:
    """The word that matched, when it is not the name."""
    if wanted in fold(name):
        return None
    forms = spellings(wanted)
    return next((line for line in search_text.split("\n") if any(form in line for form in forms)), None)


def _hosts(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    query = sa.select(
        *(Host.id, Host.name, Host.address, Host.connection, Host.admin_state, Host.observed_at),
        Host.search_text,
    )
    query = query.where(contains(Host.search_text, wanted)).order_by(Host.name_key).limit(limit)
    return [
        SearchHit(
            kind="host",
            id=row.id,
            name=row.name,
            url=f"/hosts/{row.id}",
            state=status_of(row.connection, row.admin_state),
            stale=is_stale(ctx, row.connection, row.observed_at),
            where=row.address,
            matched=_matched(row.search_text, row.name, wanted),
        )
        for row in ctx.session.execute(visible(ctx, query, Host, "host.view"))
    ]


def _datacenters(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    query = sa.select(Datacenter.id, Datacenter.name).where(contains(Datacenter.name_key, wanted))
    return [
        SearchHit(kind="datacenter", id=id_, name=name, url=f"/hosts?datacenter={id_}")
        for id_, name in ctx.session.execute(visible(ctx, query.limit(limit), Datacenter, "datacenter.view"))
    ]


def _pools(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    query = sa.select(Pool.id, Pool.name, Host.name).join(Host, Host.id == Pool.host_id)
    query = query.where(mentions((Pool.name,), wanted)).order_by(Pool.name, Pool.id).limit(limit)
    return [
        SearchHit(kind="pool", id=id_, name=name, url=f"/storage/{id_}", where=host)
        for id_, name, host in ctx.session.execute(visible(ctx, query, Pool, "pool.view"))
    ]


def _networks(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    query = sa.select(Network.id, Network.name, Host.name).join(Host, Host.id == Network.host_id)
    query = query.where(mentions((Network.name,), wanted)).order_by(Network.name).limit(limit)
    return [
        SearchHit(kind="network", id=id_, name=name, url=f"/networks/{id_}", where=host)
        for id_, name, host in ctx.session.execute(visible(ctx, query, Network, "network.view"))
    ]


def _images(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    query = sa.select(Image.id, Image.name).where(contains(Image.name_key, wanted))
    query = query.order_by(Image.name_key).limit(limit)
    return [
        SearchHit(kind="image", id=id_, name=name, url=f"/images/{id_}")
        for id_, name in ctx.session.execute(visible(ctx, query, Image, "image.view"))
    ]


def _volumes(ctx: Ctx, wanted: str, limit: int) -> list[SearchHit]:
    # Names end paths; directories are sought by whoever writes a slash. There are more volumes than VMs: one walk.
    column = Volume.path if "/" in wanted else Volume.name
    found = sa.select(Volume.id).where(mentions((column,), wanted)).cte("found").prefix_with("MATERIALIZED")
    query = sa.select(Volume.id, Volume.name, Volume.path, Pool.name, Host.name)
    query = query.join(found, found.c.id == Volume.id).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).order_by(Volume.name, Volume.id)
    return [
        SearchHit(
            kind="volume",
            id=id_,
            name=name,
            url=f"/storage/volumes/{id_}",
            where=f"{pool} · {host}",
            matched=None if wanted in fold(name) else path,
        )
        for id_, name, path, pool, host in ctx.session.execute(
            visible(ctx, query.limit(limit), Volume, "pool.view")
        )
    ]


def _pages(ctx: Ctx, wanted: str) -> list[SearchHit]:
    return [
        SearchHit(kind="page", id=url, name=ctx.translate(titles[0]), url=url)
        for url, titles, privilege in PAGES
        if any(wanted in fold(ctx.translate(title)) for title in titles)
        and (privilege is None or ctx.can(privilege))
    ]


def _actions(ctx: Ctx, wanted: str) -> list[SearchHit]:
    """“start web-1”: a verb, in English or the asker's language, and the beginning of a name."""
    hits: list[SearchHit] = []
    for verb, action in VERBS.items():
        if not ctx.can(action.privilege):
            continue
        for spoken in {fold(verb.value.replace("-", " ")), fold(ctx.translate(action.title))}:
            name = wanted.removeprefix(spoken + " ")
            if name != wanted and name:
                hits += _verb_hits(ctx, verb, name)
                break
    return hits[:MAX_ACTIONS]


def _verb_hits(ctx: Ctx, verb: VmVerb, name: str) -> list[SearchHit]:
    title = ctx.translate(VERBS[verb].title)
    rows = _vm_rows(ctx, begins(ctx.services.database, Vm.name_key, name), MAX_ACTIONS * 4)
    return [
        SearchHit(
            kind="action",
            id=row.id,
            name=f"{title}: {row.name}",
            url=f"/vms/{row.id}/actions/{verb.value}",
            state=row.state,
            where=row.host_name,
            method="POST",
            confirm=VERBS[verb].confirm,
        )
        for row in rows
        if VERBS[verb].refuse(row, status_of(row.host_connection, row.host_admin_state), row.host_mode)
        is None
    ]
