"""The network interfaces of a new VM: where they are plugged in, and addresses that nobody else has."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.errors import InvalidInput
from app.core.library.os_variants import System
from app.core.messages import N_
from app.core.networks.attachments import Attachment
from app.core.vms import device_defaults
from app.core.vms.config import NicPlan
from app.core.vms.create_spec import NicSpec, VmSpec
from app.db.models import Filter, Host, Network
from app.services.vms.create import mac_addresses
from app.services.vms.host_access import require_attachments, require_tagged


def plan_nics(
    ctx: Ctx, spec: VmSpec, host: Host, *, machine: str | None, system: System | None
) -> list[NicPlan]:
    """All interfaces. Raises InvalidInput (nics.N.…, also `vlan` from who may not give one), NotAllowed for what the
    actor may not plug one into.
    """
    plans = []
    for number, asked in enumerate(spec.nics):
        where = f"nics.{number}"
        if asked.mac:
            mac_addresses.require_free(ctx.session, asked.mac, f"{where}.mac")
        _check_filter(ctx, host, asked, where)
        if asked.vlan is not None:
            require_tagged(ctx, f"{where}.vlan")
        plans.append(
            NicPlan(
                **_plug(ctx, host, asked, where),
                portgroup=asked.portgroup,
                model=asked.model or device_defaults.nic_model_for(system, machine),
                mac=asked.mac or mac_addresses.free_mac(ctx.session),
                vlan=asked.vlan,
                filter=asked.filter,
                link_up=asked.link_up,
                boot_order=asked.boot_order,
                in_kbps=asked.in_kbps,
                out_kbps=asked.out_kbps,
            )
        )
    return plans


def _plug(ctx: Ctx, host: Host, asked: NicSpec, where: str) -> dict[str, Any]:
    if asked.bridge:
        require_attachments(ctx, host, [Attachment("bridge", asked.bridge)])
        return {"kind": "bridge", "source": asked.bridge}
    if asked.direct:
        require_attachments(ctx, host, [Attachment("direct", asked.direct, asked.direct_mode)])
        return {"kind": "direct", "source": asked.direct, "mode": asked.direct_mode}
    require_attachments(ctx, host, [Attachment("network", asked.network or "")])
    field = f"{where}.network_id" if asked.network_id else f"{where}.network"
    by_name = sa.and_(Network.name == asked.network, Network.host_id == host.id)
    query = sa.select(Network).where(Network.id == asked.network_id if asked.network_id else by_name)
    network = ctx.session.scalar(visible(ctx, query, Network, "network.view"))
    if network is None:
        raise InvalidInput(field, N_("names no network of this host"))
    if network.host_id != host.id:
        raise InvalidInput(field, N_("is a network of another host"))
    if not network.active:
        raise InvalidInput(field, N_("the network does not run"), hint=N_("Start the network first."))
    return {"kind": "network", "source": network.name, "network_id": network.id}


def _check_filter(ctx: Ctx, host: Host, asked: NicSpec, where: str) -> None:
    if asked.filter is None:
        return
    query = sa.select(Filter.id).where(Filter.host_id == host.id, Filter.name == asked.filter)
    if ctx.session.scalar(visible(ctx, query, Filter, "network.view")) is None:
        raise InvalidInput(f"{where}.filter", N_("names no traffic filter of this host"))
