"""Networks and storage pools by the page, on real hosts: made, changed, brought back, proven shared, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.lab.lab import Lab
from tests.browser.console import Console, chromium, console_over, page_of, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows two hosts and their pools."""
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        for host in fresh_lab.hosts[:2]:
            created.add(host)
        wait_for(lambda: len(created.rest.call("GET", "/pools")["items"]) == 4, "the pools")
        yield created


def find(console: Console, kind: str, name: str) -> dict[str, Any] | None:
    """The first object of this name, as the API has it."""
    found = console.rest.call("GET", f"/{kind}")["items"]
    return next((item for item in found if item["name"] == name), None)


def at_rest(console: Console, object_id: str) -> None:
    """Wait until no task works on the object."""
    wait_for(
        lambda: all(
            item["finished_at"] for item in console.rest.call("GET", f"/tasks?target={object_id}")["items"]
        ),
        "its tasks end",
    )


def test_a_network_from_its_making_to_its_end(console: Console, fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    with chromium() as browser, page_of(browser) as page:
        console.sign_in(page)
        page.goto(f"{console.url}/networks/new")
        page.fill("[name=name]", "lab-net")
        page.select_option("[name=host_id]", label=host.name)
        page.check("[name=mode][value=isolated]")
        expect(page.locator("[name=out_device]")).to_be_hidden()
        page.fill("[name=ipv4]", "192.168.77.300/24")
        page.click("button:has-text('Create')")
        expect(page.locator("#f-ipv4-error")).to_be_visible()
        page.fill("[name=ipv4]", "192.168.77.1/24")
        page.fill("[name=ipv4_ranges]", "192.168.77.10 - 192.168.77.20")
        page.click("button:has-text('Create')")
        page.wait_for_url("**/tasks/*")
        created = wait_for(lambda: find(console, "networks", "lab-net"), "the network")
        assert "192.168.77.10" in host.virsh("net-dumpxml", "lab-net")
        at_rest(console, created["id"])

        page.goto(f"{console.url}/networks/{created['id']}/edit")
        page.fill("[name=ipv4_ranges]", "192.168.77.10 - 192.168.77.50")
        page.click("button:has-text('Save')")
        page.wait_for_url(f"**/networks/{created['id']}")
        wait_for(lambda: "192.168.77.50" in host.virsh("net-dumpxml", "lab-net", "--inactive"), "the change")
        at_rest(console, created["id"])

        page.click(".vg-tabs a:has-text('History')")
        page.click("a:has-text('Compare')")
        expect(page.locator("pre.vg-diff ins")).to_contain_text("192.168.77.50")
        redrawn: list[str] = []
        page.on("requestfinished", lambda request: redrawn.append(request.url))
        page.wait_for_load_state()  # before it nobody listens to events
        page.dispatch_event("#network-live", "vigie:live")
        wait_for(lambda: page.title() and any("/history?" in item for item in redrawn), "the next drawing")
        page.wait_for_timeout(300)
        expect(page.locator("pre.vg-diff ins")).to_contain_text("192.168.77.50")  # what is read stays
        page.click("button:has-text('Restore')")
        wait_for(
            lambda: "192.168.77.20" in host.virsh("net-dumpxml", "lab-net", "--inactive"), "the first version"
        )
        at_rest(console, created["id"])

        page.goto(f"{console.url}/networks/{created['id']}")
        choose(page, "network-more", "Delete")
        page.fill("#question-name", "lab-net")
        page.click("dialog[open] .btn-danger")
        wait_for(lambda: "lab-net" not in host.virsh("net-list", "--all", "--name").split(), "its end")


def test_a_pool_is_asked_for_what_its_kind_needs_and_proven_shared(console: Console, fresh_lab: Lab) -> None:
    first, second, _ = fresh_lab.hosts
    shared = find(console, "pools", "shared")
    assert shared is not None
    with chromium() as browser, page_of(browser) as page:
        console.sign_in(page)
        page.goto(f"{console.url}/storage/new")
        expect(page.locator("[name=target_path]")).to_be_visible()
        expect(page.locator("[name=auth_secret]")).to_be_hidden()
        page.select_option("[name=kind]", "rbd")
        expect(page.locator("[name=target_path]")).to_be_hidden()
        page.fill("[name=name]", "ceph")
        page.fill("[name=source_host]", "ceph.example.org")
        page.fill("[name=source_name]", "vms")
        page.fill("[name=auth_user]", "libvirt")
        page.fill("[name=auth_secret]", "no key")
        page.click("button:has-text('Create')")
        expect(page.locator("#f-auth_secret-error")).to_contain_text("base64")
        assert "no key" not in page.content()

        page.goto(f"{console.url}/storage/{shared['id']}")
        choose(page, "pool-more", "Find out who shares it")
        other = second if shared["host_name"] == first.name else first
        wait_for(lambda: console.rest.call("GET", f"/pools/{shared['id']}")["shared"], "the proof")
        page.reload()
        expect(page.locator("main")).to_contain_text("verified, with")
        expect(page.locator(".vg-kv a", has_text=other.name)).to_be_visible()


def choose(page: Page, menu: str, item: str) -> None:
    """Open a menu of the header and press an item."""
    page.click(f'button[popovertarget="{menu}"]')
    page.click(f"#{menu} button:has-text('{item}')")
