"""Build the initrd of the lab's tiny guest: busybox, the QEMU guest agent, virtio modules, our scripts."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from app.lab.errors import LabError
from app.lab.process import run

BUSYBOX = Path("/usr/bin/busybox")
AGENT = Path("/usr/sbin/qemu-ga")
MODULES = (
    *("virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "virtio_balloon", "virtio_scsi"),
    *("sd_mod", "sr_mod", "isofs", "ata_piix", "button", "evdev"),
)
PASSWORD = "vigie"
DIRECTORIES = ("bin", "dev", "etc", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "usr/sbin", "var/run")


def build_initrd(target: Path, rootfs: Path, kernel_tree: Path, release: str) -> None:
    """Write a cpio archive to `target`. Not compressed: without KVM, unpacking costs more than reading.

    Raises LabError when busybox, the guest agent or a kernel module is missing.
    """
    for needed in (BUSYBOX, AGENT):
        if not needed.exists():
            raise LabError(f"{needed} is missing; run .ci/setup to install what the lab needs.")
    with tempfile.TemporaryDirectory(prefix="vigie-initrd-") as scratch:
        tree = Path(scratch)
        for name in DIRECTORIES:
            (tree / name).mkdir(parents=True, exist_ok=True)
        shutil.copytree(rootfs, tree, dirs_exist_ok=True)
        _add_busybox(tree)
        _add_agent(tree)
        _add_modules(tree, kernel_tree, release)
        run(["mknod", "-m", "600", tree / "dev/console", "c", "5", "1"])
        _pack(tree, target)


def _add_busybox(tree: Path) -> None:
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    for applet in run([BUSYBOX, "--list"]).stdout.split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "init").symlink_to("bin/busybox")
    secret = run([BUSYBOX, "mkpasswd", "-m", "sha512", "-S", "vigielab", PASSWORD]).stdout.strip()
    (tree / "etc/shadow").write_text(f"root:{secret}:19000:0:99999:7:::\n")


def _add_agent(tree: Path) -> None:
    """The agent, its libraries and the loader, each at the path where the loader looks for it."""
    shutil.copy(AGENT, tree / "usr/sbin/qemu-ga")
    for word in run(["ldd", AGENT]).stdout.split():
        if word.startswith("/"):
            place = tree / word.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, place)


def _add_modules(tree: Path, kernel_tree: Path, release: str) -> None:
    """Copy the modules and write /lib/modules.order: the guest only has to insmod line by line."""
    if not (kernel_tree / "lib").exists():
        # Newer Debian keeps modules under /usr/lib.
        (kernel_tree / "lib").symlink_to("usr/lib")
    run(["depmod", "-b", kernel_tree, release], timeout_s=60)
    (tree / "lib/modules").mkdir(parents=True, exist_ok=True)
    order: list[str] = []
    for module in MODULES:
        shown = run(["modprobe", "-d", kernel_tree, "-S", release, "--show-depends", module]).stdout
        for line in shown.splitlines():
            kind, _, path = line.strip().partition(" ")
            name = Path(path.split(" ")[0]).name
            if kind == "insmod" and f"/lib/modules/{name}" not in order:
                shutil.copy(path.split(" ")[0], tree / "lib/modules" / name)
                order.append(f"/lib/modules/{name}")
    (tree / "lib/modules.order").write_text("".join(f"{line}\n" for line in order))


def _pack(tree: Path, target: Path) -> None:
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    with target.open("wb") as archive:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-0"],
            cwd=tree,
            input="\0".join(names).encode(),
            stdout=archive,
            timeout=60,
            check=True,
        )
