"""Volumes by the page, on a real host: a file is sent, copied, moved under a running VM, grown and deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.lab.lab import Lab
from app.lab.paths import POOLS
from tests.browser.console import Console, chromium, console_over, page_of, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows one host with a running guest."""
    host = fresh_lab.hosts[0]
    host.create_guest("user", start=True, boots=False)
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        created.add(host)
        wait_for(lambda: volume(created, "user.qcow2"), "the volumes")
        yield created


def volume(console: Console, name: str) -> str | None:
    """The id of the volume of this name."""
    found = console.rest.call("GET", f"/volumes?q={name}")["items"]
    return found[0]["id"] if found else None


def test_a_file_is_sent_copied_and_deleted_and_a_disk_moved_and_grown(
    console: Console, fresh_lab: Lab, tmp_path: Path
) -> None:
    host = fresh_lab.hosts[0]
    pool = next(item for item in console.rest.call("GET", "/pools")["items"] if item["name"] == "local")["id"]
    file = tmp_path / "data.img"
    file.write_bytes(os.urandom(9 * 1024**2))
    with chromium() as browser, page_of(browser) as page:
        console.sign_in(page)
        page.goto(f"{console.url}/storage/{pool}")
        page.click("text=Upload")
        page.set_input_files("#upload-file", str(file))
        page.click("[data-upload-start]")
        expect(page.locator("[data-upload-said]")).to_contain_text("It is in the pool")
        page.click("text=Back to the pool")
        expect(page.locator("dt:text-is('Volumes') + dd")).to_contain_text("2 ·")
        page.click("main >> text=data.img")
        page.fill("form[action$='/clone'] [name=name]", "copy.img")
        page.click("form[action$='/clone'] button")
        wait_for(lambda: volume(console, "copy.img"), "the copy")
        page.goto(f"{console.url}/storage/volumes/{volume(console, 'copy.img')}")
        delete(page, "copy.img")
        wait_for(lambda: volume(console, "copy.img") is None, "its end")

        page.goto(f"{console.url}/storage/volumes/{volume(console, 'user.qcow2')}")
        expect(page.locator("main")).to_contain_text("user")
        page.click("button:has-text('More')")
        expect(page.locator("#volume-more button", has_text="Delete")).to_have_attribute(
            "aria-disabled", "true"
        )
        page.keyboard.press("Escape")
        shared = page.locator("#f-move-pool option", has_text="shared").get_attribute("value")
        page.select_option("#f-move-pool", shared)
        page.click("form[action$='/move'] button")
        wait_for(lambda: f"{POOLS['shared']}/user.qcow2" in host.virsh("domblklist", "user"), "the move", 60)
        wait_for(lambda: "shared" in path(console, "user.qcow2"), "the pages know it")
        page.goto(f"{console.url}/storage/volumes/{volume(console, 'user.qcow2')}")
        page.fill("#f-resize-size", "0.25")
        page.click("form[action$='/resize'] button")
        wait_for(lambda: "268435456" in host.virsh("domblkinfo", "user", "vda"), "the larger disk", 60)


def path(console: Console, name: str) -> str:
    """Where the volume is."""
    found = console.rest.call("GET", f"/volumes?q={name}")["items"]
    return str(found[0]["path"]) if found else ""


def delete(page: Page, name: str) -> None:
    """Delete the volume of the page, after typing its name."""
    page.click("button:has-text('More')")
    page.click("#volume-more button:has-text('Delete')")
    page.fill("#question-name", name)
    page.click("dialog[open] .btn-danger")
