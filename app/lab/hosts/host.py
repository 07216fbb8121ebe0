"""One host of a lab: where it is, how to reach it, booting it, guests on it. Its faults are in `faults`."""

import re
import subprocess
import time
from pathlib import Path
from typing import Unpack
from uuid import uuid4

from app.lab.errors import LabError
from app.lab.guests.assets import Assets
from app.lab.guests.guest import GuestOptions, GuestSpec, domain_xml
from app.lab.hosts import namespace, network
from app.lab.hosts.faults import Faults
from app.lab.hosts.files import SSH_USER, host_directory
from app.lab.hosts.loops import wait_until_released
from app.lab.paths import ASSETS, LOCAL_POOL, POOLS, SHARED_POOL
from app.lab.process import run
from app.lab.state import HostState, LabState

LIBVIRTD = ["libvirtd", "--daemon", "--listen", "--pid-file", "/run/libvirtd.pid"]
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "vhost-net")
COUNTER_SECTOR = 2048


class LabHost(Faults):
    """A KVM host in namespaces. Cheap to make: it holds no process, only the way to find one."""

    ssh_port = 22
    ssh_user = SSH_USER
    tls_port = 16514

    def __init__(self, state: LabState, host: HostState, assets: Assets) -> None:
        self.state = state
        self.host = host
        self.assets = assets
        self._known_init: int | None = None

    @property
    def name(self) -> str:
        """Host name, as `virsh hostname` says it."""
        return self.host.name

    @property
    def uuid(self) -> str:
        """The UUID that this host's libvirt reports in its capabilities."""
        return self.host.uuid

    @property
    def address(self) -> str:
        """IPv4 address, reachable from the machine."""
        return str(self.host.address)

    @property
    def directory(self) -> Path:
        """The host's own files on the machine."""
        return host_directory(self.state, self.host)

    @property
    def run_directory(self) -> Path:
        """The host's /run, as the machine sees it."""
        return self.state.run / self.name

    @property
    def socket(self) -> Path:
        """The libvirt socket, as the machine sees it."""
        return self.run_directory / "libvirt/libvirt-sock"

    @property
    def virsh_uri(self) -> str:
        """How virsh on the machine reaches this host, past Vigie and past the lab's network."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def ssh_private_key(self) -> Path:
        """The key that logs in as `ssh_user`."""
        return self.state.data / "ssh/id_ed25519"

    @property
    def ssh_host_key(self) -> str:
        """The host's public key in OpenSSH's form, as a known_hosts line has it."""
        return (self.directory / "etc/ssh/ssh_host_ed25519_key.pub").read_text().strip()

    @property
    def tls_directory(self) -> Path:
        """Holds cacert.pem, clientcert.pem, clientkey.pem: what a client needs (libvirt's `pkipath`)."""
        return self.state.data / "tls"

    @property
    def tls_ca(self) -> Path:
        """Certificate of the lab's authority."""
        return self.tls_directory / "cacert.pem"

    @property
    def tls_client_cert(self) -> Path:
        """A certificate that this host accepts."""
        return self.tls_directory / "clientcert.pem"

    @property
    def tls_client_key(self) -> Path:
        """The key of `tls_client_cert`."""
        return self.tls_directory / "clientkey.pem"

    @property
    def tls_server_cert(self) -> Path:
        """The certificate that the host itself shows."""
        return self.directory / "etc/pki/libvirt/servercert.pem"

    @property
    def config_path(self) -> Path:
        """The file that the host's first process was started with."""
        return self.state.run / f"{self.name}.json"

    @property
    def is_alive(self) -> bool:
        """Whether the host's first process is there."""
        return self._find_init() is not None

    def boot(self) -> None:
        """Start the host, with the identity and the disks that it had. LabError when it is up already."""
        if self.is_alive:
            raise LabError(
                f"{self.name} is up already; kill it first: vigie lab fault {self.name} kill-host."
            )
        wait_until_released(self.directory / "local.img")
        self._clear_run_directory()
        config = {
            "name": self.name,
            "etc": str(self.directory / "etc"),
            "etc_work": str(self.directory / "etc_work"),
            "var": str(self.directory / "var"),
            "run": str(self.run_directory),
            "binds": {str(self.assets.directory): ASSETS.removeprefix("/var")},
            "loops": {
                str(self.directory / "local.img"): LOCAL_POOL.removeprefix("/var"),
                str(self.state.data / "shared.img"): SHARED_POOL.removeprefix("/var"),
            },
            "dev": str(self.directory / "dev"),
            # A /dev/kvm that boots nothing is not shown: libvirt then reports an honest host without KVM.
            "devices": [*DEVICES, "kvm"] if self.state.accelerator == "kvm" else list(DEVICES),
        }
        self._known_init = namespace.start(self.config_path, config, self.directory / "init.log")
        network.connect_host(self.host, self._known_init, self.switch_pid)
        self.start_sshd()
        self.start_daemon()

    def restore(self) -> None:
        """Undo every fault: the host is up, its daemons answer, its cable is whole. VMs stay as they are."""
        if not self.is_alive:
            self.boot()
        self.thaw()
        self.heal()
        if not self.sshd_pids():
            self.start_sshd()
        self.start_daemon()
        for pool in POOLS:
            self.free_pool(pool)

    def remove_guests(self) -> None:
        """Force off and undefine every VM, and delete the disks that lie in the host's pools."""
        for uuid in self.virsh("list", "--uuid").split():
            self.virsh("destroy", uuid)
        flags = ["--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram"]
        for uuid in self.virsh("list", "--all", "--uuid").split():
            self.virsh("undefine", uuid, *flags)
        for pool, directory in POOLS.items():
            self.exec("find", directory, "-maxdepth", "1", "-type", "f", "-delete")
            self.virsh("pool-refresh", pool)

    def start_sshd(self) -> None:
        """Start the SSH server."""
        sshd, extra = self.assets.sshd, {}
        if self.assets.sshd_library_path is not None:
            sshd = Path(ASSETS) / sshd.relative_to(self.assets.directory)
            libraries = Path(ASSETS) / self.assets.sshd_library_path.relative_to(self.assets.directory)
            extra = {"LD_LIBRARY_PATH": str(libraries)}
        run(
            namespace.inside_command(self.init_pid, [sshd, "-E", "/var/log/sshd.log"]),
            cwd=Path("/"),
            extra_environment=extra,
        )

    def start_daemon(self) -> None:
        """Start libvirtd and return once it answers; nothing to do if it runs.

        Raises LabError with the end of its log when it does not come up.
        """
        if self.daemon_pids():
            return
        try:
            self.exec(*LIBVIRTD)
            self.virsh("version")
        except LabError as error:
            log = self.directory / "var/log/libvirt/libvirtd.log"
            message = log.read_text()[-1500:] if log.exists() else "nothing"
            raise LabError(f"libvirtd of {self.name} does not answer; its log ends: {message}") from error

    @property
    def init_pid(self) -> int:
        """Pid, on the machine, of the host's first process. Raises LabError when the host is down."""
        pid = self._find_init()
        if pid is None:
            raise LabError(f"{self.name} is down; start it: vigie lab fault {self.name} boot-host.")
        return pid

    @property
    def switch_pid(self) -> int:
        """Pid of the lab's switch. Raises LabError when it is gone."""
        pid = namespace.find(self.state.run / "switch.json")
        if pid is None:
            raise LabError("The lab's switch is gone; run `vigie lab down` and `vigie lab up` again.")
        return pid

    def exec(
        self, *command: str, timeout_s: float = 30, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host, as its root. Raises LabError when it fails (with `check`) or hangs."""
        inside = namespace.inside_command(self.init_pid, command)
        return run(inside, timeout_s=timeout_s, check=check, cwd=Path("/"))

    def virsh(self, *arguments: str, timeout_s: float = 30) -> str:
        """What virsh answers, trimmed. Goes by the socket, so the lab's network plays no part.

        Raises LabError when virsh fails or does not answer within `timeout_s` seconds.
        """
        return run(["virsh", "-q", "-c", self.virsh_uri, *arguments], timeout_s=timeout_s).stdout.strip()

    def create_guest(self, name: str, *, start: bool = False, **options: Unpack[GuestOptions]) -> GuestSpec:
        """Make a disk and define a guest on it with virsh, in the pool that the options name.

        Raises LabError with virsh's words when the host refuses it.
        """
        options.setdefault("uuid", str(uuid4()))
        spec = GuestSpec(name=name, accelerator=self.state.accelerator, **options)
        size = f"{spec.disk_mib}M"
        self.virsh("vol-create-as", "--pool", spec.pool, spec.volume, size, "--format", "qcow2")
        self.define(domain_xml(spec))
        if start:
            # By UUID: virsh would take a name like "-rf" or "7" for something else.
            self.virsh("start", "--domain", spec.uuid or spec.name)
        return spec

    def define(self, xml: str) -> None:
        """Define a domain from XML. Raises LabError with virsh's words."""
        path = self.run_directory / f"define-{time.monotonic_ns()}.xml"
        path.write_text(xml)
        try:
            self.virsh("define", str(path))
        finally:
            path.unlink()

    def counter(self, spec: GuestSpec) -> int:
        """The number that the guest last wrote to its disk; 0 when it has written none."""
        target = self.run_directory / f"counter-{time.monotonic_ns()}"
        inside = f"/run/{target.name}"
        command = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512", f"skip={COUNTER_SECTOR}"]
        self.exec(*command, f"count={COUNTER_SECTOR + 1}", f"if={spec.disk_path}", f"of={inside}")
        text = target.read_bytes()[:512].split(b"\n")[0]
        target.unlink()
        found = re.fullmatch(rb"vigie-counter (\d+)", text)
        return int(found.group(1)) if found else 0

    def _find_init(self) -> int | None:
        if self._known_init is None or not namespace.is_at(self._known_init, self.config_path):
            self._known_init = namespace.find(self.config_path)
        return self._known_init

    def _clear_run_directory(self) -> None:
        run(["rm", "-rf", "--one-file-system", self.run_directory])
        for name in ("lock", "sshd", "libvirt"):
            (self.run_directory / name).mkdir(parents=True)
