"""When things break: a reference and no internals outside, everything in the log, nothing half done."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from starlette.testclient import TestClient

from app.core.access.privileges import Role
from app.core.errors import HypervisorRefused, TooManyRequests
from app.web.deps import Reader, SignedRouter, Writer
from tests.integration.api.conftest import BASE_URL, Console


@pytest.fixture
def broken(console: Console) -> Console:
    """The console with addresses that fail in ways of their own."""
    router = SignedRouter()

    @router.get("/api/v1/broken")
    def broken_read(ctx: Reader) -> dict[str, str]:
        raise RuntimeError("secret in /var/lib/vigie")

    @router.get("/broken")
    def broken_page(ctx: Reader) -> dict[str, str]:
        raise RuntimeError("secret in /var/lib/vigie")

    @router.post("/api/v1/half")
    def half(ctx: Writer) -> dict[str, str]:
        from app.db import models

        vm = ctx.session.get(models.Vm, console.inventory.vms[0])
        assert vm is not None
        vm.notes = "half done"
        ctx.session.flush()
        raise HypervisorRefused("The host refused.", detail="internal error: /secret/path")

    @router.get("/api/v1/slow-down")
    def slow_down(ctx: Reader) -> dict[str, str]:
        raise TooManyRequests("Too many.", retry_after_s=17)

    console.app.router.routes.insert(0, router.routes[0])
    console.app.router.routes[1:1] = router.routes[1:]
    return console


def test_unexpected_failures_show_a_reference_only(broken: Console) -> None:
    answer = broken.client().get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] in answer.json()["why"]
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_an_error_undoes_everything(broken: Console) -> None:
    answer = broken.client().post("/api/v1/half")
    assert (answer.status_code, answer.json()["code"]) == (409, "hypervisor_refused")
    assert broken.client().get(f"/api/v1/vms/{broken.inventory.vms[0]}").json()["notes"] == ""


def test_words_of_the_hypervisor_are_for_those_who_diagnose(broken: Console) -> None:
    assert broken.client().post("/api/v1/half").json()["detail"] == "internal error: /secret/path"
    assert "detail" not in broken.client(Role.OPERATOR).post("/api/v1/half").json()


def test_rate_limits_say_when_to_go_on(broken: Console) -> None:
    answer = broken.client().get("/api/v1/slow-down")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_locked_database_refuses_writers_and_serves_readers(console: Console) -> None:
    lock = sqlite3.connect(console.services.settings.data_dir / "vigie.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    answers: list[int] = []

    def write(number: int) -> None:
        with TestClient(
            console.app, BASE_URL, headers={"Authorization": f"Bearer {console.tokens[Role.ADMINISTRATOR]}"}
        ) as client:
            answer = client.post("/api/v1/datacenters", json={"name": f"Lyon {number}"})
            answers.append(answer.status_code)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(0.5)
    assert console.client(Role.VIEWER).get("/api/v1/vms").status_code == 200
    assert all(writer.is_alive() for writer in writers), "the reader waited as long as those who write"
    for writer in writers:
        writer.join()
    lock.close()
    assert answers == [503] * 4
    assert console.client().post("/api/v1/datacenters", json={"name": "Lyon"}).status_code == 201


def test_parallel_starts_have_one_winner(console: Console) -> None:
    url = f"/api/v1/vms/{console.inventory.vms[1]}/actions/start"
    answers: list[tuple[int, str | None]] = []

    def start() -> None:
        answer = console.client().post(url, json={})
        answers.append((answer.status_code, answer.json().get("task")))

    starters = [threading.Thread(target=start) for _ in range(50)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert sorted(status for status, _ in answers) == [202] + [409] * 49
    assert len({task for status, task in answers if status == 409}) == 1


def test_pages_and_parts_of_pages(broken: Console) -> None:
    browser = broken.browser()
    page = browser.get("/broken")
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert page.headers["x-request-id"] in page.text
    part = browser.get("/broken", headers={"HX-Request": "true"})
    assert part.status_code == 500
    assert part.headers["hx-reswap"] == "none"
    assert "vigie:toast" in part.headers["hx-trigger"]
    assert browser.get("/no/such/page").status_code == 404


def test_pages_send_strangers_to_the_login(console: Console) -> None:
    stranger = console.client(None)
    answer = stranger.get("/vms?state=running")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fvms%3Fstate%3Drunning")
    part = stranger.get("/vms", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/login?next=%2Fvms"


def test_after_signing_in_again_the_open_page_is_shown_not_the_part_that_asked(console: Console) -> None:
    stranger = console.client(None)
    of_page = {"HX-Request": "true", "HX-Current-URL": "http://127.0.0.1/vms?state=running"}
    login = "/login?next=%2Fvms%3Fstate%3Drunning"
    part = stranger.get("/tree/children?view=hosts", headers=of_page)
    assert part.headers["hx-redirect"] == login
    assert stranger.post("/account/password", headers=of_page).headers["hx-redirect"] == login
    strange = stranger.get("/tree/children", headers={**of_page, "HX-Current-URL": "http://[::1"})
    assert strange.headers["hx-redirect"] == "/login"
    followed = stranger.get("/hosts", headers={**of_page, "HX-Target": "main#main"})
    assert followed.headers["hx-redirect"] == "/login?next=%2Fhosts"


def test_made_up_methods_do_not_become_metrics(console: Console) -> None:
    client = console.client()
    for number in range(5):
        client.request(f"BREW{number}", "/nothing")
    assert "BREW" not in client.get("/metrics").text


def test_readiness_is_looked_up_once_for_all_who_ask_within_a_second(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness, looks = console.app.state.readiness, []
    monkeypatch.setattr(readiness, "_probe", lambda: looks.append(1))
    monkeypatch.setattr("app.services.inventory.readiness.PROBE_EVERY_S", 3600)
    assert [console.client(None).get("/readyz").status_code for _ in range(5)] == [200] * 5
    assert looks == [1]


def test_an_engine_that_cannot_write_is_not_ready(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        console.app.state.readiness, "_health", lambda: {"running": True, "writer_failing": True}
    )
    answer = console.client(None).get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_not_writing")
