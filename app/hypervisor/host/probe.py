"""A probe of a host that is not in the inventory yet: who it is, what it can do, what is on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from app.core.errors import HostError, HostUnreachable, IdentityUnconfirmed, Unavailable
from app.core.hosts.compatibility import report
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.observations import Check, HostFacts
from app.core.messages import N_
from app.hypervisor.host.host import Host, see_identity
from app.hypervisor.transport.targets import Target

AT_ONCE = 8
FIRST_ANSWER_S = 5.0  # for a host to show who it is; what shows nothing is told no earlier
_ABOUT_THE_NAME = frozenset({"name_unknown", "address_not_allowed"})


@dataclass(frozen=True, slots=True)
class HostProbe:
    """What was seen of a host. `fingerprint` is the confirmed one; None for hosts that have none."""

    endpoint: Endpoint
    fingerprint: str | None
    facts: HostFacts
    vm_count: int
    checks: tuple[Check, ...]


class HostProber:
    """Probes hosts, only so many at the same time. Thread-safe."""

    def __init__(self, *, connect_deadline_s: float, call_deadline_s: float, at_once: int = AT_ONCE) -> None:
        self._connect_deadline_s = connect_deadline_s
        self._call_deadline_s = call_deadline_s
        self._at_once = at_once
        self._slots = threading.BoundedSemaphore(at_once)

    def probe(self, target: Target) -> HostProbe:
        """Connect, read and close.

        Raises IdentityUnconfirmed with the fingerprint that the host shows when the target has none, Unavailable
        (too_many_looks), HostError and its kinds.
        """
        with self._slot():
            return self._read(self._confirmed(target))

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise Unavailable(
                N_("Too many hosts are being looked at."),
                why=N_("At most %(count)d at a time."),
                hint=N_("Try again in a few seconds."),
                code="too_many_looks",
                params={"count": self._at_once},
            )
        try:
            yield
        finally:
            self._slots.release()

    def _confirmed(self, target: Target) -> Target:
        """The target with its confirmed fingerprint; where none is, raise with the one seen.

        The host is asked in any case: connecting at once with a made-up fingerprint would tell apart what listens there.
        """
        shown = self._show_identity(target.endpoint)
        if shown is None:
            return replace(target, fingerprint=None)
        if target.fingerprint is None:
            raise IdentityUnconfirmed(
                N_("The host's identity must be confirmed first."),
                fingerprint=shown,
                why=N_("It shows %(seen)s."),
                hint=N_("Compare it with what the host itself says, then ask again with this fingerprint."),
                params={"seen": shown},
            )
        return target

    def _show_identity(self, endpoint: Endpoint) -> str | None:
        """The identity that the host shows; None where it has none. Raises HostUnreachable.

        A port that is closed, one that is filtered and one where something else listens look the same, in words and in
        time: who may add hosts is not to learn what runs in Vigie's network.
        """
        answer_s = min(self._connect_deadline_s, FIRST_ANSWER_S)
        ends_at = time.monotonic() + answer_s
        try:
            return see_identity(endpoint, deadline_s=answer_s)
        except HostError as error:
            if error.code in _ABOUT_THE_NAME:
                raise
            time.sleep(max(0.0, ends_at - time.monotonic()))
            raise HostUnreachable(
                N_("The host cannot be reached."),
                why=N_("Nothing that can be a host answers at its address and port."),
                hint=N_(
                    "Check address and port, that the host is up, and that no firewall stands in between."
                ),
            ) from None

    def _read(self, target: Target) -> HostProbe:
        host = Host.open(
            target, connect_deadline_s=self._connect_deadline_s, call_deadline_s=self._call_deadline_s
        )
        with closing(host):
            facts, vms, pools = host.read_facts(), host.read_vms(), host.read_pools(volumes=False)
        return HostProbe(target.endpoint, target.fingerprint, facts, len(vms), report(facts, pools, vms))
