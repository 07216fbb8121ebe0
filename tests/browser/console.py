"""A running console over a lab, for tests in a browser: the real server, real hosts, Chromium."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.registration import by_tls, make_administrator, register_host
from app.lab.rest import Rest
from app.lab.server import Server
from tests.commands import QuickServer

T = TypeVar("T")

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
]
ADMIN = "admin"


@dataclass(slots=True)
class Console:
    """The server under test, its administrator, and the REST API to look behind the pages."""

    server: Server
    password: str
    rest: Rest
    ssh_credential: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.server.url

    def add(self, host: LabHost) -> str:
        """Register a host that is reached by SSH; return its id."""
        assert not by_tls(host), "register this one by the form"
        return register_host(self.rest, host, self.ssh_credential)

    def sign_in(self, page: Page, name: str = ADMIN, password: str | None = None) -> None:
        """Sign in by the form, as a person does."""
        page.goto(f"{self.url}/login")
        page.fill("input[name=name]", name)
        page.fill("input[name=password]", password or self.password)
        page.click("button[type=submit]")
        expect(page.locator("#shell")).to_be_visible()

    def vm(self, name: str) -> dict[str, str]:
        """The VM with this name, as the API has it, once it is there."""
        return wait_for(
            lambda: next(
                (vm for vm in self.rest.call("GET", "/vms?limit=500")["items"] if vm["name"] == name), None
            ),
            f"VM {name!r}",
        )


@contextmanager
def console_over(lab: Lab, directory: Path, **settings: object) -> Iterator[Console]:
    """A fresh server with an administrator and the lab's SSH key as a credential; no hosts yet."""
    server = QuickServer(
        directory, settings={"ping_s": 1.0, "refresh_s": 2.0, "call_deadline_s": 3.0, **settings}
    )
    server.prepare()
    password = secrets.token_urlsafe(12)
    token = make_administrator(server, ADMIN, password)
    server.start()
    try:
        with Rest(server.url, token) as rest:
            key = lab.hosts[0].ssh_private_key.read_text()
            created = rest.call(
                "POST", "/credentials", {"name": "Lab key", "kind": "ssh_key", "private_key": key}
            )
            yield Console(server, password, rest, created["id"])
    finally:
        server.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, **options: object) -> Iterator[Page]:
    """A page of a browser that knows nothing yet. Fails when a script of the page fails; every failure
    carries what the page said, its errors and the requests that failed."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)  # type: ignore[arg-type]
    failures: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: failures.append(str(error)))
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: errors.append(f"{request.url}: {request.failure}"))
    try:
        yield page
        assert failures == [], f"scripts of the page failed: {failures}"
    except Exception as error:
        with contextlib.suppress(Exception):
            error.add_note(f"The page was {page.url} and said:\n{page.inner_text('body', timeout=2000)}")
            error.add_note("Its errors:\n" + "\n".join(errors))
        raise
    finally:
        with contextlib.suppress(Exception):
            context.close()


def wait_for(look: Callable[[], T | None], what: str, timeout_s: float = 60) -> T:
    """The first answer of `look` that is there."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {timeout_s:g} s")


def do(page: Page, verb: str, *, sure: bool = False) -> None:
    """Press a verb of the VM's page, in its header or in its menu, and say yes when asked."""
    shown = page.locator(f'.vg-actions > button[data-verb="{verb}"]')
    if shown.count():
        shown.click()
    else:
        page.click('button[popovertarget="vm-power"]')
        page.click(f'#vm-power [data-verb="{verb}"]')
    if sure:
        page.click("dialog[open] .btn-danger, dialog[open] .btn-primary")


def state_of(page: Page) -> Locator:
    """The pill with the VM's or host's state in the page's header."""
    return page.locator(".vg-head .vg-pill").first
