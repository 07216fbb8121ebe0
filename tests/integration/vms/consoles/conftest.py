"""A server over the lab's hosts, two by SSH and one by TLS, and guests with consoles of all kinds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.lab.hosts import namespace
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.registration import make_administrator, register_hosts
from app.lab.rest import Rest
from app.lab.server import Server
from tests.commands import QuickServer
from tests.integration.waiting import wait_for


@dataclass
class Site:
    """The server, and ways to make guests that it knows."""

    server: Server
    rest: Rest
    token: str
    passing: str  # token of the operator `passing`
    hosts: list[LabHost]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API over a fresh connection: an idle one may be gone, and changes are not sent twice."""
        self.rest.close()
        return self.rest.call(method, path, body)

    def guest(self, host: LabHost, name: str, graphics: str | None = None, **options: Any) -> str:
        """A running guest with these graphics instead of VNC on the loopback; its id once Vigie sees it run."""
        options.setdefault("memory_mib", 96)
        host.create_guest(name, **options)
        if graphics is not None:
            xml = host.virsh("dumpxml", name, "--inactive")
            start, end = xml.index("<graphics"), xml.index("</graphics>") + len("</graphics>")
            host.define(xml[:start] + graphics + xml[end:])
        host.virsh("start", name)
        return self.running(name)

    def running(self, name: str) -> str:
        """The id of the VM once Vigie sees it run."""

        def look() -> str | None:
            found = self.rest.call("GET", f"/vms?name={name}")["items"]
            return found[0]["id"] if found and found[0]["state"] == "running" else None

        return str(wait_for(look, f"{name} runs"))


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = QuickServer(tmp_path_factory.mktemp("consoles") / "server", settings={"ping_s": 1.0})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.vigie(
        "user", "add", "passing", "--role", "operator", "--password-stdin", given="a passing password\n"
    )
    passing = json.loads(server.vigie("token", "create", "tests", "--user", "passing", "--json"))["token"]
    server.start()
    try:
        with Rest(server.url, token) as rest:
            register_hosts(rest, lab)
            wait_for(
                lambda: all(
                    item["connection"] == "connected" for item in rest.call("GET", "/hosts")["items"]
                ),
                "hosts",
            )
            yield Site(server, rest, token, passing, lab.hosts)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def terminal(site: Site) -> Iterator[str]:
    """A guest that boots to its login, on the first host."""
    yield site.guest(site.hosts[0], "terminal", memory_mib=128)
    site.hosts[0].remove_guests()


@pytest.fixture(autouse=True)
def _site_is_left_as_found(site: Site) -> Iterator[None]:
    """A test that changes users or hosts of the server that all share fails itself; they are changed back."""
    before = _shared_by_all(site)
    yield
    now = _shared_by_all(site)
    wrong = [f"{path} was {fields}, is {now[path]}" for path, fields in before.items() if now[path] != fields]
    for path, fields in before.items():
        if now[path] != fields:
            site.call("PATCH", path, fields)
    if wrong:
        pytest.fail(f"the test left the server otherwise than it found it: {wrong}", pytrace=False)


def _shared_by_all(site: Site) -> dict[str, dict[str, object]]:
    """What people set of each user and each host, by its path."""
    fields = {"/users": ("role", "disabled"), "/hosts": ("mode", "admin_state")}
    return {
        f"{path}/{item['id']}": {name: item[name] for name in names if name in item}
        for path, names in fields.items()
        for item in site.call("GET", path)["items"]
    }


@pytest.fixture(autouse=True)
def _guests_are_removed(fresh_lab: Lab) -> None:
    """Those that a test made; `terminal` stays for the next."""


# Takes the place of a display's socket and behaves as its argument says.
ROGUE = r"""
import os, socket, sys
path, manner = sys.argv[1:]
os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen()
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    try:
        if manner == "rubbish":
            client.sendall(os.urandom(4096))
        if manner == "flood":
            client.sendall(b"RFB 003.008\n")
            while True:
                client.sendall(b"\xff" * 65536)
        if manner == "tls":
            client.sendall(b"RFB 003.008\n")
            client.recv(12)
            client.sendall(b"\x01\x13")
            client.recv(1)
    except OSError:
        pass
    client.close()
"""


@pytest.fixture
def rogue() -> Iterator[Callable[[LabHost, str, str], None]]:
    """Starts a program on a host that takes over the socket of a display and behaves as told."""
    started: list[subprocess.Popen[str]] = []

    def start(host: LabHost, path: str, manner: str) -> None:
        program = ["setpriv", "--pdeathsig", "KILL", "/usr/bin/python3", "-c", ROGUE]
        command = namespace.inside_command(host.init_pid, [*program, path, manner])
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        output = started[-1].stdout
        assert output is not None
        assert output.readline() == "ready\n"

    yield start
    for item in started:
        item.kill()
        item.wait()
