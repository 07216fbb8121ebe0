"""KVM or software emulation? Decided by booting the guest once: /dev/kvm may exist and boot nothing."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from app.lab.guests.assets import Assets, cache_directory, locked
from app.lab.process import SYSTEM_ENVIRONMENT
from app.lab.state import Accelerator

# A KVM that works needs a second or two; taking it for broken costs speed only.
BOOT_TIMEOUT_S = 6.0
READY = b"vigie-guest: ready"


def detect_accelerator(assets: Assets) -> Accelerator:
    """`kvm` when the lab's guest boots under KVM within 6 s, else `qemu`. Tried once per boot."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cache = cache_directory() / "accelerator.json"
    with locked(cache.with_suffix(".lock")):
        if cache.exists():
            known = json.loads(cache.read_text())
            if known["boot_id"] == boot_id:
                return "kvm" if known["kvm"] else "qemu"
        works = Path("/dev/kvm").exists() and _boots_under_kvm(assets)
        cache.write_text(json.dumps({"boot_id": boot_id, "kvm": works}) + "\n")
    return "kvm" if works else "qemu"


def _boots_under_kvm(assets: Assets) -> bool:
    with tempfile.TemporaryDirectory(prefix="vigie-kvm-") as scratch:
        console = Path(scratch) / "console"
        command = [
            "qemu-system-x86_64",
            "-M",
            "pc",
            "-accel",
            "kvm",
            "-m",
            "128",
            "-nodefaults",
            "-no-reboot",
        ]
        command += ["-display", "none", "-serial", f"file:{console}", "-append", "console=ttyS0 quiet"]
        command += ["-kernel", str(assets.kernel), "-initrd", str(assets.initrd)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, stdin=quiet, stdout=quiet, stderr=quiet, env=SYSTEM_ENVIRONMENT
        ) as qemu:
            try:
                return _says_ready(qemu, console)
            finally:
                qemu.kill()


def _says_ready(qemu: subprocess.Popen[bytes], console: Path) -> bool:
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline and qemu.poll() is None:
        if console.exists() and READY in console.read_bytes():
            return True
        time.sleep(0.05)
    return False
