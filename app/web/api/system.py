"""For those who watch Vigie itself: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response

from app.core.inventory.records import Dashboard
from app.core.records import Record
from app.services.inventory import dashboard
from app.services.inventory.readiness import Health, Readiness
from app.web.api.shapes import api_router, problems
from app.web.deps import Reader

router = api_router("system")
open_router = APIRouter(tags=["system"])


class Status(Record):
    """An answer at all says that it is so."""

    status: str


@open_router.get("/healthz", name="system.alive")
async def healthz() -> Status:
    """Vigie runs. Asks nothing of the database or of hosts; needs no token."""
    return Status(status="alive")


@open_router.get("/readyz", name="system.ready", responses=problems(503, signed=False))
def readyz(request: Request) -> Status:
    """The engine works, and changes can be written; needs no token. 503 with `code` and `why` while that is not so."""
    readiness: Readiness = request.app.state.readiness
    readiness.check()
    return Status(status="ready")


@router.get(
    "/metrics",
    name="system.metrics",
    response_class=Response,
    responses=problems()
    | {
        200: {
            "description": "Prometheus text.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(request: Request, ctx: Reader) -> Response:
    """Metrics for Prometheus: hosts, VMs, capacity, the engine and the time of requests. A viewer's token is enough."""
    ctx.require("host.view")
    health: Health = request.app.state.health
    here = CollectorRegistry()
    here.register(_Now(dashboard.show_dashboard(ctx), health()))
    own: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(here) + generate_latest(own), media_type=CONTENT_TYPE_LATEST)


class _Now:
    """What is so at the moment of the scrape."""

    def __init__(self, seen: Dashboard, health: Mapping[str, object]) -> None:
        self.seen = seen
        self.health = health

    def collect(self) -> Iterator[Metric]:
        """One family per figure."""
        seen = self.seen
        yield _by_state("vigie_hosts", "Hosts by connection, or maintenance or disabled.", seen.hosts)
        yield _by_state("vigie_vms", "VMs by state.", seen.vms)
        for name, about, value in (
            ("vigie_stale_vms", "VMs whose host has not been heard of for too long.", seen.stale_vms),
            ("vigie_cpus", "Threads of all hosts.", seen.cpus),
            ("vigie_cpus_used", "Threads in use.", seen.cpu.used),
            ("vigie_vcpus_allocated", "vCPUs of running VMs.", seen.vcpus_allocated),
            ("vigie_memory_bytes", "Memory of all hosts.", seen.memory.total),
            ("vigie_memory_used_bytes", "Memory in use.", seen.memory.used),
            ("vigie_memory_allocated_bytes", "Memory of running VMs.", seen.memory_allocated_bytes),
            ("vigie_storage_bytes", "Capacity of all pools.", seen.storage.total),
            ("vigie_storage_used_bytes", "Storage in use.", seen.storage.used),
        ):
            yield GaugeMetricFamily(name, about, value=value)
        for key, figure in self.health.items():
            if isinstance(figure, Mapping):
                yield _by_state(f"vigie_engine_{key}", "Of the engine.", figure)
            elif isinstance(figure, (int, float)):
                yield GaugeMetricFamily(f"vigie_engine_{key}", "Of the engine.", value=float(figure))


def _by_state(name: str, about: str, figures: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["state"])
    for state, figure in sorted(figures.items()):
        family.add_metric([state], figure)
    return family
