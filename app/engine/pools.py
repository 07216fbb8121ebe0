"""What tasks do with storage pools."""

from __future__ import annotations

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.pools import PoolChanging, PoolMaking, PoolWork
from app.engine.operations import operation
from app.engine.run import Outcome, Run


@operation("pool.create")
def create(run: Run) -> Outcome:
    """Define a pool, make its folder or mount point where it has one, start it; taken back when that fails."""
    asked = run.asked(PoolMaking)
    if not run.call(lambda host: host.storage.has_pool(asked.uuid)):
        run.call(lambda host: host.storage.define_pool(asked.spec, asked.uuid))
    try:
        if asked.spec.start:
            run.call(lambda host: host.storage.start_pool(asked.uuid, build=True))
        if asked.spec.autostart:
            run.call(lambda host: host.storage.set_autostart(asked.uuid, True))
    except HypervisorRefused:
        run.call(lambda host: host.storage.remove_pool(asked.uuid))
        run.show_pools({asked.uuid})
        raise
    run.show_pools({asked.uuid})
    return Outcome(N_("The storage pool is defined."), result={"uuid": asked.uuid})


@operation("pool.start")
def start(run: Run) -> Outcome:
    """Start a pool."""
    uuid = run.asked(PoolWork).uuid
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
    run.call(lambda host: host.storage.refresh(uuid))
    run.show_pools({uuid})
    return Outcome(N_("The storage pool was read anew."))


@operation("pool.change")
def change(run: Run) -> Outcome:
    """Start it with its host, or not."""
    asked = run.asked(PoolChanging)
    run.call(lambda host: host.storage.set_autostart(asked.uuid, asked.autostart))
    run.show_pools({asked.uuid})
    return Outcome(N_("The storage pool was changed."))


@operation("pool.delete")
def delete(run: Run) -> Outcome:
    """Stop it and remove its definition; what it holds stays."""
    uuid = run.asked(PoolWork).uuid
    run.call(lambda host: host.storage.remove_pool(uuid))
    run.show_pools({uuid})
    return Outcome(N_("The storage pool was removed; what it holds stays."))
