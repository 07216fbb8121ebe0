"""Every service function asks whether the actor may, or says here why it need not.

A function asks when it, or a function of the same module that it calls, calls `ctx.require`, `ctx.can` or
`ctx.visible`.
"""

import ast
from pathlib import Path

from tests.contract.sources import APP, tree

ASKING = {"require", "can", "visible"}
OWN = "concerns only the asker"
PART = "part of a use case that has asked: "
NEED_NOT = {
    "accounts.sign_out": OWN,
    "accounts.list_sessions": OWN,
    "accounts.change_password": OWN + ", who proves it with the present password",
    "accounts.set_language": OWN,
    "audit.record": PART + "writes down what was done",
    "conditions.records": PART + "of objects that were found by a filtered query",
    "definition_nics.each_nic": PART + "names columns for a filtered query",
    "cloud_init_seeds.refuse_seeds_in": PART + "of a definition that the caller may have defined",
    "cloud_init_seeds.refuse_seed": PART + "of a volume that was found by a filtered query",
    "definitions.replace": PART + "hardware.find_editable asks",
    "definitions.restore_version": PART + "hardware.find_editable asks",
    "definitions.revert": PART + "hardware.find_editable asks",
    "first_look.credential_for": PART + "hosts.add_host, hosts.update_host and first_look.look_at ask",
    "hardware.ask": PART + "whoever found the VM with find_editable",
    "hardware.device_of": PART + "of a definition that was found",
    "host_devices.add_folder": PART + "hardware.find_editable asks",
    "host_devices.remove_device": PART + "hardware.find_editable asks",
    "host_devices.remove_folder": PART + "hardware.find_editable asks",
    "host_records.records_of": PART + "rows that a filtered query found",
    "host_records.detail_of": PART + "a row that hosts.show_host found",
    "host_records.check_records": PART + "words of a report that hosts.show_host read",
    "idempotency.remembered": OWN + ": keys belong to users",
    "idempotency.remember": OWN + ": keys belong to users",
    "images.fetch_to": PART + "of an image and a pool that were found",
    "machine.change_disk": PART + "hardware.find_editable asks",
    "machine.change_machine": PART + "hardware.find_editable asks",
    "machine.change_tuning": PART + "hardware.find_editable asks",
    "machine.show_machine": PART + "vms.find_vm asks",
    "machine.definition_version": PART + "vms.find_vm asks",
    "macs.free_mac": PART + "whoever makes or changes a VM asks; an address is free for all or for nobody",
    "macs.require_free": PART + "as macs.free_mac",
    "names.check_free": PART + "compares a name before a row is written",
    "names.save_named": PART + "writes a row",
    "networks.in_use": PART + "words an error",
    "paging.page": PART + "reads a filtered query",
    "placement.allocated_memory": PART + "adds up for a host that was found",
    "planning.draft": PART + "creation.preview_vm and creation.create_vm ask",
    "planning.offers_of": PART + "of a host that was found",
    "pools.ask": PART + "whoever found the pool with find_pool",
    "pools.refuse_state": PART + "of a pool that was found",
    "seen.patience": "reads a setting",
    "seen.is_stale": PART + "judges the age of a row",
    "seen.stale_hosts": PART + "ids by which a filtered query is read",
    "tasks.enqueue": PART + "who asks for work asks for its privilege",
    "placement.reserve": PART + "of a task that was asked for",
    "placement.take_turn": PART + "waits, and tells nothing",
    "volume_names.free_name": PART + "names in a pool that was found, for a plan",
    "volume_names.is_there": PART + "of a pool that was found",
    "tasks.holders": PART + "the tasks of objects that were found by a filtered query",
    "tasks.require_free": PART + "looks whether a task holds an object that was found",
    "tasks.busy": PART + "words an error",
    "versions.saved_version": PART + "of an object that was found by a filtered query",
    "versions.versions_of": PART + "of an object that was found by a filtered query",
    "volumes.show_volume": PART + "storage.show_volume asks",
    "volumes.refuse_running": PART + "of a volume that was found",
    "volumes.refuse_taken": PART + "of a pool that was found",
    "volumes.refuse_narrow": PART + "of a pool that was found",
    "volume_users.possible_users_of": PART + "of volumes that were found by a filtered query",
    "volume_users.refuse_possibly_used": PART + "of volumes that were found by a filtered query",
    "volume_checks.require_usable": PART + "of a volume that was found",
    "volume_users.users_of": PART + "of volumes that were found by a filtered query",
    "volume_users.why_possible": PART + "of volumes that were found by a filtered query",
    "volume_users.in_the_way_of_writing": PART + "of volumes that were found by a filtered query",
    "workable.require_workable": PART + "looks at the state of a host that was found",
    "workable.require_connected": PART + "looks at the state of a host that was found",
    "vm_records.detail_of": PART + "a row that vms.show_vm found",
    "vm_records.records_of": PART + "rows that a filtered query found",
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
    for path in sorted((APP / "services").glob("*.py")):
        known = functions(path)
        for name, function in known.items():
            if not name.startswith("_") and takes_ctx(function) and not asks(name, known):
                found.add(f"{path.stem}.{name}")
    return found


def test_every_service_function_asks() -> None:
    assert unasked() - set(NEED_NOT) == set()


def test_no_exception_is_left_over() -> None:
    assert set(NEED_NOT) - unasked() == set()
