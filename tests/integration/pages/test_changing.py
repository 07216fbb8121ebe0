"""Forms: what works, what is refused field by field, and who may."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.core.access.privileges import Role
from app.db import models
from tests.integration.api.conftest import PASSWORD, Console

HTMX = {"HX-Request": "true"}


def version_in(page: str) -> str:
    """The version that a form was made from."""
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found[1]


def test_a_user_is_created_changed_and_deleted(console: Console) -> None:
    browser = console.browser()
    answer = browser.post("/users/new", data={"name": "ana", "password": "long enough 1", "role": "operator"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/users")
    link = re.search(r'href="(/users/user_\w+)" title="ana"', browser.get("/users").text)
    assert link
    version = version_in(browser.get(link[1]).text)
    changed = browser.post(link[1], data={"version": version, "display": "Ana B.", "role": "viewer"})
    assert changed.status_code == 303
    assert "Ana B." in browser.get(link[1]).text
    late = browser.post(link[1], data={"version": version, "display": "Other"})
    assert late.status_code == 412
    assert browser.post(f"{link[1]}/delete").status_code == 303
    assert browser.get(link[1]).status_code == 404


def test_a_wrong_form_comes_back_with_what_was_typed(console: Console) -> None:
    answer = console.browser().post(
        "/users/new", data={"name": "no spaces", "password": "zq7wv", "display": "<b>"}
    )
    assert answer.status_code == 422
    assert 'value="no spaces"' in answer.text
    assert 'value="&lt;b&gt;"' in answer.text
    assert "zq7wv" not in answer.text
    assert "Write at least 10 characters." in answer.text
    assert answer.text.count('aria-invalid="true"') == 2


def test_nonsense_in_addresses_and_forms_is_refused(shared: Console) -> None:
    browser, made = shared.browser(), shared.inventory
    for path in ("/vms/x/tasks", "/hosts/x/tasks", "/hosts/x/vms", "/storage/x", "/tasks/x"):
        assert browser.get(path).status_code == 404, path
    for query in ("parent=x", "view=x"):
        assert browser.get(f"/tree/children?{query}").status_code == 422, query
    forms = (f"/hosts/{made.hosts[0]}/edit", f"/hosts/{made.hosts[0]}/set", f"/vms/{made.vms[0]}/notes")
    named = (f"/datacenters/{made.datacenter}", f"/users/{made.user}", f"/credentials/{made.credential}")
    for path in forms + named:
        for version in ("abc", "1e3", "-1", "²", "9" * 30):
            fields = {"version": version, "name": "other", "kind": "ssh_password"}
            fields = fields if path in named else {"version": version}
            assert browser.post(path, data=fields).status_code == 422, (path, version)


def test_refused_forms_are_in_the_audit(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    answer = browser.post("/users/new", data={"name": "eve", "password": "long enough 1"})
    assert answer.status_code == 403
    assert "user.create" in console.browser().get("/audit?outcome=refused").text


def test_forms_from_other_sites_are_refused(console: Console) -> None:
    browser = console.browser()
    answer = browser.post("/datacenters", data={"name": "Lyon"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "Lyon" not in browser.get("/datacenters").text


def test_a_token_is_shown_once(console: Console) -> None:
    browser = console.browser()
    made = browser.post("/tokens", data={"name": "backup", "expires_in_days": "30"})
    secret = re.search(r"vigie_[\w-]{43}", made.text)
    assert secret
    assert secret[0] not in browser.get("/tokens").text
    program = console.client(None)
    program.headers["Authorization"] = f"Bearer {secret[0]}"
    assert program.get("/api/v1/vms").status_code == 200
    identifier = re.findall(r"/tokens/(tok_\w+)/revoke", made.text)
    for each in identifier:
        browser.post(f"/tokens/{each}/revoke")
    assert program.get("/api/v1/vms").status_code == 401


def test_datacenters_are_created_renamed_and_deleted_when_empty(console: Console) -> None:
    browser = console.browser()
    assert browser.post("/datacenters", data={"name": "Lyon"}).status_code == 303
    link = re.search(r'href="(/datacenters/dc_\w+)" title="Lyon"', browser.get("/datacenters").text)
    assert link
    version = version_in(browser.get(link[1]).text)
    assert browser.post(link[1], data={"name": "Lyon 2", "version": version}).status_code == 303
    assert browser.post(f"{link[1]}/delete").status_code == 303
    assert browser.post(f"/datacenters/{console.inventory.datacenter}/delete").status_code == 409
    twice = browser.post("/datacenters", data={"name": "Paris"})
    assert twice.status_code == 409
    assert 'value="Paris"' in twice.text


def test_a_credential_needs_its_secret_and_never_shows_it(console: Console) -> None:
    browser = console.browser()
    empty = browser.post("/credentials/new", data={"name": "door", "kind": "ssh_password"})
    assert empty.status_code == 422
    assert (
        browser.post(
            "/credentials/new", data={"name": "door", "kind": "ssh_password", "password": "S3cret-Word"}
        ).status_code
        == 303
    )
    link = re.search(r'href="(/credentials/cred_\w+)" title="door"', browser.get("/credentials").text)
    assert link
    assert "S3cret-Word" not in browser.get(link[1]).text
    assert browser.post(f"{link[1]}/delete").status_code == 303


def test_a_password_is_changed_by_who_knows_it(console: Console) -> None:
    browser = console.browser()
    wrong = {"current": "not this one", "new": "another long one", "again": "another long one"}
    assert browser.post("/account/password", data=wrong).status_code == 422
    differs = {"current": PASSWORD, "new": "another long one", "again": "another one"}
    answer = browser.post("/account/password", data=differs)
    assert answer.status_code == 422
    assert "This differs from the new password." in answer.text
    assert browser.post("/account/password", data=differs | {"again": "another long one"}).status_code == 303


def test_the_language_of_the_pages_is_kept_with_the_user(console: Console) -> None:
    browser = console.browser()
    assert browser.post("/account/language", data={"language": "xx"}).status_code == 422
    assert browser.post("/account/language", data={"language": "fr"}).status_code == 303
    assert 'lang="fr"' in browser.get("/account").text


def test_a_start_is_queued_and_a_second_is_refused(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    vm = console.inventory.vms[1]
    answer = browser.post(f"/vms/{vm}/actions/start", headers=HTMX)
    assert answer.status_code == 204
    assert "vigie:toast" in answer.headers["hx-trigger"]
    again = browser.post(f"/vms/{vm}/actions/start", headers=HTMX)
    assert again.status_code == 409
    assert again.headers["hx-reswap"] == "none"
    assert "vigie:toast" in again.headers["hx-trigger"]


def test_bulk_work_says_what_started_and_what_did_not(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    answer = browser.post("/vms/actions/start", data={"ids": console.inventory.vms[:4]}, headers=HTMX)
    assert answer.status_code == 200
    assert "2 tasks are queued" in answer.text
    assert "2 VMs were left alone" in answer.text
    assert browser.post("/vms/actions/start", headers=HTMX).status_code == 422


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_is_refused_by_the_service(console: Console, role: Role) -> None:
    browser = console.browser(role)
    made = console.inventory
    paths = [
        f"/hosts/{made.hosts[0]}/remove",
        f"/hosts/{made.hosts[0]}/reconnect",
        f"/datacenters/{made.datacenter}/delete",
    ]
    if role is Role.VIEWER:
        paths += [
            f"/vms/{made.vms[1]}/actions/start",
            f"/vms/{made.vms[0]}/notes",
            f"/tasks/{made.task}/cancel",
        ]
    for path in paths:
        assert browser.post(path, data={"version": "1"}).status_code == 403, path


def test_notes_are_kept_unless_somebody_was_faster(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    path = f"/vms/{console.inventory.vms[0]}/notes"
    version = version_in(browser.get(f"{path}?edit=1").text)
    posted = {"version": version, "tags": "#prod, web #", "notes": "Line one\r\nline two"}
    saved = browser.post(path, data=posted, headers=HTMX)
    assert saved.status_code == 200
    assert "#prod" in saved.text
    assert "line two" in saved.text
    assert browser.post(path, data=posted, headers=HTMX).status_code == 412


@pytest.mark.parametrize(
    "uri",
    [
        "test:///etc/passwd",
        "qemu+ssh://root@kvm/system?command=/bin/sh",
        "qemu+ext://kvm/system",
        "qemu+ssh://-oProxyCommand=x/system",
        "ssh",
    ],
)
def test_a_uri_that_is_refused_stays_in_its_field_with_the_reason(console: Console, uri: str) -> None:
    posted = {"step": "check", "way": "uri", "uri": uri, "sign_in": "", "name": "kept"}
    answer = console.browser().post("/hosts/new", data=posted)
    assert answer.status_code == 422
    assert 'id="f-uri-error"' in answer.text
    assert 'name="name" value="kept"' in answer.text
    assert "Where it is" in answer.text


def french(console: Console) -> TestClient:
    browser = console.browser()
    browser.post("/account/language", data={"language": "fr"})
    return browser


def test_rules_of_forms_are_told_in_the_language_of_the_reader(console: Console) -> None:
    browser = french(console)
    short = browser.post("/users/new", data={"name": "ana", "password": "short"}).text
    assert "Écrivez au moins 10 caractères." in short
    control = browser.post("/datacenters", data={"name": "a\x07b"}).text
    assert "Ne doit contenir ni caractères de contrôle" in control
    uri = {"step": "identity", "way": "uri", "uri": "qemu+ext://h/system"}
    assert "Le schéma “qemu+ext” n’est pas pris en charge" in browser.post("/hosts/new", data=uri).text
    address = {"step": "identity", "way": "fields", "transport": "ssh", "address": "1.2.3"}
    assert "Ressemble à une adresse IP" in browser.post("/hosts/new", data=address).text
    viewer = console.browser(Role.VIEWER)
    viewer.post("/account/language", data={"language": "fr"})
    assert "Il manque le privilège user.edit." in viewer.get("/users/new").text


def test_a_busy_vm_tells_the_state_of_its_task_in_the_language_of_the_reader(console: Console) -> None:
    browser, url = french(console), f"/vms/{console.inventory.vms[1]}"
    browser.post(f"{url}/actions/start")
    page = browser.post(f"{url}/actions/start").text
    assert "dans l’état «\u00a0En attente\u00a0»" in page
    assert "queued" not in page


def field_in(page: str, name: str) -> str:
    """What a text field or a hidden one of a page holds."""
    found = re.search(rf'<input[^>]*\bname="{name}"[^>]*>', page)
    assert found, name
    value = re.search(r'\bvalue="([^"]*)"', found[0])
    return value[1] if value else ""


def test_the_size_form_cuts_nothing_off_by_rounding(console: Console) -> None:
    size, volume = 209_715_200 + 512, console.inventory.volume
    with console.services.database.begin() as session:
        session.get_one(models.Volume, volume).capacity_bytes = size
    browser, url = console.browser(), f"/storage/volumes/{volume}"
    page = browser.get(url).text
    untouched = {name: field_in(page, name) for name in ("size_gib", "size_shown")}
    for posted in (untouched, {"size_gib": untouched["size_gib"]}):
        answer = browser.post(f"{url}/resize", data={**posted, "shrink": "true"})
        assert answer.status_code == 422
        assert "Is the size that it has" in answer.text
    with console.services.database.begin() as session:
        session.get_one(models.Volume, volume).capacity_bytes = 2 * size  # others made it larger meanwhile
    answer = browser.post(f"{url}/resize", data={**untouched, "shrink": "true"})
    assert "Is the size that it has" in answer.text


def test_memory_that_nobody_touched_is_not_changed_with_the_title(console: Console) -> None:
    vm, memory = console.inventory.vms[1], 1_000_001 * 1024
    with console.services.database.begin() as session:
        session.get_one(models.Vm, vm).memory_bytes = memory
    browser = console.browser()
    page = browser.get(f"/vms/{vm}/edit").text
    names = ("version", "vcpus", "vcpus_max", "memory_mib", "memory_max_mib")
    posted = {name: field_in(page, name) for name in names} | {"title": "Web"}
    assert browser.post(f"/vms/{vm}/hardware", data=posted).status_code == 303
    with console.services.database.read() as session:
        task = session.scalars(sa.select(models.Task).where(models.Task.kind == "vm.reconfigure")).one()
        assert [step["do"] for step in task.params["steps"]] == ["title"]


def test_roles_are_described_as_they_are(console: Console) -> None:
    page = console.browser().get("/users/new").text
    viewer, operator, administrator = re.findall(r'name="role"[\s\S]*?</label>', page)
    assert "without screens, XML and secrets" in viewer
    assert "deletes VMs" in operator
    assert "deletes volumes" in operator
    assert "as good as root on every host" in administrator


def test_lists_say_in_french_that_nothing_is_filtered(console: Console) -> None:
    page = french(console).get("/events").text
    assert "Gravité\u00a0: tout" in page
    assert "Envoyer un fichier" in console.browser().get(f"/storage/{console.inventory.pool}").text


def test_the_audit_says_accepted_of_what_was_only_asked_for(console: Console) -> None:
    browser = console.browser()
    browser.post(f"/vms/{console.inventory.vms[1]}/actions/start")
    row = re.search(r"<tr[^>]*>(?:(?!</tr>)[\s\S])*vm\.start[\s\S]*?</tr>", browser.get("/audit").text)
    assert row
    assert "Accepted" in row[0]
