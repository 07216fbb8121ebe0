"""New VMs by the page, on a real host: what is missing is said while typing, and each is reached by its consoles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from app.lab.lab import Lab
from app.lab.paths import ASSETS, POOLS
from tests.browser.console import Console, chromium, console_over, page_of, wait_for
from tests.browser.vms.test_consoles import connected, serial_text
from tests.integration.vms.test_create import guest_says
from tests.integration.waiting import wait_for_agent

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows one host, whose pool has a boot medium and a disk with the same system."""
    host = fresh_lab.hosts[0]
    host.exec("cp", f"{ASSETS}/boot.iso", f"{POOLS['local']}/boot.iso")
    for name in ("disk.qcow2", "cloud.qcow2"):
        host.exec("qemu-img", "convert", "-O", "qcow2", f"{ASSETS}/boot.iso", f"{POOLS['local']}/{name}")
    host.virsh("pool-refresh", "local")
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        created.add(host)
        wait_for(lambda: created.rest.call("GET", "/volumes?q=boot.iso")["items"], "the volumes")
        yield created


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a fresh browser."""
    with chromium() as browser, page_of(browser) as created:
        yield created


def test_from_a_medium_an_existing_disk_and_an_image(console: Console, page: Page, fresh_lab: Lab) -> None:
    console.sign_in(page)
    page.goto(f"{console.url}/vms")
    page.click("text=New VM")
    from_a_medium(page)
    wait_for(lambda: console.vm("shop-1")["state"] == "running", "the VM runs", 60)
    vm = console.vm("shop-1")["id"]
    page.goto(f"{console.url}/vms/{vm}/console?kind=serial")
    connected(page)
    wait_for(lambda: enter(page) and "login: " in serial_text(page), "a login on the serial port", 120)
    page.click(".vg-segments >> text=Screen")
    connected(page)

    page.goto(f"{console.url}/vms/new")
    page.fill("[name=name]", "shop-2")
    choose_host(page)
    page.click("[value=remove-disks-0]")
    page.click("[value=add-volume]")
    page.select_option('[name="disks.0.volume_id"]', label="disk.qcow2 · local")
    page.fill("[name=memory_mib]", "96")
    page.select_option('[name="nics.0.network"]', label="default · nat")
    expect(page.locator("#vm-new-summary")).to_contain_text("96 MiB")
    page.click("[value=create]")
    expect(page).to_have_url(re.compile("/tasks/"))
    wait_for(lambda: console.vm("shop-2")["state"] == "running", "the VM runs", 60)
    defined = fresh_lab.hosts[0].virsh("dumpxml", "shop-2")
    assert "disk.qcow2" in defined
    from_an_image(console, page)
    wait_for(lambda: console.vm("shop-3")["state"] == "running", "the VM runs", 60)
    wait_for_agent(fresh_lab.hosts[0], "shop-3")
    seeded = guest_says(fresh_lab.hosts[0], "shop-3", "/bin/cat", "/run/seed.txt")
    assert seeded == "hostname=kiosk user=bob keys=0 address=\n"
    page.goto(f"{console.url}/vms/{console.vm('shop-3')['id']}/console?kind=serial")
    connected(page)
    wait_for(lambda: enter(page) and "login: " in serial_text(page), "a login on the serial port", 120)


def test_steps_asked_for_during_another_lose_none(console: Console, page: Page) -> None:
    """Each was sent with the rows as they had been when it was asked for, so a removed disk came back."""
    console.sign_in(page)
    page.goto(f"{console.url}/vms/new")
    choose_host(page)
    page.evaluate(
        "for (const step of ['remove-disks-0', 'add-image', 'add-volume'])"
        " document.querySelector(`[value=${step}]`).click()"
    )
    expect(page.locator('[name="disks.0.image_id"]')).to_be_visible()
    expect(page.locator('[name="disks.1.volume_id"]')).to_be_visible()
    expect(page.locator('[id^="row-disks-"]')).to_have_count(2)


def test_what_is_typed_while_the_summary_is_read_is_read_too(console: Console, page: Page) -> None:
    """The answer replaced what was waiting for the end of the typing, so the summary stayed as it was."""
    console.sign_in(page)
    page.goto(f"{console.url}/vms/new")
    choose_host(page)
    expect(page.locator("#vm-new-summary")).to_contain_text("Still needed")
    page.wait_for_timeout(1500)  # until no step is under way
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    page.route("**/vms/new/summary", hold_first)
    with page.expect_request("**/vms/new/summary"):
        page.fill("[name=name]", "shop-9")
    page.fill("[name=memory_mib]", "2000000000")
    held[0].continue_()
    expect(page.locator("[name=memory_mib]")).to_have_attribute("aria-invalid", "true")


def test_a_form_that_is_drawn_anew_leaves_the_keys_where_they_go(console: Console, page: Page) -> None:
    """The focus went to the name with each step, so what was typed into another field was added to the name."""
    console.sign_in(page)
    page.goto(f"{console.url}/vms/new")
    expect(page.locator("[name=name]")).to_be_focused()
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and answer.url.endswith("/vms/new")
    ):
        page.select_option("[name=host_id]", label="kvm-01")
        page.focus("[name=memory_mib]")
    expect(page.locator('[name="disks.0.pool"] option', has_text="local")).to_have_count(1)
    page.keyboard.press("End")
    page.keyboard.type("5")
    expect(page.locator("[name=memory_mib]")).to_have_value("5")
    expect(page.locator("[name=name]")).to_have_value("")


def from_an_image(console: Console, page: Page) -> None:
    """Take a volume into the library by the page, and make a VM from it with settings for its first boot."""
    volume = console.rest.call("GET", "/volumes?q=cloud.qcow2")["items"][0]["id"]
    page.goto(f"{console.url}/storage/volumes/{volume}")
    page.click("text=Make it an image")
    expect(page).to_have_url(re.compile("/images/new"))
    page.fill("[name=name]", "Tiny")
    page.click(".vg-form-foot button[type=submit]")
    expect(page).to_have_url(re.compile("/images$"))
    wait_for(
        lambda: [1 for item in console.rest.call("GET", "/images")["items"] if item["state"] == "ready"],
        "the image",
        90,
    )
    page.goto(f"{console.url}/vms/new")
    page.fill("[name=name]", "shop-3")
    choose_host(page)
    page.click("[value=remove-disks-0]")
    page.click("[value=add-image]")
    page.select_option('[name="disks.0.image_id"]', label="Tiny")
    page.select_option('[name="disks.0.pool"]', index=1)
    page.select_option('[name="nics.0.network"]', label="default · nat")
    page.fill("[name=memory_mib]", "96")
    page.check("[name=cloud]")
    page.fill("[name='cloud_init.hostname']", "kiosk")
    page.fill("[name='cloud_init.user']", "bob")
    expect(page.locator("#vm-new-summary")).to_contain_text("linked to Tiny")
    page.click("[value=create]")
    expect(page).to_have_url(re.compile("/tasks/"))


def from_a_medium(page: Page) -> None:
    """Fill the form in, with a mistake that is told beside its field and in the summary."""
    summary = page.locator("#vm-new-summary")
    expect(summary).to_contain_text("Still needed")
    page.fill("[name=name]", "shop-1")
    choose_host(page)
    page.fill('[name="disks.0.size_gib"]', "0.05")
    page.select_option('[name="disks.0.pool"]', index=1)
    page.select_option('[name="nics.0.network"]', label="default · nat")
    page.click("[value=add-media]")
    page.select_option('[name="disks.1.media"]', label="boot.iso · local")
    page.fill("[name=memory_mib]", "2000000000")
    expect(page.locator("[name=memory_mib]")).to_have_attribute("aria-invalid", "true")
    summary.get_by_role("link", name="Memory").click()
    expect(page.locator("[name=memory_mib]")).to_be_focused()
    page.fill("[name=memory_mib]", "128")
    expect(summary).to_contain_text("128 MiB")
    expect(page.locator("[name=memory_mib]")).not_to_have_attribute("aria-invalid", "true")
    page.click("[value=create]")
    expect(page).to_have_url(re.compile("/tasks/"))


def choose_host(page: Page) -> None:
    """Choose the host, and wait for its pools."""
    page.select_option("[name=host_id]", label="kvm-01")
    expect(page.locator('[name="disks.0.pool"] option', has_text="local")).to_have_count(1)


def enter(page: Page) -> bool:
    """Press Enter on the serial port."""
    page.locator(".vg-console-stage textarea").press("Enter")
    return True
