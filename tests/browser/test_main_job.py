"""The main job from end to end, in a browser, on real hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.registration import by_tls, ssh_fingerprint, tls_fingerprint
from tests.browser.console import Console, chromium, console_over, do, page_of, state_of, wait_for
from tests.integration.waiting import wait_for_agent

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(420)]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows the first two hosts."""
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        for host in fresh_lab.hosts[:2]:
            created.add(host)
        yield created


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a fresh browser."""
    with chromium() as browser, page_of(browser) as created:
        yield created


def test_from_adding_a_host_to_a_crash_and_a_frozen_host(
    console: Console, page: Page, fresh_lab: Lab
) -> None:
    first, second, third = fresh_lab.hosts
    for host, name in ((first, "alpha"), (second, "beta"), (third, "gamma")):
        host.create_guest(name, start=name != "gamma")
    console.sign_in(page)
    add_by_form(console, page, third)
    see_its_vm(page, "gamma")
    start_and_watch_the_boot(page, "gamma")
    shut_down_by_acpi(page, third, "gamma")
    see_a_crash(console, page, second, "beta")
    see_a_frozen_host(console, page, first, "alpha")


def add_by_form(console: Console, page: Page, host: LabHost) -> None:
    """The three steps: where it is, who it is, what works."""
    page.goto(f"{console.url}/hosts")
    page.click("text=Add a host")
    page.check("input[name=way][value=fields]")
    page.fill("input[name=address]", host.address)
    if by_tls(host):
        page.select_option("select[name=transport]", "tls")
        page.fill("input[name=port]", str(host.tls_port))
        page.check("input[name=sign_in][value=tls]")
        page.fill("textarea[name=private_key]", host.tls_client_key.read_text())
        page.fill("textarea[name=certificate]", host.tls_client_cert.read_text())
        page.fill("textarea[name=ca_certificate]", host.tls_ca.read_text())
    else:
        page.fill("input[name=port]", str(host.ssh_port))
        page.select_option("select[name=credential_id]", console.ssh_credential)
    page.click("text=Continue")
    expect(page.locator("#fingerprint")).to_have_text(
        tls_fingerprint(host) if by_tls(host) else ssh_fingerprint(host)
    )
    page.click("text=It is the same: continue")
    expect(page.locator("#checks tbody tr").first).to_be_visible()
    page.fill("input[name=name]", "third")
    page.click("text=Add the host")
    expect(page.locator("h1")).to_have_text("third")
    expect(state_of(page)).to_have_text("Connected")


def see_its_vm(page: Page, name: str) -> None:
    """The host's VM appears by itself."""
    page.click(".vg-tabs >> text=VMs")
    page.click(f"#list-vms >> text={name}")
    expect(page.locator("h1")).to_have_text(name)
    expect(state_of(page)).to_have_text("Shut off")


def start_and_watch_the_boot(page: Page, name: str) -> None:
    """The state turns by itself, and the thumbnail shows another picture as the guest boots."""
    do(page, "start")
    expect(state_of(page)).to_have_text("Running")
    screen = page.locator("#vm-screen img")
    expect(screen).to_be_visible()
    begun = picture(page)
    wait_for(lambda: picture(page) not in (None, begun), "another picture in the thumbnail", 60)


def picture(page: Page) -> str | None:
    """The bytes of the thumbnail, as the browser drew them."""
    return page.evaluate(
        """() => {
            const image = document.querySelector("#vm-screen img");
            if (!image?.complete || !image.naturalWidth) return null;
            const canvas = document.createElement("canvas");
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        }"""
    )


def shut_down_by_acpi(page: Page, host: LabHost, name: str) -> None:
    """The guest takes its time, the page turns by itself, and the task says it is done."""
    wait_for_agent(host, name)  # it listens for the power button by then
    page.get_by_role("button", name="Shut down", exact=True).first.click()
    page.select_option("dialog[open] select[name=method]", "acpi")
    page.click("dialog[open] .btn-primary")
    expect(state_of(page)).to_have_text("Shut off", timeout=60_000)
    page.click(".vg-tabs >> text=Tasks & events")
    expect(page.locator("#recent-tasks tbody tr").first).to_contain_text(
        re.compile("Shut down.*Done", re.DOTALL)
    )


def see_a_crash(console: Console, page: Page, host: LabHost, name: str) -> None:
    """Its process is killed from outside: the open page says crashed."""
    page.goto(f"{console.url}/vms/{console.vm(name)['id']}")
    expect(state_of(page)).to_have_text("Running")
    host.kill_qemu(name)
    expect(state_of(page)).to_have_text("Crashed", timeout=10_000)


def see_a_frozen_host(console: Console, page: Page, host: LabHost, name: str) -> None:
    """A frozen host turns its VMs grey and old; everything else works on; it comes back by itself."""
    page.goto(f"{console.url}/vms")
    row = page.locator("#list-vms tbody tr", has_text=name)
    expect(row).to_contain_text("Running")
    host.freeze()
    try:
        expect(row).to_have_attribute("data-stale", "", timeout=15_000)
        expect(row).to_contain_text("last seen")
        page.goto(f"{console.url}/vms/{console.vm('gamma')['id']}")
        do(page, "start")
        expect(state_of(page)).to_have_text("Running")
        page.goto(f"{console.url}/vms/{console.vm(name)['id']}")
        expect(page.locator("text=This is what was last seen.")).to_be_visible()
    finally:
        host.thaw()
    expect(page.locator("text=This is what was last seen.")).to_be_hidden()
    expect(state_of(page)).to_have_text("Running")
