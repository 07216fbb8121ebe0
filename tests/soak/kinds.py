"""Every kind of work that the kills interrupt: what it needs, how it is asked for, and how the host tells the truth.

Each job has objects of its own, named after its number, so that all of a round can be at work at once.
"""

from __future__ import annotations

import re
from typing import ClassVar

import libvirt

from app.core.vms.create.spec import MIB
from app.lab.hosts.host import LabHost
from app.lab.paths import POOLS
from tests.soak.client import Client, Json

SMALL = 8 * MIB
MARK = "content-of-the-soak"
RUNNING, SHUT_OFF = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_SHUTOFF


class Stage:
    """The host on which all of it happens, asked by a connection of the tests' own."""

    def __init__(self, host: LabHost, client: Client) -> None:
        self.host = host
        self.client = client
        libvirt.registerErrorHandler(lambda *_: None, None)
        self.connection = libvirt.open(host.virsh_uri)
        self.host_id = client.id_of("/hosts", host.name)
        self._pools = {name: client.id_of("/pools", name, host=self.host_id) for name in POOLS}

    def pool(self, name: str = "local") -> str:
        """The id of a pool of the host."""
        return self._pools[name]

    def files(self, pool: str = "local") -> set[str]:
        """Names of what lies in the directory of a pool, whatever libvirt lists."""
        return set(self.host.exec("ls", "-A", POOLS[pool]).stdout.split())

    def capacity(self, name: str, pool: str = "local") -> int:
        """Bytes that the volume holds, read now."""
        found = self.connection.storagePoolLookupByName(pool)
        found.refresh()
        capacity: int = found.storageVolLookupByName(name).info()[1]
        return capacity

    def domain(self, name: str) -> libvirt.virDomain | None:
        """The VM of this name; None when the host has none."""
        return next(
            (
                list_all_domain
                for list_all_domain in self.connection.listAllDomains()
                if list_all_domain.name() == name
            ),
            None,
        )

    def domain_state(self, name: str) -> int | None:
        """libvirt's number of the VM's state; None when the host has none of the name."""
        found = self.domain(name)
        return None if found is None else int(found.state()[0])

    def disks(self, name: str) -> list[str]:
        """Paths of the disks of a VM's saved definition."""
        found = self.domain(name)
        xml = "" if found is None else found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        return re.findall(r"<source file='([^']+)'", xml)

    def has_mark(self, name: str, pool: str = "local") -> bool:
        """Whether a raw volume holds the mark of `Job._write_mark`."""
        return self.host.exec("grep", "-qaF", MARK, f"{POOLS[pool]}/{name}", check=False).returncode == 0


class Job:
    """One piece of work. `wrong` says how task and host disagree; empty: they agree."""

    repeats: ClassVar[bool] = (
        True  # False: after a crash it may end as interrupted, since it is never sent twice
    )

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self.number = number
        self.name = f"soak-{number}"
        self.volume = f"{self.name}.img"

    def prepare(self) -> None:
        """Make what the work needs."""

    def submit(self) -> str:
        """Ask for the work; return the task's id."""
        raise NotImplementedError

    def is_done(self) -> bool:
        """Whether the host has all that the work was to do."""
        raise NotImplementedError

    def is_clean(self) -> bool:
        """Whether nothing of the work is left on the host."""
        return not self.is_done()

    def wrong(self, task: Json) -> str:
        """How task and host disagree."""
        if task["state"] == "succeeded":
            return "" if self.is_done() else f"succeeded, and is not done: {self.tell(task)}"
        if not self.repeats and task["error"]["code"] == "interrupted":
            return ""
        if self.is_done():
            return f"{task['state']}, and is done: {self.tell(task)}"
        return f"{task['state']}: {self.tell(task)}" + ("" if self.is_clean() else ", and something is left")

    def tell(self, task: Json) -> str:
        """What the task says, in short."""
        return f"{task['kind']} {task['error'] or task['message']}"

    def clear(self) -> None:
        """Remove what is left of this job, so that hundreds of them fit into the pools."""
        host = self.stage.host
        for pool in POOLS:
            for name in self.stage.files(pool):
                if re.match(rf"{self.name}\b", name):
                    host.exec("rm", "-f", f"{POOLS[pool]}/{name}")

    # -- what kinds have in common ---------------------------------------------------------------------------

    def _post(self, path: str, body: object = None, method: str = "POST") -> str:
        answer = self.stage.client.ask(method, path, body)
        assert answer.status == 202, (type(self).__name__, method, path, answer.data)
        return str(answer.data["id"])

    def _make_volume(self, name: str | None = None, pool: str = "local") -> str:
        body = {
            "pool_id": self.stage.pool(pool),
            "name": name or self.volume,
            "size_bytes": SMALL,
            "format": "raw",
        }
        self.stage.client.done("POST", "/volumes", body)
        return self.stage.client.id_of("/volumes", name or self.volume)

    def _write_mark(self) -> None:
        path = f"{POOLS['local']}/{self.volume}"
        self.stage.host.exec(
            "sh", "-c", f"printf %s {MARK} | dd of={path} bs=1 seek=4096 conv=notrunc status=none"
        )


class VmJob(Job):
    """Work on a VM that is there: without a system, since ten that boot would take all processors."""

    @property
    def runs(self) -> bool:
        """Whether the VM runs when the work is asked for."""
        return False

    def prepare(self) -> None:
        body = {
            "name": self.name,
            "host_id": self.stage.host_id,
            "memory_bytes": 64 * MIB,
            "start": self.runs,
            "graphics": "none",
            "disks": [
                {"pool": "local", "size_bytes": SMALL, "volume_name": f"{self.name}-a.img", "format": "raw"}
            ],
        }
        self.stage.client.done("POST", "/vms", body)
        self.vm = self.stage.client.id_of("/vms", self.name)

    def clear(self) -> None:
        found = self.stage.domain(self.name)
        if found is not None and found.isActive():
            found.destroy()
        if found is not None:
            found.undefine()
        super().clear()


class StartVm(VmJob):
    """Start a VM."""

    def submit(self) -> str:
        return self._post(f"/vms/{self.vm}/actions/start", {})

    def is_done(self) -> bool:
        return self.stage.domain_state(self.name) == RUNNING


class ForceOffVm(VmJob):
    """Cut a VM's power."""

    @property
    def runs(self) -> bool:
        return True

    def submit(self) -> str:
        return self._post(f"/vms/{self.vm}/actions/force-off", {})

    def is_done(self) -> bool:
        return self.stage.domain_state(self.name) == SHUT_OFF


class ResetVm(VmJob):
    """Reset a VM: sent at most once."""

    repeats = False

    @property
    def runs(self) -> bool:
        return True

    def submit(self) -> str:
        return self._post(f"/vms/{self.vm}/actions/reset", {})

    def is_done(self) -> bool:
        return self.stage.domain_state(self.name) == RUNNING


class CreateVm(VmJob):
    """Create a VM with a disk."""

    def prepare(self) -> None:
        pass

    def submit(self) -> str:
        return self._post(
            "/vms",
            {
                "name": self.name,
                "host_id": self.stage.host_id,
                "memory_bytes": 64 * MIB,
                "graphics": "none",
                "start": self.number % 2 == 0,
                "disks": [{"pool": "local", "size_bytes": SMALL}],
            },
        )

    def is_done(self) -> bool:
        wanted = RUNNING if self.number % 2 == 0 else SHUT_OFF
        return self.stage.domain_state(self.name) == wanted and len(self._own_files()) == 1

    def is_clean(self) -> bool:
        return self.stage.domain_state(self.name) is None and not self._own_files()

    def _own_files(self) -> list[str]:
        return [name for name in self.stage.files() if re.match(rf"{self.name}\b", name)]


class DeleteVm(VmJob):
    """Delete a VM with its disk."""

    def submit(self) -> str:
        volume = self.stage.client.id_of("/volumes", f"{self.name}-a.img")
        return self._post(f"/vms/{self.vm}/actions/delete", {"volumes": [volume]})

    def is_done(self) -> bool:
        return self.stage.domain_state(self.name) is None and f"{self.name}-a.img" not in self.stage.files()


class AttachNewDisk(VmJob):
    """Add a disk on a new volume, to a VM that runs or is off."""

    @property
    def runs(self) -> bool:
        return self.number % 2 == 0

    def submit(self) -> str:
        body = {"pool": "local", "size_bytes": SMALL, "volume_name": f"{self.name}-b.img", "format": "raw"}
        return self._post(f"/vms/{self.vm}/disks", body)

    def is_done(self) -> bool:
        path = f"{POOLS['local']}/{self.name}-b.img"
        return self.stage.disks(self.name).count(path) == 1 and f"{self.name}-b.img" in self.stage.files()

    def is_clean(self) -> bool:
        return f"{self.name}-b.img" not in self.stage.files() and len(self.stage.disks(self.name)) == 1


class AttachVolume(VmJob):
    """Add a disk on a volume that is there."""

    def prepare(self) -> None:
        super().prepare()
        self.disk = self._make_volume(f"{self.name}-c.img")

    def submit(self) -> str:
        return self._post(f"/vms/{self.vm}/disks", {"volume_id": self.disk, "format": "raw"})

    def is_done(self) -> bool:
        return f"{POOLS['local']}/{self.name}-c.img" in self.stage.disks(self.name)


class DetachDisk(VmJob):
    """Take a disk away; its volume stays."""

    def submit(self) -> str:
        return self._post(f"/vms/{self.vm}/disks/vda", method="DELETE")

    def is_done(self) -> bool:
        return self.stage.disks(self.name) == [] and f"{self.name}-a.img" in self.stage.files()


class MoveDisk(VmJob):
    """Move the disk of a VM to another pool, while it runs or is off."""

    @property
    def runs(self) -> bool:
        return self.number % 2 == 0

    def submit(self) -> str:
        volume = self.stage.client.id_of("/volumes", f"{self.name}-a.img")
        return self._post(f"/volumes/{volume}/actions/move", {"pool_id": self.stage.pool("shared")})

    def is_done(self) -> bool:
        name = f"{self.name}-a.img"
        return (
            self.stage.disks(self.name) == [f"{POOLS['shared']}/{name}"]
            and name in self.stage.files("shared")
            and name not in self.stage.files("local")
        )

    def is_clean(self) -> bool:
        name = f"{self.name}-a.img"
        return self.stage.disks(self.name) == [f"{POOLS['local']}/{name}"] and name not in self.stage.files(
            "shared"
        )


class CreateVolume(Job):
    """Create a volume."""

    def submit(self) -> str:
        body = {"pool_id": self.stage.pool(), "name": self.volume, "size_bytes": SMALL, "format": "qcow2"}
        return self._post("/volumes", body)

    def is_done(self) -> bool:
        return self.volume in self.stage.files() and self.stage.capacity(self.volume) == SMALL


class CloneVolume(Job):
    """Copy a volume."""

    def prepare(self) -> None:
        self.source = self._make_volume()
        self._write_mark()

    def submit(self) -> str:
        return self._post(f"/volumes/{self.source}/actions/clone", {"name": f"{self.name}-copy.img"})

    def is_done(self) -> bool:
        return f"{self.name}-copy.img" in self.stage.files() and self.stage.has_mark(f"{self.name}-copy.img")

    def is_clean(self) -> bool:
        return f"{self.name}-copy.img" not in self.stage.files()


class ResizeVolume(Job):
    """Make a volume larger."""

    def prepare(self) -> None:
        self.created_resources = self._make_volume()

    def submit(self) -> str:
        return self._post(f"/volumes/{self.created_resources}/actions/resize", {"size_bytes": 2 * SMALL})

    def is_done(self) -> bool:
        return self.stage.capacity(self.volume) == 2 * SMALL


class MoveVolume(Job):
    """Move a volume that nobody uses."""

    def prepare(self) -> None:
        self.created_resources = self._make_volume()
        self._write_mark()

    def submit(self) -> str:
        return self._post(
            f"/volumes/{self.created_resources}/actions/move", {"pool_id": self.stage.pool("shared")}
        )

    def is_done(self) -> bool:
        return (
            self.volume in self.stage.files("shared")
            and self.volume not in self.stage.files("local")
            and self.stage.has_mark(self.volume, "shared")
        )

    def is_clean(self) -> bool:
        return self.volume not in self.stage.files("shared") and self.stage.has_mark(self.volume)


class WipeVolume(Job):
    """Overwrite a volume with zeros."""

    def prepare(self) -> None:
        self.created_resources = self._make_volume()
        self._write_mark()

    def submit(self) -> str:
        return self._post(f"/volumes/{self.created_resources}/actions/wipe")

    def is_done(self) -> bool:
        return self.volume in self.stage.files() and not self.stage.has_mark(self.volume)


class DeleteVolume(Job):
    """Delete a volume."""

    def prepare(self) -> None:
        self.created_resources = self._make_volume()

    def submit(self) -> str:
        return self._post(f"/volumes/{self.created_resources}/actions/delete")

    def is_done(self) -> bool:
        return self.volume not in self.stage.files()


class RegisterImage(Job):
    """Make a volume an image: looked at, and read once for its sum."""

    def prepare(self) -> None:
        self.created_resources = self._make_volume()
        self._write_mark()

    def submit(self) -> str:
        return self._post("/images", {"name": self.name, "volume_id": self.created_resources})

    def is_done(self) -> bool:
        image = self._image()
        if image is None or image["state"] != "ready":
            return False
        message = self.stage.host.exec("sha256sum", f"{POOLS['local']}/{self.volume}").stdout.split()[0]
        return bool(image["sha256"] == message)

    def clear(self) -> None:
        if (image := self._image()) is not None:
            self.stage.client.ask("DELETE", f"/images/{image['id']}")
        super().clear()

    def _image(self) -> Json | None:
        rows = self.stage.client.call("GET", "/images")["items"]
        return next((row for row in rows if row["name"] == self.name), None)


class CreatePool(Job):
    """Define a storage pool and start it."""

    def submit(self) -> str:
        body = {"kind": "dir", "target_path": f"{POOLS['local']}/{self.name}.d"}
        return self._post("/pools", {"host_id": self.stage.host_id, "name": self.name, **body})

    def is_done(self) -> bool:
        return any(pool.isActive() for pool in self._pools())

    def is_clean(self) -> bool:
        return not self._pools()

    def clear(self) -> None:
        for pool in self._pools():
            if pool.isActive():
                pool.destroy()
            pool.undefine()
        self.stage.host.exec("rm", "-rf", f"{POOLS['local']}/{self.name}.d")

    def _pools(self) -> list[libvirt.virStoragePool]:
        return [
            list_all_storage_pool
            for list_all_storage_pool in self.stage.connection.listAllStoragePools()
            if list_all_storage_pool.name() == self.name
        ]


class CreateNetwork(Job):
    """Define a network, without starting it: a hundred bridges would need a hundred subnets."""

    def submit(self) -> str:
        body = {"mode": "isolated", "start": False, "autostart": False}
        return self._post("/networks", {"host_id": self.stage.host_id, "name": self.name, **body})

    def is_done(self) -> bool:
        return bool(self._networks())

    def clear(self) -> None:
        for network in self._networks():
            network.undefine()

    def _networks(self) -> list[libvirt.virNetwork]:
        return [
            list_all_network
            for list_all_network in self.stage.connection.listAllNetworks()
            if list_all_network.name() == self.name
        ]


KINDS: list[type[Job]] = [
    StartVm,
    ForceOffVm,
    ResetVm,
    CreateVm,
    DeleteVm,
    AttachNewDisk,
    AttachVolume,
    DetachDisk,
    MoveDisk,
    CreateVolume,
    CloneVolume,
    ResizeVolume,
    MoveVolume,
    WipeVolume,
    DeleteVolume,
    RegisterImage,
    CreatePool,
    CreateNetwork,
]
