"""First process of a lab host: lay out its private file system, then reap whatever ends.

Run by `unshare` as a script (standard library only, nothing of Vigie), with the path of a JSON file:
{"name", "etc", "etc_work", "var", "run", "dev", "devices": [name], "binds": {source: place},
"loops": {image: place}, "ready"}; places are under /var.
A switch (which only holds a network namespace) has just "name" and "ready".
Without a process that reaps, libvirt would wait 40 seconds for each QEMU that it killed.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

MOUNT_TIMEOUT_S = 20
LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}


def mount(*arguments: str) -> None:
    """Run mount(8)."""
    subprocess.run(["mount", *arguments], check=True, timeout=MOUNT_TIMEOUT_S)


def mount_image(image: str, place: str) -> None:
    """Mount a disk image. Hosts that share one must share its loop device too: hence the lock."""
    with open(f"{image}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mount("-o", "loop", image, place)


def lay_out_devices(place: str, devices: list[str]) -> None:
    """Give the host a /dev with the devices that it may see, and with terminals of its own."""
    mount("-t", "tmpfs", "-o", "mode=0755,size=1m", "dev", place)
    for name in ("pts", "shm", "net"):
        os.mkdir(f"{place}/{name}")
    for name in devices:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT))
            mount("--bind", f"/dev/{name}", f"{place}/{name}")
    for name, target in LINKS.items():
        os.symlink(target, f"{place}/{name}")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620,gid=5", "devpts", f"{place}/pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{place}/shm")
    mount("--rbind", place, "/dev")


def lay_out(config: dict[str, Any]) -> None:
    """Give the host its own /etc, /var, /run, /proc, /sys, terminals and shared memory.

    /var is completed where it lies and comes into place late, /run last: the sources may be under either.
    """
    # The machine's control groups go away with its /sys: libvirt would try, in vain, to use them.
    subprocess.run(["umount", "--recursive", "--lazy", "/sys"], check=True, timeout=MOUNT_TIMEOUT_S)
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    mount("-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/sys")
    mount("--bind", config["var"], config["var"])
    for source, place in config["binds"].items():
        mount("--bind", source, config["var"] + place)
    for image, place in config["loops"].items():
        mount_image(image, config["var"] + place)
    lay_out_devices(config["dev"], config["devices"])
    layers = f"lowerdir=/etc,upperdir={config['etc']},workdir={config['etc_work']}"
    mount("-t", "overlay", "-o", layers, "etc", "/etc")
    mount("--rbind", config["var"], "/var")
    mount("--bind", config["run"], "/run")


def reap_for_ever() -> None:
    """Collect every child that ends; the kernel gives this process all orphans of the host."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue


def main() -> None:
    """Become the host that the configuration describes; never returns."""
    with open(sys.argv[1]) as handle:
        config = json.load(handle)
    socket.sethostname(config["name"])
    # Opened first: the directory may be under /run, which is about to be covered.
    ready = os.open(os.path.dirname(config["ready"]), os.O_DIRECTORY)
    if "var" in config:
        lay_out(config)
    os.close(os.open(os.path.basename(config["ready"]), os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=ready))
    os.close(ready)
    reap_for_ever()


main()
