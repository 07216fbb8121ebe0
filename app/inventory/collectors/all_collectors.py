"""The collectors that there are, in the order in which they write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.core.inventory.reports import Parts
from app.inventory.collectors.collector import Collector, Newest
from app.inventory.collectors.guest_agents import GUESTS
from app.inventory.collectors.host import HOST
from app.inventory.collectors.leases import LEASES
from app.inventory.collectors.networks import NETWORKS
from app.inventory.collectors.nwfilters import NWFILTERS
from app.inventory.collectors.observed_conditions import CONDITIONS
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.usage import USAGE
from app.inventory.collectors.vms import VMS

AnyCollector = Collector[Any]  # each has its own type of value


class Collectors:
    """A set of collectors, and what is done with the parts of reports by all of them."""

    def __init__(self, collectors: Iterable[AnyCollector]) -> None:
        self._by_name = {collector.name: collector for collector in collectors}

    def __iter__(self) -> Iterator[AnyCollector]:
        return iter(self._by_name.values())

    def merge(self, earlier: Parts, later: Parts) -> Parts:
        """The parts of two reports of one host as those of one."""
        if not earlier or not later:
            return later or earlier
        merged = dict(earlier)
        for name, value in later.items():
            merged[name] = self._by_name[name].merge(merged[name], value) if name in merged else value
        return merged

    def admit(self, parts: Parts, newest: Mapping[str, Newest], began_s: float) -> Parts:
        """The parts without what newer readings have told already; `newest` is by the name of the collector."""
        admitted = {
            name: self._by_name[name].admit(value, newest[name], began_s) for name, value in parts.items()
        }
        return {name: value for name, value in admitted.items() if value is not None}


COLLECTORS = Collectors((VMS, USAGE, HOST, STORAGE, NETWORKS, LEASES, NWFILTERS, GUESTS, CONDITIONS))
