"""The Vigie that is measured: it knows a simulated fleet, or serves a lab of real hosts."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.hosts.states import HostConnection, HostMode, Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db.models import Datacenter, Host
from app.db.session import Database
from app.lab.fleets import nodes
from app.lab.fleets.fleet import Fleet
from app.lab.lab import Lab
from app.lab.registration import make_administrator, register_hosts
from app.lab.rest import Rest
from app.lab.server import Server


@contextmanager
def serving_lab(lab: Lab) -> Iterator[tuple[Server, str, Rest]]:
    """A server that runs and has the lab's hosts registered, a token for it, and a client."""
    server = Server(lab.state.data / "server")
    try:
        token = _prepare(server)
        server.start()
        with Rest(server.url, token) as rest:
            register_hosts(rest, lab)
            yield server, token, rest
    finally:
        server.stop()


@contextmanager
def serving(fleet: Fleet) -> Iterator[tuple[Server, str, float]]:
    """A server that knows the fleet but is not started, a token, and the start-up time of one without hosts."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        server = Server(Path(scratch) / "data", settings={"lab": True})
        token = _prepare(server)
        try:
            empty_start_s = _start_time(server)
            # The first start of all makes files; only a second one is like that with hosts.
            empty_start_s = min(empty_start_s, _start_time(server))
            _write_hosts(server, fleet)
            yield server, token, empty_start_s
        finally:
            server.stop()


def _start_time(server: Server) -> float:
    begun = time.monotonic()
    server.start()
    seconds = time.monotonic() - begun
    server.stop()
    return seconds


def _write_hosts(server: Server, fleet: Fleet) -> None:
    """Write the fleet's hosts to the database, never seen before: the first sync then meets all at once."""
    now = datetime.now(UTC)
    database = Database(f"sqlite:///{server.directory / 'vigie.db'}")
    with database.begin() as session:
        datacenter = _datacenter(session, now)
        for number in range(1, fleet.state.hosts + 1):
            name = nodes.host_name(number)
            session.add(
                Host(
                    id=new_id(ObjectKind.HOST),
                    datacenter_id=datacenter,
                    name=name,
                    name_key=name,
                    search_text=name,
                    transport=Transport.SIMULATED,
                    address=str(fleet.node_path(number)),
                    socket=str(fleet.socket(fleet.group_of(number))),
                    port=0,
                    user="",
                    mode=HostMode.MANAGED,
                    connection=HostConnection.CONNECTING,
                    created_at=now,
                )
            )


def _datacenter(session: Session, now: datetime) -> str:
    """The first datacenter, made when there is none."""
    found = session.scalar(sa.select(Datacenter.id).limit(1))
    if found is not None:
        return found
    datacenter = Datacenter(id=new_id(ObjectKind.DATACENTER), name="Bench", name_key="bench", created_at=now)
    session.add(datacenter)
    session.flush()
    return datacenter.id


def _prepare(server: Server) -> str:
    """Make the server's database and an administrator; return a token for it."""
    server.prepare()
    return make_administrator(server, "bench", "bench-of-this-machine")
