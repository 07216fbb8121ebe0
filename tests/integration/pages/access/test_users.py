"""Users and one's own account by the pages."""

from __future__ import annotations

import re

from tests.integration.api.conftest import PASSWORD, Console
from tests.integration.pages.forms import version_in


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


def test_roles_are_described_as_they_are(console: Console) -> None:
    page = console.browser().get("/users/new").text
    viewer, operator, administrator = re.findall(r'name="role"[\s\S]*?</label>', page)
    assert "without screens, XML and secrets" in viewer
    assert "deletes VMs" in operator
    assert "deletes volumes" in operator
    assert "as good as root on every host" in administrator


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
