"""What libvirt and QEMU themselves say was done to VMs, by connections of the tests' own."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import Counter
from pathlib import Path

import libvirt


class StartCounter:
    """Counts starts of VMs on a host, by its own connection: what libvirt itself says happened."""

    def __init__(self, uri: str) -> None:
        libvirt.registerErrorHandler(lambda *_: None, None)
        self._connection = libvirt.open(uri)
        self._seen: dict[str, set[int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def starts(self) -> dict[str, int]:
        """Starts of each VM by name: a domain id is given once."""
        return {name: len(ids) for name, ids in self._seen.items()}

    def close(self) -> None:
        """Stop counting."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for domain in self._connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                number = domain.ID()
                if number != -1:
                    self._seen.setdefault(domain.name(), set()).add(number)


class ResetCounter:
    """Counts resets that QEMU was asked for on a host. Firmware that finds itself reset resets once more by itself,
    so libvirt's own event comes twice."""

    def __init__(self, uri: str, path: Path) -> None:
        self._told = path
        with path.open("w") as output:
            self._virsh = subprocess.Popen(
                ["stdbuf", "-oL", "virsh", "-c", uri, "qemu-monitor-event", "--event", "RESET", "--loop"],
                stdout=output,
            )

    def resets(self) -> Counter[str]:
        """Resets of each VM by name."""
        requested = r"for domain '([^']+)': .*host-qmp-system-reset"
        return Counter(re.findall(requested, self._told.read_text()))

    def close(self) -> None:
        """Stop counting."""
        self._virsh.terminate()
        self._virsh.wait(5)
