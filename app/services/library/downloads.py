"""Files from other servers, read in parts. Each address is checked as it is connected to, on every redirect anew."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from app.config import Settings
from app.core.library.import_sources import Source, SourceRefused, read_source, redirected, refuse_address
from app.core.messages import N_
from app.tasks.errors import TaskFailed

MAX_REDIRECTS = 5
CONNECT_S = 10.0
SILENCE_S = 30.0  # of a server, in the middle of the file
RESUMES = 5
_REDIRECTS = (301, 302, 303, 307, 308)
T = TypeVar("T")


class DownloadFailed(TaskFailed):
    """The file did not come."""

    code = "download_failed"

    def __init__(self, why: str, *, hint: str | None = None, **params: str | int) -> None:
        title = N_("The file could not be fetched.")
        super().__init__(self.code, title, why=why, hint=hint, params=params)


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """What may be fetched, by the settings. `plain`: also by http."""

    allowed: frozenset[str]
    private: bool
    max_bytes: int
    timeout_s: float
    ca_file: Path | None
    plain: bool

    @classmethod
    def of(cls, settings: Settings, *, plain: bool) -> DownloadRules:
        """The rules that the settings make."""
        return cls(
            settings.import_servers,
            settings.import_private,
            settings.import_max_bytes,
            settings.import_timeout_s,
            settings.import_ca_file,
            plain,
        )


class Download:
    """One file, opened: its size is known, its parts are read once. Use as a context manager.

    A connection that breaks is made anew where it broke when the server says by an ETag that the file is the same.
    Raises DownloadFailed from every method.
    """

    def __init__(self, url: str, rules: DownloadRules) -> None:
        self._rules = rules
        self._ends_at = time.monotonic() + rules.timeout_s
        context = ssl.create_default_context()
        if rules.ca_file is not None:
            context.load_verify_locations(rules.ca_file)
        timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
        # Proxies of the environment would connect by themselves, to addresses that nobody checked.
        self._client = httpx2.Client(verify=context, timeout=timeout, trust_env=False, follow_redirects=False)
        self._response: httpx2.Response | None = None
        try:
            self._source = _checked(partial(read_source, url, rules.allowed, plain=rules.plain))
            self._response = self._open({})
            self.size_bytes = self._size(self._response)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the server."""
        self._leave()
        self._client.close()

    def parts(self) -> Iterator[bytes]:
        """The content, exactly as long as was said."""
        at, resumes = 0, 0
        while at < self.size_bytes:
            try:
                for chunk in self._chunks():
                    at += len(chunk)
                    if at > self.size_bytes:
                        raise DownloadFailed(N_("The server sent more than it had said."))
                    yield chunk
                if at < self.size_bytes:
                    raise httpx2.RemoteProtocolError("it ended before its end")
            except httpx2.TransportError as error:
                if resumes == RESUMES:
                    raise _broken(self._source, error) from None
                resumes += 1
                self._resume(at, error)

    def _chunks(self) -> Iterator[bytes]:
        assert self._response is not None
        for chunk in self._response.iter_raw():
            if time.monotonic() > self._ends_at:
                raise DownloadFailed(
                    N_("It took longer than %(seconds)d seconds."),
                    hint=N_("An administrator may allow more time (VIGIE_IMPORT_TIMEOUT_S)."),
                    seconds=int(self._rules.timeout_s),
                )
            yield chunk

    def _resume(self, at: int, error: httpx2.TransportError) -> None:
        """Go on at this byte. Raises DownloadFailed when that cannot be."""
        assert self._response is not None
        tag = self._response.headers.get("etag", "")
        if not tag or tag.startswith("W/"):
            raise _broken(self._source, error)
        self._leave()
        self._response = self._open({"Range": f"bytes={at}-", "If-Range": tag})
        begins = self._response.headers.get("content-range", "").startswith(f"bytes {at}-")
        if self._response.status_code != 206 or not begins or self._response.headers.get("etag") != tag:
            raise DownloadFailed(
                N_("The connection broke, and the server does not go on where it stopped."),
                hint=N_("Ask for the import again."),
            )

    def _open(self, headers: dict[str, str]) -> httpx2.Response:
        """Ask, and follow redirects; the response is not read yet."""
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(self._source, headers)
            if response.status_code not in _REDIRECTS:
                break
            response.close()
            location = response.headers.get("location", "")
            rules = self._rules
            self._source = _checked(
                partial(redirected, self._source, location, rules.allowed, plain=rules.plain)
            )
        else:
            raise DownloadFailed(N_("The server leads from one address to the next, more than five times."))
        if response.status_code not in ((200, 206) if headers else (200,)):
            response.close()
            raise DownloadFailed(
                N_("%(server)s answered with status %(status)d."),
                hint=N_("Try the URL in a browser: it may be wrong, or the file may have moved."),
                server=self._source.netloc,
                status=response.status_code,
            )
        return response

    def _ask(self, source: Source, headers: dict[str, str]) -> httpx2.Response:
        """Send the request to the addresses of the server that were checked just now, and to no other."""
        sent = {"Host": source.netloc, "Accept-Encoding": "identity", "User-Agent": "vigie", **headers}
        addresses = self._addresses(source)
        for address in addresses:
            request = self._client.build_request(
                "GET",
                httpx2.URL(source.url).copy_with(host=address),
                headers=sent,
                extensions={"sni_hostname": source.host},
            )
            try:
                return self._client.send(request, stream=True)
            except httpx2.ConnectError as error:
                if address == addresses[-1]:
                    raise _broken(source, error) from None
            except httpx2.TransportError as error:
                raise _broken(source, error) from None
        raise AssertionError("a name has an address")

    def _addresses(self, source: Source) -> list[str]:
        try:
            found = socket.getaddrinfo(source.host, source.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise DownloadFailed(
                N_("The name %(server)s is not known here: %(reason)s."),
                server=source.host,
                reason=str(error.strerror or error),
            ) from None
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        for address in addresses:
            _checked(partial(refuse_address, address, private=self._rules.private))
        return addresses

    def _size(self, response: httpx2.Response) -> int:
        """Length of the file. Refuses what cannot be foreseen or is too much."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise DownloadFailed(N_("The server sends the file compressed, though it was asked not to."))
        length = response.headers.get("content-length", "")
        if not length.isdecimal() or int(length) == 0:
            raise DownloadFailed(N_("The server does not say how long the file is."))
        if int(length) > self._rules.max_bytes:
            raise DownloadFailed(
                N_("It has %(size)d MiB; at most %(most)d MiB are imported."),
                hint=N_("An administrator may allow more (VIGIE_IMPORT_MAX_BYTES)."),
                size=-(-int(length) // 2**20),
                most=self._rules.max_bytes // 2**20,
            )
        return int(length)

    def _leave(self) -> None:
        if self._response is not None:
            self._response.close()


def _checked(check: Callable[[], T]) -> T:
    """What the check gives; what it refuses is a failure of the download."""
    try:
        return check()
    except SourceRefused as refused:
        raise TaskFailed(
            "source_refused",
            N_("The URL, or where it leads, is not allowed."),
            why=refused.rule,
            params=refused.params,
        ) from None


def _broken(source: Source, error: httpx2.TransportError) -> DownloadFailed:
    return DownloadFailed(
        N_("%(server)s cannot be reached: %(reason)s."),
        hint=N_("Ask for the import again once it answers."),
        server=source.netloc,
        reason=str(error)[:200] or type(error).__name__,
    )
