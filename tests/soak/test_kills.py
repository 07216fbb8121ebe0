"""kill -9 of the server in the middle of work of every kind: what a task says is what its host says."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.soak.client import Client
from tests.soak.conftest import Trials
from tests.soak.kinds import KINDS, Job, Stage
from tests.soak.watching import ResetCounter, StartCounter

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

AT_ONCE = 8
LONGEST_S = 1.2


def test_tasks_say_what_the_host_says_after_kills(
    lab: Lab, local_client: Client, chance: random.Random, trials: Trials, tmp_path: Path
) -> None:
    stage = Stage(lab.hosts[0], local_client)
    starts = StartCounter(stage.host.virsh_uri)
    resets = ResetCounter(stage.host.virsh_uri, tmp_path / "resets")
    order: list[type[Job]] = []
    jobs: list[Job] = []
    try:
        for _ in range(trials(5, 100)):
            if len(order) < AT_ONCE:
                order += chance.sample(KINDS, len(KINDS))
            kinds, order = order[:AT_ONCE], order[AT_ONCE:]
            jobs += (round_of := [kind(stage, len(jobs) + number) for number, kind in enumerate(kinds)])
            _one_kill(stage, round_of, chance)
        assert {name: count for name, count in starts.starts().items() if count > 1} == {}
        assert {name: count for name, count in resets.resets().items() if count > 1} == {}
    finally:
        stage.connection.close()
        starts.close()
        resets.close()


def _one_kill(stage: Stage, jobs: list[Job], chance: random.Random) -> None:
    try:
        for job in jobs:
            job.prepare()
        requested = {job.submit(): job for job in jobs}
        time.sleep(chance.uniform(0, LONGEST_S))
        stage.client.kill_and_restart()
        ended = stage.client.ended(requested)
        found = {job: job.wrong(ended[task]) for task, job in requested.items()}
        assert [f"{type(job).__name__}: {what}" for job, what in found.items() if what] == []
    finally:
        for job in jobs:
            job.clear()
