"""Targets of lab hosts, one per transport, and hosts opened on them."""

from collections.abc import Callable

from app.core.errors import VigieError
from app.core.hosts.endpoints import make_endpoint
from app.core.hosts.states import Transport
from app.core.inventory.reports import Hint
from app.hypervisor import Host, SshKey, Target, TlsIdentity, see_identity
from app.lab.fleets.fleet import Fleet
from app.lab.hosts.host import LabHost


def ssh_target(host: LabHost, **changes: object) -> Target:
    endpoint = make_endpoint(Transport.SSH, address=host.address, user=host.ssh_user)
    known = {
        "secret": SshKey(host.ssh_private_key.read_text()),
        "fingerprint": see_identity(endpoint, deadline_s=5),
    }
    return Target(endpoint, **{**known, **changes})  # type: ignore[arg-type]


def tls_target(host: LabHost, **changes: object) -> Target:
    endpoint = make_endpoint(Transport.TLS, address=host.address)
    secret = TlsIdentity(
        host.tls_ca.read_text(), host.tls_client_cert.read_text(), host.tls_client_key.read_text()
    )
    known = {"secret": secret, "fingerprint": see_identity(endpoint, deadline_s=5)}
    return Target(endpoint, **{**known, **changes})  # type: ignore[arg-type]


def local_target(host: LabHost) -> Target:
    return Target(make_endpoint(Transport.LOCAL, socket=str(host.socket)))


def simulated_target(fleet: Fleet, number: int = 1) -> Target:
    socket = fleet.socket(fleet.group_of(number))
    return Target(
        make_endpoint(Transport.SIMULATED, address=str(fleet.node_path(number)), socket=str(socket))
    )


TRANSPORTS: dict[str, Callable[[LabHost], Target]] = {
    "ssh": ssh_target,
    "tls": tls_target,
    "local": local_target,
}


class Opened:
    """An open host with all that it told."""

    def __init__(self, target: Target, *, call_deadline_s: float, connect_deadline_s: float) -> None:
        self.hints: list[Hint] = []
        self.lost: list[VigieError] = []
        self.host = Host.open(
            target,
            connect_deadline_s=connect_deadline_s,
            call_deadline_s=call_deadline_s,
            on_hint=self.hints.append,
            on_lost=self.lost.append,
        )


OpenHost = Callable[..., Opened]
