"""libvirt's own schema of domains, where this machine has it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

from app.hypervisor.xml.domains.read import parse

SCHEMAS = (Path("/usr/share/libvirt/schemas"), Path("/usr/local/share/libvirt/schemas"))


def schema_error(xml: str) -> str | None:
    """What libvirt's schema says against a domain, if this machine has the schema; None when it says nothing."""
    schema = _schema()
    if schema is None or schema.validate(parse(xml, "domain")):
        return None
    error = schema.error_log.last_error
    return "the schema refuses it" if error is None else f"line {error.line}: {error.message}"[:400]


@cache
def _schema() -> etree.RelaxNG | None:
    for filesystem in SCHEMAS:
        if (filesystem / "domain.rng").is_file():
            return etree.RelaxNG(etree.parse(filesystem / "domain.rng"))
    return None
