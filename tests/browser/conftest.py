"""A server over a small simulated fleet, and a browser that complains: for tests of the shell and of every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Response,
    StorageState,
    expect,
    sync_playwright,
)

from app.lab.bench.servers import serving
from app.lab.rest import Rest
from app.lab.server import Server
from tests.browser.console import CHROMIUM, FLAGS, wait_for
from tests.labfixture import own_fleet

HOSTS, VMS = 3, 8
NETWORK = "Failed to load resource"  # what Chromium says of refused requests, which tests ask for on purpose
NAME, PASSWORD = "bench", "bench-of-this-machine"

# Two cores may serve a browser, a server and guests at the same time.
expect.set_options(timeout=60_000)


@dataclass(slots=True)
class Site:
    """The server, and the REST API to look behind the pages."""

    server: Server
    rest: Rest

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.server.url

    def first(self, noun: str, query: str = "") -> str:
        """The id of the first object of a list."""
        found: list[dict[str, str]] = self.rest.call("GET", f"/{noun}?limit=1{query}")["items"]
        return found[0]["id"]

    def sign_in(self, page: Page) -> None:
        """Sign in by the form."""
        page.goto(f"{self.url}/login")
        page.fill("input[name=name]", NAME)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        expect(page.locator("#shell")).to_be_visible()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The server with all VMs of the fleet in its mirror."""
    fleet = own_fleet(HOSTS, VMS)
    try:
        with serving(fleet) as (server, token, _):
            server.start()
            with Rest(server.url, token) as rest:
                wait_for(lambda: rest.call("GET", "/vms?limit=1")["total"] == HOSTS * VMS, "the whole fleet")
                yield Site(server, rest)
    finally:
        fleet.down()


@pytest.fixture(scope="module")
def chromium_browser() -> Iterator[Browser]:
    """One browser for all tests of a module.

    It ends with the module: while Playwright runs, its loop counts as running in this thread, and no test
    could run one of its own.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def _watched(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page that fails the test on script errors, console errors and violations of the policy."""
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: complaints.append(answer.url) if _is_broken(answer) else None)
    try:
        yield page
        assert [complaint for complaint in complaints if not complaint.startswith(NETWORK)] == []
    finally:
        context.close()


def _is_broken(answer: Response) -> bool:
    reported = answer.status == 503 and "vigie-page" in answer.headers  # a page that says what a host did
    return (answer.status >= 500 and not reported) or (answer.status >= 400 and "/static/" in answer.url)


Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def signed_in(site: Site, chromium_browser: Browser) -> StorageState:
    """The state of a browser after signing in (cookies, local storage), for the tests of a module."""
    with _watched(chromium_browser) as page:
        site.sign_in(page)
        return page.context.storage_state()


@pytest.fixture
def visit(site: Site, chromium_browser: Browser, signed_in: StorageState) -> Iterator[Visit]:
    """Open a page signed in, in a browser with these options: `visit("/vms", color_scheme="dark")`.

    The login is shared; `own_login=True` is for tests that end logins or change the password.
    """
    with ExitStack() as opened:

        def go(path: str, *, own_login: bool = False, **options: Any) -> Page:
            state = None if own_login else signed_in
            page = opened.enter_context(_watched(chromium_browser, storage_state=state, **options))
            if own_login:
                site.sign_in(page)
            page.goto(f"{site.url}{path}")
            return page

        yield go
