"""MAC addresses: new ones that no VM of any host has, and who has one that is asked for.

VMs that are missing, off or on a silent host count too: they may come back. So do tasks that have not ended,
whose VMs are not in the inventory yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.errors import InvalidInput
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.db.models import Host, Task, Vm, VmDefinition

MAC_PREFIX = "52:54:00"  # QEMU's own
TRIES = 100
_ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


def free_mac(session: Session, but: Collection[str] = ()) -> str:
    """A MAC address that no VM and no task under way has, nor is in `but` (drawn before, for the same VM)."""
    for _ in range(TRIES):
        tail = secrets.token_bytes(3)
        mac = ":".join((MAC_PREFIX, *(f"{byte:02x}" for byte in tail)))
        if mac not in but and next(_users(session, mac), None) is None:
            return mac
    raise InvalidInput("mac", N_("no free address was found; give one yourself"))


def require_free_mac(session: Session, mac: str, field: str, *, vm_id: str = "") -> None:
    """Raise InvalidInput (mac_taken), naming the field, when a VM other than `vm_id`, or a task, has the address."""
    user = next(_users(session, mac, but=vm_id), None)
    if user is not None:
        raise InvalidInput(
            field,
            N_("%(mac)s is taken: %(who)s has it"),
            params={"mac": mac.lower(), "who": user},
            hint=N_("Leave it out to be given a free one."),
            code="mac_taken",
        )


def _users(session: Session, mac: str, but: str = "") -> Iterator[str]:
    """Who has the address: VMs with their hosts, then tasks that are about to bring it."""
    mac = mac.lower()
    query = sa.select(Vm.name, Host.name, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(Host, Host.id == Vm.host_id).join(VmDefinition, VmDefinition.vm_id == Vm.id)
    # The searched text has all addresses, but a name may look like one.
    for vm, host, *parsed in session.execute(query.where(Vm.search_text.contains(mac), Vm.id != but)):
        nics = [nic for item in parsed for nic in (item or {}).get("nics", ())]
        if any(nic.get("mac", "").lower() == mac for nic in nics):
            yield f"{vm} ({host})"
    text = sa.func.lower(sa.cast(Task.params, sa.Text))
    requested = sa.select(Task.target_name).where(
        Task.state.in_(_ACTIVE), Task.target_kind == ObjectKind.VM.value, text.contains(mac)
    )
    for name in session.scalars(requested.where(sa.func.coalesce(Task.target_id, "") != but)):
        yield name or mac
