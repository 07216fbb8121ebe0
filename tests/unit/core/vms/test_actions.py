"""Everything that is shown of a VM by a code has a title."""

from app.core.vms.states import VM_REASON_TITLES
from app.hypervisor.domains.queries import _REASONS


def test_every_reason_of_libvirt_has_a_title() -> None:
    message = {name for names in _REASONS.values() for name in names} - {"unknown"}
    assert message == VM_REASON_TITLES.keys()
