"""A VM's hardware and definition changed by the pages, beside virsh, and seen inside the guest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from tests.browser.console import Console, chromium, console_over, page_of, wait_for
from tests.integration.vms.test_create import guest_says
from tests.integration.waiting import wait_for_agent

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(300)]
NAME = "tower"


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows a host with a guest that may grow."""
    host = fresh_lab.hosts[0]
    host.create_guest(NAME)
    host.virsh("setvcpus", NAME, "2", "--maximum", "--config")
    host.virsh("setmaxmem", NAME, "192M", "--config")
    host.virsh("start", NAME)
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        created.add(host)
        wait_for_agent(host, NAME)
        wait_for(lambda: console_knows(created), "the definition is read")
        yield created


def console_knows(console: Console) -> bool:
    """Whether the VM's maximum is known: it was read after the changes by virsh."""
    vm = console.rest.call("GET", f"/vms/{console.vm(NAME)['id']}")
    return bool(vm["vcpus_max"] == 2)


def definition(console: Console, vm: str) -> str:
    """What the page knows of the VM's definition: the comparison of its version tells another one."""
    return str(console.rest.call("GET", f"/vms/{vm}/definition")["version"])


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a fresh browser."""
    with chromium() as browser, page_of(browser) as created:
        yield created


def test_what_is_added_by_the_page_is_seen_in_the_guest(console: Console, page: Page, fresh_lab: Lab) -> None:
    host, vm = fresh_lab.hosts[0], console.vm(NAME)["id"]
    console.sign_in(page)
    edit = f"{console.url}/vms/{vm}/edit"
    page.goto(edit)
    page.fill("[name=vcpus]", "2")
    page.fill("[name=memory_mib]", "160")
    send(page, "hardware")
    wait_for(
        lambda: guest_says(host, NAME, "/bin/cat", "/sys/devices/system/cpu/present").strip() == "0-1",
        "the guest has two CPUs",
        30,
    )
    wait_for(lambda: memory_mib(host) == 160, "the balloon has given it memory", 30)
    page.goto(edit)
    page.select_option("[name='disk.pool']", index=1)
    page.fill("[name='disk.size_gib']", "0.05")
    send(page, "disks/add", "input[value=new]")
    wait_for(lambda: "vdb" in guest_says(host, NAME, "/bin/ls", "/sys/block"), "the guest has the disk", 30)
    page.goto(edit)
    page.select_option("[name='nic.network']", label="default · nat")
    send(page, "nics/add")
    wait_for(
        lambda: "eth1" in guest_says(host, NAME, "/bin/ls", "/sys/class/net"), "the guest has the card", 30
    )


def test_a_page_from_before_virsh_changed_the_vm_is_refused_and_one_from_after_keeps_that(
    console: Console, page: Page, fresh_lab: Lab
) -> None:
    host, vm = fresh_lab.hosts[0], console.vm(NAME)["id"]
    console.sign_in(page)
    seen = definition(console, vm)
    page.goto(f"{console.url}/vms/{vm}/edit")
    page.click("text=Compute settings and resources")
    expect(page).to_have_url(re.compile("/edit/compute$"))
    host.virsh("desc", NAME, "--config", "--title", "by virsh")
    host.virsh("metadata", NAME, "https://example.org/own", "--key", "own", "--set", "<mine/>", "--config")
    wait_for(lambda: definition(console, vm) != seen, "what virsh changed is read")
    page.select_option("[name=watchdog]", "reset")
    page.locator("form[action$='/compute'] button[type=submit]").click()
    expect(page.locator("main")).to_contain_text("Somebody changed this in between.")
    assert "<watchdog" not in host.virsh("dumpxml", "--inactive", NAME)
    page.goto(f"{console.url}/vms/{vm}/edit/compute")
    page.select_option("[name=watchdog]", "reset")
    send(page, "compute")
    wait_for(lambda: "<watchdog" in host.virsh("dumpxml", "--inactive", NAME), "the change is saved", 30)
    saved = host.virsh("dumpxml", "--inactive", NAME)
    assert "by virsh" in saved
    assert "https://example.org/own" in saved
    expect(page.locator("main")).to_contain_text("after the next power-off")

    page.goto(f"{console.url}/vms/{vm}/edit/compute")
    page.fill("[name=pins]", "0: 0\nnonsense")
    page.locator("form[action$='/resources'] button[type=submit]").click()
    expect(page.locator("[name=pins]")).to_have_attribute("aria-invalid", "true")
    page.fill("[name=pins]", "0: 0")
    send(page, "resources")
    wait_for(lambda: "cpuset='0'" in pins(host), "the pin is saved", 30)


def test_an_earlier_version_is_brought_back_by_the_page(console: Console, page: Page, fresh_lab: Lab) -> None:
    host, vm = fresh_lab.hosts[0], console.vm(NAME)["id"]
    host.virsh("destroy", NAME)
    wait_for(lambda: console.vm(NAME)["state"] == "shutoff", "the VM is off")
    console.sign_in(page)
    page.goto(f"{console.url}/vms/{vm}/xml/edit")
    xml = page.locator("[name=xml]")
    xml.fill(xml.input_value().replace("</name>", "</name>\n  <title>by the editor</title>", 1))
    page.click("button[value=look]")
    expect(page.locator("main")).to_contain_text("by the editor")
    page.click("button[value=define]")
    expect(page).to_have_url(re.compile("/xml$"))
    wait_for(lambda: "by the editor" in host.virsh("dumpxml", NAME), "the definition is there", 30)
    wait_for(lambda: versions(console, vm) >= 2, "both versions are kept", 30)
    page.goto(f"{console.url}/vms/{vm}/history")
    page.locator("button", has_text="Restore").last.click()
    expect(page).to_have_url(re.compile("/hardware$"))
    wait_for(lambda: "by the editor" not in host.virsh("dumpxml", NAME), "the version counts again", 30)


def send(page: Page, action: str, inside: str = "button") -> None:
    """Send the form with this action and wait for the page that follows."""
    form = page.locator(f"form[action$='/{action}']", has=page.locator(inside)).first
    form.locator("button[type=submit]").first.click()
    expect(page).to_have_url(re.compile("/hardware$"))


def versions(console: Console, vm: str) -> int:
    """How many versions of its definition are known."""
    return len(console.rest.call("GET", f"/vms/{vm}/history")["items"])


def pins(host: LabHost) -> str:
    """What the saved definition says of pins."""
    return host.virsh("dumpxml", "--inactive", NAME).partition("<cputune>")[2].partition("</cputune>")[0]


def memory_mib(host: LabHost) -> int:
    """What the guest has of memory."""
    return int(host.virsh("dommemstat", NAME).split("actual ")[1].split()[0]) // 1024
