"""Every page draws with every kind of object, in both languages, and hostile names stay text."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from markupsafe import escape
from pydantic import BaseModel

from app.access.context import Actor
from app.core.access.privileges import Role
from app.core.access.records import NewToken
from app.core.hosts.endpoints import parse_uri
from app.core.hosts.states import HOST_STATUS_HINTS, AdminState, HostConnection, HostStatus
from app.core.inventory.versions import DiffLine, DiffRecord, VersionRecord
from app.core.kinds import ObjectKind
from app.core.library.images import ImagePlace, ImageRecord
from app.core.library.os_variants import OsVariantRecord
from app.core.records import Page, Problem, Ref
from app.core.storage.uploads import UploadRecord
from app.core.storage.volumes import PoolChoice, VolumeDetail
from app.core.tasks.records import BulkRecord, BulkRefusal
from app.core.tasks.states import TaskState
from app.core.vms.create.creation_plan import CreationPlan, PlannedVolume, Room
from app.core.vms.create.presets import VmPresetRecord
from app.core.vms.create.spec import DiskSpec, NicSpec
from app.core.vms.delete import DeletedVmRecord, DeletePreview, DeletePreviewDisk
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.services.vms.create.choices import Choices, Option
from app.services.vms.power import VERBS
from app.web.pages.hosts.add import Wizard
from app.web.pages.hosts.host_page import HostPage
from app.web.pages.networks import network_tables
from app.web.pages.networks.network_page import NetworkPage
from app.web.pages.networks.nwfilters import FilterPage
from app.web.pages.rendering import tables
from app.web.pages.rendering.environment import environment
from app.web.pages.rendering.forms import FormError, PartForms, Shown
from app.web.pages.rendering.list_view import ListView
from app.web.pages.rendering.table_types import Table
from app.web.pages.storage.volumes import VolumePage
from app.web.pages.tasks.tasks import TaskPage
from app.web.pages.vms import create_form
from app.web.pages.vms.delete import ChosenVolumes
from app.web.pages.vms.new_vm_page import NewVmPage
from app.web.pages.vms.vm_page import VmPage
from app.web.pages.vms.xml_view import pieces
from tests.unit.web.pages import samples

ADMIN = Actor(user_id="user_aaaaaaaaaaaaaaaa", name="admin", role=Role.ADMINISTRATOR, via="page")
VIEWER = Actor(user_id="user_bbbbbbbbbbbbbbbb", name="ana", role=Role.VIEWER, via="page")
FAILED = Shown(
    {"name": samples.HTML}, {"name": samples.HTML}, FormError("It failed.", samples.HTML, "Try again.", 409)
)


def draw(template: str, *, actor: Actor = ADMIN, language: str = "en", **context: object) -> str:
    """The template as the main part of a page."""

    def can(privilege: str | None) -> bool:
        return privilege is None or privilege in actor.role.privileges

    return (
        environment(language)
        .get_template(template)
        .render(
            layout="_shell/main_only.html",
            actor=actor,
            can=can,
            theme="light",
            forced_theme=None,
            path="/",
            request_url="/",
            **(_page(context, can) | context),
        )
    )


def _page(context: dict[str, Any], can: Callable[[str], bool]) -> dict[str, object]:
    """The view model of the object that a page is about, as its handler makes it."""
    pages: dict[str, Callable[[], object]] = {
        "vm": lambda: VmPage(context["vm"], can),
        "host": lambda: HostPage(context["host"], can),
        "volume": lambda: VolumePage(context["volume"], can, context["pools"]),
        "network": lambda: NetworkPage(
            context["network"], can, context.get("tab", "summary"), context.get("pair", ())
        ),
        "filter": lambda: FilterPage(context["filter"], can),
    }
    found = [make for name, make in pages.items() if isinstance(context.get(name), BaseModel)]
    return {"page": found[0]()} if found else {}


def listed(
    table: Table[Any], rows: list[Any], *, columns: list[str] | None = None, base: str | None = None
) -> ListView[Any]:
    """A list with these rows and every column."""
    keys = [column.key for column in table.columns] if columns is None else columns
    return ListView(
        table=table,
        columns=table.columns_of(keys),
        rows=rows,
        total=len(rows),
        first=1,
        params=(),
        sort="name",
        trail=(),
        cursor="",
        next="abc",
        base=base or table.path,
        fixed=(),
        dom_id=f"list-{table.key}",
    )


ROWS: list[tuple[Table[Any], str, Callable[[str], Any], dict[str, object]]] = [
    (tables.VMS, "vms/list.html", samples.vm, {}),
    (tables.HOSTS, "hosts/list.html", samples.host, {}),
    (tables.POOLS, "storage/list.html", samples.pool, {"tab": "pools"}),
    (tables.VOLUMES, "storage/list.html", samples.volume, {"tab": "volumes"}),
    (network_tables.NETWORKS, "networks/list.html", samples.network, {"tab": "list"}),
    (tables.TASKS, "tasks/list.html", lambda name: samples.task(name=name), {}),
    (tables.EVENTS, "inventory/event_list.html", samples.event, {}),
    (tables.AUDIT, "access/audit_list.html", samples.audit, {}),
    (tables.USERS, "access/user_list.html", samples.user, {}),
    (tables.TOKENS, "access/token_list.html", samples.token, {"form": Shown(), "created": None}),
    (tables.CREDENTIALS, "hosts/credential_list.html", samples.credential, {}),
    (tables.DATACENTERS, "inventory/datacenter_list.html", samples.datacenter, {"form": Shown()}),
]


class _Tags(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: list[str] = []
        self.images: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.handlers.append(f"{tag} {name}={value}")
            if name == "id" and value:
                self.ids.append(value)
            if tag == "img" and name == "src" and value:
                self.images.append(value)


def assert_harmless(html: str) -> None:
    """No text of a host or guest became markup, and no id occurs twice."""
    tags = _Tags()
    tags.feed(html)
    assert tags.handlers == []
    assert all(source.startswith("/vms/") for source in tags.images)
    assert sorted(tags.ids) == sorted(set(tags.ids))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(("table", "template", "make", "context"), ROWS, ids=[row[0].key for row in ROWS])
def test_a_list_draws_every_column_of_hostile_rows(
    table: Table[Any], template: str, make: Callable[[str], Any], context: dict[str, object], language: str
) -> None:
    view = listed(table, [make(name) for name in samples.HOSTILE])
    html = draw(template, language=language, list=view, **context)
    assert_harmless(html)
    assert html.count("<tr") >= 4


@pytest.mark.parametrize(("table", "template", "make", "context"), ROWS, ids=[row[0].key for row in ROWS])
def test_an_empty_list_says_what_to_do(
    table: Table[Any], template: str, make: Callable[[str], Any], context: dict[str, object]
) -> None:
    html = draw(template, list=listed(table, []), **context)
    assert table.empty.hint.split(";")[0] in html
    assert "<tbody" not in html


def test_a_viewer_is_offered_no_bulk_actions() -> None:
    view = listed(tables.VMS, [samples.vm()])
    assert "data-bulk" in draw("vms/list.html", list=view)
    assert "data-bulk" not in draw("vms/list.html", actor=VIEWER, list=view)
    assert "data-check" not in draw("vms/list.html", actor=VIEWER, list=view)


def test_changed_rows_are_put_in_their_place_and_gone_ones_taken_away() -> None:
    vm = samples.vm(samples.HTML)
    html = draw(
        "_list/rows.html", table=tables.VMS, columns=tables.VMS.columns_of([]), rows=[vm], gone=["vm_gone"]
    )
    assert f'hx-target="#row-{vm.id}" hx-swap="outerMorph"' in html
    assert 'hx-target="#row-vm_gone" hx-swap="delete"' in html
    assert_harmless(html)


VM_TABS = {
    "summary": {},
    "hardware": {},
    "tasks": {
        "tasks": Page(items=[samples.task(TaskState.FAILED, samples.HTML)], total=1),
        "events": Page(items=[samples.event(samples.RTL)], total=1),
    },
    "xml": {
        "pieces": list(pieces(f"<domain type='kvm'><name>{samples.LONG}</name><!-- & --></domain>")),
        "xml": "",
        "diff": None,
    },
}


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("tab", list(VM_TABS))
@pytest.mark.parametrize("state", list(VmState))
def test_a_vm_draws_in_every_state_and_tab(tab: str, state: VmState, language: str) -> None:
    for name in samples.HOSTILE:
        last = samples.task(TaskState.FAILED, name)
        vm = samples.vm(name, state)
        assert_harmless(
            draw("vms/show.html", language=language, vm=vm, tab=tab, last_task=last, **VM_TABS[tab])
        )


def test_a_refused_action_says_why_and_a_viewer_is_offered_none() -> None:
    vm = samples.vm(state=VmState.SHUTOFF)
    html = draw("vms/_header.html", vm=vm, tab="summary", last_task=None)
    assert "The VM is off." in html
    assert f'hx-post="/vms/{vm.id}/actions/start"' in html
    assert f'hx-post="/vms/{vm.id}/actions/force-off"' not in html
    assert "/actions/" not in draw("vms/_header.html", actor=VIEWER, vm=vm, tab="summary", last_task=None)


def test_a_failed_task_offers_what_goes_further() -> None:
    html = draw("tasks/_banner.html", task=samples.task(TaskState.FAILED), own=False)
    assert "It was asked by ACPI and still ran after 120 s." in html
    assert "/actions/force-off" in html


def test_a_stale_vm_says_that_it_is_the_last_known() -> None:
    html = draw("vms/_summary.html", vm=samples.vm(stale=True), last_task=None)
    assert "This is what was last seen." in html
    assert 'hx-trigger="every 2s"' not in html


@pytest.mark.parametrize(
    ("connection", "admin_state"),
    [
        *((connection, AdminState.ENABLED) for connection in HostConnection),
        (HostConnection.CONNECTED, AdminState.MAINTENANCE),
        (HostConnection.NOT_ANSWERING, AdminState.MAINTENANCE),
        (HostConnection.NOT_ANSWERING, AdminState.DISABLED),
    ],
)
@pytest.mark.parametrize(
    "tab", ["summary", "hardware", "compatibility", "vms", "storage", "networks", "tasks"]
)
def test_a_host_draws_in_every_state_and_tab(
    tab: str, connection: HostConnection, admin_state: AdminState
) -> None:
    lists = {
        "vms": listed(tables.VMS, [samples.vm(samples.HTML, stale=True)]),
        "storage": listed(tables.POOLS, [samples.pool(samples.LONG)]),
        "networks": listed(network_tables.NETWORKS, [samples.network(samples.RTL)]),
    }
    context = {**VM_TABS["tasks"], "list": lists.get(tab)}
    for name in samples.HOSTILE:
        host = samples.host(name, connection, admin_state)
        assert_harmless(draw("hosts/show.html", host=host, tab=tab, **context))


def test_what_is_wrong_with_a_host_and_its_maintenance_are_both_shown() -> None:
    lost = samples.host(connection=HostConnection.NOT_ANSWERING, admin_state=AdminState.MAINTENANCE)
    header = draw("hosts/_header.html", host=lost, tab="summary")
    assert ">Not answering</span>" in header
    assert ">Maintenance</span>" in header
    well = samples.host(admin_state=AdminState.MAINTENANCE)
    assert draw("hosts/_header.html", host=well, tab="summary").count(">Maintenance</span>") == 1


def test_a_disabled_host_is_not_said_to_be_silent() -> None:
    host = samples.host(connection=HostConnection.NOT_ANSWERING, admin_state=AdminState.DISABLED)
    html = draw("hosts/_summary.html", host=host)
    assert "Not answering" not in html
    assert "none while the host is disabled" in html
    assert "Vigie does not connect to it." in html
    header = draw("hosts/_header.html", host=host, tab="summary")
    assert "Reconnect" not in header
    assert "New VM" not in header


def test_a_changed_identity_shows_both_fingerprints() -> None:
    host = samples.host(connection=HostConnection.IDENTITY_CHANGED)
    for template in ("hosts/_notices.html", "hosts/identity.html"):
        html = draw(template, host=host)
        assert host.fingerprint in html
        assert host.fingerprint_seen in html


@pytest.mark.parametrize("status", list(HOST_STATUS_HINTS))
def test_a_host_that_needs_somebody_says_what_to_do(status: HostStatus) -> None:
    host = samples.host(connection=HostConnection(status.value))
    assert escape(HOST_STATUS_HINTS[status]) in draw("hosts/_notices.html", host=host)


def test_a_host_that_is_the_machine_of_another_says_so_and_offers_nothing_to_confirm() -> None:
    host = samples.host(connection=HostConnection.IDENTITY_CHANGED).model_copy(
        update={"connection_reason": "This is the same machine as host b.", "fingerprint_seen": None}
    )
    html = draw("hosts/show.html", host=host, tab="summary", **VM_TABS["tasks"], list=None)
    assert "This is the same machine as host b." in html
    assert f"/hosts/{host.id}/edit" in html
    assert f"/hosts/{host.id}/identity" not in html


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("known", [False, True])
def test_each_step_of_adding_a_host_keeps_what_was_typed(language: str, known: bool) -> None:
    values = {"way": "uri", "uri": "qemu+ssh://root@kvm-01:2222/system", "name": samples.HTML, "sign_in": ""}
    seen = "SHA256:47DEQpj8HBSa"
    for wizard in (
        Wizard("where", Shown(values, {"uri": samples.HTML}, FAILED.problem)),
        Wizard("identity", Shown(values), seen, parse_uri(values["uri"])),
        Wizard("check", Shown({**values, "fingerprint": seen}), check=samples.host_check(known=known)),
    ):
        html = draw(
            "hosts/new.html",
            language=language,
            wizard=wizard,
            form=wizard.form,
            credentials=[("cred_1", samples.HTML)],
            datacenters=[("dc_1", "Paris")],
        )
        assert_harmless(html)
        assert values["uri"] in html
    assert ("already" in html) is known or language == "fr"


def test_secrets_are_never_sent_back() -> None:
    form = Shown(
        {"private_key": "SECRET-KEY", "password": "SECRET-WORD", "passphrase": "SECRET-PHRASE", "name": "x"}
    )
    assert "SECRET" not in draw("hosts/credential_form.html", credential=None, form=form)
    wizard = Wizard("where", form)
    assert "SECRET" not in draw("hosts/new.html", wizard=wizard, form=form, credentials=[], datacenters=[])


def test_other_pages_draw_with_their_errors() -> None:
    token = NewToken(**samples.token(samples.HTML).model_dump(), token="vigie_secret")
    refusal = BulkRefusal(
        vm=Ref(kind=ObjectKind.VM, id=samples.vm().id, name=samples.HTML),
        problem=Problem(type="urn:x", title="No.", status=409, code="wrong_state", why=samples.HTML),
    )
    bulk = BulkRecord(batch_id="b", tasks=[samples.task()], refused=[refusal] * 12)
    pages: list[tuple[str, dict[str, object]]] = [
        ("access/user_new.html", {"form": FAILED}),
        ("access/user_show.html", {"form": FAILED, "user": samples.user(samples.HTML), "may_end": True}),
        ("hosts/credential_form.html", {"form": FAILED, "credential": samples.credential(samples.HTML)}),
        ("hosts/credential_form.html", {"form": FAILED, "credential": None}),
        (
            "inventory/datacenter_show.html",
            {
                "form": FAILED,
                "datacenter": samples.datacenter(samples.HTML),
                "list": listed(tables.HOSTS, []),
            },
        ),
        (
            "access/account.html",
            {"form": FAILED, "sessions": [samples.session()], "tokens": [samples.token(samples.HTML)]},
        ),
        ("access/token_list.html", {"form": FAILED, "created": token, "list": listed(tables.TOKENS, [])}),
        (
            "hosts/edit.html",
            {"form": FAILED, "host": samples.host(samples.HTML), "credentials": [], "datacenters": []},
        ),
        ("storage/pool_show.html", {"pool": samples.pool(samples.HTML), "list": listed(tables.VOLUMES, [])}),
        *(
            (
                "storage/volume_show.html",
                {
                    "volume": VolumeDetail(
                        **samples.volume(samples.HTML).model_dump(),
                        users=users,
                        chain=(samples.HTML,),
                        freed_bytes=1,
                    ),
                    "size_gib": "20",
                    "forms": PartForms(part, FAILED),
                    "form": FAILED,
                    "last_task": samples.task(TaskState.FAILED, samples.HTML),
                    "pools": [PoolChoice(id="pool_1", name=samples.HTML, available_bytes=1)],
                },
            )
            for part, users in (
                ("", ()),
                ("resize", (Ref(kind=ObjectKind.IMAGE, id="img_1", name=samples.HTML),)),
                ("clone", ()),
                ("move", ()),
            )
        ),
        (
            "storage/volume_new.html",
            {
                "pool": samples.pool(samples.HTML),
                "form": FAILED,
                "backing": [Ref(kind=ObjectKind.VOLUME, id="v", name=samples.HTML)],
            },
        ),
        (
            "storage/upload.html",
            {
                "pool": samples.pool(samples.HTML),
                "uploads": [
                    UploadRecord(
                        id="task_1",
                        pool=Ref(kind=ObjectKind.POOL, id="p", name="p"),
                        name=samples.HTML,
                        size_bytes=2,
                        offset_bytes=1,
                        updated_at=samples.NOW,
                    )
                ],
            },
        ),
        ("vms/bulk.html", {"result": bulk, "action": VERBS[VmVerb.START]}),
        ("vms/_notes.html", {"vm": samples.vm(samples.HTML), "editing": True}),
        *(
            ("tasks/show.html", {"task": task, "page": TaskPage(task)})
            for task in (samples.task(state, samples.HTML) for state in TaskState)
        ),
    ]
    for template, context in pages:
        for language in ("en", "fr"):
            assert_harmless(draw(template, language=language, **context))


def test_coloured_xml_is_the_xml() -> None:
    xml = "<domain type='kvm' id=\"3\"><!-- a > b --><name>x &lt;b&gt;</name>\n  <on_off/></domain>"
    assert "".join(text for _, text in pieces(xml)) == xml
    assert ("value", "'kvm'") in list(pieces(xml))
    assert ("comment", "<!-- a > b -->") in list(pieces(xml))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_form_of_a_new_vm_draws_what_was_typed(language: str) -> None:
    hostile = Option(key=samples.HTML, name=samples.HTML, about=samples.HTML, free_bytes=1)
    every = tuple(field for field in Choices.model_fields if field not in ("tpm", "huge_pages"))
    options = {name: (hostile,) for name in every if "Option" in str(Choices.model_fields[name].annotation)}
    values = dict(create_form.START)
    for step in ("add-image", "add-volume", "add-media", "add-nic", "add-nic"):
        values = create_form.with_rows_changed(values, step)
    values |= {"nics.1.kind": "bridge", "nics.2.kind": "direct", "cloud": "true", "spec": samples.HTML}
    wrong = dict.fromkeys((*values, "name", "disks", "nics", "cloud_init.user_data", "os"), samples.HTML)
    values |= {"name": samples.HTML, "notes": samples.HTML, "cloud_init.password": "SECRET"}
    form = Shown(values, wrong, FAILED.problem)
    choices = Choices(**options, cpu_models=(samples.HTML,))
    html = draw(
        "vms/new.html",
        language=language,
        form=form,
        choices=choices,
        os_variants=[OsVariantRecord(id="x", name=samples.HTML, family="x")],
        specs=[VmPresetRecord(id="spec_1", name=samples.HTML, spec={}, created_at=samples.NOW, created_by="a", version=1)],
        page=NewVmPage(form, choices),
        is_opened=True,
        disk_words={name: create_form.options_of(DiskSpec, name) for name in ("cache", "io")},
        nic_words={name: create_form.options_of(NicSpec, name) for name in ("model", "direct_mode")},
    )  # fmt: skip
    assert_harmless(html)
    assert "SECRET" not in html
    assert 'value="directsync"' in html
    plan = CreationPlan(
        name=samples.HTML, host=Ref(kind=ObjectKind.HOST, id="h", name=samples.HTML), reason=samples.HTML,
        machine=samples.HTML, firmware=samples.HTML, hypervisor="kvm", cpu=samples.HTML, vcpus=1, memory_bytes=1,
        video=None, volumes=(PlannedVolume(pool=samples.HTML, name=samples.HTML, format="raw", size_bytes=1, from_image=samples.HTML),),
        networks=(samples.HTML,), room=(Room(name=samples.HTML, total_bytes=1, free_bytes=1, after_bytes=-1),),
        warnings=(samples.HTML,), xml=samples.HTML,
    )  # fmt: skip
    assert_harmless(
        draw("vms/_new_summary.html", language=language, plan=plan, names=["a", "b"], form=Shown())
    )
    assert_harmless(
        draw("vms/_new_summary.html", language=language, plan=None, names=[], form=Shown(values, wrong))
    )


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("snapshots", [None, (), (samples.HTML,)])
def test_the_page_of_deleting_a_vm_draws(language: str, snapshots: tuple[str, ...] | None) -> None:
    ref = Ref(kind=ObjectKind.VM, id="vm_1", name=samples.HTML)
    disk = DeletePreviewDisk(
        target="vda", path=samples.HTML, volume=ref, pool=ref, allocation_bytes=1, deletable=True, own=True
    )
    stays = DeletePreviewDisk(target="vdb", path=samples.HTML, deletable=False, why=samples.HTML)
    found = DeletePreview(
        vm=ref, host=ref, running=True, disks=(disk, stays), nvram=samples.HTML, tpm=True, managed_save=True,
        snapshots=snapshots, deleted_vm_days=30,
    )  # fmt: skip
    assert_harmless(
        draw(
            "vms/delete.html",
            language=language,
            deletion=found,
            form=FAILED,
            chosen=ChosenVolumes(frozenset(["vm_1"])),
        )
    )
    host = Ref(kind=ObjectKind.HOST, id="host_1", name=samples.HTML)
    gone = DeletedVmRecord(
        id="vm_1", name=samples.HTML, uuid="u", host=host, deleted_at=samples.NOW, deleted_by=samples.HTML,
        volumes=(samples.HTML,),
    )  # fmt: skip
    for deleted in ((), (gone,)):
        assert_harmless(draw("vms/deleted.html", language=language, deleted=deleted))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pages_that_change_a_vm_draw(language: str) -> None:
    vm = samples.vm(samples.HTML).model_copy(
        update={"pending": [samples.HTML], "host_access": [samples.HTML]}
    )
    options = (Option(key="pool_1", name=samples.HTML, about=samples.HTML, free_bytes=1),)
    choices = Choices(hosts=options, pools=options, networks=options, volumes=options, media=options)
    words = {"model": create_form.options_of(NicSpec, "model")}
    for part in ("", "machine", "name", "disk", "nic"):
        form = Shown(
            {"name": samples.HTML, "vcpus": samples.HTML},
            {"vcpus": samples.HTML, "disk.pool": samples.HTML},
            FAILED.problem,
        )
        page = draw(
            "vms/edit.html",
            language=language,
            vm=vm,
            memory_mib="512",
            memory_max_mib="1024",
            version=1,
            lacks_ports=True,
            forms=PartForms(part, form),
            form=form,
            choices=choices,
            nic_words=words,
        )
        assert_harmless(page)
    lines = (
        DiffLine(kind="gone", text=samples.HTML),
        DiffLine(kind="new", text=samples.HTML),
        DiffLine(kind="same", text="x"),
    )
    diff = DiffRecord(parts=(samples.HTML,), host_access=(samples.HTML,), lines=lines)
    for found in (None, diff):
        assert_harmless(draw("vms/edit_xml.html", language=language, vm=vm, form=FAILED, diff=found))
    versions = (
        VersionRecord(id=2, since=samples.NOW, actor=samples.HTML, task_id="task_1", current=True),
        VersionRecord(id=1),
    )
    page = draw(
        "vms/show.html",
        language=language,
        vm=vm,
        tab="history",
        last_task=None,
        versions=versions,
        diff=diff,
        pair=[1, None],
    )
    assert_harmless(page)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pages_of_images_draw(language: str) -> None:
    host = Ref(kind=ObjectKind.HOST, id="host_1", name=samples.HTML)
    place = ImagePlace(host=host, path=samples.HTML, volume_name="x", checked_at=samples.NOW)
    common = {
        "source": samples.HTML,
        "created_at": samples.NOW,
        "created_by": samples.HTML,
        "version": 1,
    }
    found = [
        ImageRecord(
            id="img_1", name=samples.HTML, kind="iso", state="ready", places=(place,) * 6, os="x", **common
        ),
        ImageRecord(id="img_2", name=samples.HTML, kind="disk", state="failed", **common),
        ImageRecord(id="img_3", name=samples.HTML, kind="disk", state="importing", **common),
    ]
    for rows in (found, []):
        assert_harmless(draw("library/list.html", language=language, list=listed(tables.IMAGES, rows)))
    pools = [Ref(kind=ObjectKind.POOL, id="pool_1", name=samples.HTML)]
    for image in found:
        assert_harmless(
            draw(
                "library/show.html",
                language=language,
                image=image,
                form=FAILED,
                pools=pools,
                may_copy=image.state == "ready",
            )
        )
    system = OsVariantRecord(id="x", name=samples.HTML, family="x")
    for servers in ([], ["images.example.org", samples.HTML]):
        shown = {"fetch": FAILED, "pools": pools, "servers": servers}
        assert_harmless(
            draw(
                "library/new.html",
                language=language,
                form=FAILED,
                volumes=pools,
                os_variants=[system],
                **shown,
            )
        )
