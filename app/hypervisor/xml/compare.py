"""Two definitions compared: by what they say, not by how they are written."""

from __future__ import annotations

import difflib

from lxml import etree

from app.hypervisor.xml.domains.read import UnreadableXml, parse
from app.hypervisor.xml.write import Element


def compared(before: str, after: str) -> list[tuple[str, str]]:
    """Lines of both, each `same`, `gone` or `new`. Spaces and the order of attributes count for nothing.

    Raises UnreadableXml.
    """
    old, new = _lines(before), _lines(after)
    found: list[tuple[str, str]] = []
    for tag, old_from, old_to, new_from, new_to in difflib.SequenceMatcher(
        None, old, new, False
    ).get_opcodes():
        if tag == "equal":
            found += [("same", line) for line in old[old_from:old_to]]
            continue
        found += [("gone", line) for line in old[old_from:old_to]]
        found += [("new", line) for line in new[new_from:new_to]]
    return found


def _lines(xml: str) -> list[str]:
    root = xml.lstrip()[1:40].split(None, 1)[0].split(">", 1)[0]
    tree = parse(xml, root) if root.isalpha() else None
    if tree is None:
        raise UnreadableXml("no element at its beginning")
    _sort_attributes(tree)
    etree.indent(tree)
    return etree.tostring(tree, encoding="unicode").splitlines()


def _sort_attributes(tree: Element) -> None:
    for item in tree.iter(etree.Element):
        attributes = sorted(item.attrib.items())
        item.attrib.clear()
        item.attrib.update(attributes)
        for text in ("text", "tail"):
            if not (getattr(item, text) or "").strip():
                setattr(item, text, None)
