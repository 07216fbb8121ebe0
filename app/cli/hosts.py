"""`vigie host`: registering and listing KVM hosts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.access.context import Ctx, Services
from app.cli.runtime import AsJson, opened, operator, plain_errors, reading, show
from app.core.errors import IdentityUnconfirmed, InvalidInput
from app.core.hosts.records import HostDetail, HostRecord
from app.core.hosts.specs import HostQuery, HostSpec
from app.core.records import Page
from app.core.specs import MAX_LIMIT, ListQuery
from app.services.hosts import credentials, hosts

host = typer.Typer(no_args_is_help=True, help="KVM hosts.")
COLUMNS = (
    *("name", "connection", "admin_state", "mode", "transport", "address", "vm_count", "libvirt_version"),
    "observed_at",
)


@host.command("add")
@plain_errors
def add(
    name: Annotated[str, typer.Argument(help="Name to show.")],
    uri: Annotated[
        str | None, typer.Option(help="qemu+ssh://user@host/system or qemu+tls://host/system.")
    ] = None,
    transport: Annotated[str | None, typer.Option(help="ssh, tls or local; instead of --uri.")] = None,
    address: Annotated[str | None, typer.Option(help="Host name or IP address.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default 22 for ssh, 16514 for tls.")] = None,
    user: Annotated[str | None, typer.Option(help="Account to sign in as, for ssh.")] = None,
    credential: Annotated[str | None, typer.Option(help="Name of a credential that Vigie keeps.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Identity that you have compared; unset: it is shown and asked.")
    ] = None,
    observe: Annotated[bool, typer.Option("--observe", help="Never change anything on the host.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a host. A running server starts to read it within seconds."""
    requested = {
        "name": name,
        "uri": uri,
        "transport": transport,
        "address": address,
        "port": port,
        "user": user,
        "fingerprint": fingerprint,
        "mode": "observe" if observe else "managed",
    }
    with opened() as services:
        if credential is not None:
            requested["credential_id"] = _credential_id(services, credential)
        confirmed = _add_confirmed(services, HostSpec.model_validate(requested))
    show(confirmed, COLUMNS, as_json=as_json)


@host.command("list")
@plain_errors
def list_(as_json: AsJson = False) -> None:
    """List the registered hosts as last seen."""
    found: list[HostRecord] = []
    cursor: str | None = None
    with reading() as ctx:
        while True:
            part: Page[HostRecord] = hosts.list_hosts(ctx, HostQuery(limit=MAX_LIMIT, cursor=cursor))
            found += part.items
            cursor = part.next
            if cursor is None:
                break
    show(found, COLUMNS, as_json=as_json)


def _add_confirmed(services: Services, spec: HostSpec) -> HostDetail:
    """Add the host; a person at a terminal is shown its identity and asked."""
    try:
        return hosts.add_host(services, operator(), _as_is, spec)
    except IdentityUnconfirmed as shown:
        if not sys.stdin.isatty():
            raise
        typer.echo(f"The host shows this identity: {shown.fingerprint}")
        typer.confirm("Is it the host that you mean?", abort=True)
        confirmed = spec.model_copy(update={"fingerprint": shown.fingerprint})
        return hosts.add_host(services, operator(), _as_is, confirmed)


def _credential_id(services: Services, name: str) -> str:
    with services.database.read() as session:
        ctx = Ctx(services, session, operator())
        found = credentials.list_credentials(ctx, ListQuery(limit=MAX_LIMIT, q=name)).items
    for item in found:
        if item.name.casefold() == name.casefold():
            return item.id
    raise InvalidInput("credential", "names no credential that Vigie keeps")


def _as_is(text: str) -> str:
    return text
