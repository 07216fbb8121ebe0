"""The web application over a real database that holds a small inventory; no engine, no hosts behind it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.access import tokens
from app.access.context import Actor, Ctx, Services
from app.access.sign_in.login_limits import guesser_at
from app.access.sign_in.passwords import hash_password
from app.access.sign_in.sign_in import Browser, sign_in
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import Role
from app.core.access.specs import TokenSpec
from app.core.hosts.states import HostConnection, HostMode, Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import Hub
from app.core.tasks.states import TaskState
from app.core.vms.states import VmState
from app.db import models
from app.db.session import Database
from app.hypervisor.xml.domains.read import read_vm
from app.inventory.vms.definitions import parsed
from app.logs import set_up_logs
from app.web import create_web
from tests.databases import Cluster
from tests.rows import put_rows_back, read_rows

BASE_URL = "http://localhost"
PASSWORD = "correct horse battery"
NETWORK_XML = (
    "<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>"
    "<ip address='192.0.2.1' prefix='24'><dhcp><range start='192.0.2.100' end='192.0.2.199'/></dhcp></ip></network>"
)
HEALTH = {"running": True, "hosts": {"connected": 2}, "writer_lag_s": 0.1, "threads": 12}


@dataclass
class Inventory:
    """Ids of what the database holds."""

    datacenter: str
    hosts: list[str]
    vms: list[str]
    pool: str
    volume: str
    network: str
    filter: str
    task: str
    credential: str
    user: str


@dataclass
class Console:
    """The application, and ways to call it."""

    app: FastAPI
    services: Services
    tokens: dict[Role, str]
    clients: list[TestClient] = field(default_factory=list)
    _inventory: Inventory | None = None

    @property
    def inventory(self) -> Inventory:
        """What the database was filled with."""
        assert self._inventory is not None, "this console looks at real hosts"
        return self._inventory

    def client(self, role: Role | None = Role.ADMINISTRATOR) -> TestClient:
        """A program with a token of the role, or without any."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        client = TestClient(self.app, BASE_URL, headers=headers, follow_redirects=False)
        self.clients.append(client)
        return client

    def browser(self, role: Role = Role.ADMINISTRATOR) -> TestClient:
        """A browser that is signed in, on our own pages."""
        signed = sign_in(self.services, role.value, PASSWORD, Browser("testclient", "Tests"))
        client = TestClient(
            self.app,
            BASE_URL,
            cookies={"vigie_session": signed.secret},
            headers={"Sec-Fetch-Site": "same-origin"},
            follow_redirects=False,
        )
        self.clients.append(client)
        return client


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Log as the server does: structlog's default shows every local variable of a failure, which takes seconds."""
    set_up_logs("error", "text")


@pytest.fixture
def console(services: Services) -> Iterator[Console]:
    """A console of its own for each test that changes things, on both databases."""
    with made_console(services) as console:
        yield console


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console for all tests of a module that only look, on both databases."""
    folder = tmp_path_factory.mktemp("console")
    with ExitStack() as opened:
        url = None
        if request.param == "sqlite":
            shutil.copy(request.getfixturevalue("empty_sqlite"), folder / "vigie.db")
        else:
            cluster: Cluster = request.getfixturevalue("cluster")
            url = opened.enter_context(cluster.copy())
        yield opened.enter_context(opened_console(folder, url))


@pytest.fixture(autouse=True)
def _shared_console_is_left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that changes what others look at fails itself, and the others find it as it was."""
    if "shared" not in request.fixturenames:
        yield
        return
    database = request.getfixturevalue("shared").services.database
    before = read_rows(database)
    yield
    if changed := put_rows_back(database, before):
        pytest.fail(f"the test changed the shared console: {', '.join(changed)}", pytrace=False)


@contextmanager
def opened_console(folder: Path, url: str | None = None) -> Iterator[Console]:
    """A console over a migrated database: the one of the URL, or the file in the directory."""
    settings = Settings(data_dir=folder, database_url=url)  # type: ignore[arg-type]
    database = Database(settings.database)
    with made_console(Services(settings, database, Hub(), Vault(settings.key_path))) as console:
        yield console
    database.close()


@contextmanager
def made_console(services: Services) -> Iterator[Console]:
    """The application over the services, with users and a small inventory."""
    users = make_users(services)
    console = Console(create_web(services, lambda: HEALTH), services, users, _inventory=fill(services))
    yield console
    for client in console.clients:
        client.close()


def make_users(services: Services) -> dict[Role, str]:
    """A user of each role, named after it, and a token of each."""
    return {role: _user_with_token(services, role) for role in Role}


@cache
def _password_hash() -> str:
    return hash_password(PASSWORD, guesser_at(None))  # slow on purpose: once is enough


def _user_with_token(services: Services, role: Role) -> str:
    user = _user(role.value, role, datetime.now(UTC))
    with services.database.begin() as session:
        session.add(user)
        session.flush()
        actor = Actor(user.id, user.name, role, "cli")
        return tokens.create_token(Ctx(services, session, actor), TokenSpec(name="tests")).token


def fill(services: Services, vms_per_host: int = 6) -> Inventory:
    """Two hosts, one of them silent, with VMs in several states, storage, networks, tasks and events."""
    now = datetime.now(UTC)
    with services.database.begin() as session:
        datacenter = models.Datacenter(
            id=new_id(ObjectKind.DATACENTER), name="Paris", name_key="paris", created_at=now
        )
        session.add(datacenter)
        session.flush()
        hosts = [_host(number, datacenter.id, now) for number in range(2)]
        session.add_all(hosts)
        session.flush()
        vms = [_vm(host, number, now) for host in hosts for number in range(vms_per_host)]
        pool, network = _pool(hosts[0]), _network(hosts[0])
        session.add_all(
            [*vms, pool, network, _event(vms[0], hosts[0], now), task := _task(vms[0], hosts[0], now)]
        )
        session.flush()
        session.add_all([volume := _volume(pool), traffic := _filter(hosts[0])])
        session.add_all(_definition(vm, now) for vm in vms)
        session.add_all([credential := _credential(services, now), spare := _user("spare", Role.VIEWER, now)])
        return Inventory(
            datacenter=datacenter.id,
            hosts=[host.id for host in hosts],
            vms=[vm.id for vm in vms],
            pool=pool.id,
            volume=volume.id,
            network=network.id,
            filter=traffic.id,
            task=task.id,
            credential=credential.id,
            user=spare.id,
        )


def _user(name: str, role: Role, now: datetime) -> models.User:
    return models.User(
        id=new_id(ObjectKind.USER),
        name=name,
        name_key=name,
        display=name.title(),
        password_hash=_password_hash(),
        role=role.value,
        created_at=now,
    )


def _credential(services: Services, now: datetime) -> models.Credential:
    return models.Credential(
        id=new_id(ObjectKind.CREDENTIAL),
        name="old key",
        name_key="old key",
        kind="ssh_password",
        summary="root password",
        sealed=services.vault.seal({"password": "not this one"}),
        created_at=now,
        updated_at=now,
    )


def _host(number: int, datacenter_id: str, now: datetime) -> models.Host:
    silent = number == 1
    name = f"kvm-{number:02}"
    return models.Host(
        id=new_id(ObjectKind.HOST),
        datacenter_id=datacenter_id,
        name=name,
        name_key=name,
        transport=Transport.SSH,
        address=f"192.0.2.{number + 1}",
        port=22,
        user="root",
        socket="/var/run/libvirt/libvirt-sock",
        mode=HostMode.MANAGED,
        connection=HostConnection.NOT_ANSWERING if silent else HostConnection.CONNECTED,
        observed_at=now - timedelta(hours=1) if silent else now,
        libvirt_uuid=f"00000000-0000-4000-8000-{number:012}",
        cpus=8,
        memory_bytes=64 << 30,
        search_text=name,
        created_at=now,
    )


def _vm(host: models.Host, number: int, now: datetime) -> models.Vm:
    states = (
        VmState.RUNNING,
        VmState.SHUTOFF,
        VmState.PAUSED,
        VmState.CRASHED,
        VmState.SAVED,
        VmState.MISSING,
    )
    name = f"web-{host.name[-2:]}-{number:02}"
    return models.Vm(
        id=new_id(ObjectKind.VM),
        host_id=host.id,
        uuid=f"00000000-0000-4000-9000-{int(host.name[-2:]):06}{number:06}",
        name=name,
        name_key=name,
        state=states[number % len(states)],
        persistent=True,
        autostart=False,
        vcpus=2,
        memory_bytes=1 << 30,
        addresses=[["52:54:00:00:00:01", "192.0.2.10"]],
        search_text=name,
        missing_since=now if states[number % len(states)] is VmState.MISSING else None,
        created_at=now,
    )


def _definition(vm: models.Vm, now: datetime) -> models.VmDefinition:
    xml = f"<domain><name>{vm.name}</name></domain>"
    return models.VmDefinition(vm_id=vm.id, digest="d", xml=xml, parsed=parsed(read_vm(xml)), read_at=now)


def _pool(host: models.Host) -> models.Pool:
    return models.Pool(
        id=new_id(ObjectKind.POOL),
        host_id=host.id,
        uuid="00000000-0000-4000-a000-000000000001",
        name="default",
        kind="dir",
        state="running",
        autostart=True,
        persistent=True,
        capacity_bytes=100,
        allocation_bytes=40,
        available_bytes=60,
    )


def _volume(pool: models.Pool) -> models.Volume:
    return models.Volume(
        id=new_id(ObjectKind.VOLUME),
        pool_id=pool.id,
        name="web.qcow2",
        path="/images/web.qcow2",
        kind="file",
        format="qcow2",
        capacity_bytes=10,
        allocation_bytes=4,
    )


def _network(host: models.Host) -> models.Network:
    return models.Network(
        id=new_id(ObjectKind.NETWORK),
        host_id=host.id,
        uuid="00000000-0000-4000-b000-000000000001",
        name="default",
        active=True,
        autostart=True,
        persistent=True,
        forward_mode="nat",
        addresses=["192.0.2.1/24"],
        xml=NETWORK_XML,
    )


def _filter(host: models.Host) -> models.Nwfilter:
    return models.Nwfilter(
        id=new_id(ObjectKind.NWFILTER),
        host_id=host.id,
        uuid="00000000-0000-4000-c000-000000000001",
        name="shop-web",
        xml="<filter name='shop-web' chain='root'><rule action='accept' direction='in'><tcp/></rule></filter>",
    )


def _task(vm: models.Vm, host: models.Host, now: datetime) -> models.Task:
    return models.Task(
        id=new_id(ObjectKind.TASK),
        kind="vm.start",
        title="Start",
        state=TaskState.SUCCEEDED,
        progress=100,
        target_kind="vm",
        target_id=vm.id,
        target_name=vm.name,
        host_id=host.id,
        host_name=host.name,
        actor_name="administrator",
        created_at=now,
        finished_at=now,
    )


def _event(vm: models.Vm, host: models.Host, now: datetime) -> models.Event:
    return models.Event(
        at=now,
        kind="vm.state",
        severity="info",
        message="The VM is running.",
        object_kind="vm",
        object_id=vm.id,
        object_name=vm.name,
        host_id=host.id,
        host_name=host.name,
    )
