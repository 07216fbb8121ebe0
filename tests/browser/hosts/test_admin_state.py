"""A host is disabled, enabled and put into maintenance on its page, which says what each means."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Visit
from tests.browser.console import state_of

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(240)]


def choose(page: Page, action: str) -> None:
    page.get_by_role("button", name="More").click()
    page.locator("#host-more button", has_text=action).click()


def test_a_host_is_disabled_and_enabled_on_its_page(site: Site, visit: Visit) -> None:
    host = site.first("hosts")
    vm = site.first("vms", f"&host={host}")
    page = visit(f"/hosts/{host}")
    expect(state_of(page)).to_have_text("Connected")
    choose(page, "Disable")
    expect(state_of(page)).to_have_text("Disabled")
    expect(page.locator("#host-notices")).to_contain_text("Vigie does not connect to it.")
    expect(page.locator("#host-summary")).to_contain_text("none while the host is disabled")
    other = visit(f"/vms/{vm}")
    expect(other.locator("main")).to_contain_text("is Disabled; the VM may have changed since.")
    listed = visit("/hosts?admin_state=disabled")
    expect(listed.locator("tbody tr")).to_have_count(1)
    expect(listed.locator("tbody [data-state=disabled]")).to_be_visible()
    choose(page, "Enable")
    expect(state_of(page)).to_have_text("Connected")
    expect(page.locator("#host-notices")).to_be_hidden()
    choose(page, "Begin maintenance")
    expect(state_of(page)).to_have_text("Maintenance")
    choose(page, "End maintenance")
    expect(state_of(page)).to_have_text("Connected")
