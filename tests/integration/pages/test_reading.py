"""Every page answers a plain GET for everyone who may see it, with its filters, sorts and columns."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.access.privileges import Role
from app.db import models
from app.hypervisor.xml.domains.read import read_vm
from app.inventory.vms.definitions import parsed
from app.web.pages.networks import network_tables
from app.web.pages.rendering import list_view, tables
from app.web.pages.rendering.table_types import Table
from tests.integration.api.conftest import Console, Inventory

SECTIONS = [
    "",
    "/hardware",
    "/compatibility",
    "/vms",
    "/storage",
    "/networks",
    "/tasks",
    "/header",
    "/notices",
]
EVERYONE = [
    "/vms",
    "/hosts",
    "/storage",
    "/storage/volumes",
    "/networks",
    "/networks/logical",
    "/networks/mac-conflicts",
    "/nwfilters",
    "/tasks",
    "/events",
    "/account",
    "/tokens",
    "/datacenters",
]
ADMINISTRATORS = [
    "/audit",
    "/users",
    "/users/new",
    "/credentials",
    "/credentials/new",
    "/hosts/new",
    "/networks/new",
    "/nwfilters/new",
]
LISTS: list[Table[Any]] = [
    tables.VMS,
    tables.HOSTS,
    tables.POOLS,
    tables.VOLUMES,
    tables.IMAGES,
    network_tables.NETWORKS,
    network_tables.LOGICAL_NETWORKS,
    network_tables.FILTERS,
    tables.TASKS,
    tables.EVENTS,
    tables.AUDIT,
    tables.USERS,
    tables.CREDENTIALS,
]


def pages_of(created: Inventory) -> list[str]:
    """The pages of single objects."""
    vm = created.vms[0]
    return [
        *(
            f"/vms/{vm}{tab}"
            for tab in (
                "",
                "/hardware",
                "/tasks",
                "/xml",
                "/header",
                "/notes",
                "/screenshot",
                "/console",
                "/console/full",
                "/console/who",
            )
        ),
        *(f"/hosts/{host}{tab}" for host in created.hosts for tab in SECTIONS),
        f"/storage/{created.pool}",
        f"/storage/volumes/{created.volume}",
        f"/networks/{created.network}",
        f"/networks/{created.network}/xml",
        f"/networks/{created.network}/hosts",
        f"/nwfilters/{created.filter}",
        f"/tasks/{created.task}",
        f"/datacenters/{created.datacenter}",
    ]


def flat(html: str) -> str:
    """The page in one line, with tags as short as can be: formatting is none of these tests' business."""
    return re.sub(r"\s+(?=>)", "", re.sub(r"\s+", " ", html))


@pytest.mark.parametrize("role", list(Role))
def test_every_page_answers(shared: Console, role: Role) -> None:
    browser, vm = shared.browser(role), shared.inventory.vms[0]
    for path in EVERYONE + pages_of(shared.inventory):
        answer = browser.get(path)
        withheld = role is Role.VIEWER and path in (f"/vms/{vm}/xml", f"/vms/{vm}/screenshot")
        assert answer.status_code == (403 if withheld else 200), path
        assert "no-store" in answer.headers["cache-control"]


class _Attributes(HTMLParser):
    """Collects the names of all attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


def test_no_page_has_the_rest_of_an_attribute_in_a_tag(shared: Console) -> None:
    browser = shared.browser()
    for path in EVERYONE + ADMINISTRATORS + pages_of(shared.inventory):
        found = _Attributes()
        found.feed(browser.get(path).text)
        broken = [name for name in found.names if not re.fullmatch(r"[a-z][\w:.-]*", name, re.IGNORECASE)]
        assert broken == [], path


def test_the_palette_asks_before_verbs_that_lose_data_and_offers_no_other_vm(shared: Console) -> None:
    browser = shared.browser(Role.OPERATOR)
    reset = flat(browser.get("/search?q=reset+web-00-00").text)
    assert reset.count('data-ask="#ask-hit-0"') == 1
    assert '<template id="ask-hit-0" data-title="Reset: web-00-00" data-yes="Reset" data-danger>' in reset
    assert "kvm-00" in reset.partition("<template")[2]
    assert "data-ask" not in browser.get("/search?q=start+web-00-01").text
    assert "/actions/" not in browser.get("/search?q=reset+00-00").text  # in the middle of a name


@pytest.mark.parametrize("path", ADMINISTRATORS)
def test_pages_of_administrators_are_refused_to_others(shared: Console, path: str) -> None:
    assert shared.browser(Role.ADMINISTRATOR).get(path).status_code == 200
    assert shared.browser(Role.OPERATOR).get(path).status_code == 403


def test_a_stranger_is_sent_to_the_door_and_back(shared: Console) -> None:
    answer = shared.client(None).get("/vms?q=web&sort=-name")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fvms%3Fq%3Dweb%26sort%3D-name"


@pytest.mark.parametrize("table", LISTS, ids=lambda table: table.key)
def test_a_list_sorts_by_each_column_that_offers_it(shared: Console, table: Table[Any]) -> None:
    browser = shared.browser()
    for column in table.columns:
        if column.sort:
            for sort in (column.sort, f"-{column.sort}"):
                assert browser.get(table.path, params={"sort": sort}).status_code == 200, sort


@pytest.mark.parametrize("table", LISTS, ids=lambda table: table.key)
def test_a_list_comes_as_csv_with_every_column(shared: Console, table: Table[Any]) -> None:
    answer = shared.browser().get(f"{table.path}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows[0]) == len([column for column in table.columns if column.title])


def test_filters_choose_and_paging_goes_both_ways(shared: Console) -> None:
    browser = shared.browser()
    page = browser.get("/vms?state=running").text
    assert len(set(re.findall(r'id="row-(vm_\w+)"', page))) == 2
    first = browser.get("/vms?limit=5&sort=name").text
    assert "1–5 of 12" in first
    second = browser.get(_link(first, "next")).text
    assert "of 12" in second
    assert "6–" in second
    assert "1–" in browser.get(_link(second, "prev")).text


def _link(page: str, rel: str) -> str:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    assert found, f"no link rel={rel}"
    return found[1].replace("&amp;", "&")


def test_chosen_columns_are_kept_by_the_browser(shared: Console) -> None:
    browser = shared.browser()
    assert 'title="UUID"' not in browser.get("/vms").text
    chosen = browser.get("/vms?columns=uuid&columns=state")
    assert chosen.cookies["vigie_columns_vms"] == "state.uuid"
    again = browser.get("/vms").text
    assert "00000000-0000-4000-9000-" in again
    assert ">Addresses<" not in again.split("<table")[1]


def test_changed_rows_come_alone_and_unknown_ones_go(shared: Console) -> None:
    vm = shared.inventory.vms[0]
    gone = "vm_aaaaaaaaaaaaaaaa"
    html = shared.browser().get(f"/vms/rows?ids={vm},{gone},%3Cscript%3E").text
    assert f'hx-target="#row-{vm}" hx-swap="outerMorph"' in html
    assert f'hx-target="#row-{gone}" hx-swap="delete"' in html
    assert "script" not in html


def test_a_part_is_only_the_part(shared: Console) -> None:
    vm = shared.inventory.vms[0]
    headers = {"HX-Request": "true", "HX-Target": "div#vm-summary"}
    html = flat(shared.browser().get(f"/vms/{vm}", headers=headers).text)
    assert html.lstrip().startswith('<div class="vg-body" id="vm-summary"')
    headers["HX-Target"] = "section#list-vms"
    html = flat(shared.browser().get("/vms", headers=headers).text)
    assert html.lstrip().startswith('<section class="card" id="list-vms"')


def test_wrong_filters_are_refused_and_unknown_objects_are_not_there(shared: Console) -> None:
    browser = shared.browser()
    for path in ("/vms?state=flying", "/vms?sort=uptime", "/vms?cursor=%00x", "/vms?limit=0"):
        assert browser.get(path).status_code == 422, path
    for path in ("/vms/vm_aaaaaaaaaaaaaaaa", "/hosts/host_aaaaaaaaaaaaaaaa/vms", "/tasks/x", "/users/none"):
        assert browser.get(path).status_code == 404, path


def test_the_nodes_of_the_tree_have_the_tones_of_their_states(shared: Console) -> None:
    browser, created = shared.browser(), shared.inventory
    hosts = browser.get(f"/tree/children?view=hosts&parent={created.datacenter}").json()
    assert {node["state"]: node["tone"] for node in hosts} == {"connected": "ok", "not_answering": "bad"}
    path = browser.get(f"/tree/path?id={created.vms[0]}").json()
    assert [node["id"] for node in path if "tone" in node] == [
        created.datacenter,
        created.hosts[0],
        created.vms[0],
    ]


def test_a_csv_that_is_cut_says_so(shared: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = shared.browser()
    assert "first" not in browser.get("/vms.csv").text
    monkeypatch.setattr(list_view, "ALL", 5)
    monkeypatch.setattr(list_view, "MAX_LIMIT", 5)
    rows = browser.get("/vms.csv").text.strip().splitlines()
    assert len(rows) == 1 + 5 + 1
    assert "the first 5 of 12 rows" in rows[-1]


def test_the_csv_of_tasks_says_how_long_they_took(console: Console) -> None:
    with console.services.database.begin() as session:
        task = session.get_one(models.Task, console.inventory.task)
        task.finished_at = task.created_at + timedelta(seconds=12.5)
        task.started_at = task.created_at
    header, row = csv.reader(io.StringIO(console.browser().get("/tasks.csv").text.removeprefix("\ufeff")))
    assert dict(zip(header, row, strict=True))["Took"] == "12.5"


def test_a_lost_host_in_maintenance_offers_its_end(console: Console) -> None:
    browser, host = console.browser(), console.inventory.hosts[1]
    assert "Begin maintenance" in browser.get(f"/hosts/{host}").text
    console.client().patch(f"/api/v1/hosts/{host}", json={"admin_state": "maintenance"})
    page = browser.get(f"/hosts/{host}").text
    assert "End maintenance" in page
    assert "Begin maintenance" not in page
    assert console.client().get(f"/api/v1/hosts/{host}").json()["admin_state"] == "maintenance"


def test_a_vm_that_a_task_holds_is_still_marked_as_last_seen(console: Console) -> None:
    vm = console.inventory.vms[7]  # of the host that does not answer
    with console.services.database.begin() as session:
        held = session.get_one(models.Task, console.inventory.task)
        held.target_id = vm
        held.state = "running"
        session.add(models.TaskLock(name=vm, task_id=held.id, exclusive=True))
    row = console.browser().get(f"/vms/rows?ids={vm}").text
    assert "/tasks/" in row
    assert "last seen" in row


def test_shut_down_and_reboot_of_one_vm_ask_first(shared: Console) -> None:
    running = next(
        vm
        for vm in shared.inventory.vms
        if 'data-verb="shutdown" hx-post' in flat(shared.browser().get(f"/vms/{vm}").text)
    )
    html = shared.browser().get(f"/vms/{running}").text
    for verb in ("shutdown", "reboot"):
        buttons = re.findall(rf'<button[^>]*data-verb="{verb}"[^>]*>', html)
        assert buttons
        assert all(f'data-ask="#ask-{verb}"' in button for button in buttons)
        assert f'id="ask-{verb}"' in html


def test_the_final_message_of_a_task_is_on_its_page_and_in_the_lists(console: Console) -> None:
    message = "2 of 2 other hosts have the same storage."
    with console.services.database.begin() as session:
        session.get_one(models.Task, console.inventory.task).message = message
    browser, task = console.browser(), console.inventory.task
    for path in (f"/tasks/{task}", "/tasks", "/drawer/tasks"):
        assert message in browser.get(path).text, path


def test_the_palette_finds_every_page_of_the_menus_by_its_name(shared: Console) -> None:
    browser = shared.browser()
    shell = flat(browser.get("/").text)
    menus = shell.partition('class="vg-side-foot"')[2].partition("</nav>")[0]
    menus += shell.partition('id="menu-user"')[2].partition("</header>")[0]
    links = re.findall(r'<a href="(/[^"]*)"[^>]*> ?<svg.*?</svg>([^<]+)</a>', menus)
    assert len(links) > 10
    links += [("/vms/new", "new vm"), ("/vms/deleted", "deleted"), ("/nwfilters", "network filters")]
    links += [
        ("/networks/mac-conflicts", "mac conflicts"),
        ("/tokens", "token"),
        ("/storage/volumes", "volumes"),
    ]
    for url, name in links:
        assert f'data-url="{url}"' in browser.get("/search", params={"q": name}).text, name
    assert 'data-url="/vms/new"' not in shared.browser(Role.VIEWER).get("/search?q=new+vm").text


def test_only_what_others_did_is_called_outside_vigie(console: Console) -> None:
    with console.services.database.begin() as session:
        session.execute(sa.delete(models.Event))
        host = session.get_one(models.Host, console.inventory.hosts[0])
        for kind in ("host.connected", "vm.stopped"):
            session.add(
                models.Event(at=host.created_at, kind=kind, severity="info", message=kind, host_id=host.id)
            )
    browser = console.browser()
    for path in ("/events", "/drawer/events"):
        rows = re.findall(r"<tr[^>]*>(?:(?!</tr>)[\s\S])*</tr>", browser.get(path).text)
        by = {kind: row for row in rows for kind in ("host.connected", "vm.stopped") if kind in row}
        assert "outside Vigie" in by["vm.stopped"], path
        assert "outside Vigie" not in by["host.connected"], path
        assert re.search(r">Vigie<", by["host.connected"]), path
    reported = console.client().get("/api/v1/events").json()["items"]
    assert {item["kind"]: item["outside"] for item in reported} == {
        "vm.stopped": True,
        "host.connected": False,
    }


def test_a_vm_with_two_interfaces_keeps_a_network_on_once(console: Console) -> None:
    nic = (
        "<interface type='network'><mac address='52:54:00:00:00:0{}'/><source network='default'/></interface>"
    )
    xml = f"<domain id='1'><name>web</name><devices>{nic.format(1)}{nic.format(2)}</devices></domain>"
    with console.services.database.begin() as session:
        session.get_one(models.VmDefinition, console.inventory.vms[0]).parsed = parsed(read_vm(xml))
    page = console.browser().get(f"/networks/{console.inventory.network}").text
    assert "VMs are connected to it: web-00-00." in page
    assert "web-00-00, web-00-00" not in page
