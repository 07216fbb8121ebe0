"""Streams over a connection that ends meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.integration.hypervisor.targets import OpenHost, local_target

pytestmark = pytest.mark.lab

# In a process of its own, which the fault ended.
ROUNDS = """
import random, sys, threading, time
from app.core.errors import HostError
from app.hypervisor import Host
from app.lab.lab import Lab
from app.lab import state
from tests.integration.hypervisor.targets import local_target

lab_host = next(Lab(each) for each in state.all_labs() if each.id == sys.argv[1]).hosts[0]

def write(host):
    try:
        while True:
            host.storage.write_volume("local", "stream.raw", bytes(4096))
    except HostError:
        pass

for number in range(200):
    host = Host.open(local_target(lab_host), connect_deadline_s=10, call_deadline_s=10)
    threads = [threading.Thread(target=write, args=(host,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.02 + random.random() / 100)
    host.close()
    for thread in threads:
        thread.join()
print("all ended")
"""


def test_a_connection_that_ends_under_several_streams_does_not_end_the_process(lab: Lab) -> None:
    host = lab.hosts[0]
    host.virsh("vol-create-as", "local", "stream.raw", "1M", "--format", "raw")
    try:
        root = Path(__file__).parents[3]
        command = [sys.executable, "-X", "faulthandler", "-c", ROUNDS, lab.state.id]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, "all ended"), done.stderr[-3000:]
    finally:
        host.virsh("vol-delete", "stream.raw", "--pool", "local")


def test_streams_one_after_the_other_share_a_connection_and_at_once_have_their_own(
    lab: Lab, open_host: OpenHost
) -> None:
    host = open_host(local_target(lab.hosts[0])).host
    connections = host._connections
    with connections.stream() as first, connections.stream() as second:
        assert first is not second
    with connections.stream() as again:
        assert again in (first, second)
