"""What a lab needs beside installed packages, built once and kept in a cache: kernel, initrd, sshd."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.lab.errors import LabError
from app.lab.guests.initrd import build_initrd
from app.lab.guests.media import build_medium
from app.lab.process import run
from app.lab.state import all_labs

ROOTFS = Path(__file__).parent / "rootfs"
# Raise when the way of building changes, so that no older cache is taken for a new one.
BUILD = "2"
SSHD_LIBRARIES = Path("usr/lib") / f"{platform.machine()}-linux-gnu"


@dataclass(frozen=True)
class Assets:
    """Where the built things are. `sshd_library_path` is None when the machine's own sshd is used."""

    directory: Path
    kernel: Path
    initrd: Path
    sshd: Path
    sshd_library_path: Path | None


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/vigie-lab, or /var/cache/vigie-lab for root, or ~/.cache/vigie-lab."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "vigie-lab"
    return Path("/var/cache/vigie-lab") if os.geteuid() == 0 else Path.home() / ".cache/vigie-lab"


def prepare(cache: Path | None = None) -> Assets:
    """Return the assets, building what is missing (a minute at most; milliseconds afterwards).

    Safe when several processes call it at once. Raises LabError when a package cannot be fetched.
    """
    directory = (cache or cache_directory()) / f"assets-{_stamp()}"
    if not directory.is_dir():
        _build_once(directory, _build)
    return open_assets(directory)


def open_assets(directory: Path) -> Assets:
    """The assets in a directory that was built before."""
    own_sshd = directory / "sshd/usr/sbin/sshd"
    bundled = own_sshd.exists()
    return Assets(
        directory=directory,
        kernel=directory / "vmlinuz",
        initrd=directory / "initrd",
        sshd=own_sshd if bundled else Path("/usr/sbin/sshd"),
        sshd_library_path=directory / "sshd" / SSHD_LIBRARIES if bundled else None,
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, waiting for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build_once(directory: Path, build: Callable[[Path], None]) -> None:
    """Fill `directory` by `build` and let it appear whole, or not at all."""
    with locked(directory.parent / "lock"):
        if directory.is_dir():
            return
        scratch = Path(tempfile.mkdtemp(dir=directory.parent, prefix="building-"))
        try:
            build(scratch)
            scratch.chmod(0o755)
            scratch.rename(directory)
            _remove_older(directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _remove_older(current: Path) -> None:
    """Remove assets of other versions, but for those that a lab still boots from."""
    used = {state.assets for state in all_labs()}
    for path in current.parent.glob("assets-*"):
        if path != current and path not in used:
            shutil.rmtree(path, ignore_errors=True)


def _stamp() -> str:
    """A short hash of all that the assets are made from; any version of the kernel will do."""
    digest = hashlib.sha256(BUILD.encode())
    for path in sorted(ROOTFS.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(ROOTFS)).encode() + path.read_bytes())
    for program in (Path("/usr/sbin/qemu-ga"), Path("/usr/bin/busybox"), Path("/usr/sbin/sshd")):
        present = program.exists()
        digest.update(f"{program} {present and program.stat().st_size}".encode())
    return digest.hexdigest()[:12]


def _build(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vigie-lab-") as scratch_name:
        scratch = Path(scratch_name)
        kernel_tree = _fetch(_kernel_package(), scratch / "kernel")
        kernels = sorted(kernel_tree.glob("boot/vmlinuz-*"))
        if not kernels:
            raise LabError("The kernel package holds no kernel; run `apt-get update` and try again.")
        shutil.copy(kernels[-1], target / "vmlinuz")
        release = kernels[-1].name.removeprefix("vmlinuz-")
        build_initrd(target / "initrd", ROOTFS, kernel_tree, release)
        build_medium(target / "boot.iso", target / "vmlinuz", target / "initrd")
    if not Path("/usr/sbin/sshd").exists():
        _fetch("openssh-server", target / "sshd")
        _fetch("libwrap0", target / "sshd")
    (target / "assets.json").write_text(json.dumps({"kernel": release, "build": BUILD}) + "\n")


def _kernel_package() -> str:
    """The package that holds today's kernel for virtual machines, by way of Debian's meta package."""
    meta = f"linux-image-cloud-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}"
    names = _kernels_of(meta)
    if not names:
        run(["apt-get", "update", "-qq"], timeout_s=120)
        names = _kernels_of(meta)
    if not names:
        raise LabError(f"apt knows no {meta}; the lab needs Debian's package sources in /etc/apt.")
    return names[0]


def _kernels_of(meta: str) -> list[str]:
    depends = run(["apt-cache", "depends", "--important", meta]).stdout
    return [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line]


def _fetch(package: str, target: Path) -> Path:
    """Download one Debian package and unpack it under `target`, without installing it."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vigie-deb-") as scratch:
        download = ["apt-get", "download", "-qq", package]
        if run(download, cwd=Path(scratch), timeout_s=180, check=False).returncode != 0:
            # The list of packages is older than the mirror: fetch it anew, then it must work.
            run(["apt-get", "update", "-qq"], timeout_s=120)
            run(download, cwd=Path(scratch), timeout_s=180)
        for deb in Path(scratch).glob("*.deb"):
            run(["dpkg-deb", "-x", deb, target], timeout_s=120)
    return target
