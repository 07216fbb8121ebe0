"""Networks of hosts. What a listing lacks is deleted: nobody owns anything of it."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.ids import new_id
from app.core.inventory.reports import Hint, Parts
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.observations import NetworkObservation
from app.db import models
from app.hypervisor import Host
from app.inventory import host_objects
from app.inventory.batch import Batch, Row, StoredRow
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Load, Poll
from app.inventory.host_objects import ListedKind
from app.inventory.identity_claims import claimed_ids
from app.inventory.merged_report import Reading

CALLS_PER_S = 400.0  # round trips that this poll may cost over all hosts; beyond, hosts are read less often
Networks = tuple[NetworkObservation, ...]
_LISTED = ListedKind(
    ObjectKind.NETWORK,
    models.Network,
    appeared=N_("Network %(name)s appeared on host %(host)s."),
    changed=N_("The definition of network %(name)s on host %(host)s was changed."),
    vanished=N_("Network %(name)s is no longer on host %(host)s."),
)


class _Reported:
    """What was reported last of one host: changes of networks come without events."""

    def __init__(self) -> None:
        self.mark = 0


def _read(memory: HostMemory, host: Host) -> Parts:
    """The networks, when any is not as it was reported last."""
    reported = memory.of(_Reported)
    mark, memory.calls[NETWORKS_POLL.name] = host.network_mark()
    if mark == reported.mark:
        return {}
    reported.mark = mark
    return NETWORKS.part(host.read_networks())


def recheck_s(load: Load) -> float:
    """Seconds between two looks at the networks of a host."""
    return max(load.settings.recheck_s, load.hosts * load.calls / CALLS_PER_S)


NETWORKS_POLL = Poll(
    "networks",
    Lane.STATISTICS,
    slack_s=10.0,
    read=_read,
    every_s=recheck_s,
    first_s=lambda load: load.first_recheck_s,
)


class NetworksCollector(Collector[Networks]):
    """Mirrors the networks of hosts. The first reading of a connection comes with the host's facts."""

    name = "networks"
    events = "network"
    polls = (NETWORKS_POLL,)

    def follow(self, memory: HostMemory, host: Host, hints: Sequence[Hint]) -> Parts:
        """All networks, when an event named one."""
        return self.part(host.read_networks()) if hints else {}

    def write(self, batch: Batch, readings: Sequence[Reading[Networks]]) -> None:
        """Write networks that appeared, changed, started, stopped or vanished."""
        host_ids = [reading.host_id for reading in readings]
        before = host_objects.rows_by_uuid(batch, models.Network, host_ids)
        ids = claimed_ids(batch.session, host_ids)
        for reading in readings:
            _observe(batch, reading, before.get(reading.host_id, {}), ids)


def _observe(
    batch: Batch, reading: Reading[Networks], before: dict[str, StoredRow], ids: dict[tuple[str, str], str]
) -> None:
    for network in {item.uuid: item for item in reading.value}.values():
        row = before.pop(network.uuid, None)
        if row is None:
            network_id = ids.get((reading.host_id, network.uuid)) or new_id(ObjectKind.NETWORK)
            key = {"id": network_id, "host_id": reading.host_id, "uuid": network.uuid}
            batch.insert(models.Network, {"leases": None, "leases_read_at": None, **key, **_columns(network)})
            first = reading.merged.first
            host_objects.appear(batch, reading.host, _LISTED, network_id, network.name, first=first)
        else:
            _compare(batch, reading.host, row, network)
    for row in before.values():
        host_objects.vanish(batch, reading.host, _LISTED, row)


def _compare(batch: Batch, host: tuple[str, str], row: StoredRow, network: NetworkObservation) -> None:
    host_objects.update(batch, host, _LISTED, row, _columns(network))
    if row.leases is not None and not network.active:
        # A network that is off has no leases; those of one that runs come with readings of their own.
        batch.update(models.Network, row.id, {"leases": None, "leases_read_at": None})
    if row.active != network.active:
        on, off = (
            N_("Network %(name)s on host %(host)s was started."),
            N_("Network %(name)s on host %(host)s stopped."),
        )
        text = on if network.active else off
        host_objects.publish(batch, host, _LISTED, row.id, network.name, "state", text)


def _columns(network: NetworkObservation) -> Row:
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


NETWORKS = NetworksCollector()
