"""Columns of hosts that readings and probes fill."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pydantic import TypeAdapter

from app.core.casefold import fold
from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.states import Transport, Verdict
from app.inventory.batch import Row

FACTS = TypeAdapter(HostFacts)
CHECKS = TypeAdapter(tuple[Check, ...])


def machine_uuid(transport: str, address: str, libvirt_uuid: str) -> str:
    """The UUID that tells machines apart. Simulated hosts have none of their own: theirs comes from their file."""
    if transport == Transport.SIMULATED:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated:{address}"))
    return libvirt_uuid


def facts_columns(transport: str, address: str, facts: HostFacts) -> Row:
    """Columns of a host that its facts fill."""
    return {
        "libvirt_uuid": machine_uuid(transport, address, facts.libvirt_uuid),
        "hostname": facts.hostname,
        "libvirt_version": facts.libvirt_version,
        "hypervisor_version": f"{facts.hypervisor} {facts.hypervisor_version}",
        "cpu_model": facts.cpu_name or facts.cpu_model,
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
        "facts": FACTS.dump_python(facts, mode="json"),
    }


def checks_columns(checks: Sequence[Check], batch_now: object) -> Row:
    """Columns of a host that its compatibility report fills."""
    weight = [Verdict.PASS, Verdict.WARN, Verdict.FAIL]
    worst = max((Verdict(check.verdict) for check in checks), key=weight.index, default=None)
    dumped = CHECKS.dump_python(tuple(checks), mode="json")
    return {"checks": dumped, "worst_check": worst.value if worst else None, "checked_at": batch_now}


def host_search_text(name: str, address: str, hostname: str | None, tags: Sequence[str]) -> str:
    """What the search looks through."""
    return fold("\n".join([name, address, hostname or "", *tags]))
