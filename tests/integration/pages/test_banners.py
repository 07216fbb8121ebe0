"""No form is silent: an error whose field has no control on the page is said in a banner or a message."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.db.models import Vm
from app.web import pages
from app.web.auth import Visitor
from tests.integration.api.conftest import Console, opened_console

FIELD, SAID = "crate.no_such_control", "is not what the quartermaster wants"
HTMX = {"HX-Request": "true"}
# Buttons without fields, and what only looks at a form; the identity's one field is hidden, and has an error page.
WITHOUT_FORM = ("/summary", "/identity", "/language", "/theme", "/logout")
VALUES = {
    "name": "web-07",
    "version": "1",
    "kind": "ssh_password",
    "sign_in": "ssh_password",
    "user": "root",
    "password": "long enough 1",
    "step": "create",
    "disks.0.kind": "new",
    "disks.0.pool": "local",
    "disks.0.size_gib": "1",
    "disk.kind": "new",
    "disk.pool": "local",
    "disk.size_gib": "1",
    "key": "vda",
}


@pytest.fixture(scope="module")
def alone(empty_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console on one kind of database: what is looked at here is pages."""
    folder = tmp_path_factory.mktemp("banners")
    shutil.copy(empty_sqlite, folder / "vigie.db")
    with opened_console(folder) as console:
        yield console


@contextmanager
def refusing(visitor: Visitor) -> Iterator[Ctx]:
    """A transaction in which a rule of a field that no form has is broken."""
    with visitor.services.database.read() as session:
        del session
        raise InvalidInput(FIELD, SAID)
        yield  # type: ignore[unreachable]


def routes_of(router: APIRouter) -> Iterator[APIRoute]:
    """The routes of a router and of those that it includes."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes_of(route.original_router)


def paths(console: Console) -> list[str]:
    """Every address of a page that takes a form, filled with ids that there are."""
    created = console.inventory
    ids = {
        "vms": created.vms[0],
        "hosts": created.hosts[0],
        "volumes": created.volume,
        "storage": created.pool,
        "networks": created.network,
        "nwfilters": created.filter,
        "tasks": created.task,
        "credentials": created.credential,
        "users": created.user,
        "datacenters": created.datacenter,
    }
    found = []
    for route in routes_of(pages.router):
        if "POST" in route.methods:
            parts = route.path.split("/")
            words = [
                ids.get(before) if part == "{id}" else part for before, part in itertools.pairwise(parts)
            ]
            if None not in words and not any("{" in str(word) for word in words):
                found.append("/" + "/".join(map(str, words)))
    # A host is removed last, with all that the other forms are about.
    removal = f"/hosts/{created.hosts[0]}/remove"
    return sorted(
        (path for path in set(found) if not path.endswith(WITHOUT_FORM)),
        key=lambda path: (path == removal, path),
    )


def message_of(answer: Response) -> str:
    """The text of the message that the open page shows, if the answer has one."""
    trigger = answer.headers.get("hx-trigger", "")
    return str(json.loads(trigger)["vigie:toast"]) if trigger.startswith("{") else ""


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_an_error_that_has_no_control_on_the_form_is_shown_as_a_banner(
    alone: Console, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    browser, created = alone.browser(), alone.inventory
    modules = [
        importlib.import_module(package.name)
        for package in pkgutil.walk_packages(pages.__path__, f"{pages.__name__}.")
    ]
    for module in modules:
        if hasattr(module, "transaction"):
            monkeypatch.setattr(module, "transaction", refusing)
    with alone.services.database.read() as session:
        name = session.get_one(Vm, created.vms[0]).name
    silent, banners = [], 0
    for path in paths(alone):
        values = {
            **VALUES,
            "host_ids": created.hosts[1],
            "name": name if path.endswith("/delete") else "web-07",
        }
        answer = browser.post(path, data=values, headers=headers)
        if answer.status_code != 422:
            continue
        banner = re.search(
            r'role="alert".*?<b>No such control:</b> Is not what the quartermaster wants', answer.text, re.S
        )
        banners += banner is not None
        if not banner and SAID not in answer.text + message_of(answer):
            silent.append(path)
    assert silent == []
    assert banners > 35


def test_an_error_beside_its_control_is_not_said_twice(alone: Console) -> None:
    answer = alone.browser().post("/users/new", data={"name": "no spaces", "password": "long enough 1"})
    assert answer.text.count("This has characters that are not allowed here.") == 1
    assert 'role="alert"' not in answer.text
