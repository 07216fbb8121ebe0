"""The version of a VM's saved definition: its ETag, the comparison with If-Match, the digest that tasks compare."""

from __future__ import annotations

import hashlib

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import EditConflict, NotFound
from app.core.messages import N_
from app.db.models import Vm, VmDefinition
from app.inventory.vms.definitions import is_live


def digest_of(definition: VmDefinition) -> str:
    """What tells one saved definition from another: the SHA-256 of what people are shown."""
    seen = definition.saved_xml or definition.xml
    return hashlib.sha256(seen.encode(errors="surrogatepass")).hexdigest()


def version_of(definition: VmDefinition) -> int:
    """A number that changes with the saved definition, for ETags and forms."""
    return int(digest_of(definition)[:12], 16)


def seen_digest(definition: VmDefinition, version: int | None) -> str | None:
    """The digest that a task compares on the host: of the definition that the asker says to have seen, if any.

    None, too, while only what runs was read, and not what is saved.
    """
    if version is None or (definition.saved_xml is None and is_live(definition.xml)):
        return None
    return digest_of(definition)


def definition_version(ctx: Ctx, vm_id: str) -> int:
    """The number of the saved definition as it is shown, for ETags and forms. Raises NotFound."""
    vm = find(ctx, Vm, vm_id, "vm.view")
    definition = ctx.session.get(VmDefinition, vm.id)
    if definition is None:
        raise NotFound(N_("The definition of the VM was not read yet."))
    return version_of(definition)


def require_version(definition: VmDefinition, version: int | None) -> None:
    """Compare the version that somebody edited (If-Match) with the saved definition's. Raises EditConflict."""
    if version is not None and version != version_of(definition):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
