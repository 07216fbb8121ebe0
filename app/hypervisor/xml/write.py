"""Making XML: trees only, never texts put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lxml import etree

Element = etree._Element


def node(tag: str, *parts: Element | str | Mapping[str, str], **attributes: str) -> Element:
    """An element of this name with its children, its text and its attributes; those that are no words go in a mapping."""
    element = etree.Element(tag, attributes)
    for part in parts:
        if isinstance(part, str):
            element.text = part
        elif isinstance(part, Mapping):
            for name, value in part.items():
                element.set(name, value)
        else:
            element.append(part)
    return element


def text_of(tree: Element) -> str:
    """The tree as text, indented."""
    etree.indent(tree)
    return etree.tostring(tree, encoding="unicode")


def edited(tree: Element) -> str:
    """The tree as text, as it was but for what was changed."""
    return etree.tostring(tree, encoding="unicode")


def drop(elements: Iterable[Element]) -> None:
    """Take elements out of their tree."""
    for element in list(elements):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def drop_if_empty(element: Element) -> None:
    """Take an element that says nothing out of its tree."""
    if not len(element) and not element.attrib:
        drop([element])
