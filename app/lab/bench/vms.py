"""The benchmark of VMs and volumes: creation and upload beside virsh doing the same, and a VM page that has much to show."""

import http.client
import json
import os
import re
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.lab.bench.answers import page_times
from app.lab.bench.measure import Spread, load_of, until
from app.lab.bench.servers import serving_lab
from app.lab.errors import LabError
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import ASSETS, POOLS
from app.lab.process import run
from app.lab.registration import by_tls
from app.lab.rest import Rest
from app.lab.server import Server

MIB = 1024**2
PART = 16 * MIB
DEVICES, VERSIONS = 40, 200
MEMORY_MIB = 96


@dataclass(frozen=True)
class Upload:
    """An upload of so many bytes, in seconds: by virsh on the host's own socket, by virsh over the same transport as
    Vigie, and through Vigie; and how much Vigie grew, in MiB.
    """

    size: int
    transport: str
    socket_s: float
    virsh_s: float
    vigie_s: float
    grown_mib: float


@dataclass(frozen=True)
class VmFigures:
    """Milliseconds until a VM made from an image runs, uploads, and server times of a page with much on it."""

    virsh_create: Spread
    api_create: Spread
    uploads: tuple[Upload, ...]
    page: Spread
    hardware_page: Spread
    history_page: Spread


def run_vms(rounds: int, samples: int, upload_mib: tuple[int, ...]) -> VmFigures:
    """Make a lab of two hosts by SSH and one by TLS, and measure on it. Raises LabError; nothing is left in any case."""
    lab = Lab.up(3)
    try:
        host = lab.hosts[0]
        base = f"{POOLS['local']}/base.qcow2"
        host.exec("qemu-img", "convert", "-O", "qcow2", f"{ASSETS}/boot.iso", base)
        host.virsh("pool-refresh", "local")
        with serving_lab(lab) as (server, token, rest):
            image = _image(rest)
            api = [_create_by_api(rest, host, image, f"api-{number:02d}") for number in range(rounds)]
            like = _definition(rest, host, image)
            virsh = [_create_by_virsh(host, base, f"own-{number:02d}", like) for number in range(rounds)]
            sent = [(host, size) for size in upload_mib] + [(lab.hosts[2], upload_mib[-1])]
            uploads = tuple(_upload(rest, server, token, to, size * MIB) for to, size in sent)
            vm = _laden(rest, host)
            pages = [page_times(rest, f"/vms/{vm}{part}", samples) for part in ("", "/hardware", "/history")]
        return VmFigures(Spread(tuple(virsh)), Spread(tuple(api)), uploads, *pages)
    finally:
        lab.down()


def _image(rest: Rest) -> str:
    until(lambda: rest.total("/volumes", q="base.qcow2") == 1, "the volumes", 60)
    volume = rest.call("GET", "/volumes?q=base.qcow2")["items"][0]["id"]
    rest.call("POST", "/images", {"name": "Tiny", "volume_id": volume})

    def ready() -> list[str]:
        return [item["id"] for item in rest.call("GET", "/images")["items"] if item["state"] == "ready"]

    until(lambda: bool(ready()), "the image", 60)
    return ready()[0]


def _create_by_api(rest: Rest, host: LabHost, image: str, name: str) -> float:
    """Milliseconds from the request until the API says that the VM runs; the VM goes again."""
    request = _vm_request(rest, host, image, name)
    begun = time.monotonic()
    task = rest.call("POST", "/vms", request)["id"]
    until(lambda: _state(rest, name) == "running", f"{name} runs", 60)
    took = (time.monotonic() - begun) * 1000
    _end(rest, task)
    _remove(host, name)
    return took


def _vm_request(rest: Rest, host: LabHost, image: str, name: str) -> dict[str, object]:
    """What the API is sent for a VM that starts from the image, on this host."""
    return {
        "name": name,
        "host_id": rest.call("GET", f"/hosts?q={host.name}")["items"][0]["id"],
        "memory_bytes": MEMORY_MIB * MIB,
        "disks": [{"image_id": image, "pool": "local"}],
        "nics": [{"network": "default"}],
    }


def _definition(rest: Rest, host: LabHost, image: str) -> str:
    """What Vigie defines for such a VM, with NAME in the place of its name."""
    request = _vm_request(rest, host, image, "model") | {"start": False}
    _end(rest, rest.call("POST", "/vms", request)["id"])
    xml = host.virsh("dumpxml", "--inactive", "model")
    _remove(host, "model", runs=False)
    return xml.replace("model-vda", "NAME-vda").replace("<name>model<", "<name>NAME<")


def _create_by_virsh(host: LabHost, base: str, name: str, like: str) -> float:
    """Milliseconds for virsh to make the same volume and VM and start it; the VM goes again."""
    xml = re.sub(r"<uuid>.*?</uuid>", f"<uuid>{uuid.uuid4()}</uuid>", like).replace("NAME", name)
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(xml)
        file.flush()
        begun = time.monotonic()
        backing = ("--backing-vol", base, "--backing-vol-format", "qcow2")
        host.virsh("vol-create-as", "local", f"{name}-vda.qcow2", "64M", "--format", "qcow2", *backing)
        host.virsh("define", file.name)
        host.virsh("start", name)
        took = (time.monotonic() - begun) * 1000
    _remove(host, name)
    return took


def _remove(host: LabHost, name: str, *, runs: bool = True) -> None:
    if runs:
        host.virsh("destroy", name)
    host.virsh("undefine", name)
    host.virsh("vol-delete", f"{name}-vda.qcow2", "--pool", "local")


def _end(rest: Rest, task: str) -> None:
    """Wait until the task has succeeded. Raises LabError when it does not."""
    until(lambda: rest.call("GET", f"/tasks/{task}")["state"] == "succeeded", f"task {task} succeeds", 60)


def _state(rest: Rest, name: str) -> str | None:
    found = rest.call("GET", f"/vms?name={name}")["items"]
    return str(found[0]["state"]) if found else None


def _upload(rest: Rest, server: Server, token: str, host: LabHost, size: int) -> Upload:
    """Send the same random bytes by virsh, and by Vigie's API in parts."""
    bare, sent = f"bare-{size // MIB}.img", f"sent-{size // MIB}.img"
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        host.virsh("vol-create-as", "local", bare, str(size), "--format", "raw")
        socket_s = _upload_by_virsh(host.virsh_uri, bare, file.name)
        virsh_s = _upload_by_virsh(_remote_uri(host), bare, file.name)
        before = load_of(server.pid, 0.1).memory_mib
        begun = time.monotonic()
        _send(rest, server.url, token, host, Path(file.name), size)
        vigie_s = time.monotonic() - begun
        grown = load_of(server.pid, 0.1).memory_mib - before
    sums = host.exec("sha256sum", *(f"{POOLS['local']}/{name}" for name in (bare, sent))).stdout.splitlines()
    if len({line.split()[0] for line in sums}) != 1:
        raise LabError("What arrived is not what was sent.")
    for name in (bare, sent):
        host.virsh("vol-delete", name, "--pool", "local")
    return Upload(size, "TLS" if by_tls(host) else "SSH", socket_s, virsh_s, vigie_s, grown)


def _upload_by_virsh(uri: str, volume: str, file: str) -> float:
    begun = time.monotonic()
    run(["virsh", "-q", "-c", uri, "vol-upload", "--pool", "local", volume, file], timeout_s=600)
    return time.monotonic() - begun


def _remote_uri(host: LabHost) -> str:
    """How virsh reaches the host as Vigie does; `no_verify`: the lab's hosts are new each time."""
    if by_tls(host):
        return f"qemu+tls://{host.address}/system?pkipath={host.tls_directory}&no_verify=1"
    key = host.ssh_private_key
    return f"qemu+ssh://{host.ssh_user}@{host.address}/system?keyfile={key}&no_verify=1"


def _send(rest: Rest, url: str, token: str, host: LabHost, file: Path, size: int) -> None:
    place = (host.name, "local")
    pools = rest.call("GET", "/pools")["items"]
    pool = next(item["id"] for item in pools if (item["host_name"], item["name"]) == place)
    requested = {"name": f"sent-{size // MIB}.img", "size_bytes": size}
    upload = rest.call("POST", f"/pools/{pool}/uploads", requested)["id"]
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    with file.open("rb") as source:
        offset = 0
        while data := source.read(PART):
            path = f"/api/v1/uploads/{upload}?offset={offset}"
            connection.request("PUT", path, body=data, headers=headers)
            answer = connection.getresponse()
            message = answer.read()
            if answer.status != 200:
                raise LabError(f"A part was answered with {answer.status}: {message[:300]!r}")
            offset = json.loads(message)["offset_bytes"]
    connection.close()
    _end(rest, upload)


def _laden(rest: Rest, host: LabHost) -> str:
    """The id of a VM with many devices and a long history, once Vigie knows all of it."""
    host.create_guest("laden")
    xml = host.virsh("dumpxml", "--inactive", "laden")
    have = xml.count("<disk ") + xml.count("<interface ")
    nics = (
        f"<interface type='network'><mac address='52:54:00:be:00:{number:02x}'/><source network='default'/>"
        "<model type='virtio'/></interface>"
        for number in range(DEVICES - have)
    )
    xml = xml.replace("</devices>", f"{''.join(nics)}</devices>")
    host.define(xml)
    until(lambda: _state(rest, "laden") == "shutoff", "the VM is known", 30)
    vm = str(rest.call("GET", "/vms?name=laden")["items"][0]["id"])

    def known() -> list[object]:
        return list(rest.call("GET", f"/vms/{vm}/history")["items"])

    for number in range(VERSIONS):
        host.virsh("desc", "laden", "--config", "--title", f"version {number}")
        until(lambda number=number: len(known()) >= min(number + 2, VERSIONS), f"version {number}", 10)  # type: ignore[misc]
    return vm
