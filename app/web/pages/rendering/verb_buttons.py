"""Buttons and menu items of power verbs: title, icon, and why one is not possible now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.core.messages import N_
from app.core.vms.records import VerbRecord
from app.services.vms.power import VERBS

_VERB_ICONS = {
    "start": "play",
    "shutdown": "power",
    "reboot": "refresh",
    "reset": "bolt",
    "force-off": "plug-off",
    "inject-nmi": "bolt",
    "pause": "pause",
    "resume": "play",
    "save": "save",
    "restore": "restore",
    "autostart-on": "pin",
    "autostart-off": "pin",
}
_VERB_TITLES = {verb.value: operation.title for verb, operation in VERBS.items()}
NOT_NOW = N_("Not possible now.")


def verb_title(verb: str) -> str:
    """The message id of a power verb's title; an unknown verb stands as it is."""
    return _VERB_TITLES.get(verb, verb)


@dataclass(frozen=True, slots=True)
class VerbButton:
    """An action on an object as a button or menu item: disabled with its reason, asking first where data may be lost.

    `ask` is the element id of the question to ask, `question` that of the one to draw beside the button.
    """

    verb: str
    title: str
    icon: str
    is_dangerous: bool
    ask: str | None
    question: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class VerbButtons:
    """The filter `verb_button` in one language."""

    translate: Callable[[str], str]

    def __call__(self, record: VerbRecord, ask: str | None = None) -> VerbButton:
        """The button of an action; `ask` is the id of a question that the page has for it."""
        own = f"ask-{record.verb}" if record.confirm else None
        why = None if record.allowed else reason(record) or self.translate(NOT_NOW)
        return VerbButton(
            verb=record.verb,
            title=record.title,
            icon=_VERB_ICONS.get(record.verb, "dots"),
            is_dangerous=record.confirm,
            ask=ask or own,
            question=own if record.allowed else None,
            why=why,
        )


def reason(record: VerbRecord) -> str | None:
    """Why an action is not possible now, and what to do; None when it is, or when nothing is said."""
    if record.allowed:
        return None
    return " ".join(part for part in (record.why, record.hint) if part) or None
