"""Schemathesis over the whole description, as each role: no 5xx, nothing undocumented, answers as described."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.core.access.privileges import Role
from tests.integration.api.conftest import Console, _quiet, opened_console
from tests.integration.api.routes import real_ids
from tests.soak.conftest import Trials

# 503 is documented: a host or the database does not answer. 500 never is, so the first check finds it.
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
__all__ = ["_quiet"]
OURS = {"Host": "localhost"}  # the client calls itself testserver
TRIALS = {Role.ADMINISTRATOR: (3, 100), Role.OPERATOR: (1, 30), Role.VIEWER: (1, 30)}  # of each operation


@pytest.fixture(scope="module", params=list(Role))
def requested(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Role, Console]]:
    """A console of its own for each role, since what is generated also changes and deletes."""
    folder = tmp_path_factory.mktemp("schema")
    shutil.copy(request.getfixturevalue("empty_sqlite"), folder / "vigie.db")
    with opened_console(folder) as console:
        yield request.param, console


@pytest.mark.timeout(3600)
def test_api_keeps_its_word(requested: tuple[Role, Console], trials: Trials) -> None:
    role, console = requested
    count = trials(*TRIALS[role])
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", console.app, headers=OURS)
    tried = [try_operation(found.ok(), role, console, count) for found in schema.get_all_operations()]
    assert len(tried) >= 50
    assert all(tried), "an operation was not called at all"
    assert console.client(role).get("/api/v1/session").status_code == 200


def try_operation(operation: schemathesis.APIOperation, role: Role, console: Console, trials: int) -> int:
    """Call an operation with good and bad requests; return how many there were."""
    ids = itertools.cycle(real_ids(console.inventory, operation.path) or ["tok_aaaaaaaaaaaaaaaa"])
    count = 0

    @settings(
        max_examples=min(trials, 2) if operation.path.endswith("/stream") else trials,  # each takes a second
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=st.one_of(strategies(operation)))
    def try_one(case: schemathesis.Case) -> None:
        nonlocal count
        count += 1
        if "id" in (case.path_parameters or {}) and count % 3:
            case.path_parameters["id"] = next(ids)
        bound(case)
        response = case.call(headers={**OURS, "Authorization": f"Bearer {console.tokens[role]}"})
        case.validate_response(response, checks=CHECKS)

    try_one()
    return count


def strategies(operation: schemathesis.APIOperation) -> list[st.SearchStrategy[schemathesis.Case]]:
    """Requests as described, and ones with something wrong where something can be."""
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query or operation.headers or operation.path_parameters:
        modes.append(GenerationMode.NEGATIVE)
    return [operation.as_strategy(generation_mode=mode) for mode in modes]


def bound(case: schemathesis.Case) -> None:
    """Streams and waits may be as long as the caller likes, and hosts anywhere: here they are short, and nowhere."""
    if case.path.endswith("/events/stream"):
        case.query = {**(case.query or {}), "seconds": "1"}
    if case.path.startswith("/api/v1/hosts") and isinstance(case.body, dict):  # never knock on real doors
        for field, value in (
            ("address", "127.0.0.1"),
            ("uri", "qemu+ssh://root@127.0.0.1:1/system"),
            ("port", 1),
        ):
            if isinstance(case.body.get(field), str | int):
                case.body[field] = value
        if case.body.get("transport") == "local":  # this machine may have libvirt
            case.body["socket"] = "/nowhere"
    if case.path.endswith("/tasks/{id}") and case.query and "wait" in case.query:
        case.query["wait"] = "0"
