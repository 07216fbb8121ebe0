"""A running engine over lab hosts, in this process, and what tests ask of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services
from app.core.access.privileges import Role
from app.core.access.specs import CredentialSpec
from app.core.hosts.endpoints import make_endpoint
from app.core.hosts.specs import HostSpec
from app.core.hosts.states import HostConnection, HostMode, Transport
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions
from app.core.vms.states import VmState
from app.db.models import Host, Vm
from app.engine import Engine
from app.hypervisor import see_identity
from app.lab.hosts.host import LabHost
from app.services.hosts import credentials, hosts
from app.services.vms import power
from app.tasks import tasks

T = TypeVar("T")
ACTOR = Actor(None, "tester", Role.ADMINISTRATOR, "cli")


PATIENCE_S = 60.0  # before what is waited for counts as never coming; a busy machine is no failure


def eventually(
    look: Callable[[], T], timeout_s: float, what: str = "", *, is_deadline: bool = False
) -> float:
    """Wait for the first true answer of `look`; return how long that took, in seconds.

    `is_deadline`: the time itself is what Vigie promises, so nobody waits any longer.
    """
    limit_s = timeout_s if is_deadline else max(timeout_s, PATIENCE_S)
    begun = time.monotonic()
    while not look():
        took = time.monotonic() - begun
        assert took < limit_s, f"{what or look}: not within {limit_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - begun


@dataclass
class Site:
    """`add` hosts, look at their rows, `act` on their VMs."""

    services: Services
    engine: Engine
    host_ids: dict[str, str] = field(default_factory=dict)

    def ctx(self, session: object) -> Ctx:
        """A context of an administrator."""
        return Ctx(self.services, session, ACTOR)  # type: ignore[arg-type]

    def add(self, host: LabHost, *, transport: str = "ssh", mode: HostMode = HostMode.MANAGED) -> str:
        """Register a host and wait until it is in sync."""
        if transport == "local":
            spec = HostSpec(name=host.name, transport="local", socket=str(host.socket), mode=mode)
        else:
            endpoint = make_endpoint(Transport.SSH, address=host.address, user=host.ssh_user)
            spec = HostSpec(
                name=host.name,
                transport="ssh",
                address=host.address,
                user=host.ssh_user,
                credential_id=self._credential(host),
                fingerprint=see_identity(endpoint, deadline_s=5),
                mode=mode,
            )
        host_id = self.host_ids[host.name] = hosts.add_host(self.services, ACTOR, str, spec).id
        self.wait_host(host, HostConnection.CONNECTED, 10)
        return host_id

    def host(self, host: LabHost) -> Host:
        """The host's row."""
        with self.services.database.read() as session:
            row = session.get_one(Host, self.host_ids[host.name])
            session.expunge(row)
            return row

    def wait_host(self, host: LabHost, connection: HostConnection, timeout_s: float) -> float:
        """Wait until the row of the host has this connection."""
        return eventually(
            lambda: self.host(host).connection == connection,
            timeout_s,
            f"{host.name} {connection}, is {self.host(host).connection}",
            is_deadline=connection is HostConnection.NOT_ANSWERING,
        )

    def vm(self, name: str) -> Vm | None:
        """The row of the VM of this name."""
        with self.services.database.read() as session:
            row: Vm | None = session.scalar(sa.select(Vm).where(Vm.name == name))
            session.expunge_all()
            return row

    def wait_vm(self, name: str, state: VmState, timeout_s: float = 5.0) -> float:
        """Wait until the row of the VM is in this state."""

        def seen() -> bool:
            row = self.vm(name)
            return row is not None and row.state == state

        return eventually(seen, timeout_s, f"{name} {state}")

    def act(self, name: str, verb: VmVerb, **options: object) -> str:
        """Ask for a verb, as the API does; return the task's id."""
        row = self.vm(name)
        assert row is not None
        with self.services.database.begin() as session:
            return power.act(self.ctx(session), row.id, verb, ActionOptions(**options)).id  # type: ignore[arg-type]

    def task(self, task_id: str, timeout_s: float = 30.0) -> TaskRecord:
        """The task once it has ended."""
        eventually(lambda: self.now(task_id).state.is_final, timeout_s, "the task ends")
        return self.now(task_id)

    def now(self, task_id: str) -> TaskRecord:
        """The task as it is now."""
        with self.services.database.read() as session:
            return tasks.show_task(self.ctx(session), task_id)

    def do(self, name: str, verb: VmVerb, **options: object) -> TaskRecord:
        """Ask for a verb and wait until it has succeeded."""
        task = self.task(self.act(name, verb, **options))
        assert task.state is TaskState.SUCCEEDED, task
        return task

    def cancel(self, task_id: str) -> None:
        """Ask the task to stop."""
        with self.services.database.begin() as session:
            tasks.cancel_task(self.ctx(session), task_id)

    def _credential(self, host: LabHost) -> str:
        spec = CredentialSpec(
            name=f"key of {host.name}", kind="ssh_key", private_key=host.ssh_private_key.read_text()
        )  # type: ignore[arg-type]
        with self.services.database.begin() as session:
            return credentials.create_credential(self.ctx(session), spec).id
