"""An HTTP server on the loopback that serves one file well or badly, by the path that is asked for."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class FileServer(ThreadingHTTPServer):
    """`content` at /file/NAME; `asked` has each path, host and range that was asked for."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = '"1"'
        self.cuts = 1
        self.pause_s = 0.0
        self.asked: list[tuple[str, str | None, str | None]] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.asked.append((parts.path, self.headers["Host"], self.headers["Range"]))
        match parts.path.split("/")[1]:
            case "file":
                self._file(len(self.server.content))
            case "cut":  # the connection breaks in the middle, `cuts` times
                self.server.cuts -= 1
                self._file(len(self.server.content) if self.server.cuts < 0 else 70_000)
            case "to":
                self._say(302, {"Location": parse_qs(parts.query)["url"][0], "Content-Length": "0"})
            case "loop":
                self._say(302, {"Location": "/loop/again", "Content-Length": "0"})
            case "endless":
                self._say(200, {"Connection": "close"})
            case "packed":
                self._say(200, {"Content-Encoding": "gzip", "Content-Length": "10"})
            case "huge":
                self._say(200, {"Content-Length": str(2**50)})
            case "slow":
                self._slow()
            case _:
                self._say(404, {"Content-Length": "0"})

    def _file(self, most: int) -> None:
        content, start = self.server.content, 0
        requested = self.headers["Range"]
        headers = {"ETag": self.server.etag}
        if requested and self.headers["If-Range"] == self.server.etag:
            start = int(requested.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._say(
            206 if "Content-Range" in headers else 200,
            headers | {"Content-Length": str(len(content) - start)},
        )
        self.wfile.write(content[start : start + most])
        if start + most < len(content):
            self.close_connection = True

    def _slow(self) -> None:
        self._say(200, {"Content-Length": str(len(self.server.content))})
        for start in range(0, len(self.server.content), 65536):
            self.wfile.write(self.server.content[start : start + 65536])
            self.wfile.flush()
            time.sleep(self.server.pause_s)

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest's output is for failures."""


@contextmanager
def serving(
    content: bytes, *, certificate: Path | None = None, key: Path | None = None
) -> Iterator[FileServer]:
    """Serve the content until the end; over TLS with a certificate."""
    server = FileServer(content)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
