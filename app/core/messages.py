"""Marking texts that people read. They are written in English, kept as ids, and translated when shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def N_(text: str) -> str:
    """Mark a message id for extraction; it is translated where it is shown."""
    return text


def filled(translate: Callable[[str], str], message: str, params: Mapping[str, object] | None) -> str:
    """A message id in the reader's language, with its parameters. One that is a list holds message ids of its own."""
    text = {
        name: ", ".join(map(translate, value)) if isinstance(value, list) else value
        for name, value in (params or {}).items()
    }
    return translate(message) % text if text else translate(message)
