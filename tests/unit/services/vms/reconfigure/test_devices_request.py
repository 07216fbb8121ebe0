"""What is asked of the hardware of a VM and refused before any task is made."""

from collections.abc import Callable

import pytest

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.vms.devices import HardwarePatch
from app.services.vms.reconfigure.devices_request import change_hardware
from tests.unit.fleet import GIB, add_datacenter, add_host, add_vm


def test_the_memory_that_a_host_has_is_named_and_not_what_is_free_of_it(ctx: Callable[..., Ctx]) -> None:
    admin = ctx()
    host = add_host(admin, add_datacenter(admin), "kvm-a", 16 * GIB)
    vm = add_vm(admin, host, "web")
    add_vm(admin, host, "db", memory_bytes=15 * GIB)
    with pytest.raises(InvalidInput) as reported:
        change_hardware(admin, vm.id, HardwarePatch(memory_max_bytes=17 * GIB))
    assert reported.value.params == {"most": 16 * GIB}
