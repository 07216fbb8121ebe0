"""The benchmark of consoles: what the proxy adds to a round trip, and what twenty consoles cost.

The display is a program on the lab's host in the place of QEMU's own, which answers at once: QEMU draws in steps of
30 ms, in which the proxy's part would drown.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.lab.bench.measure import Load, Spread, load_of, until
from app.lab.bench.servers import serving_lab
from app.lab.errors import LabError
from app.lab.hosts import namespace
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.rest import Rest

SOCKET = "/var/tmp/bench.vnc"
GRAPHICS = f"<graphics type='vnc' socket='{SOCKET}'><listen type='socket' socket='{SOCKET}'/></graphics>"
CONSOLES = 20
FRAME_BYTES, FRAMES_PER_S = 16 * 1024, 30
KEY = b"\x04\x01\x00\x00\x00\x00\x00A"
KEYS_PER_S = 10
# After the handshake of VNC a byte says what is wanted: an echo of eight bytes each, or a film.
DISPLAY = f"""
import os, socket, sys, threading, time
path = sys.argv[1]
os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(50)
def exactly(client, count):
    data = b""
    while len(data) < count:
        part = client.recv(count - len(data))
        if not part:
            raise OSError
        data += part
    return data
def serve(client):
    try:
        client.sendall(b"RFB 003.008\\n")
        exactly(client, 12)
        client.sendall(b"\\1\\1")
        exactly(client, 1)
        client.sendall(bytes(4))
        exactly(client, 1)
        if exactly(client, 1) == b"e":
            while True:
                client.sendall(exactly(client, 8))
        threading.Thread(target=drain, args=(client,), daemon=True).start()
        while True:
            client.sendall(bytes({FRAME_BYTES}))
            time.sleep(1 / {FRAMES_PER_S})
    except OSError:
        client.close()
def drain(client):
    while client.recv(65536):
        pass
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
PROBE = """
import json, socket, sys, time
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
for sent, count in ((b"RFB 003.008\\n", 12), (b"\\1", 2), (b"\\1e", 4)):
    while count:
        count -= len(client.recv(count))
    client.sendall(sent)
times = []
for _ in range(int(sys.argv[2])):
    begun = time.perf_counter()
    client.sendall(bytes(8))
    client.recv(8)
    times.append((time.perf_counter() - begun) * 1000)
    time.sleep(0.005)
print(json.dumps(times))
"""


@dataclass(frozen=True)
class ConsoleFigures:
    """Round trips of eight bytes, on the host itself and through Vigie, in ms; and the server's load."""

    direct: Spread
    proxied: Spread
    idle: Load
    busy: Load


def run_consoles(samples: int, seconds: float) -> ConsoleFigures:
    """Make a lab of one host and measure on it. Raises LabError; nothing is left in any case."""
    lab = Lab.up(1)
    try:
        host = lab.hosts[0]
        with serving_lab(lab) as (server, token, rest):
            vm = _guest(rest, host)
            with _display(host):
                direct = _inside(host, PROBE, SOCKET, str(samples))
                proxied = _round_trips(rest, token, vm, samples)
                idle = load_of(server.pid, seconds)
                busy = asyncio.run(_films(rest, token, vm, server.pid, seconds))
        return ConsoleFigures(Spread(tuple(json.loads(direct))), proxied, idle, busy)
    finally:
        lab.down()


def _guest(rest: Rest, host: LabHost) -> str:
    """A VM whose display is on our socket; its id once Vigie sees it run."""
    host.create_guest("bench", memory_mib=96)
    xml = host.virsh("dumpxml", "bench", "--inactive")
    start, end = xml.index("<graphics"), xml.index("</graphics>") + len("</graphics>")
    host.define(xml[:start] + GRAPHICS + xml[end:])
    host.virsh("start", "bench")
    until(lambda: rest.total("/vms", state="running") == 1, "the guest runs", 30)
    return str(rest.call("GET", "/vms")["items"][0]["id"])


@contextmanager
def _display(host: LabHost) -> Iterator[None]:
    """Our program in the place of QEMU's display."""
    command = namespace.inside_command(host.init_pid, ["/usr/bin/python3", "-c", DISPLAY, SOCKET])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as display:
        try:
            if display.stdout is None or display.stdout.readline() != "ready\n":
                raise LabError("The display of the benchmark did not start.")
            yield
        finally:
            display.kill()


def _inside(host: LabHost, script: str, *arguments: str) -> str:
    return host.exec("/usr/bin/python3", "-c", script, *arguments, timeout_s=120).stdout


def _ticket(rest: Rest, vm: str) -> tuple[str, list[Subprotocol]]:
    rest.close()
    created = rest.call("POST", f"/vms/{vm}/consoles", {"kind": "vnc"})
    return str(created["url"]), [Subprotocol("vigie"), Subprotocol(f"vigie.ticket.{created['ticket']}")]


def _round_trips(rest: Rest, token: str, vm: str, samples: int) -> Spread:
    url, protocols = _ticket(rest, vm)
    times = []
    headers = {"Authorization": f"Bearer {token}"}
    with connect(url, subprotocols=protocols, additional_headers=headers, compression=None) as socket:
        socket.recv()  # {"event": "open"}
        for sent in (b"RFB 003.008\n", b"\x01", b"\x01e"):
            socket.recv()
            socket.send(sent)
        for _ in range(samples):
            begun = time.perf_counter()
            socket.send(KEY)
            received = 0
            while received < len(KEY):
                received += len(socket.recv())
            times.append((time.perf_counter() - begun) * 1000)
            time.sleep(0.005)
    return Spread(tuple(times))


async def _films(rest: Rest, token: str, vm: str, pid: int, seconds: float) -> Load:
    """The server's load while all consoles show a film and are typed into."""
    headers = {"Authorization": f"Bearer {token}"}
    sockets = []
    for _ in range(CONSOLES):
        url, protocols = _ticket(rest, vm)
        socket = await connect_async(
            url, subprotocols=protocols, additional_headers=headers, compression=None
        )
        await socket.recv()
        for sent in (b"RFB 003.008\n", b"\x01", b"\x01s"):
            await socket.recv()
            await socket.send(sent)
        sockets.append(socket)
    parts = [asyncio.create_task(part) for socket in sockets for part in (_watch(socket), _type(socket))]
    try:
        return await asyncio.to_thread(load_of, pid, seconds)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in sockets))


async def _watch(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


async def _type(socket: ClientConnection) -> None:
    while True:
        await socket.send(KEY)
        await asyncio.sleep(1 / KEYS_PER_S)
