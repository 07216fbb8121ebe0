"""What is up: the report behind `vigie lab status`."""

from pydantic import BaseModel

from app.lab.errors import LabError
from app.lab.hosts import namespace
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab

ASK_TIMEOUT_S = 3.0


class GuestStatus(BaseModel):
    """A VM as its host lists it."""

    name: str
    state: str


class HostStatus(BaseModel):
    """A host; `daemon` is running, frozen or dead, and `guests` is None when the daemon does not say."""

    name: str
    uuid: str
    address: str
    alive: bool
    daemon: str
    ssh: bool
    ssh_host_key: str | None
    tls_port: int
    virsh_uri: str
    guests: list[GuestStatus] | None


class LabStatus(BaseModel):
    """A lab, for people and for programs."""

    id: str
    directory: str
    subnet: str
    accelerator: str
    ssh_user: str
    ssh_private_key: str
    tls_directory: str
    hosts: list[HostStatus]


def lab_status(lab: Lab) -> LabStatus:
    """Look at every host now; one that hangs costs 3 s at most."""
    state = lab.state
    return LabStatus(
        id=state.id,
        directory=str(state.data),
        subnet=str(state.subnet),
        accelerator=state.accelerator,
        ssh_user=LabHost.ssh_user,
        ssh_private_key=str(state.data / "ssh/id_ed25519"),
        tls_directory=str(state.data / "tls"),
        hosts=[host_status(host) for host in lab.hosts],
    )


def host_status(host: LabHost) -> HostStatus:
    """Look at one host now."""
    inside = namespace.processes(host.init_pid) if host.is_alive else []
    daemons = [item for item in inside if item.command == "libvirtd"]
    daemon = "dead" if not daemons else "frozen" if daemons[0].stopped else "running"
    return HostStatus(
        name=host.name,
        uuid=host.uuid,
        address=host.address,
        alive=host.is_alive,
        daemon=daemon,
        ssh=any(item.command == "sshd" and not item.stopped for item in inside),
        ssh_host_key=host.ssh_host_key if host.is_alive else None,
        tls_port=host.tls_port,
        virsh_uri=host.virsh_uri,
        guests=_guests(host) if daemon == "running" else None,
    )


def _guests(host: LabHost) -> list[GuestStatus] | None:
    try:
        uuids = host.virsh("list", "--all", "--uuid", timeout_s=ASK_TIMEOUT_S).split()
        return [
            GuestStatus(
                name=host.virsh("domname", uuid, timeout_s=ASK_TIMEOUT_S),
                state=host.virsh("domstate", uuid, timeout_s=ASK_TIMEOUT_S),
            )
            for uuid in uuids
        ]
    except LabError:
        return None
