"""The probe of a host before it is added: who may have one, and with which credential.

A request waits for the host meanwhile, outside of any transaction; deadlines and how many at a time are the prober's.
"""

from __future__ import annotations

from collections.abc import Callable

from app.access.context import Actor, Ctx, Services
from app.access.host_secrets import secret_of
from app.core.hosts.specs import HostTarget
from app.hypervisor import HostProbe, Target
from app.services.hosts.endpoints import credential_for, endpoint_of


def probe_host(
    services: Services, actor: Actor, translate: Callable[[str], str], target: HostTarget
) -> HostProbe:
    """Connect and read. Raises IdentityUnconfirmed when the target names no fingerprint, Unavailable (too_many_looks),
    HostError and its kinds.
    """
    with services.database.read() as session:
        ctx = Ctx(services, session, actor, translate)
        ctx.require("host.add")
        endpoint = endpoint_of(services, target)
        known = credential_for(ctx, endpoint, target.credential_id)
        secret = secret_of(session, services.vault, known)
    return services.host_prober.probe(Target(endpoint, secret, target.fingerprint))
