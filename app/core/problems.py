"""Errors as parts of an answer: why one of many things could not be done."""

from __future__ import annotations

from collections.abc import Callable

from app.core.errors import VigieError
from app.core.records import Problem


def problem_of(error: VigieError, translate: Callable[[str], str]) -> Problem:
    """The error as the API shows it, in the reader's language."""
    texts = error.texts(translate)
    return Problem(
        type=f"urn:vigie:problem:{error.code}",
        title=texts.title,
        status=int(error.status),
        code=error.code,
        why=texts.why,
        hint=texts.hint,
        task=getattr(error, "task_id", None),
    )
