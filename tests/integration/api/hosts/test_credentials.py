"""Credentials in the API: written, never read."""

from __future__ import annotations

from tests.integration.api.conftest import Console


def test_credentials_never_come_out(console: Console) -> None:
    client = console.client()
    created = client.post(
        "/api/v1/credentials", json={"name": "root", "kind": "ssh_password", "password": "s3cret-s3cret"}
    )
    assert created.status_code == 201
    shown = client.get(created.headers["location"])
    assert "s3cret" not in created.text + shown.text + client.get("/api/v1/audit").text
