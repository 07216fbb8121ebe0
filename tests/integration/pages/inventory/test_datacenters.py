"""Datacenters by the pages."""

from __future__ import annotations

import re

from tests.integration.api.conftest import Console
from tests.integration.pages.forms import version_in


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
