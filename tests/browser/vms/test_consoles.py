"""Consoles in a browser: the screen and the serial port of real guests, through reboots and a live migration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from tests.browser.console import Console, chromium, console_over, page_of, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(300)]

NAME = "mover"
# Pixels that are not black: what forty letters add is far more than the cursor that blinks.
LETTERS, LIT = "m" * 40, 500


@pytest.fixture
def console(fresh_lab: Lab, tmp_path: Path) -> Iterator[Console]:
    """A console that knows the first two hosts, and a guest on the pool that they share."""
    with console_over(fresh_lab, tmp_path / "vigie") as created:
        for host in fresh_lab.hosts[:2]:
            created.add(host)
        fresh_lab.hosts[0].create_guest(NAME, start=True, pool="shared")
        created.vm(NAME)
        yield created


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a fresh browser."""
    with chromium() as browser, page_of(browser) as created:
        refused: list[str] = []
        created.on(
            "console",
            lambda message: refused.append(message.text) if "Content Security" in message.text else None,
        )
        yield created
        assert refused == [], "the page breaks its own policy"


def test_screen_and_serial_port_through_reboot_and_live_migration(
    console: Console, page: Page, fresh_lab: Lab
) -> None:
    first, second, _ = fresh_lab.hosts
    vm = console.vm(NAME)["id"]
    console.sign_in(page)
    page.goto(f"{console.url}/vms/{vm}/console?kind=serial")
    connected(page)
    log_in_by_serial(page)
    page.click(".vg-segments >> text=Screen")
    expect(page.locator("[data-console]")).to_have_attribute("data-kind", "vnc")
    connected(page)
    type_on_screen(page, first)
    page.get_by_role("button", name="View only").click()
    expect(page.locator("#console-who")).to_contain_text("looks only")
    connected(page)
    page.get_by_role("button", name="View only").click()
    expect(page.locator("#console-who")).not_to_contain_text("looks only")
    connected(page)
    picture_can_be_kept(page)
    migrate_and_keep_typing(page, first, second)
    off_and_on(console, page, vm)


def connected(page: Page, timeout_s: float = 30) -> None:
    """The console says that it is, and shows no cover."""
    expect(page.locator("[data-console]")).to_have_attribute(
        "data-state", "connected", timeout=timeout_s * 1000
    )
    expect(page.locator(".vg-console-cover")).to_be_hidden()


def serial_text(page: Page) -> str:
    """What the terminal shows."""
    text: str = page.evaluate(
        """() => {
            const buffer = document.querySelector(".vg-console-stage").vigieTerminal.buffer.active;
            return Array.from({length: buffer.length}, (_, at) => buffer.getLine(at).translateToString(true)).join("\\n");
        }"""
    )
    return text


def log_in_by_serial(page: Page) -> None:
    """Wait for the login, and see its answer to a name."""

    def prompted() -> bool:
        page.locator(".vg-console-stage textarea").press("Enter")
        return "login: " in serial_text(page)

    wait_for(prompted, "a login on the serial port", 120)

    def asked() -> bool:
        page.locator(".vg-console-stage textarea").press_sequentially("root\n")
        page.wait_for_timeout(2000)
        return "Password: " in serial_text(page)

    wait_for(asked, "the question for the password", 60)


def lit(host: LabHost) -> int:
    """How many pixels of the screen are not black, as the host itself sees it."""
    path = host.run_directory / "screen"
    host.virsh("screenshot", NAME, "--file", str(path))
    with Image.open(path) as picture:
        pixels = picture.convert("L").tobytes()
    path.unlink()
    return len(pixels) - pixels.count(0)


def drawn(page: Page) -> int:
    """How many pixels of the canvas are not black."""
    count: int = page.evaluate(
        """() => {
            const canvas = document.querySelector(".vg-console-stage canvas");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return data.filter((byte, at) => at % 4 === 0 && byte > 0).length;
        }"""
    )
    return count


def type_on_screen(page: Page, host: LabHost) -> None:
    """Letters typed in the page are on the guest's screen, and so in the page."""
    wait_for(lambda: drawn(page) > LIT, "the login screen in the page")
    before, shown = lit(host), drawn(page)
    page.locator(".vg-console-stage canvas").press_sequentially(LETTERS, delay=30)
    wait_for(lambda: lit(host) > before + LIT, "the letters on the screen")
    wait_for(lambda: drawn(page) > shown + LIT, "the letters in the page")


def picture_can_be_kept(page: Page) -> None:
    """A screenshot is a PNG file with the VM's name."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Screenshot").click()
    assert re.fullmatch(rf"{NAME}-[\dTZ-]+\.png", download.value.suggested_filename)
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def migrate_and_keep_typing(page: Page, source: LabHost, target: LabHost) -> None:
    """The VM goes to another host by virsh; what is typed before, meanwhile and after comes to its screen."""
    page.locator(".vg-console-stage canvas").focus()
    before = lit(source)
    with ThreadPoolExecutor() as beside:
        moved = beside.submit(
            source.virsh, "migrate", "--live", "--persistent", "--undefinesource", "--unsafe", NAME,
            target.virsh_uri, "--migrateuri", f"tcp://{target.address}", timeout_s=60,
        )  # fmt: skip
        page.keyboard.type(LETTERS, delay=30)  # wherever the console is by now
        moved.result()
    page.keyboard.type(LETTERS, delay=30)
    connected(page)
    wait_for(lambda: lit(target) > before + 2 * LIT, "what was typed during and after the move")
    expect(page.locator(".vg-crumbs")).to_contain_text(target.name)


def off_and_on(console: Console, page: Page, vm: str) -> None:
    """The page says that the VM is off, and shows its screen again by itself once it runs."""
    console.rest.close()
    console.rest.call("POST", f"/vms/{vm}/actions/force-off", {})
    expect(page.locator("[data-console]")).to_have_attribute("data-state", "waiting")
    expect(page.locator(".vg-console-cover")).to_contain_text("The VM is not running.")
    console.vm(NAME)
    wait_for(lambda: console.vm(NAME)["state"] == "shutoff", "off")
    console.rest.call("POST", f"/vms/{vm}/actions/start", {})
    connected(page)
    wait_for(lambda: drawn(page) > LIT, "the firmware in the page")
