"""The API of a server that may be killed at any moment, with objects by their names."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Self

from app.lab.process import run
from app.lab.rest import Answer, Rest
from app.lab.server import Server
from tests.integration.site import eventually

Json = dict[str, Any]
FINAL = ("succeeded", "failed", "cancelled")
ENDS_S = 120.0


class Client:
    """Ask for things by name, wait for tasks, and kill the server."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token
        self.rest = Rest(server.url, token, timeout_s=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON. Raises LabError for a refusal."""
        return self.rest.call(method, path, body)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, whatever its status."""
        return self.rest.ask(method, f"/api/v1{path}", body)

    def all(self, path: str, **nwfilters: object) -> list[Json]:
        """Every object of a list, of up to 500."""
        query = "&".join(f"{name}={value}" for name, value in {**nwfilters, "limit": 500}.items())
        items: list[Json] = self.call("GET", f"{path}?{query}")["items"]
        return items

    def find(self, path: str, name: str, **nwfilters: object) -> Json | None:
        """The object of this name; None when there is none."""
        return next((item for item in self.all(path, **nwfilters) if item["name"] == name), None)

    def id_of(self, path: str, name: str, timeout_s: float = 30, **nwfilters: object) -> str:
        """The id of the object of this name, which may take a moment to be seen."""
        eventually(lambda: self.find(path, name, **nwfilters), timeout_s, f"{name} in {path}")
        found = self.find(path, name, **nwfilters)
        assert found is not None
        return str(found["id"])

    def task(self, task_id: str) -> Json:
        """The task now."""
        found: Json = self.call("GET", f"/tasks/{task_id}")
        return found

    def ended(self, task_ids: Iterable[str], timeout_s: float = ENDS_S) -> dict[str, Json]:
        """The tasks once all have ended, by id."""
        found: dict[str, Json] = {}
        deadline = time.monotonic() + timeout_s
        for task_id in task_ids:
            while (task := self.task(task_id))["state"] not in FINAL:
                assert time.monotonic() < deadline, f"does not end: {task}"
                time.sleep(0.05)
            found[task_id] = task
        return found

    def done(self, method: str, path: str, body: object = None) -> Json:
        """Ask for work and wait until it has succeeded."""
        answer = self.ask(method, path, body)
        assert answer.status == 202, (method, path, answer.data)
        task = self.ended([answer.data["id"]])[answer.data["id"]]
        assert task["state"] == "succeeded", (task["kind"], task["error"])
        return task

    def wait_for_hosts(self, count: int, timeout_s: float = 30) -> None:
        """Wait until so many hosts are connected and read."""

        def is_read(row: Json) -> bool:
            is_connected = row["connection"] == "connected" and not row["stale"]
            return is_connected and self.ask("GET", f"/hosts/{row['id']}/capabilities").status == 200

        eventually(
            lambda: sum(is_read(row) for row in self.all("/hosts")) == count, timeout_s, f"{count} hosts read"
        )

    def kill_and_restart(self) -> None:
        """Kill the server with signal 9, engine and all, and start it again."""
        self.rest.close()
        run(["kill", "-9", str(self._server.pid)])
        eventually(self._server.has_ended, 10)
        self._server.start()
        self.rest = Rest(self._server.url, self._token, timeout_s=60)
