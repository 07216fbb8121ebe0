"""The private files of a lab host: accounts, keys, and the settings of its daemons, pools and network.

A host sees the machine's /etc with these files laid over it, and a /var of its own.
"""

import shutil
from pathlib import Path
from uuid import UUID, uuid5
from xml.etree import ElementTree

from app.lab.hosts import ssh, tls
from app.lab.paths import ASSETS, LOCAL_POOL, POOLS, SHARED_POOL
from app.lab.process import run
from app.lab.state import HostState, LabState

SSH_USER = "vigie"
# High numbers, so that they meet no account of the machine.
USER_ID = 61183
GROUP_ID = 61184
SSHD_ID = 61185
# The account that Debian's libvirt runs QEMU as, with Debian's own number for it.
QEMU_ID = 64055
POOL_BYTES = 2 * 1024**3

LIBVIRTD_CONF = """\
listen_tls = 1
listen_tcp = 0
listen_addr = "{address}"
auth_tls = "none"
unix_sock_group = "libvirt"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0770"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{uuid}"
log_level = 3
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

# No device control groups, security labels or private /dev: the lab's namespaces are the fence.
QEMU_CONF = """\
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
"""

SSHD_CONFIG = """\
Port 22
ListenAddress {address}
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
MaxSessions 200
MaxStartups 100:30:400
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
"""

# no-ping: else dnsmasq looks for 3 s whether an address is in use before it gives it away.
DEFAULT_NETWORK = """\
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>default</name>
  <uuid>{uuid}</uuid>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='off' delay='0'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
  </ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>
"""


def prepare_lab_files(state: LabState) -> None:
    """Write what all hosts of a lab share: the authority, the client's keys, the image of the shared pool."""
    tls.make_authority(state.data / "tls")
    tls.make_client(state.data / "tls", state.data / "tls")
    ssh.make_key(state.data / "ssh" / "id_ed25519", "vigie-lab")
    _make_pool_image(state.data / "shared.img")


def prepare_host_files(state: LabState, host: HostState) -> None:
    """Write the files of one host. What the host itself changes later lands beside them."""
    home = host_directory(state, host)
    for name in ("etc/libvirt", "etc/ssh/authorized_keys", "etc_work", "dev"):
        (home / name).mkdir(parents=True)
    for name in ("lib/libvirt/boot", "log/libvirt", "cache/libvirt", "lib/vigie/home", "tmp", "empty"):
        (home / "var" / name).mkdir(parents=True)
    for place in (LOCAL_POOL, SHARED_POOL, ASSETS):
        (home / place.lstrip("/")).mkdir(parents=True)
    (home / "var/run").symlink_to("/run")
    (home / "var/lock").symlink_to("/run/lock")
    (home / "var/tmp").chmod(0o1777)
    _make_pool_image(home / "local.img")
    etc = home / "etc"
    _write_names(etc, host)
    _write_accounts(etc)
    renew_identity(state, host, etc)
    (etc / "ssh/sshd_config").write_text(SSHD_CONFIG.format(address=host.address))
    shutil.copy(state.data / "ssh/id_ed25519.pub", etc / "ssh/authorized_keys" / SSH_USER)
    (etc / "libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF.format(address=host.address, uuid=host.uuid))
    (etc / "libvirt/qemu.conf").write_text(QEMU_CONF)
    _write_network(etc / "libvirt/qemu/networks", host)
    for pool, path in POOLS.items():
        _write_pool(etc / "libvirt/storage", host, pool, path)


def renew_identity(state: LabState, host: HostState, etc: Path) -> None:
    """Give the host a new SSH key and a new TLS certificate; its daemons must be restarted to show them.

    `etc` is the host's /etc: as the host itself sees it while the host is up, for it does not see changes
    made behind its overlay.
    """
    ssh.make_key(etc / "ssh/ssh_host_ed25519_key", host.name)
    pki = etc / "pki/libvirt"
    tls.make_server(pki, state.data / "tls", host.name, host.address)
    (etc / "pki/CA").mkdir(parents=True, exist_ok=True)
    shutil.copy(state.data / "tls/cacert.pem", etc / "pki/CA/cacert.pem")
    (pki / "private").mkdir(exist_ok=True)
    (pki / "serverkey.pem").replace(pki / "private/serverkey.pem")
    shutil.copy(pki / "servercert.pem", pki / "clientcert.pem")
    shutil.copy(pki / "private/serverkey.pem", pki / "private/clientkey.pem")


def host_directory(state: LabState, host: HostState) -> Path:
    """Where a host's disks, settings and logs lie on the machine."""
    return state.data / "hosts" / host.name


def _make_pool_image(path: Path) -> None:
    """An empty file system in a sparse file: a pool that can be filled without harm to the machine."""
    with path.open("wb") as image:
        image.truncate(POOL_BYTES)
    options = "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", options, path])


def _write_names(etc: Path, host: HostState) -> None:
    (etc / "hostname").write_text(f"{host.name}\n")
    # Other hosts' names do not resolve, as on many a real site: addresses must be given where they matter.
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{host.address} {host.name}\n")
    (etc / "resolv.conf").write_text("")
    (etc / "machine-id").write_text(f"{UUID(host.uuid).hex}\n")


def _write_accounts(etc: Path) -> None:
    """The machine's accounts, and ours: one that logs in and may reach libvirt, one for sshd itself."""
    ours = {SSH_USER, "sshd", "libvirt", "libvirt-qemu", "kvm"}

    def others(path: str) -> str:
        lines = Path(path).read_text().splitlines()
        return "".join(f"{line}\n" for line in lines if line.split(":")[0] not in ours)

    (etc / "passwd").write_text(
        others("/etc/passwd")
        + f"{SSH_USER}:x:{USER_ID}:{GROUP_ID}:Vigie:/var/lib/vigie/home:/bin/sh\n"
        + f"sshd:x:{SSHD_ID}:65534::/run/sshd:/usr/sbin/nologin\n"
        + f"libvirt-qemu:x:{QEMU_ID}:{QEMU_ID}::/var/lib/libvirt:/usr/sbin/nologin\n"
    )
    (etc / "group").write_text(
        others("/etc/group")
        + f"libvirt:x:{GROUP_ID}:{SSH_USER}\nlibvirt-qemu:x:{QEMU_ID}:\nkvm:x:{_kvm_group()}:libvirt-qemu\n"
    )
    # "*" is no password that anyone can type; "!" would lock the account for keys too.
    (etc / "shadow").touch(mode=0o600)
    (etc / "shadow").write_text(f"root:*:19000:0:99999:7:::\n{SSH_USER}:*:19000:0:99999:7:::\n")


def _kvm_group() -> int:
    """Number of the group that may open /dev/kvm."""
    device = Path("/dev/kvm")
    owner = device.stat().st_gid if device.exists() else 0
    return owner or GROUP_ID + 2


def _write_network(directory: Path, host: HostState) -> None:
    (directory / "autostart").mkdir(parents=True)
    uuid = uuid5(UUID(host.uuid), "network default")
    (directory / "default.xml").write_text(DEFAULT_NETWORK.format(uuid=uuid))
    (directory / "autostart/default.xml").symlink_to("/etc/libvirt/qemu/networks/default.xml")


def _write_pool(directory: Path, host: HostState, name: str, path: str) -> None:
    (directory / "autostart").mkdir(parents=True, exist_ok=True)
    pool = ElementTree.Element("pool", type="dir")
    ElementTree.SubElement(pool, "name").text = name
    ElementTree.SubElement(pool, "uuid").text = str(uuid5(UUID(host.uuid), f"pool {name}"))
    ElementTree.SubElement(ElementTree.SubElement(pool, "target"), "path").text = path
    (directory / f"{name}.xml").write_text(ElementTree.tostring(pool, encoding="unicode"))
    (directory / f"autostart/{name}.xml").symlink_to(f"/etc/libvirt/storage/{name}.xml")
