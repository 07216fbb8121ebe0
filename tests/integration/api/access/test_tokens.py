"""Tokens in the API: shown once, made once, and not kept."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.access.privileges import Role
from app.db import models
from tests.integration.api.conftest import Console


def test_tokens_are_shown_once(console: Console) -> None:
    client = console.browser(Role.VIEWER)
    created = client.post("/api/v1/tokens", json={"name": "script"}).json()
    assert created["token"].startswith("vigie_")
    listed = client.get("/api/v1/tokens")
    assert created["token"] not in listed.text
    assert client.delete(f"/api/v1/tokens/{created['id']}").status_code == 204
    assert (
        console.client(None)
        .get("/api/v1/vms", headers={"Authorization": f"Bearer {created['token']}"})
        .status_code
        == 401
    )


def test_a_repeated_token_is_not_made_twice_and_its_secret_is_not_kept(console: Console) -> None:
    client, key = console.browser(), {"Idempotency-Key": "token-1"}
    created = client.post("/api/v1/tokens", json={"name": "backup"}, headers=key).json()
    again = client.post("/api/v1/tokens", json={"name": "backup"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "token_made")
    assert created["id"] in again.json()["why"]
    named = [item for item in client.get("/api/v1/tokens").json()["items"] if item["name"] == "backup"]
    assert [item["id"] for item in named] == [created["id"]]
    with console.services.database.read() as session:
        kept = session.scalars(sa.select(models.IdempotencyKey)).all()
        assert created["token"] not in str([item.answer for item in kept])
