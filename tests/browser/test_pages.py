"""What goes wrong in daily use: two tabs, hostile names, bulk work, an ended login, a viewer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.lab.lab import Lab
from tests.browser.console import Console, chromium, console_over, do, page_of, state_of, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(240)]

HTML = "<img src=x onerror=alert(1)>"
RTL = "safe\u202egnp.exe"
LONG = "n" * 240


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests here; each has pages of its own."""
    with chromium() as created:
        yield created


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console over the lab's first host."""
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        created.add(fresh_lab.hosts[0])
        yield created


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own."""
    with page_of(browser) as created:
        yield created


def test_what_one_tab_does_shows_in_the_other(console: Console, page: Page, fresh_lab: Lab) -> None:
    fresh_lab.hosts[0].create_guest("twin")
    vm = console.vm("twin")
    console.sign_in(page)
    page.goto(f"{console.url}/vms")
    other = page.context.new_page()
    other.goto(f"{console.url}/vms/{vm['id']}")
    do(other, "start")
    row = page.locator(f"#row-{vm['id']}")
    expect(row).to_contain_text("Running")
    expect(state_of(other)).to_have_text("Running")


def test_hostile_names_stay_text_and_in_their_place(console: Console, page: Page, fresh_lab: Lab) -> None:
    for name in (HTML, RTL, LONG):
        fresh_lab.hosts[0].create_guest(name)
    ids = [console.vm(name)["id"] for name in (HTML, RTL, LONG)]
    page.on("dialog", lambda dialog: pytest.fail("a name ran as a script"))
    console.sign_in(page)
    page.goto(f"{console.url}/vms")
    for item, name in zip(ids, (HTML, RTL, LONG), strict=True):
        assert page.locator(f"#row-{item} bdi").first.text_content() == name
    width = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0, "the page scrolls sideways"
    for value, name in zip(ids, (HTML, RTL, LONG), strict=True):
        page.goto(f"{console.url}/vms/{value}")
        assert page.locator("h1").text_content() == name
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_bulk_start_says_how_many_and_why_not(console: Console, page: Page, fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    for number in range(3):
        host.create_guest(f"bulk-{number}", boots=False, start=number == 0)
    for number in range(3):
        console.vm(f"bulk-{number}")
    console.sign_in(page)
    page.goto(f"{console.url}/vms?q=bulk")
    expect(page.locator("#list-vms tbody tr")).to_have_count(3)
    page.check("[data-check-all]")
    page.locator("[data-bulk] >> text=Start").first.click()
    result = page.locator("#bulk-result")
    expect(result).to_contain_text("2 tasks are queued")
    expect(result).to_contain_text(re.compile("1 VM was left alone.*bulk-0", re.DOTALL))
    expect(page.locator("#list-vms tbody tr", has_text="Running")).to_have_count(3)


def test_a_login_that_ends_says_so_in_the_open_page(console: Console, page: Page, browser: Browser) -> None:
    console.sign_in(page)
    page.goto(f"{console.url}/vms")
    with page_of(browser) as elsewhere:
        console.sign_in(elsewhere)
        elsewhere.goto(f"{console.url}/account")
        ends = elsewhere.locator("#sessions tbody tr", has_not_text="this one").locator("button")
        ends.first.click()
        expect(page.locator("input[name=password]")).to_be_visible()
        assert page.url == f"{console.url}/login?next=%2Fvms"


def test_a_viewer_sees_everything_and_is_offered_nothing(
    console: Console, page: Page, fresh_lab: Lab
) -> None:
    fresh_lab.hosts[0].create_guest("seen")
    vm = console.vm("seen")
    console.rest.call("POST", "/users", {"name": "ana", "password": "only-looks-1", "role": "viewer"})
    console.sign_in(page, "ana", "only-looks-1")
    for path in ("/vms", f"/vms/{vm['id']}", f"/hosts/{vm['host_id']}", "/hosts", "/tasks"):
        page.goto(console.url + path)
        expect(page.locator("h1")).to_be_visible()
        assert (
            page.locator("[data-verb], [data-check], [hx-post*='/actions/'], a[href='/hosts/new']").count()
            == 0
        )
    refused = page.request.post(
        f"{console.url}/vms/{vm['id']}/actions/start", headers={"Origin": console.url}
    )
    assert refused.status == 403
    wait_for(lambda: console.rest.total("/audit", outcome="refused") >= 1, "the refusal in the audit")
