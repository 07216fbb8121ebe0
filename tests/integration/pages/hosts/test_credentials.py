"""Credentials by the pages."""

from __future__ import annotations

import re

from tests.integration.api.conftest import Console


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
