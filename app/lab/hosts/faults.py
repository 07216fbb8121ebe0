"""What can go wrong on a host, on demand. Each fault can be undone, but for the kill of a VM."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from app.lab.errors import LabError
from app.lab.hosts import files, namespace, network
from app.lab.paths import POOLS

if TYPE_CHECKING:
    import subprocess

    from app.lab.state import HostState, LabState

FILL_FILE = ".vigie-lab-fill"
SAVE_WRITER = "/usr/lib/libvirt/libvirt_iohelper"
HELD_WRITER = """#!/bin/sh
kill -STOP $$
exec /run/libvirt_iohelper "$@"
"""
DAEMON = "libvirtd"
FREEZE_AGAIN_S = (0.2, 1.0, 3.0)


class Faults:
    """The faults of a lab host; mixed into `LabHost`, which says where the host is."""

    if TYPE_CHECKING:
        state: LabState
        host: HostState

        @property
        def name(self) -> str: ...
        @property
        def init_pid(self) -> int: ...
        @property
        def switch_pid(self) -> int: ...
        @property
        def run_directory(self) -> Path: ...
        def exec(
            self, *command: str, timeout_s: float = 30, check: bool = True
        ) -> subprocess.CompletedProcess[str]: ...
        def virsh(self, *arguments: str, timeout_s: float = 30) -> str: ...
        def start_daemon(self) -> None: ...
        def start_sshd(self) -> None: ...

    def daemon_pids(self) -> list[int]:
        """Pids, on the machine, of the host's libvirtd."""
        return [process.pid for process in namespace.processes(self.init_pid) if process.command == DAEMON]

    def sshd_pids(self) -> list[int]:
        """Pids, on the machine, of the host's SSH server and its sessions."""
        return [process.pid for process in namespace.processes(self.init_pid) if process.command == "sshd"]

    def stop_daemon(self) -> None:
        """Stop libvirtd as an admin would; VMs go on."""
        self._end_daemon(signal.SIGTERM)

    def kill_daemon(self) -> None:
        """Kill libvirtd with signal 9; VMs go on."""
        self._end_daemon(signal.SIGKILL)

    def freeze(self, *, everything: bool = False) -> None:
        """Stop libvirtd in its tracks (SIGSTOP), or every process of the host, sshd and VMs included."""
        for pause_s in FREEZE_AGAIN_S:
            try:
                self._freeze(everything, timeout_s=5)
            except LabError:
                # A process in vfork cannot stop before its child, stopped too, goes on: it is given time to.
                self.thaw()
                time.sleep(pause_s)
            else:
                return
        self._freeze(everything, timeout_s=20)

    def _freeze(self, everything: bool, *, timeout_s: float) -> None:
        chosen = self._signal_all(signal.SIGSTOP, everything=everything)
        # The kernel stops the threads of a process one by one, soon after.
        self._wait_until(lambda: not {item.pid for item in self._running()} & chosen, "stop", timeout_s)

    def thaw(self) -> None:
        """Let all that `freeze` stopped go on."""
        self._signal_all(signal.SIGCONT, everything=True)

    def cut(self) -> None:
        """Cut the cable: nothing passes either way, and nobody is told."""
        network.set_link(self.host, self.switch_pid, up=False)

    def cut_in(self) -> None:
        """Drop what comes in: the host can send and hears nothing."""
        network.drop(self.init_pid, "INPUT")

    def cut_out(self) -> None:
        """Drop what goes out: the host hears and cannot answer."""
        network.drop(self.init_pid, "OUTPUT")

    def heal(self) -> None:
        """Undo every cut."""
        network.set_link(self.host, self.switch_pid, up=True)
        network.allow(self.init_pid, "INPUT")
        network.allow(self.init_pid, "OUTPUT")

    def qemu_pid(self, vm: str) -> int:
        """Pid, on the machine, of the QEMU of a running VM, by name or UUID; libvirtd is not asked.

        Raises LabError when it does not run.
        """
        for process in namespace.processes(self.init_pid):
            if _is_qemu_of(namespace.command_line(process.pid), vm):
                return process.pid
        raise LabError(f"No VM {vm!r} runs on {self.name}; `vigie lab status` lists those that do.")

    def kill_qemu(self, vm: str) -> None:
        """Kill the QEMU of a running VM with signal 9. Raises LabError when it does not run."""
        namespace.send(self.qemu_pid(vm), signal.SIGKILL)

    def freeze_qemu(self, vm: str) -> None:
        """Stop the QEMU of a running VM in its tracks; `thaw` undoes it. LabError when it does not run."""
        namespace.send(self.qemu_pid(vm), signal.SIGSTOP)

    @contextmanager
    def held_saves(self) -> Iterator[None]:
        """Let what writes a VM's memory to disk stand still as it begins, as when the disk hangs.

        `save_writer` finds it; SIGCONT lets that save go on. Saves that begin after the block are as ever.
        """
        script = self.run_directory / "held_iohelper"
        script.write_text(HELD_WRITER)
        script.chmod(0o755)
        self.exec("cp", SAVE_WRITER, "/run/libvirt_iohelper")
        self.exec("mount", "--bind", "/run/held_iohelper", SAVE_WRITER)
        try:
            yield
        finally:
            self.exec("umount", "--lazy", SAVE_WRITER)  # a shell that stands still reads from it

    def save_writer(self) -> int | None:
        """Pid, on the machine, of what stands still instead of writing a VM's memory; None while nothing does."""
        for process in namespace.processes(self.init_pid):
            if process.stopped and SAVE_WRITER in namespace.command_line(process.pid):
                return process.pid
        return None

    def kill_host(self) -> None:
        """Pull cable and power at once: every process of the host ends, its address is silent."""
        pid = self.init_pid
        network.unplug_host(self.host, self.switch_pid)
        namespace.kill(pid)

    def fill_pool(self, pool: str) -> None:
        """Take all free space of a pool. Raises LabError for a pool that the lab did not make."""
        directory = self._pool_directory(pool)
        free = self.exec("stat", "-f", "-c", "%a %S", directory).stdout.split()
        size = int(free[0]) * int(free[1])
        target = f"{directory}/{FILL_FILE}"
        # The file's own bookkeeping takes a little as well: give up a megabyte at a time until it fits.
        while size > 0 and self.exec("fallocate", "-l", str(size), target, check=False).returncode != 0:
            size -= 1024**2
        self.exec("dd", "if=/dev/zero", f"of={target}.rest", "bs=4096", "count=4096", check=False)
        self.virsh("pool-refresh", pool)

    def free_pool(self, pool: str) -> None:
        """Undo `fill_pool`."""
        target = f"{self._pool_directory(pool)}/{FILL_FILE}"
        self.exec("rm", "-f", target, f"{target}.rest")
        self.virsh("pool-refresh", pool)

    def new_identity(self) -> None:
        """Give the host a new SSH key and TLS certificate, and restart what shows them; VMs go on."""
        files.renew_identity(self.state, self.host, Path(f"/proc/{self.init_pid}/root/etc"))
        self.stop_daemon()
        pid_file = self.run_directory / "sshd.pid"
        listener = pid_file.read_text().strip()
        self.exec("kill", listener)
        self._wait_until_ended([item.pid for item in self._inner(int(listener))])
        self.start_sshd()
        self.start_daemon()

    def _inner(self, inner_pid: int) -> list[namespace.Process]:
        return [process for process in namespace.processes(self.init_pid) if process.inner_pid == inner_pid]

    def _signal_all(self, number: signal.Signals, *, everything: bool) -> set[int]:
        chosen = {
            process.pid
            for process in namespace.processes(self.init_pid)
            if everything or process.command == DAEMON
        }
        for pid in chosen:
            namespace.send(pid, number)
        return chosen

    def _running(self) -> list[namespace.Process]:
        return [process for process in namespace.processes(self.init_pid) if not process.stopped]

    def _end_daemon(self, number: signal.Signals) -> None:
        pids = self.daemon_pids()
        for pid in pids:
            namespace.send(pid, number)
            # A frozen daemon would never see the signal.
            namespace.send(pid, signal.SIGCONT)
        self._wait_until_ended(pids)

    def _wait_until_ended(self, pids: list[int]) -> None:
        self._wait_until(
            lambda: not {process.pid for process in namespace.processes(self.init_pid)} & set(pids), "end"
        )

    def _wait_until(self, done: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                left = ", ".join(f"{item.command} ({item.pid})" for item in self._running())
                raise LabError(
                    f"A process of {self.name} did not {what} within {timeout_s:g} s; kill the host. "
                    f"Still running: {left or 'none'}."
                )
            time.sleep(0.005)

    def _pool_directory(self, pool: str) -> str:
        try:
            return POOLS[pool]
        except KeyError:
            known = ", ".join(POOLS)
            raise LabError(f"The lab made no pool {pool!r}; it has {known}.") from None


def _is_qemu_of(words: list[str], vm: str) -> bool:
    """Whether this command line is that of the VM's QEMU (which doubles the commas of a name)."""
    options = dict(pairwise(words))
    named = options.get("-name", "").startswith(f"guest={vm.replace(',', ',,')},")
    return "-name" in options and (named or options.get("-uuid") == vm)
