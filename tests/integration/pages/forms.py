"""What tests read from forms, and how they send them."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from tests.integration.api.conftest import Console

HTMX = {"HX-Request": "true"}


def version_in(page: str) -> str:
    """The version that a form was made from."""
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found
    return found[1]


def field_in(page: str, name: str) -> str:
    """What a text field or a hidden one of a page holds."""
    found = re.search(rf'<input[^>]*\bname="{name}"[^>]*>', page)
    assert found, name
    value = re.search(r'\bvalue="([^"]*)"', found[0])
    return value[1] if value else ""


def french(console: Console) -> TestClient:
    browser = console.browser()
    browser.post("/account/language", data={"language": "fr"})
    return browser
