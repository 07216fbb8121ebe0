"""Server times of what Vigie answers, by its Server-Timing header."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from app.lab.bench.measure import Spread
from app.lab.errors import LabError
from app.lab.rest import Rest

T = TypeVar("T")

WARM_UP = 3
SORTS = ("name", "-memory", "-cpu", "host", "vcpus", "-name", "state", "-memory_used", "disk", "-state_since")
STATES = ("running", "shutoff", "paused")
TEXTS = ("web", "db-0", "04", "mail", "proxy-00", "server+3")


def server_times(rest: Rest, samples: int) -> dict[str, Spread]:
    """Server time of each kind of answer, over many different questions. Raises LabError for an error."""
    vms = rest.call("GET", "/vms?limit=200")["items"]
    hosts = rest.call("GET", "/hosts?limit=200")["items"]
    kinds: dict[str, Callable[[int], str]] = {
        "API list, 100 rows": lambda n: f"/api/v1/vms?limit=100&sort={_pick(SORTS, n)}",
        "API list, filtered and sorted": lambda n: (
            f"/api/v1/vms?limit=100&state={_pick(STATES, n)}&sort={_pick(SORTS, n)}&q={_pick(TEXTS, n)}"
        ),
        "API list of one host": lambda n: f"/api/v1/vms?limit=100&host={_pick(hosts, n)['id']}",
        "API VM": lambda n: f"/api/v1/vms/{_pick(vms, n)['id']}",
        "List page, 100 rows, filtered and sorted": lambda n: (
            f"/vms?limit=100&state={_pick(STATES, n)}&sort={_pick(SORTS, n)}&q={_pick(TEXTS, n)}"
        ),
        "Host list page": lambda n: f"/hosts?limit=100&sort={_pick(('name', '-name'), n)}",
        "VM page": lambda n: f"/vms/{_pick(vms, n)['id']}",
        "Palette": lambda n: f"/search?q={quote(_palette_text(_pick(vms, n), n))}",
        "Tree node": lambda n: f"/tree/children?view=hosts&parent={_pick(hosts, n)['id']}",
        "Tree root": lambda n: f"/tree/children?view={_pick(('hosts', 'vms', 'storage', 'networks'), n)}",
    }
    for path in kinds.values():
        # The first answers of a server compile its templates.
        _times(rest, [path(n) for n in range(WARM_UP)])
    return {name: _times(rest, [path(n) for n in range(samples)]) for name, path in kinds.items()}


def page_times(rest: Rest, path: str, samples: int) -> Spread:
    """Server time of one page, asked for again and again. Raises LabError for an error."""
    _times(rest, [path] * WARM_UP)
    return _times(rest, [path] * samples)


def _pick(values: Sequence[T], number: int) -> T:
    return values[number % len(values)]


def _palette_text(vm: dict[str, Any], number: int) -> str:
    """What a person types: a part of a name, a UUID, a part of a MAC address, or nothing that exists."""
    texts: tuple[str, ...] = (vm["name"][:7], vm["uuid"], "52:54:00", vm["name"][-7:], "no-such-thing")
    return _pick(texts, number)


def _times(rest: Rest, paths: Sequence[str]) -> Spread:
    values = []
    for path in paths:
        answer = rest.ask("GET", path, headers={"Accept": "text/html, application/json"})
        if answer.status != 200:
            raise LabError(f"GET {path} was answered with status {answer.status}: {answer.body[:300]!r}")
        if answer.server_ms is None:
            raise LabError(f"GET {path} was answered without a Server-Timing header.")
        values.append(answer.server_ms)
    return Spread(tuple(values))
