"""Every service function asks whether the actor may, or says here why it need not.

A function asks when it, or a function of the same module that it calls, calls `ctx.require`, `ctx.can` or
`ctx.visible`.
"""

import ast
from pathlib import Path

from tests.contract.sources import dotted, modules, name_of, tree

LAYERS = {"services", "capacity", "inventory", "tasks", "access"}
ASKING = {"require", "can", "visible"}
OWN = "concerns only the asker"
PART = "part of a use case that has asked: "
NEED_NOT = {
    "access.accounts.sign_out": OWN,
    "access.accounts.list_sessions": OWN,
    "access.accounts.change_password": OWN + ", who proves it with the present password",
    "access.accounts.set_language": OWN,
    "access.audit.record": PART + "writes down what was done",
    "inventory.conditions.records": PART + "of objects that were found by a filtered query",
    "services.networks.definition_nics.each_nic": PART + "names columns for a filtered query",
    "services.vms.cloud_init_drives.refuse_seeds_in": PART
    + "of a definition that the caller may have defined",
    "services.vms.cloud_init_drives.refuse_seed": PART + "of a volume that was found by a filtered query",
    "services.vms.definitions.replace": PART + "hardware.find_editable asks",
    "services.vms.definitions.restore_version": PART + "hardware.find_editable asks",
    "services.vms.definitions.revert": PART + "hardware.find_editable asks",
    "services.hosts.probe.credential_for": PART
    + "hosts.add_host, hosts.update_host and probe.probe_host ask",
    "services.vms.devices.ask": PART + "whoever found the VM with find_editable",
    "services.vms.devices.device_of": PART + "of a definition that was found",
    "services.vms.host_devices.add_folder": PART + "hardware.find_editable asks",
    "services.vms.host_devices.remove_device": PART + "hardware.find_editable asks",
    "services.vms.host_devices.remove_folder": PART + "hardware.find_editable asks",
    "services.hosts.records.records_of": PART + "rows that a filtered query found",
    "services.hosts.records.detail_of": PART + "a row that hosts.show_host found",
    "services.hosts.records.check_records": PART + "words of a report that hosts.show_host read",
    "tasks.idempotency.remembered": OWN + ": keys belong to users",
    "tasks.idempotency.remember": OWN + ": keys belong to users",
    "services.library.images.fetch_to": PART + "of an image and a pool that were found",
    "services.vms.compute.change_disk": PART + "hardware.find_editable asks",
    "services.vms.compute.change_machine": PART + "hardware.find_editable asks",
    "services.vms.compute.change_tuning": PART + "hardware.find_editable asks",
    "services.vms.compute.show_machine": PART + "vms.find_vm asks",
    "services.vms.compute.definition_version": PART + "vms.find_vm asks",
    "services.vms.create.mac_addresses.free_mac": PART
    + "whoever makes or changes a VM asks; an address is free for all or for nobody",
    "services.vms.create.mac_addresses.require_free": PART + "as macs.free_mac",
    "access.unique_names.check_free": PART + "compares a name before a row is written",
    "access.unique_names.save_named": PART + "writes a row",
    "services.networks.networks.in_use": PART + "words an error",
    "access.paging.page": PART + "reads a filtered query",
    "capacity.placement.allocated_memory": PART + "adds up for a host that was found",
    "services.vms.create.config_builder.draft": PART + "creation.preview_vm and creation.create_vm ask",
    "services.vms.create.config_builder.offers_of": PART + "of a host that was found",
    "services.storage.pools.ask": PART + "whoever found the pool with find_pool",
    "services.storage.pools.refuse_state": PART + "of a pool that was found",
    "inventory.staleness.patience": "reads a setting",
    "inventory.staleness.is_stale": PART + "judges the age of a row",
    "inventory.staleness.stale_hosts": PART + "ids by which a filtered query is read",
    "tasks.tasks.enqueue": PART + "who asks for work asks for its privilege",
    "capacity.placement.reserve": PART + "of a task that was asked for",
    "capacity.placement.take_turn": PART + "waits, and tells nothing",
    "services.storage.volume_names.free_name": PART + "names in a pool that was found, for a plan",
    "services.storage.volume_names.is_there": PART + "of a pool that was found",
    "tasks.tasks.holders": PART + "the tasks of objects that were found by a filtered query",
    "tasks.tasks.require_free": PART + "looks whether a task holds an object that was found",
    "tasks.tasks.busy": PART + "words an error",
    "services.inventory.versions.saved_version": PART + "of an object that was found by a filtered query",
    "services.inventory.versions.versions_of": PART + "of an object that was found by a filtered query",
    "services.storage.volumes.show_volume": PART + "storage.show_volume asks",
    "services.storage.volumes.refuse_running": PART + "of a volume that was found",
    "services.storage.volumes.refuse_taken": PART + "of a pool that was found",
    "services.storage.volumes.refuse_narrow": PART + "of a pool that was found",
    "services.storage.volume_users.possible_users_of": PART
    + "of volumes that were found by a filtered query",
    "services.storage.volume_users.refuse_possibly_used": PART
    + "of volumes that were found by a filtered query",
    "services.storage.volume_checks.require_usable": PART + "of a volume that was found",
    "services.storage.volume_users.users_of": PART + "of volumes that were found by a filtered query",
    "services.storage.volume_users.why_possible": PART + "of volumes that were found by a filtered query",
    "services.storage.volume_users.in_the_way_of_writing": PART
    + "of volumes that were found by a filtered query",
    "services.hosts.checks.require_workable": PART + "looks at the state of a host that was found",
    "services.hosts.checks.require_connected": PART + "looks at the state of a host that was found",
    "services.vms.records.detail_of": PART + "a row that vms.show_vm found",
    "services.vms.records.records_of": PART + "rows that a filtered query found",
}


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree(path).body if isinstance(node, ast.FunctionDef)}


def takes_ctx(function: ast.FunctionDef) -> bool:
    return bool(function.args.args) and function.args.args[0].arg == "ctx"


def asks(name: str, known: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> bool:
    for node in ast.walk(known[name]):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Attribute(value=ast.Name(id="ctx"), attr=attribute) if attribute in ASKING:
                return True
            case ast.Name(id=called) if called in known and called not in seen | {name}:
                if asks(called, known, seen | {name}):
                    return True
    return False


def unasked() -> set[str]:
    found = set()
    for path in modules():
        layer = name_of(path).split("/")[1]
        if layer not in LAYERS:
            continue
        known = functions(path)
        for name, function in known.items():
            if not name.startswith("_") and takes_ctx(function) and not asks(name, known):
                found.add(f"{dotted(path)}.{name}")
    return found


def test_every_service_function_asks() -> None:
    assert unasked() - set(NEED_NOT) == set()


def test_no_exception_is_left_over() -> None:
    assert set(NEED_NOT) - unasked() == set()
