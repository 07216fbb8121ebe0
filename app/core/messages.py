"""Marking texts that people read. They are written in English, kept as ids, and translated when shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def N_(text: str) -> str:
    """Mark a message id for extraction; it is translated where it is shown."""
    return text


def filled(translate: Callable[[str], str], message: str, params: Mapping[str, object] | None) -> str:
    """A message id in the reader's language, with its parameters.

    One that is a list holds message ids of its own, to be listed; a list in it holds sentences that follow each other.
    """
    text = {
        name: ", ".join(_sentences(translate, item) for item in value) if isinstance(value, list) else value
        for name, value in (params or {}).items()
    }
    return translate(message) % text if text else translate(message)


def _sentences(translate: Callable[[str], str], item: str | list[str]) -> str:
    return translate(item) if isinstance(item, str) else " ".join(map(translate, item))
