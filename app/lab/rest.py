"""A small client of Vigie's REST API, with nothing but the standard library."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from app.lab.errors import LabError


@dataclass(frozen=True)
class Answer:
    """What the server said. `server_ms` is the time that it says it took, None when it says nothing."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def server_ms(self) -> float | None:
        """Milliseconds by the Server-Timing header: the metric `total`, else the first with a duration."""
        found: dict[str, float] = {}
        for metric in self.headers.get("server-timing", "").split(","):
            name, *parameters = (part.strip() for part in metric.split(";"))
            for parameter in parameters:
                key, _, value = parameter.partition("=")
                if key == "dur":
                    found[name] = float(value)
        return found.get("total", next(iter(found.values()), None))


class Rest:
    """One keep-alive connection, for one thread. Answers that are no success raise LabError by `call`."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 30) -> None:
        parts = urlsplit(url)
        self.url = url
        self._token = token
        self._connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status. Raises OSError without a server."""
        sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body)
            sent["Content-Type"] = "application/json"
        try:
            return self._exchange(method, path, payload, sent)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closed an idle connection; only a request that changes nothing may be sent again.
            self.close()
            if method != "GET":
                raise
            return self._exchange(method, path, payload, sent)
        except http.client.HTTPException as error:
            self.close()
            raise OSError(f"{self.url} did not answer in HTTP: {error!r}") from error

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the API (`/hosts`, …) and return its JSON. Raises LabError for a refusal."""
        answer = self.ask(method, f"/api/v1{path}", body)
        if answer.status >= 300:
            message = answer.body.decode(errors="replace")[:600]
            raise LabError(f"{method} /api/v1{path} was refused with status {answer.status}: {message}")
        return answer.data if answer.body else None

    def total(self, path: str, **filters: object) -> int:
        """How many objects a list holds."""
        return int(self.call("GET", f"{path}?{urlencode({**filters, 'limit': 1}, doseq=True)}")["total"])

    def _exchange(self, method: str, path: str, payload: str | None, headers: Mapping[str, str]) -> Answer:
        self._connection.request(method, path, payload, dict(headers))
        response = self._connection.getresponse()
        body = response.read()
        known = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, known, body)
