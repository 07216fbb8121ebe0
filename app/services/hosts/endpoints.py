"""Where a host is, from what was asked for; the columns that keep it; the credential that its transport takes."""

from __future__ import annotations

from dataclasses import replace

from app.access.context import Ctx, Services
from app.access.find import look_up
from app.core.errors import InvalidInput
from app.core.hosts.endpoints import (
    Endpoint,
    check_dialable,
    make_endpoint,
    parse_uri,
    require_libvirt_socket,
)
from app.core.hosts.specs import HostTarget
from app.core.hosts.states import Transport
from app.core.messages import N_
from app.db.models import Credential

_FIELDS = ("transport", "address", "port", "user", "socket")
_KINDS = {Transport.SSH: ("ssh_key", "ssh_password"), Transport.TLS: ("tls",)}


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


def where_columns(endpoint: Endpoint) -> dict[str, str | int]:
    """Columns of a host that say where it is."""
    return {
        "transport": endpoint.transport.value,
        "address": endpoint.address,
        "port": endpoint.port,
        "user": endpoint.user,
        "socket": endpoint.socket,
    }


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
    credential = look_up(ctx, Credential, credential_id)
    if credential is None:
        raise InvalidInput("credential_id", N_("names no credential"))
    if credential.kind not in kinds:
        raise InvalidInput("credential_id", N_("is of a kind that this transport does not use"))
    return credential_id


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
    endpoint = make_endpoint(
        Transport(target.transport),
        address=target.address or "",
        port=target.port,
        user=target.user,
        socket=target.socket,
    )
    return check_dialable(replace(endpoint, loopback=services.settings.lab))
