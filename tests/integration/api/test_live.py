"""The live stream and the stream of events, over a real server: at once, gathered, resumable, and ending in time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import pytest
import uvicorn

from app.access import accounts
from app.access.context import Actor, Ctx
from app.access.sign_in.sign_in import Browser, sign_in
from app.core import notices
from app.core.access.privileges import Role
from app.core.access.specs import UserPatch
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db import models
from app.db.notices import notify
from app.web import live
from tests.integration.api.conftest import PASSWORD, Console

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
VM, OTHER_VM = new_id(ObjectKind.VM), new_id(ObjectKind.VM)


@dataclass
class Stream:
    """What arrives on one stream."""

    arrived: queue.Queue[tuple[str, str, str]] = field(default_factory=queue.Queue)
    ended: threading.Event = field(default_factory=threading.Event)

    def next(self, timeout_s: float = 60) -> tuple[str, str, str]:
        """The next event: name, data, id."""
        return self.arrived.get(timeout=timeout_s)

    def topics(self, timeout_s: float = 60) -> list[str]:
        name, data, _ = self.next(timeout_s)
        assert name == "changed"
        return json.loads(data)["topics"]

    def read(self, url: str, headers: dict[str, str]) -> None:
        event = {"event": "", "data": "", "id": ""}
        try:
            with httpx2.stream("GET", url, headers=headers, timeout=30) as response:
                assert response.status_code == 200, response.read()
                for line in response.iter_lines():
                    name, _, value = line.partition(": ")
                    if name in event:
                        event[name] = value
                    elif line.startswith(":"):
                        self.arrived.put(("comment", line, ""))
                    elif not line and event["event"]:
                        self.arrived.put((event["event"], event["data"], event["id"]))
                        event = dict.fromkeys(event, "")
        except httpx2.RemoteProtocolError:
            pass  # cut by the end of the server
        finally:
            self.ended.set()


class Server(uvicorn.Server):
    """A server in a thread: signals are for the main one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def served(console: Console) -> Iterator[tuple[Console, str, Server]]:
    config = uvicorn.Config(
        console.app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield console, f"http://127.0.0.1:{port}", server
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def listen(url: str, **headers: str) -> Stream:
    stream = Stream()
    threading.Thread(target=stream.read, args=(url, headers), daemon=True).start()
    assert stream.next()[0] == "comment"
    return stream


def bearer(console: Console, role: Role = Role.VIEWER) -> str:
    return f"Bearer {console.tokens[role]}"


def session_cookie(console: Console, role: Role = Role.VIEWER) -> str:
    signed = sign_in(console.services, role.value, PASSWORD, Browser(None))
    return f"vigie_session={signed.secret}"


def test_the_first_change_comes_at_once_and_the_next_ones_together(
    served: tuple[Console, str, Server],
) -> None:
    console, url, _ = served
    stream = listen(f"{url}/live", Authorization=bearer(console))
    started = time.monotonic()
    console.services.hub.publish([VM])
    assert stream.topics() == [VM]
    assert time.monotonic() - started < 0.1
    for _ in range(20):
        console.services.hub.publish([new_id(ObjectKind.VM), "tasks"])
        time.sleep(0.002)
    assert len(stream.topics()) == 21
    with pytest.raises(queue.Empty):
        stream.next(0.4)


def test_internal_talk_stays_inside(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    stream = listen(f"{url}/live", Authorization=bearer(console))
    console.services.hub.publish(
        [notices.WORK, notices.HOSTS, f"{notices.SCREENSHOT_WANTED}{VM}", f"{notices.USER_ACCESS}user_x"]
    )
    console.services.hub.publish([OTHER_VM])
    assert stream.topics() == [OTHER_VM]


def test_who_falls_behind_is_told_to_read_again(
    served: tuple[Console, str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, url, _ = served
    monkeypatch.setattr(live, "COALESCE_S", 1.0)
    stream = listen(f"{url}/live", Authorization=bearer(console))
    console.services.hub.publish([VM])
    assert stream.topics() == [VM]
    for _ in range(live.MAX_WAITING + 1):
        console.services.hub.publish([new_id(ObjectKind.VM)])
    assert stream.next()[0] == "resync"
    console.services.hub.publish([OTHER_VM])
    assert stream.topics() == [OTHER_VM]


def test_heartbeats(served: tuple[Console, str, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    console, url, _ = served
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)
    stream = listen(f"{url}/live", Authorization=bearer(console))
    assert stream.next(10)[0] == "comment"  # before the heartbeat of 15 s that is the rule


def test_nobody_hears_nothing(served: tuple[Console, str, Server]) -> None:
    answer = httpx2.get(f"{served[1]}/live")
    assert answer.status_code == 401


def test_signing_out_ends_the_stream(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    cookie = session_cookie(console)
    stream, other = (
        listen(f"{url}/live", Cookie=cookie),
        listen(f"{url}/live", Cookie=session_cookie(console, Role.OPERATOR)),
    )
    started = time.monotonic()
    httpx2.delete(f"{url}/api/v1/session", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    assert stream.next()[0] == "signed-out"
    assert stream.ended.wait(1)
    assert time.monotonic() - started < 1
    assert not other.ended.is_set()


def test_disabling_a_user_ends_streams_of_cookie_and_token(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    streams = [
        listen(f"{url}/live", Cookie=session_cookie(console)),
        listen(f"{url}/live", Authorization=bearer(console)),
        listen(f"{url}/api/v1/events/stream", Authorization=bearer(console)),
    ]
    with console.services.database.begin() as session:
        ctx = Ctx(console.services, session, Actor(None, "tests", Role.ADMINISTRATOR, "cli"))
        viewer = session.query(models.User).filter_by(name="viewer").one()
        accounts.update_user(ctx, viewer.id, UserPatch(disabled=True), None)
    for stream in streams:
        assert stream.next()[0] == "signed-out"
        assert stream.ended.wait(1)


def test_revoking_a_token_ends_its_streams(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    other = listen(f"{url}/live", Cookie=session_cookie(console))
    streams = [
        listen(f"{url}/live", Authorization=bearer(console)),
        listen(f"{url}/api/v1/events/stream", Authorization=bearer(console)),
    ]
    with console.services.database.read() as session:
        query = session.query(models.Token.id).join(models.User, models.User.id == models.Token.user_id)
        token_id = query.filter(models.User.name == "viewer").scalar()
    started = time.monotonic()
    answer = httpx2.delete(f"{url}/api/v1/tokens/{token_id}", headers={"Authorization": bearer(console)})
    assert answer.status_code == 204
    for stream in streams:
        assert stream.next()[0] == "signed-out"
        assert stream.ended.wait(1)
    assert time.monotonic() - started < 2
    assert not other.ended.is_set()


def test_an_expired_session_ends_the_stream(
    served: tuple[Console, str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    console, url, _ = served
    monkeypatch.setattr(live, "RECHECK_S", 0.3)
    stream = listen(f"{url}/live", Cookie=session_cookie(console))
    with console.services.database.begin() as session:
        session.query(models.Login).update({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)})
    assert stream.next(3)[0] == "signed-out"


def test_streams_end_within_a_second_of_sigterm(console: Console) -> None:
    services = console.services
    environment = {
        **os.environ,
        "VIGIE_DATA_DIR": str(services.settings.data_dir),
        "VIGIE_DATABASE_URL": services.settings.database,
        "VIGIE_PORT": "0",
    }
    program = "from app.config import load_settings; from app.main import serve; raise SystemExit(serve(load_settings()))"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rsplit(" ", 1)[-1].strip()
        streams = [listen(f"{url}/live", Authorization=bearer(console)) for _ in range(5)]
        streams.append(listen(f"{url}/api/v1/events/stream", Authorization=bearer(console)))
        started = time.monotonic()
        process.terminate()
        for stream in streams:
            assert stream.ended.wait(5)
        took = time.monotonic() - started
        assert process.wait(10) == 0
    assert took < 1.2


def test_gone_browsers_are_forgotten(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    before = len(console.services.hub._listeners)
    with httpx2.stream("GET", f"{url}/live", headers={"Authorization": bearer(console)}) as response:
        lines = response.iter_lines()  # kept: the stream is closed with it
        next(lines)
        assert len(console.services.hub._listeners) == before + 1
    deadline = time.monotonic() + 60
    while len(console.services.hub._listeners) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(console.services.hub._listeners) == before


def write_event(console: Console, kind: str) -> int:
    with console.services.database.begin() as session:
        event = models.Event(at=datetime.now(UTC), kind=kind, severity="info", message="It happened.")
        session.add(event)
        notify(session, console.services.hub, notices.EVENTS)
        session.flush()
        return event.id


def test_events_can_be_resumed(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    stream = listen(f"{url}/api/v1/events/stream", Authorization=bearer(console))
    first = write_event(console, "test.first")
    name, data, identifier = stream.next()
    assert (name, int(identifier), json.loads(data)["kind"]) == ("event", first, "test.first")
    second, third = write_event(console, "test.second"), write_event(console, "test.third")
    resumed = listen(
        f"{url}/api/v1/events/stream?seconds=1",
        Authorization=bearer(console),
        **{"Last-Event-ID": str(first)},
    )
    assert [int(resumed.next()[2]), int(resumed.next()[2])] == [second, third]
    assert resumed.ended.wait(3)


def test_waiting_for_a_task(served: tuple[Console, str, Server]) -> None:
    console, url, _ = served
    headers = {"Authorization": bearer(console, Role.OPERATOR)}
    started = httpx2.post(
        f"{url}/api/v1/vms/{console.inventory.vms[1]}/actions/start", json={}, headers=headers
    )
    answers: list[tuple[str, float]] = []
    client = httpx2.Client(headers=headers, timeout=60, limits=httpx2.Limits(max_connections=100))

    def wait() -> None:
        begun = time.monotonic()
        answer = client.get(f"{url}{started.headers['location']}?wait=40")
        answers.append((answer.json()["state"], time.monotonic() - begun))

    waiters = [threading.Thread(target=wait) for _ in range(60)]  # more than there are threads for handlers
    for waiter in waiters:
        waiter.start()
    time.sleep(1)
    assert client.get(f"{url}/api/v1/vms").status_code == 200
    with console.services.database.begin() as session:
        task = session.get(models.Task, started.json()["id"])
        assert task is not None
        task.state, task.finished_at = "succeeded", datetime.now(UTC)
        notify(session, console.services.hub, task.id, notices.TASKS)
    for waiter in waiters:
        waiter.join()
    client.close()
    assert {state for state, _ in answers} == {"succeeded"}
    assert len(answers) == 60
    assert all(took < 30 for _, took in answers)
