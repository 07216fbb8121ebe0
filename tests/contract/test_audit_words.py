"""The audit has one word for each act: refusals, which are named after routes, say it as services do."""

import ast
import re

from tests.contract.sources import APP, modules, name_of, tree

# Acts that have no entry of their own when they succeed, or one for each object.
UNNAMED = {
    "host.check": "looks and keeps nothing",
    "network.restore_version": "a network.define",
    "pool.act": "named by its verb",
    "pool.restore_version": "a pool.define",
    "upload.part": "one act with the beginning of the upload",
    "user.language": "a matter of one's own pages",
    "vm.act": "named by its verb",
    "vm.action": "named by its verb",
    "vm.act_many": "an entry for each VM",
    "vm.create_many": "an entry for each VM",
    "vm.add_disk": "a vm.reconfigure",
    "vm.add_nic": "a vm.reconfigure",
    "vm.add_device": "a vm.reconfigure",
    "vm.add_folder": "a vm.reconfigure",
    "vm.change_disk": "a vm.reconfigure",
    "vm.change_machine": "a vm.reconfigure",
    "vm.change_nic": "a vm.reconfigure",
    "vm.change_tuning": "a vm.reconfigure",
    "vm.medium": "a vm.reconfigure",
    "vm.preview_definition": "looks and keeps nothing",
    "vm.remove_device": "a vm.reconfigure",
    "vm.remove_disk": "a vm.reconfigure",
    "vm.remove_folder": "a vm.reconfigure",
    "vm.remove_nic": "a vm.reconfigure",
    "vm.restore_version": "a vm.define",
    "vm.revert": "a vm.discard-changes",
    "vm.tune_nic": "a vm.reconfigure",
    "vm.preview": "looks and keeps nothing",
}
CHANGES = {"post", "put", "patch", "delete"}


def routes() -> set[str]:
    """Names of the routes that change something."""
    found = set()
    for path in modules():
        if not name_of(path).startswith("app/web/"):
            continue
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CHANGES
            ):
                found |= {ast.literal_eval(each.value) for each in node.keywords if each.arg == "name"}
    return found


def test_refusals_and_successes_have_the_same_words() -> None:
    services = "".join(
        path.read_text()
        for layer in ("services", "tasks", "access", "db")
        for path in (APP / layer).rglob("*.py")
    )
    said = set(re.findall(r'"([a-z]+(?:\.[a-z_]+)?)"', services))
    assert routes() - set(UNNAMED) - said == set()
