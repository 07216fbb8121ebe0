"""The audit has one word for each act: refusals, which are named after routes, say it as services do."""

import ast
import re

from tests.contract.sources import APP, modules, name_of, tree

# Actions that have no entry of their own when they succeed, or one for each object.
UNNAMED = {
    "host.probe": "looks and keeps nothing",
    "network.restore-version": "a network.define",
    "pool.act": "named by its verb",
    "pool.restore-version": "a pool.define",
    "upload.part": "one act with the beginning of the upload",
    "user.language": "a matter of one's own pages",
    "vm.act": "named by its verb",
    "vm.action": "named by its verb",
    "vm.act-many": "an entry for each VM",
    "vm.create-many": "an entry for each VM",
    "vm.add-disk": "a vm.reconfigure",
    "vm.add-nic": "a vm.reconfigure",
    "vm.add-host-device": "a vm.reconfigure",
    "vm.add-filesystem": "a vm.reconfigure",
    "vm.change-disk": "a vm.reconfigure",
    "vm.change-compute": "a vm.reconfigure",
    "vm.change-nic": "a vm.reconfigure",
    "vm.change-resources": "a vm.reconfigure",
    "vm.change-media": "a vm.reconfigure",
    "vm.preview-definition": "looks and keeps nothing",
    "vm.remove-device": "a vm.reconfigure",
    "vm.remove-disk": "a vm.reconfigure",
    "vm.remove-filesystem": "a vm.reconfigure",
    "vm.remove-nic": "a vm.reconfigure",
    "vm.restore-version": "a vm.define",
    "vm.change-nic-resources": "a vm.reconfigure",
    "vm.delete-preview": "looks and keeps nothing",
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
                found |= {
                    ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg == "name"
                }
    return found


def test_refusals_and_successes_have_the_same_words() -> None:
    services = "".join(
        path.read_text()
        for layer in ("services", "tasks", "access", "db")
        for path in (APP / layer).rglob("*.py")
    )
    message = set(re.findall(r'"([a-z]+(?:[.-][a-z_]+)*)"', services))
    assert routes() - set(UNNAMED) - message == set()
