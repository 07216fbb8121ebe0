"""Errors as parts of an answer: why one of many things could not be done."""

from __future__ import annotations

from app.core.errors import VigieError
from app.core.records import Problem


def problem_of(error: VigieError) -> Problem:
    """The error as the API shows it."""
    return Problem(
        type=f"urn:vigie:problem:{error.code}",
        title=error.title,
        status=int(error.status),
        code=error.code,
        why=error.why,
        hint=error.hint,
        task=getattr(error, "task_id", None),
    )
