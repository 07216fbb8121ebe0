"""Tasks in the API."""

from __future__ import annotations

from tests.integration.api.conftest import Console


def test_tasks_are_found_by_their_title_in_the_language_of_the_asker(console: Console) -> None:
    client = console.client()
    assert client.get("/api/v1/tasks?q=start").json()["total"] == 1
    french = {"Accept-Language": "fr"}
    assert client.get("/api/v1/tasks?q=start", headers=french).json()["total"] == 0
    assert client.get("/api/v1/tasks?q=démarrer", headers=french).json()["total"] == 1
