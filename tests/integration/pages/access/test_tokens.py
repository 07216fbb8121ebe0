"""Tokens by the pages."""

from __future__ import annotations

import re

from tests.integration.api.conftest import Console


def test_a_token_is_shown_once(console: Console) -> None:
    browser = console.browser()
    created = browser.post("/tokens", data={"name": "backup", "expires_in_days": "30"})
    secret = re.search(r"vigie_[\w-]{43}", created.text)
    assert secret
    assert secret[0] not in browser.get("/tokens").text
    program = console.client(None)
    program.headers["Authorization"] = f"Bearer {secret[0]}"
    assert program.get("/api/v1/vms").status_code == 200
    identifier = re.findall(r"/tokens/(tok_\w+)/revoke", created.text)
    for item in identifier:
        browser.post(f"/tokens/{item}/revoke")
    assert program.get("/api/v1/vms").status_code == 401
