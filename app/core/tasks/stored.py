"""What tasks keep as JSON: why one failed, and what a request was answered."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class StoredError(TypedDict):
    """Why a task failed: message ids with their parameters, and what the hypervisor said (`detail`)."""

    code: str
    title: str
    why: NotRequired[str | None]
    hint: NotRequired[str | None]
    detail: NotRequired[str | None]
    params: NotRequired[dict[str, object]]
    next_verb: NotRequired[str | None]


class StoredAnswer(TypedDict):
    """The answer to a request, as it is given again."""

    status: int
    headers: dict[str, str]
    body: str
