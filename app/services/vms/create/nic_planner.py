"""The network interfaces of a new VM: where they are plugged in, and addresses that nobody else has."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.errors import InvalidInput
from app.core.library.os_variants import OsVariant
from app.core.messages import N_
from app.core.networks.attachments import Attachment
from app.core.vms import vm_defaults
from app.core.vms.config import NicPlan
from app.core.vms.create.spec import NicSpec, VmSpec
from app.db.models import Host, Network, Nwfilter
from app.services.vms import mac_addresses
from app.services.vms.host_access import require_attachments, require_tagged


def plan_nics(
    ctx: Ctx, spec: VmSpec, host: Host, *, machine: str | None, os_variant: OsVariant | None
) -> list[NicPlan]:
    """All interfaces. Raises InvalidInput (nics.N.…, also `vlan` from who may not give one), NotAllowed for what the
    actor may not plug one into.
    """
    plans = []
    for number, requested in enumerate(spec.nics):
        where = f"nics.{number}"
        if requested.mac:
            mac_addresses.require_free_mac(ctx.session, requested.mac, f"{where}.mac")
        _check_nwfilter(ctx, host, requested, where)
        if requested.vlan is not None:
            require_tagged(ctx, f"{where}.vlan")
        plans.append(
            NicPlan(
                **_plug(ctx, host, requested, where),
                portgroup=requested.portgroup,
                model=requested.model or vm_defaults.nic_model_for(os_variant, machine),
                mac=requested.mac or mac_addresses.free_mac(ctx.session),
                vlan=requested.vlan,
                filter=requested.filter,
                link_up=requested.link_up,
                boot_order=requested.boot_order,
                in_kbps=requested.in_kbps,
                out_kbps=requested.out_kbps,
            )
        )
    return plans


def _plug(ctx: Ctx, host: Host, spec: NicSpec, where: str) -> dict[str, object]:
    if spec.bridge:
        require_attachments(ctx, host, [Attachment("bridge", spec.bridge)])
        return {"kind": "bridge", "source": spec.bridge}
    if spec.direct:
        require_attachments(ctx, host, [Attachment("direct", spec.direct, spec.direct_mode)])
        return {"kind": "direct", "source": spec.direct, "mode": spec.direct_mode}
    require_attachments(ctx, host, [Attachment("network", spec.network or "")])
    field = f"{where}.network_id" if spec.network_id else f"{where}.network"
    by_name = sa.and_(Network.name == spec.network, Network.host_id == host.id)
    query = sa.select(Network).where(Network.id == spec.network_id if spec.network_id else by_name)
    network = ctx.session.scalar(visible(ctx, query, Network, "network.view"))
    if network is None:
        raise InvalidInput(field, N_("names no network of this host"))
    if network.host_id != host.id:
        raise InvalidInput(field, N_("is a network of another host"))
    if not network.active:
        raise InvalidInput(field, N_("the network does not run"), hint=N_("Start the network first."))
    return {"kind": "network", "source": network.name, "network_id": network.id}


def _check_nwfilter(ctx: Ctx, host: Host, spec: NicSpec, where: str) -> None:
    if spec.filter is None:
        return
    query = sa.select(Nwfilter.id).where(Nwfilter.host_id == host.id, Nwfilter.name == spec.filter)
    if ctx.session.scalar(visible(ctx, query, Nwfilter, "network.view")) is None:
        raise InvalidInput(f"{where}.filter", N_("names no network filter of this host"))
