"""Golden files: what is built or edited must be, to the byte, a file that somebody has read.

A case is one line of a table and one file: `golden/built/<case>.xml` for what is made from a plan, and
`golden/after/<case>.xml` for what an edit makes of `golden/before/<document>.xml`, which cases share.
`pytest tests/unit/hypervisor/xml --update-golden` writes the files of all cases anew and removes those of none;
what it wrote is read with `git diff` before it is committed. It refuses in CI.

The files are not all that is believed: an edit must leave every part that its case does not name as it was, be valid
wherever the document was, and change nothing when it is made a second time.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

SCHEMAS = Path("/usr/share/libvirt/schemas")


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a document.

    `touches` names the parts that may become others, with spaces between them: a tag, or `tag:key` as `parts` has it.
    """

    before: str
    change: Callable[[str], str]
    touches: str = ""


@dataclass(frozen=True, slots=True)
class Golden:
    """The golden files of one noun. `schema`: libvirt's, by name."""

    folder: Path
    schema: str
    update: bool

    def check_text(self, case: str, text: str) -> None:
        """What was made, and is no document of the schema, is as its file has it."""
        self._compare(self.folder / "built" / f"{case}.xml", f"{text}\n")

    def check_built(self, case: str, text: str, *, within: Callable[[str], str] = str) -> None:
        """What was made is as its file has it, and valid; `within`: the document that a fragment belongs in."""
        self.check_text(case, text)
        assert broken_rule(self.schema, within(text)) is None

    def check_edit(self, case: str, edit: Edit) -> None:
        """What an edit makes is as its file has it, and all that it must be besides."""
        before = (self.folder / "before" / f"{edit.before}.xml").read_text().removesuffix("\n")
        after = edit.change(before)
        self._compare(self.folder / "after" / f"{case}.xml", f"{after}\n")
        touched = set(edit.touches.split())
        assert _untouched(after, touched) == _untouched(before, touched)
        assert broken_rule(self.schema, before) is not None or broken_rule(self.schema, after) is None
        assert edit.change(after) == after

    def check_files(self, *, built: Iterable[str] = (), edits: Mapping[str, Edit] | None = None) -> None:
        """Every file belongs to a case."""
        edits = edits or {}
        wanted = {
            *(f"built/{case}.xml" for case in built),
            *(f"after/{case}.xml" for case in edits),
            *(f"before/{edit.before}.xml" for edit in edits.values()),
        }
        found = {str(path.relative_to(self.folder)): path for path in self.folder.rglob("*.xml")}
        if self.update:
            for name in found.keys() - wanted:
                found.pop(name).unlink()
        assert set(found) == wanted

    def _compare(self, path: Path, text: str) -> None:
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if not path.exists():
            pytest.fail(f"{path} is not there: write it with --update-golden, and read it")
        expected = path.read_text()
        if text != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), str(path), "now", lineterm=""
            )
            pytest.fail("\n".join(lines), pytrace=False)


def broken_rule(schema: str, xml: str) -> str | None:
    """What libvirt's schema says against a document; None when it says nothing."""
    rules = _schema(schema)
    return None if rules.validate(etree.fromstring(xml)) else str(rules.error_log)


@cache
def _schema(name: str) -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(SCHEMAS / f"{name}.rng")))


def parts(xml: str) -> list[tuple[str, bytes]]:
    """Names and texts, in order, of all children of the root; of a domain, of its devices too.

    A device is named by its target or address (`disk:vda`, `interface:52:54:00:00:00:01`), else by its type.
    """
    tree = etree.fromstring(xml, etree.XMLParser(strip_cdata=False, resolve_entities=False))
    found: list[tuple[str, bytes]] = [("attributes", repr(sorted(tree.attrib.items())).encode())]
    for child in tree:
        if tree.tag == "domain" and child.tag == "devices":
            found += [(_name(device), _text(device)) for device in child]
        else:
            found.append((_tag(child), _text(child)))
    return found


def _untouched(xml: str, touched: set[str]) -> list[tuple[str, bytes]]:
    return [(name, text) for name, text in parts(xml) if not {name, name.partition(":")[0]} & touched]


def _tag(element: etree._Element) -> str:
    return element.tag if isinstance(element.tag, str) else "comment"


def _name(device: etree._Element) -> str:
    paths = ("mac/@address", "target/@dev", "target/@name", "target/@dir", "@type")
    keys = (key for path in paths for key in device.xpath(path)) if isinstance(device.tag, str) else iter(())
    key = next(keys, None)
    return f"{_tag(device)}:{key}" if key else _tag(device)


def _text(element: etree._Element) -> bytes:
    return etree.tostring(element, with_tail=False)
