"""Whether pools of several hosts are the same storage: what is written through one must be read through the other."""

from __future__ import annotations

import secrets
from functools import partial

from app.core.errors import HostError
from app.core.messages import N_
from app.core.storage.pools import PoolPlace, PoolProof
from app.core.vms.config import VolumePlan
from app.engine.operations import operation
from app.services.storage import shared_pools
from app.services.storage.own_volume import own_volume
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome

PROOF_BYTES = 4096


@operation("pool.prove")
def prove(context: TaskContext) -> Outcome:
    """Write random bytes into the pool, look for them in the others, and remove them."""
    asked = context.asked(PoolProof)
    name = f"vigie-proof-{context.job.task_id}.raw"
    content = secrets.token_bytes(PROOF_BYTES)
    same: list[PoolPlace] = []
    silent: list[PoolPlace] = []
    plan = VolumePlan(pool=asked.uuid, name=name, format="raw", size_bytes=PROOF_BYTES)
    with own_volume(context, plan):
        context.call(lambda host: host.storage.write_volume(asked.uuid, name, content))
        for number, place in enumerate(asked.others):
            context.say(100 * number // len(asked.others), N_("Looking from other hosts."))
            try:
                if _sees(context, place, name, content):
                    same.append(place)
            except (HostError, TaskFailed):
                silent.append(place)
        context.call(lambda host: host.storage.delete_volume(asked.uuid, name))
    for place in same:
        _forget_there(context, place)
    differing = [place for place in asked.others if place not in same and place not in silent]
    step = partial(
        shared_pools.settle,
        pool_id=asked.pool_id,
        same=[place.pool_id for place in same],
        differing=[place.pool_id for place in differing],
    )
    context.write(step)
    hosts = {place.host_id for place in asked.others}
    proven = {place.host_id for place in same}
    unheard = {place.host_id for place in silent} - proven
    if unheard:
        message = N_(
            "%(same)d of %(asked)d other hosts have the same storage; %(silent)d could not be asked."
        )
    else:
        message = N_("%(same)d of %(asked)d other hosts have the same storage.")
    return Outcome(message, {"same": len(proven), "asked": len(hosts), "silent": len(unheard)})


def _sees(context: TaskContext, place: PoolPlace, name: str, content: bytes) -> bool:
    storage = context.other(place.host_id).storage
    storage.refresh(place.uuid)
    if storage.find_volume(place.uuid, name) is None:
        return False
    return b"".join(storage.read_volume(place.uuid, name, PROOF_BYTES)) == content


def _forget_there(context: TaskContext, place: PoolPlace) -> None:
    """Have the other host see that the file is gone; otherwise its next own reading does."""
    try:
        context.other(place.host_id).storage.refresh(place.uuid)
    except (HostError, TaskFailed):
        return
