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
from app.engine.pool_refresh import refresh_pool
from app.engine.run import Outcome, Run, TaskFailed, changed_meanwhile
from app.hypervisor.xml import pools as pool_definitions

FILES_NAMED = 5


@operation("pool.create")
def create(run: Run) -> Outcome:
    """Define a pool, make its folder or mount point where it has one, start it; taken back when that fails."""
    asked = run.asked(PoolMaking)
    run.make(kind=leftovers.POOL, uuid=asked.uuid)
    if asked.secret is not None:
        secret = secret_of(asked.spec.kind, run.open_sealed(asked.secret)["secret"])
        run.call(lambda host: host.pool_secrets.keep(asked.uuid, asked.spec.kind, secret))
    try:
        if not run.call(lambda host: host.storage.has_pool(asked.uuid)):
            run.call(lambda host: host.storage.define_pool(asked.spec, asked.uuid))
        if asked.spec.start:
            run.call(lambda host: host.storage.start_pool(asked.uuid, build=True))
        if asked.spec.autostart:
            run.call(lambda host: host.storage.set_autostart(asked.uuid, True))
    except (HostError, TaskFailed):
        run.take_back()
        if not run.made:  # else the host does not answer, and the rest is done on its return
            run.show_pools({asked.uuid})
        raise
    run.show_pools({asked.uuid})
    return Outcome(N_("The storage pool is defined."), result={"uuid": asked.uuid})


@contextmanager
def _naming_broken_files(run: Run, uuid: str) -> Iterator[None]:
    """Say which files made libvirt fail, for which it gives no cause. Raises TaskFailed (pool_unreadable)."""
    try:
        yield
    except HypervisorRefused as error:
        folder = run.call(lambda host: host.storage.folder_of(uuid))
        broken = None if folder is None else run.call(lambda host: host.storage.broken_files(folder))
        run.show_pools({uuid})
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
def start(run: Run) -> Outcome:
    """Start a pool."""
    uuid = run.asked(PoolWork).uuid
    with _naming_broken_files(run, uuid):
        run.call(lambda host: host.storage.start_pool(uuid, build=False))
    run.show_pools({uuid})
    return Outcome(N_("The storage pool runs."))


@operation("pool.stop")
def stop(run: Run) -> Outcome:
    """Stop a pool."""
    uuid = run.asked(PoolWork).uuid
    run.call(lambda host: host.storage.stop_pool(uuid))
    run.show_pools({uuid})
    return Outcome(N_("The storage pool is off."))


@operation("pool.refresh")
def refresh(run: Run) -> Outcome:
    """Have it read anew."""
    uuid = run.asked(PoolWork).uuid
    with _naming_broken_files(run, uuid):
        refresh_pool(run, uuid)
    run.show_pools({uuid})
    return Outcome(N_("The storage pool was read anew."))


@operation("pool.change")
def change(run: Run) -> Outcome:
    """Start it with its host, or not."""
    asked = run.asked(PoolChanging)
    run.call(lambda host: host.storage.set_autostart(asked.uuid, asked.autostart))
    run.show_pools({asked.uuid})
    return Outcome(N_("The storage pool was changed."))


@operation("pool.define")
def define(run: Run) -> Outcome:
    """Have an earlier definition count again, unless somebody changed it since it was asked for."""
    asked = run.asked(Redefinition)
    if not run.made:
        now = run.call(lambda host: host.storage.definition_of(asked.uuid))
        if asked.digest != pool_definitions.digest(now):
            raise changed_meanwhile()
    run.make(kind="change", uuid=asked.uuid)
    run.call(lambda host: host.storage.redefine_pool(asked.xml))
    run.show_pools({asked.uuid})
    return Outcome(N_("The definition counts again."))


@operation("pool.delete")
def delete(run: Run) -> Outcome:
    """Stop it and remove its definition; what it holds stays."""
    uuid = run.asked(PoolWork).uuid
    run.call(lambda host: host.storage.remove_pool(uuid))
    run.call(lambda host: host.pool_secrets.forget(uuid))
    run.show_pools({uuid})
    return Outcome(N_("The storage pool was removed; what it holds stays."))
