"""The passwords of displays in a definition: hidden from readers, put back before it is defined."""

from __future__ import annotations

from app.hypervisor.xml.domains.read import parse, parse_for_edit
from app.hypervisor.xml.write import edited

HIDDEN = "••••"


def with_secrets(xml: str, secure: str) -> str:
    """The definition with the passwords of displays that it had before, which readers are not shown.

    Raises UnreadableXml.
    """
    tree, before = parse_for_edit(xml, "domain"), parse(secure, "domain")
    for old in before.iterfind("devices/graphics[@passwd]"):
        for new in tree.iterfind(f"devices/graphics[@type='{old.get('type')}']"):
            if new.get("passwd") is None:
                for name in ("passwd", "passwdValidTo", "connected"):
                    if old.get(name) is not None:
                        new.set(name, str(old.get(name)))
    return edited(tree)


def without_secrets(xml: str) -> str:
    """The definition with signs in the place of the passwords of its displays. Raises UnreadableXml."""
    tree = parse_for_edit(xml, "domain")
    protected = [display for display in tree.iterfind("devices/graphics") if display.get("passwd")]
    for display in protected:
        display.set("passwd", HIDDEN)
    return edited(tree) if protected else xml


def hidden(text: str, xml: str) -> str:
    """What was said of a definition, without the passwords that stand in that. Raises UnreadableXml."""
    for display in parse(xml, "domain").iterfind("devices/graphics[@passwd]"):
        text = text.replace(display.get("passwd") or HIDDEN, HIDDEN)
    return text
