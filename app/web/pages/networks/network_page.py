"""What a network's page offers and shows, decided from the network and what the reader may do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.core.networks.records import NetworkDetail
from app.core.networks.specs import OWN_BRIDGE, NetworkPlan, Subnet
from app.core.vms.records import VerbRecord


@dataclass(frozen=True, slots=True)
class NetworkPage:
    """One network for one reader, on a tab. `pair` are the two versions that the tab of its history compares."""

    network: NetworkDetail
    can: Callable[[str], bool]
    tab: str = "summary"
    pair: Sequence[int | None] = ()

    @property
    def url(self) -> str:
        """The address of exactly what is shown."""
        url = f"/networks/{self.network.id}"
        if self.tab != "summary":
            url += f"/{self.tab}"
        if self.pair and self.pair[0] is not None:
            url += f"?from={self.pair[0]}&to={self.pair[1] or 0}"
        return url

    @property
    def trigger(self) -> str:
        """When the page reads itself again: leases come and go without an event."""
        return "vigie:live, every 10s" if self.network.active and self.network.dhcp else "vigie:live"

    @property
    def verbs(self) -> dict[str, VerbRecord]:
        """Its actions by verb."""
        return {record.verb: record for record in self.network.actions}

    @property
    def is_editable(self) -> bool:
        """The form can show and write its definition."""
        return self.verbs["change"].allowed and self._plan is not None

    @property
    def may_restore(self) -> bool:
        """An earlier definition may be made the present one by the reader."""
        return self.can("network.edit") and self.network.persistent

    @property
    def is_limited(self) -> bool:
        """Its bandwidth has a limit."""
        return self._plan is not None and bool(self._plan.in_kbps or self._plan.out_kbps)

    @property
    def dhcp_subnets(self) -> list[Subnet]:
        """Its subnets where DHCP gives addresses."""
        subnets = self._plan.subnets if self._plan is not None else ()
        return [subnet for subnet in subnets if subnet.dhcp or subnet.reservations]

    @property
    def has_dns(self) -> bool:
        """It is of a mode in which its host may answer DNS."""
        return self._plan is not None and self._plan.mode in OWN_BRIDGE

    @property
    def has_port_groups(self) -> bool:
        """It has port groups."""
        return self._plan is not None and bool(self._plan.port_groups)

    @property
    def _plan(self) -> NetworkPlan | None:
        return self.network.plan


@dataclass(frozen=True, slots=True)
class NetworkFields:
    """The fields of a network's form: those of its mode, or of all while the form itself chooses the mode."""

    mode: str | None = None

    @property
    def chosen_here(self) -> bool:
        """Whether the form has the choice of modes; scripts and styles then show the fields of the chosen one."""
        return self.mode is None

    def shows(self, modes: Sequence[str]) -> bool:
        """Whether fields of these modes belong to the form."""
        return self.mode in modes
