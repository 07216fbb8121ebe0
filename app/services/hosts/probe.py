"""A first look at a host, before it is added: who it is, what it can do, what is on it.

The one place where a request talks to a host. It happens outside of any transaction, with deadlines, and only
so many at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.access.context import Actor, Ctx, Services
from app.access.host_secrets import secret_of
from app.core.errors import HostError, HostUnreachable, IdentityUnconfirmed, InvalidInput, Unavailable
from app.core.hosts.compatibility import report
from app.core.hosts.endpoints import (
    Endpoint,
    check_dialable,
    make_endpoint,
    parse_uri,
    require_libvirt_socket,
)
from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.specs import HostTarget
from app.core.hosts.states import Transport
from app.core.inventory.reports import HostSnapshot
from app.core.messages import N_
from app.db.models import Credential
from app.hypervisor import Host, Target, see_identity
from app.hypervisor.transport.targets import Secret

AT_ONCE = 8
FIRST_ANSWER_S = 5.0  # for a host to show who it is; what shows nothing is told no earlier
_ABOUT_THE_NAME = frozenset({"name_unknown", "address_not_allowed"})
_slots = threading.BoundedSemaphore(AT_ONCE)
_FIELDS = ("transport", "address", "port", "user", "socket")
_KINDS = {Transport.SSH: ("ssh_key", "ssh_password"), Transport.TLS: ("tls",)}


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a host."""

    endpoint: Endpoint
    fingerprint: str | None
    facts: HostFacts
    snapshot: HostSnapshot
    checks: tuple[Check, ...]


def endpoint_of(services: Services, target: HostTarget) -> Endpoint:
    """Where the host is, every field checked. Raises InvalidInput naming the field."""
    endpoint = _endpoint(services, target)
    lab = services.settings.lab
    try:
        require_libvirt_socket(endpoint, services.settings.sockets, anywhere=lab)
    except InvalidInput as error:
        if target.uri is None:
            raise
        raise InvalidInput("uri", error.rule, params=error.params, hint=error.hint) from None
    return endpoint


def _endpoint(services: Services, target: HostTarget) -> Endpoint:
    given = [name for name in _FIELDS if getattr(target, name) is not None]
    if target.uri is not None:
        if given:
            raise InvalidInput(given[0], N_("must not be given beside uri"))
        parsed = replace(parse_uri(target.uri), loopback=services.settings.lab)
        return check_dialable(parsed, "uri")
    if target.transport is None:
        raise InvalidInput("uri", N_("is needed, or transport and address in its place"))
    if target.transport == Transport.SIMULATED.value and not services.settings.lab:
        raise InvalidInput(
            "transport", N_("simulated hosts are for tests"), hint=N_("Use ssh, tls or local.")
        )
    made = make_endpoint(
        Transport(target.transport),
        address=target.address or "",
        port=target.port,
        user=target.user,
        socket=target.socket,
    )
    return check_dialable(replace(made, loopback=services.settings.lab))


def where_columns(endpoint: Endpoint) -> dict[str, Any]:
    """Columns of a host that say where it is."""
    return {
        "transport": endpoint.transport.value,
        "address": endpoint.address,
        "port": endpoint.port,
        "user": endpoint.user,
        "socket": endpoint.socket,
    }


def look_at(services: Services, actor: Actor, translate: Callable[[str], str], target: HostTarget) -> Look:
    """Connect and read. Raises IdentityUnconfirmed when the target names no fingerprint, HostError and its kinds."""
    with services.database.read() as session:
        ctx = Ctx(services, session, actor, translate)
        ctx.require("host.add")
        endpoint = endpoint_of(services, target)
        known = credential_for(ctx, endpoint, target.credential_id)
        secret = secret_of(session, services.vault, known)
    if not _slots.acquire(blocking=False):
        raise Unavailable(
            N_("Too many hosts are being looked at."),
            why=N_("At most %(count)d at a time."),
            hint=N_("Try again in a few seconds."),
            code="too_many_looks",
            params={"count": AT_ONCE},
        )
    try:
        return _look(services, endpoint, secret, _identity(services, translate, endpoint, target.fingerprint))
    finally:
        _slots.release()


def credential_for(ctx: Ctx, endpoint: Endpoint, credential_id: str | None) -> str | None:
    """The credential, once it is known to be of a kind that the transport uses; None where none is used."""
    kinds = _KINDS.get(endpoint.transport)
    if kinds is None:
        return None
    if credential_id is None:
        raise InvalidInput(
            "credential_id",
            N_("is needed to sign in to the host"),
            hint=N_("Make a credential first: an SSH key, or a TLS certificate."),
        )
    credential = ctx.session.get(Credential, credential_id)
    if credential is None:
        raise InvalidInput("credential_id", N_("names no credential"))
    if credential.kind not in kinds:
        raise InvalidInput("credential_id", N_("is of a kind that this transport does not use"))
    return credential_id


def _identity(
    services: Services, translate: Callable[[str], str], endpoint: Endpoint, confirmed: str | None
) -> str | None:
    """The confirmed fingerprint; where none is, show the one seen and ask. None for hosts that have none.

    The host is asked in any case: connecting at once with a made-up fingerprint would tell apart what listens there.
    """
    if endpoint.transport not in _KINDS:
        return None
    seen = _see(services, endpoint)
    if confirmed is not None:
        return confirmed
    raise IdentityUnconfirmed(
        N_("The host's identity must be confirmed first."),
        fingerprint=seen or "",
        why=N_("It shows %(seen)s."),
        hint=N_("Compare it with what the host itself says, then ask again with this fingerprint."),
        params={"seen": seen},
    )


def _see(services: Services, endpoint: Endpoint) -> str | None:
    """The identity that the host shows. Raises HostUnreachable.

    A port that is closed, one that is filtered and one where something else listens look the same, in words and in
    time: who may add hosts is not to learn what runs in Vigie's network.
    """
    look_s = min(services.settings.connect_deadline_s, FIRST_ANSWER_S)
    ends_at = time.monotonic() + look_s
    try:
        return see_identity(endpoint, deadline_s=look_s)
    except HostError as error:
        if error.code in _ABOUT_THE_NAME:
            raise
        time.sleep(max(0.0, ends_at - time.monotonic()))
        raise HostUnreachable(
            N_("The host cannot be reached."),
            why=N_("Nothing that can be a host answers at its address and port."),
            hint=N_("Check address and port, that the host is up, and that no firewall stands in between."),
        ) from None


def _look(services: Services, endpoint: Endpoint, secret: Secret | None, fingerprint: str | None) -> Look:
    host = Host.open(
        Target(endpoint, secret, fingerprint),
        connect_deadline_s=services.settings.connect_deadline_s,
        call_deadline_s=services.settings.call_deadline_s,
    )
    try:
        facts, snapshot = host.read_facts(), host.read_all()
    finally:
        host.close()
    return Look(endpoint, fingerprint, facts, snapshot, report(facts, snapshot))
