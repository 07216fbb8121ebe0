"""The description of the API says everything: statuses, problems, examples, and who may come in."""

from __future__ import annotations

import pytest

from app.web.api.openapi import describe
from tests.integration.api.conftest import Console

OPEN = {"/healthz", "/readyz"}


@pytest.fixture(scope="module")
def description(shared: Console) -> dict:
    return describe(shared.app)


def each_operation(description: dict):
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def test_every_operation_is_explained(description: dict) -> None:
    tags = {tag["name"] for tag in description["tags"]}
    ids = [operation["operationId"] for _, _, operation in each_operation(description)]
    assert len(ids) == len(set(ids)) >= 50
    for path, method, operation in each_operation(description):
        assert operation["summary"], (method, path)
        assert len(operation["summary"]) < 120, (method, path)
        assert operation["description"].rstrip().endswith("."), (method, path)
        assert len(operation["tags"]) == 1, (method, path)
        assert set(operation["tags"]) <= tags, (method, path)


def test_every_operation_declares_its_problems(description: dict) -> None:
    for path, method, operation in each_operation(description):
        declared = set(operation["responses"])
        if path in OPEN:
            continue
        assert {"401", "403", "422", "503"} <= declared, (method, path)
        if "requestBody" in operation:
            assert "413" in declared, (method, path)
        if "{" in path:
            assert "404" in declared, (method, path)
        for status in declared:
            if status >= "400":
                assert "application/problem+json" in operation["responses"][status]["content"], (
                    method,
                    path,
                    status,
                )


def test_every_body_and_answer_has_an_example(description: dict) -> None:
    schemas = description["components"]["schemas"]
    for path, method, operation in each_operation(description):
        shown = [operation.get("requestBody")] + [
            answer for status, answer in operation["responses"].items() if status < "300"
        ]
        for content in (item["content"] for item in shown if item and "content" in item):
            if "application/json" not in content:
                continue
            schema = content["application/json"]["schema"]
            named = next(item["$ref"] for item in [schema, *schema.get("anyOf", [])] if "$ref" in item)
            assert schemas[named.rsplit("/", 1)[-1]]["examples"], (method, path)


def test_security(description: dict) -> None:
    assert set(description["components"]["securitySchemes"]) == {"token", "session"}
    for path, method, operation in each_operation(description):
        assert operation.get("security") == ([] if path in OPEN else None), (method, path)


def test_all_references_lead_somewhere(description: dict) -> None:
    def references(value: object):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for entry in value:
                yield from references(entry)

    for reference in set(references(description)):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in description["components"][kind], reference


def test_served_without_signing_in(shared: Console, description: dict) -> None:
    answer = shared.client(None).get("/api/v1/openapi.json")
    assert answer.json() == description


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_frameworks_own_description_is_not_served(shared: Console, path: str) -> None:
    assert shared.client().get(path).status_code == 404
