"""Datacenters, the tree and the search in the API."""

from __future__ import annotations

from app.core.access.privileges import Role
from tests.integration.api.conftest import Console


def test_search_and_tree(shared: Console) -> None:
    client = shared.client(Role.VIEWER)
    assert any(hit["name"] == "web-00-01" for hit in client.get("/api/v1/search?q=web-00-01").json()["items"])
    root = client.get("/api/v1/tree").json()["items"]
    assert [node["name"] for node in root] == ["Paris"]
    path = client.get(f"/api/v1/tree/{shared.inventory.hosts[0]}/path").json()["items"]
    assert [node["name"] for node in path] == ["Paris", "kvm-00"]


def test_create_show_delete(console: Console) -> None:
    client = console.client()
    created = client.post("/api/v1/datacenters", json={"name": "Lyon"})
    assert created.status_code == 201
    location = created.headers["location"]
    assert client.get(location).json() == created.json()
    assert client.post("/api/v1/datacenters", json={"name": "lyon"}).status_code == 409
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404
