"""Forms: what works, what is refused field by field, and who may."""

from __future__ import annotations

import re

import pytest

from app.core.access.privileges import Role
from tests.integration.api.conftest import Console
from tests.integration.pages.forms import french


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
    browser, created = shared.browser(), shared.inventory
    for path in ("/vms/x/tasks", "/hosts/x/tasks", "/hosts/x/vms", "/storage/x", "/tasks/x"):
        assert browser.get(path).status_code == 404, path
    for query in ("parent=x", "view=x"):
        assert browser.get(f"/tree/children?{query}").status_code == 422, query
    forms = (
        f"/hosts/{created.hosts[0]}/edit",
        f"/hosts/{created.hosts[0]}/set",
        f"/vms/{created.vms[0]}/notes",
    )
    named = (
        f"/datacenters/{created.datacenter}",
        f"/users/{created.user}",
        f"/credentials/{created.credential}",
    )
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


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_is_refused_by_the_service(console: Console, role: Role) -> None:
    browser = console.browser(role)
    created = console.inventory
    paths = [
        f"/hosts/{created.hosts[0]}/remove",
        f"/hosts/{created.hosts[0]}/reconnect",
        f"/datacenters/{created.datacenter}/delete",
    ]
    if role is Role.VIEWER:
        paths += [
            f"/vms/{created.vms[1]}/actions/start",
            f"/vms/{created.vms[0]}/notes",
            f"/tasks/{created.task}/cancel",
        ]
    for path in paths:
        assert browser.post(path, data={"version": "1"}).status_code == 403, path


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
