"""The shell: signing in, palette, tree, theme, language, narrow screens, live updates; and no page breaks a rule."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from urllib.parse import urlsplit

import asyncssh
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Visit

pytestmark = [pytest.mark.lab, pytest.mark.browser, pytest.mark.timeout(240)]

PAGES = (
    "/", "/hosts", "/hosts/new", "/vms", "/vms/new", "/vms/deleted", "/storage", "/storage/volumes", "/images", "/images/new", "/storage/new", "/networks", "/networks/new", "/networks/logical", "/nwfilters", "/tasks", "/events", "/audit",
    "/users", "/users/new", "/tokens", "/credentials", "/credentials/new", "/datacenters", "/account", "/gallery",
    "/vms/{vm}", "/vms/{vm}/hardware", "/vms/{vm}/tasks", "/vms/{vm}/xml", "/vms/{vm}/console",
    "/hosts/{host}", "/hosts/{host}/hardware", "/hosts/{host}/compatibility", "/hosts/{host}/vms",
    "/hosts/{host}/storage", "/hosts/{host}/networks",
    "/hosts/{host}/tasks", "/storage/{pool}", "/storage/{pool}/history", "/networks/{network}", "/networks/{network}/history",
)  # fmt: skip


@pytest.fixture(scope="module")
def paths(site: Site) -> list[str]:
    """Every page, with the objects of the fleet."""
    ids = {
        "vm": site.first("vms", "&state=running"),
        "host": site.first("hosts"),
        "pool": site.first("pools"),
        "network": site.first("networks"),
    }
    return [page.format(**ids) for page in PAGES]


def test_a_wrong_password_says_so_and_keeps_the_name(site: Site, visit: Visit) -> None:
    page = visit("/")
    page.context.clear_cookies()
    page.goto(f"{site.url}/vms?q=web")
    assert "/login?next=" in page.url
    page.fill("input[name=name]", "bench")
    page.fill("input[name=password]", "not the password")
    with page.expect_response(lambda response: response.request.method == "POST") as refused:
        page.evaluate("document.querySelector('form').requestSubmit()")
    assert refused.value.status == 401
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.locator("input[name=name]")).to_have_value("bench")
    expect(page.locator("input[name=password]")).to_have_value("")


def test_palette_by_keyboard_alone(site: Site, visit: Visit) -> None:
    page = visit("/vms")
    name = site.rest.call("GET", "/vms?limit=1")["items"][0]["name"]
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-input")).to_be_focused()
    page.keyboard.type(name)
    expect(page.locator("#palette-results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text(name)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_enter_before_the_palette_answers_leads_to_what_is_found(site: Site, visit: Visit) -> None:
    page = visit("/hosts")
    name = site.rest.call("GET", "/vms?limit=1")["items"][0]["name"]
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list")).to_be_visible()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)


def test_palette_asks_before_it_resets_and_acts_on_no_older_answer(site: Site, visit: Visit) -> None:
    page = visit("/vms")
    vm = site.rest.call("GET", "/vms?limit=1&state=running")["items"][0]
    before = site.rest.call("GET", f"/tasks?target={vm['id']}")["total"]
    page.keyboard.press("Control+k")
    page.keyboard.type(f"reset {vm['name']}")
    chosen = page.locator("#palette-list [aria-selected=true]")
    expect(page.locator("#palette-results")).to_have_attribute("aria-busy", "false")  # of all that was typed
    expect(chosen).to_contain_text(f"Reset: {vm['name']}")
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_visible()
    expect(page.locator("#question-title")).to_have_text(f"Reset: {vm['name']}")
    page.keyboard.press("Escape")
    expect(page.locator("#question")).to_be_hidden()
    page.route("**/search?*", lambda route: None)  # no further answer comes
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    expect(page.locator("#question")).to_be_hidden()
    expect(page.locator("#palette")).to_be_visible()
    assert site.rest.call("GET", f"/tasks?target={vm['id']}")["total"] == before


def test_tree_opens_walks_and_follows_by_keyboard(site: Site, visit: Visit) -> None:
    page = visit("/")
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(4)  # the datacenter and its hosts
    page.locator("#main").focus()
    page.keyboard.press("t")
    expect(tree).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(tree.get_by_role("treeitem")).to_have_count(12)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/vms/vm_"))
    name = page.locator("h1").text_content()
    expect(tree.locator("[aria-selected=true]")).to_contain_text(name or "?")
    page.reload()
    expect(page.get_by_role("treeitem").filter(has_text=re.compile(f"^{name}$"))).to_be_visible()


def test_theme_is_kept_without_a_flash(visit: Visit) -> None:
    page = visit("/", color_scheme="light")
    surface = "getComputedStyle(document.querySelector('.vg-side')).backgroundColor"
    light = page.evaluate(surface)
    page.get_by_role("button", name="Appearance").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(surface)
    assert dark != light
    answer = page.reload()
    assert answer is not None
    assert 'data-bs-theme="dark"' in answer.text().split(">", 2)[1], "the first pixel was of the other theme"
    assert page.evaluate(surface) == dark


def test_the_system_decides_at_first(visit: Visit) -> None:
    page = visit("/", color_scheme="dark")
    assert page.locator("html").get_attribute("data-bs-theme") is None
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light dark"
    red, *_ = re.findall(r"[\d.]+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert float(red) < 60


def test_language_changes_and_stays(visit: Visit) -> None:
    page = visit("/hosts")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="Français").click()
    expect(page.locator("h1")).to_have_text("Hôtes")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.get_by_role("button", name="Langue").click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Hosts")


def test_the_inventory_is_a_drawer_on_narrow_screens(visit: Visit) -> None:
    page = visit("/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Inventory").click()
    expect(page.get_by_role("tree")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("tree")).to_be_hidden()


def broken_rules(page: Page, options: dict[str, object]) -> list[object]:
    """What axe finds on the page: the rule, and where it is broken."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [(item["id"], [node["html"][:200] for node in item["nodes"]]) for item in found]


def test_every_page_keeps_the_rules_of_accessibility_and_never_scrolls_sideways(
    site: Site, visit: Visit, paths: list[str]
) -> None:
    page = visit("/", reduced_motion="reduce")
    wide, narrow = page.viewport_size, {"width": 390, "height": 844}
    assert wide is not None
    broken: dict[str, list[object]] = {}
    for path in paths:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(wide)
        answer = page.goto(f"{site.url}{path}")
        assert answer is not None
        assert answer.status == 200, path
        expect(page.get_by_role("tree")).to_be_attached()
        found = broken_rules(page, {})
        page.emulate_media(color_scheme="dark")
        # Colours are all that the schemes differ by.
        found += broken_rules(page, {"runOnly": {"type": "rule", "values": ["color-contrast"]}})
        page.set_viewport_size(narrow)
        over = page.evaluate(
            "[document.documentElement, document.getElementById('main')].map(e => e.scrollWidth - e.clientWidth)"
        )
        if found or max(over) > 0:
            broken[path] = [*found, over]
    assert broken == {}


def test_dialogs_and_menus_keep_the_rules_too(site: Site, visit: Visit) -> None:
    page = visit("/gallery")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Dangerous").click()
    yes = page.locator("#question-yes")
    expect(yes).to_be_disabled()
    assert Axe().run(page).response["violations"] == []
    page.keyboard.type("web-01")
    expect(yes).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#question")).to_be_hidden()
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    assert Axe().run(page).response["violations"] == []


def test_gallery_looks_the_same_each_time(site: Site, visit: Visit) -> None:
    page = visit("/gallery", reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 2400})
    pictures = []
    for _ in range(2):
        page.goto(f"{site.url}/gallery")
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(500)  # until the drawer and the tree beside it are drawn
        shot = page.locator("#gallery").screenshot(animations="disabled")
        pictures.append(Image.open(BytesIO(shot)).convert("L"))
    first, second = pictures
    assert first.size == second.size
    changed = sum(ImageChops.difference(first, second).histogram()[32:])
    assert changed < first.width * first.height / 1000


def test_a_verb_is_asked_about_and_its_task_shows_at_once(site: Site, visit: Visit) -> None:
    # Simulated hosts keep a state per connection, so that the task never sees its own effect: the lab tests do.
    page = visit(f"/vms/{site.first('vms', '&state=running')}")
    page.get_by_role("button", name="Power").click()
    page.locator('#vm-power [data-verb="force-off"]').click()
    page.locator("#question").get_by_role("button", name="Cancel").click()
    expect(page.locator("#question")).to_be_hidden()
    assert site.rest.call("GET", "/tasks?limit=1")["total"] == 0
    page.get_by_role("button", name="Power").click()
    page.locator('#vm-power [data-verb="force-off"]').click()
    page.locator("#question-yes").click()
    expect(page.locator(".vg-toast")).to_contain_text("Force off")
    expect(page.locator("#drawer-tasks tbody tr").first).to_contain_text("Force off")
    expect(page.locator("#running-tasks")).to_contain_text("1")


def test_selection_by_shift_and_the_bar(visit: Visit) -> None:
    page = visit("/vms")
    boxes = page.locator("[data-check]")
    boxes.nth(0).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.locator("[data-bulk]")).to_contain_text("4 selected")
    page.get_by_role("button", name="Clear selection").click()
    expect(page.locator("[data-bulk]")).to_be_hidden()


def test_bulk_verbs_that_stop_guests_ask_with_number_and_names(visit: Visit) -> None:
    page = visit("/vms?state=running")
    for verb in ("Shut down", "Reboot", "Reset", "Force off", "Pause", "Save state"):
        if not page.locator("[data-bulk]").is_visible():
            page.locator("[data-check]").nth(0).click()
            page.locator("[data-check]").nth(1).click()
        button = page.locator("[data-bulk]").get_by_role("button", name=verb, exact=True)
        if button.count():
            button.click()
            expect(page.locator("#question-body")).to_contain_text("2 selected")
            expect(page.locator("#question-body li")).to_have_count(2)
            page.locator("#question").get_by_role("button", name="Cancel").click()
    page.locator("[data-bulk]").get_by_role("button", name="Shut down", exact=True).click()
    page.locator("#question-yes").click()
    expect(page.locator("#bulk-result")).to_contain_text("queued")
    expect(page.locator("[data-check]:checked")).to_have_count(0)


def test_columns_are_remembered(visit: Visit) -> None:
    page = visit("/vms")
    expect(page.get_by_role("columnheader", name="UUID")).to_have_count(0)
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("UUID").check()
    expect(page.get_by_role("columnheader", name="UUID")).to_be_visible()
    page.reload()
    expect(page.get_by_role("columnheader", name="UUID")).to_be_visible()


def test_a_chosen_column_is_asked_for_once(visit: Visit) -> None:
    page = visit("/vms")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("UUID").check()
    expect(page.get_by_role("columnheader", name="UUID")).to_be_visible()
    page.wait_for_timeout(700)  # longer than a filter waits for the next key
    lists = [url for url in requested if urlsplit(url).path == "/vms"]
    assert len(lists) == 1, requested  # a second answer, asked for before the choice, would take it back


@contextmanager
def closed_ssh_server() -> Iterator[int]:
    """The port of an SSH server that lets nobody in."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key], server_factory=NobodyEnters)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    try:
        yield server.get_port()
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class NobodyEnters(asyncssh.SSHServer):
    """Asks for a password, and takes none."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return False


def say_where(page: Page, port: int) -> None:
    page.check("input[name=way][value=fields]")
    page.fill("input[name=address]", "127.0.0.1")
    page.fill("input[name=port]", str(port))
    page.check("input[name=sign_in][value=ssh_password]")
    page.fill("input[name=credential_name]", f"port {port}")  # a name is taken once
    page.fill("input[name=password]", "wrong")
    page.click("text=Continue")


def test_a_wrong_address_of_a_new_host_is_said_in_the_form(visit: Visit) -> None:
    page = visit("/hosts/new")
    say_where(page, 1)  # nothing listens there
    expect(page.locator("#host-new").get_by_role("alert")).to_contain_text("The host cannot be reached.")
    expect(page.locator("input[name=address]")).to_have_value("127.0.0.1")
    expect(page.locator("#toasts")).not_to_contain_text("Vigie does not answer")


def test_a_wrong_key_of_a_new_host_is_said_in_the_form(visit: Visit) -> None:
    page = visit("/hosts/new")
    with closed_ssh_server() as port:
        say_where(page, port)
        page.click("text=It is the same: continue")
        expect(page.locator("#host-new").get_by_role("alert")).to_contain_text("does not accept this account")
    expect(page.locator("input[name=port]")).to_have_value(str(port))
    expect(page.locator("#toasts")).not_to_contain_text("Vigie does not answer")


def test_filters_narrow_the_list_and_the_address(visit: Visit) -> None:
    page = visit("/vms")
    page.get_by_label("Filter the list").fill("web")
    page.wait_for_url(re.compile(r"\?.*q=web"))
    for name in page.locator("tbody tr td a.vg-name").first.all_text_contents():
        assert "web" in name
    expect(page.get_by_label("Filter the list")).to_be_focused()


def test_links_keep_the_shell_and_move_the_focus(visit: Visit) -> None:
    page = visit("/")
    page.evaluate("window.sameShell = true")
    page.locator("#side").get_by_role("link", name="Hosts").click()
    expect(page.locator("h1")).to_have_text("Hosts")
    expect(page.locator("#main")).to_be_focused()
    assert page.evaluate("window.sameShell") is True
    assert page.title().startswith("Hosts")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Dashboard")


def test_a_lost_server_is_said_and_its_return_refreshes(site: Site, visit: Visit) -> None:
    page = visit("/tasks")
    link = page.locator("#link-state")
    expect(link).to_have_text("live")
    site.server.stop()
    try:
        expect(link).to_have_text("reconnecting", timeout=10_000)
        watch: list[str] = []
        page.on("request", lambda request: watch.append(request.url))
    finally:
        site.server.start()
    expect(link).to_have_text("live")
    page.wait_for_timeout(500)
    assert any("/drawer/tasks" in url for url in watch), "what happened meanwhile was not read again"


def test_an_ended_session_leads_to_the_sign_in_page(site: Site, visit: Visit) -> None:
    page: Page = visit("/vms", own_login=True)
    expect(page.locator("#link-state")).to_have_text("live")
    page.evaluate("fetch('/logout', {method: 'POST', headers: {'HX-Request': 'true'}})")
    page.wait_for_url(re.compile(r"/login\?next=%2Fvms"))


def test_a_field_that_a_person_sized_is_exchanged_within_the_policy(visit: Visit) -> None:
    page = visit("/vms/new")
    notes = page.locator("#f-notes")
    notes.evaluate("field => { field.style.height = '9rem'; }")  # as by its handle
    page.evaluate("htmx.ajax('GET', '/vms/new', {target: '#main', select: '#main', swap: 'outerHTML'})")
    expect(notes).not_to_have_attribute("style", re.compile("height"))


def test_the_report_of_a_host_is_read_on_a_narrow_screen_without_scrolling(site: Site, visit: Visit) -> None:
    page = visit("/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site.url}/hosts/{site.first('hosts')}/compatibility")
    reason = page.locator("#checks tbody tr").first.locator("td").nth(2)
    expect(reason).to_be_visible()
    assert (
        page.evaluate(
            "(() => { const e = document.querySelector('#checks').parentElement; return e.scrollWidth - e.clientWidth; })()"
        )
        == 0
    )


def test_nothing_is_sent_unasked_when_the_script_that_asks_could_not_be_loaded(
    site: Site, visit: Visit
) -> None:
    page = visit("/")
    page.route("**/questions.js*", lambda route: route.abort())
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(f"{site.url}/hosts/{site.first('hosts')}")
    page.click('button[popovertarget="host-more"]')
    page.click("#host-more [data-ask]")
    page.wait_for_timeout(500)
    assert sent == []
    page.unroute("**/questions.js*")
    page.reload()
    page.click('button[popovertarget="host-more"]')
    page.click("#host-more [data-ask]")
    expect(page.locator("#question")).to_be_visible()
