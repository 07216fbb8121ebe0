"""Tickets for consoles: who gets one, and who may use it. What a good ticket opens is tested on the lab."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient, WebSocketDenialResponse

from app.access.secrets import secret_digest
from app.core.access.privileges import Role
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db import models
from app.services.vms import consoles
from tests.integration.api.conftest import Console

ORIGIN = "http://localhost"
PATH = "/api/v1/console"
SOCKET = f"ws://localhost{PATH}"


def ask(client: TestClient, vm: str, **spec: object) -> dict[str, str]:
    answer = client.post(f"/api/v1/vms/{vm}/consoles", json=spec)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refusal(client: TestClient, ticket: str, *, origin: str | None = ORIGIN) -> tuple[int, str]:
    """Status and code with which the door refuses the ticket."""
    headers = {"origin": origin} if origin else {}
    with (
        pytest.raises(WebSocketDenialResponse) as raised,
        client.websocket_connect(SOCKET, ["vigie", f"vigie.ticket.{ticket}"], headers=headers),
    ):
        pass
    return raised.value.status_code, raised.value.json()["code"]


def rows(console: Console, model: type) -> int:
    with console.services.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def test_a_ticket_says_what_it_is_for_and_is_kept_as_its_hash(console: Console) -> None:
    vm = console.inventory.vms[0]
    created = ask(console.client(Role.OPERATOR), vm, kind="serial", view_only=True)
    assert created["url"] == f"ws://localhost{PATH}"
    assert (created["kind"], created["view_only"]) == ("serial", True)
    with console.services.database.read() as session:
        kept = session.scalars(sa.select(models.ConsoleTicket)).one()
        session.expunge_all()
    assert created["ticket"] not in str(vars(kept))
    assert kept.expires_at - datetime.now(UTC) <= timedelta(seconds=30)
    entry = console.client().get("/api/v1/audit?q=vm.console").json()["items"][0]
    assert (entry["action"], entry["target"]["id"], entry["detail"]["kind"]) == ("vm.console", vm, "serial")


def test_only_the_login_that_asked_may_use_it(console: Console) -> None:
    vm = console.inventory.vms[0]
    mine, other = console.browser(Role.OPERATOR), console.browser(Role.OPERATOR)
    for thief in (other, console.browser(), console.client(Role.OPERATOR)):
        created = ask(mine, vm)
        assert refusal(thief, created["ticket"]) == (403, "ticket_invalid")
        assert refusal(mine, created["ticket"]) == (403, "ticket_invalid"), "the theft has used it up"
    entries = console.client().get("/api/v1/audit?outcome=refused").json()["items"]
    assert {(entry["action"], entry["code"], entry["target"]["id"]) for entry in entries} == {
        ("vm.console", "ticket_invalid", vm)
    }


def test_it_ends_after_thirty_seconds(console: Console) -> None:
    browser = console.browser()
    created = ask(browser, console.inventory.vms[0])
    with console.services.database.begin() as session:
        session.execute(sa.update(models.ConsoleTicket).values(expires_at=datetime.now(UTC)))
    assert refusal(browser, created["ticket"]) == (403, "ticket_invalid")
    assert rows(console, models.ConsoleTicket) == 0


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "", None, "http://localhost.evil"])
def test_a_browser_opens_it_from_our_own_pages_only(shared: Console, origin: str | None) -> None:
    browser = shared.browser()
    created = ask(browser, shared.inventory.vms[0])
    assert refusal(browser, created["ticket"], origin=origin) == (403, "cross_origin")


def test_a_program_that_names_a_foreign_origin_is_refused(shared: Console) -> None:
    created = ask(shared.client(), shared.inventory.vms[0])
    assert refusal(shared.client(), created["ticket"], origin="https://elsewhere.example") == (
        403,
        "cross_origin",
    )


def test_without_ticket_or_credentials_nothing_opens(shared: Console) -> None:
    nobody = shared.client(None)
    assert refusal(nobody, "x" * 43) == (401, "not_signed_in")
    assert refusal(shared.browser(), "x" * 43) == (403, "ticket_invalid")
    with (
        pytest.raises(WebSocketDenialResponse) as raised,
        shared.browser().websocket_connect(SOCKET, headers={"origin": ORIGIN}),
    ):
        pass
    assert raised.value.json()["code"] == "ticket_invalid"


def test_rights_count_when_the_ticket_is_used(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    created = ask(browser, console.inventory.vms[0])
    with console.services.database.begin() as session:
        session.execute(
            sa.update(models.User).where(models.User.name == "operator").values(role=Role.VIEWER.value)
        )
    assert refusal(browser, created["ticket"]) == (403, "not_allowed")


def test_what_cannot_be_opened_gets_no_ticket(console: Console) -> None:
    client = console.client()
    running, shut_off = console.inventory.vms[:2]
    silent = console.inventory.vms[6]
    for vm, status, code in (
        (shut_off, 409, "vm_not_running"),
        (silent, 409, "host_not_connected"),
        ("vm_aaaaaaaaaaaaaaaa", 404, "not_found"),
    ):
        answer = client.post(f"/api/v1/vms/{vm}/consoles", json={})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.post(f"/api/v1/vms/{running}/consoles", json={"kind": "telnet"}).status_code == 422
    assert client.get("/api/v1/vms/vm_aaaaaaaaaaaaaaaa/consoles").status_code == 404


def open_rows(console: Console, number: int, *, replica_id: str) -> None:
    """Rows of consoles that an administrator has open."""
    with console.services.database.begin() as session:
        user = session.scalar(sa.select(models.User.id).where(models.User.name == "administrator"))
        session.add_all(
            models.Console(
                id=new_id(ObjectKind.CONSOLE),
                vm_id=console.inventory.vms[0],
                kind="vnc",
                view_only=False,
                user_id=user,
                user_name="administrator",
                remote="192.0.2.7",
                replica_id=replica_id,
                opened_at=datetime.now(UTC),
            )
            for _ in range(number)
        )


def test_nobody_has_more_than_fifty_and_a_new_server_removes_what_an_ended_one_left(console: Console) -> None:
    vm = console.inventory.vms[0]
    open_rows(console, 30, replica_id=console.services.replicas.own_id)
    open_rows(console, 20, replica_id="one-that-is-gone")
    assert len(console.client(Role.VIEWER).get(f"/api/v1/vms/{vm}/consoles").json()["items"]) == 50
    refused = console.client().post(f"/api/v1/vms/{vm}/consoles", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_consoles")
    ask(console.client(Role.OPERATOR), vm)
    consoles.remove_orphaned(console.services)
    assert rows(console, models.Console) == 0


class TwoReplicas:
    """This one, and another that lives."""

    own_id = "here"

    def living_ids(self) -> frozenset[str]:
        return frozenset({"here", "there"})


def test_a_new_server_leaves_consoles_and_tickets_of_a_living_one_alone(console: Console) -> None:
    services = replace(console.services, replicas=TwoReplicas())
    for replica_id in ("here", "there", "gone"):
        open_rows(console, 1, replica_id=replica_id)
    browser = console.browser()
    old, _new = (ask(browser, console.inventory.vms[0]) for _ in range(2))
    with services.database.begin() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        mine = models.ConsoleTicket.secret_sha256 == secret_digest(old["ticket"])
        session.execute(sa.update(models.ConsoleTicket).where(mine).values(expires_at=past))
    consoles.remove_orphaned(services)
    with services.database.read() as session:
        assert session.scalars(sa.select(models.Console.replica_id)).all() == ["there"]
    assert rows(console, models.ConsoleTicket) == 1
