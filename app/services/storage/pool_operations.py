"""What tasks do with storage pools."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import HostError, HypervisorRefused
from app.core.messages import N_
from app.core.storage.pools import PoolChanging, PoolMaking, PoolWork, secret_of
from app.core.vms.devices import Redefinition
from app.engine import leftovers
from app.engine.operations import operation
from app.hypervisor.xml import pools as pool_definitions
from app.services.storage.pool_refresh import refresh_pool
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed, changed_meanwhile
from app.tasks.operation import Outcome

FILES_NAMED = 5


@operation("pool.create")
def create(context: TaskContext) -> Outcome:
    """Define a pool, make its folder or mount point where it has one, start it; taken back when that fails."""
    asked = context.asked(PoolMaking)
    context.make(kind=leftovers.POOL, uuid=asked.uuid)
    if asked.secret is not None:
        secret = secret_of(asked.spec.kind, context.open_sealed(asked.secret)["secret"])
        context.call(lambda host: host.pool_secrets.keep(asked.uuid, asked.spec.kind, secret))
    try:
        if not context.call(lambda host: host.storage.has_pool(asked.uuid)):
            context.call(lambda host: host.storage.define_pool(asked.spec, asked.uuid))
        if asked.spec.start:
            context.call(lambda host: host.storage.start_pool(asked.uuid, build=True))
        if asked.spec.autostart:
            context.call(lambda host: host.storage.set_autostart(asked.uuid, True))
    except (HostError, TaskFailed):
        context.roll_back()
        if not context.made:  # else the host does not answer, and the rest is done on its return
            context.show_pools({asked.uuid})
        raise
    context.show_pools({asked.uuid})
    return Outcome(N_("The storage pool is defined."), result={"uuid": asked.uuid})


@contextmanager
def _naming_broken_files(context: TaskContext, uuid: str) -> Iterator[None]:
    """Say which files made libvirt fail, for which it gives no cause. Raises TaskFailed (pool_unreadable)."""
    try:
        yield
    except HypervisorRefused as error:
        folder = context.call(lambda host: host.storage.folder_of(uuid))
        broken = None if folder is None else context.call(lambda host: host.storage.broken_files(folder))
        context.show_pools({uuid})
        if not broken:
            raise
        paths = [f"{folder}/{name}" for name in broken[:FILES_NAMED]]
        raise TaskFailed(
            "pool_unreadable",
            N_("libvirt cannot read the storage pool, and keeps it off."),
            why=N_("These files begin as disk images but are incomplete: %(paths)s."),
            hint=N_("If nobody needs them, delete them on the host and start the pool: %(command)s"),
            params={"paths": ", ".join(paths), "command": f"rm -- {shlex.join(paths)}"},
        ) from error


@operation("pool.start")
def start(context: TaskContext) -> Outcome:
    """Start a pool."""
    uuid = context.asked(PoolWork).uuid
    with _naming_broken_files(context, uuid):
        context.call(lambda host: host.storage.start_pool(uuid, build=False))
    context.show_pools({uuid})
    return Outcome(N_("The storage pool runs."))


@operation("pool.stop")
def stop(context: TaskContext) -> Outcome:
    """Stop a pool."""
    uuid = context.asked(PoolWork).uuid
    context.call(lambda host: host.storage.stop_pool(uuid))
    context.show_pools({uuid})
    return Outcome(N_("The storage pool is off."))


@operation("pool.refresh")
def refresh(context: TaskContext) -> Outcome:
    """Have it read anew."""
    uuid = context.asked(PoolWork).uuid
    with _naming_broken_files(context, uuid):
        refresh_pool(context, uuid)
    context.show_pools({uuid})
    return Outcome(N_("The storage pool was read anew."))


@operation("pool.change")
def change(context: TaskContext) -> Outcome:
    """Start it with its host, or not."""
    asked = context.asked(PoolChanging)
    context.call(lambda host: host.storage.set_autostart(asked.uuid, asked.autostart))
    context.show_pools({asked.uuid})
    return Outcome(N_("The storage pool was changed."))


@operation("pool.define")
def define(context: TaskContext) -> Outcome:
    """Have an earlier definition count again, unless somebody changed it since it was asked for."""
    asked = context.asked(Redefinition)
    if not context.made:
        now = context.call(lambda host: host.storage.definition_of(asked.uuid))
        if asked.digest != pool_definitions.digest(now):
            raise changed_meanwhile()
    context.make(kind="change", uuid=asked.uuid)
    context.call(lambda host: host.storage.redefine_pool(asked.xml))
    context.show_pools({asked.uuid})
    return Outcome(N_("The definition counts again."))


@operation("pool.delete")
def delete(context: TaskContext) -> Outcome:
    """Stop it and remove its definition; what it holds stays."""
    uuid = context.asked(PoolWork).uuid
    context.call(lambda host: host.storage.remove_pool(uuid))
    context.call(lambda host: host.pool_secrets.forget(uuid))
    context.show_pools({uuid})
    return Outcome(N_("The storage pool was removed; what it holds stays."))
