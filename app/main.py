"""The program put together: settings, database and services; the web here, the engine in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import anyio.to_thread
import sqlalchemy as sa
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.errors import VigieError
from app.core.notices import Hub
from app.db.migrate import upgrade
from app.db.session import Database
from app.engine import EngineProcess
from app.hypervisor import remove_directory
from app.logs import set_up_logs
from app.memory import TRIM_EVERY_S, give_back, share_heaps
from app.services.vms import consoles
from app.web import create_web
from app.web.protocol import BoundedProtocol, CountedSocket, Gate

log = structlog.get_logger(__name__)

LOCK_FILE = "vigie.lock"
GRACE_S = 1  # for requests and streams, when asked to stop
LOCK_WAIT_S = 1.0
MAX_MESSAGE = 1024 * 1024  # of what a browser sends to a console at once
MAX_DESCRIPTORS = 65_536
RESERVED_DESCRIPTORS = 512  # for files, the database and connections to hosts
THREADS = 64  # requests that are served at the same time


class StartRefused(Exception):
    """The server cannot start; the text says why and what to do."""


def create_app(services: Services, engine: EngineProcess) -> FastAPI:
    """The web application; it is ready once the engine works, and ends the engine when it ends."""
    app = create_web(services, engine.health)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        try:
            await anyio.to_thread.run_sync(engine.wait_until_started)
            await anyio.to_thread.run_sync(consoles.remove_orphaned, services)
            trimming = asyncio.create_task(_give_memory_back())
            yield
            trimming.cancel()
        finally:
            services.host_connections.close()
            await anyio.to_thread.run_sync(engine.stop)
            services.database.close()

    app.router.lifespan_context = lifespan
    return app


async def _give_memory_back() -> None:
    """What large answers needed for a moment would stay with the process."""
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        await anyio.to_thread.run_sync(give_back)


def serve(settings: Settings) -> int:
    """Run the server until SIGTERM or SIGINT; return the exit code. Prints one line when it is ready."""
    set_up_logs(settings.log_level, settings.log_format)
    if settings.public_url and not settings.proxy_addresses:
        log.warning(
            "proxy_not_named", setting="VIGIE_PROXY_ADDRESSES", effect="all browsers share one address"
        )
    try:
        with _only_one(settings.data_dir), _listen(settings) as listener:
            _prepare_database(settings)
            vault = Vault(settings.key_path)
            engine = EngineProcess.fork(settings, vault)
            share_heaps()
            database = Database(settings.database, epoch_file=settings.epoch_path)
            services = Services(settings, database, Hub(), vault)
            server = _Server(create_app(services, engine), settings, listener)
            engine.connect(services.hub, server.engine_ended)
            code = server.serve_until_stopped()
    except StartRefused as refused:
        print(f"vigie: {refused}", file=sys.stderr)  # noqa: T201  said to the person who starts it
        return 1
    except VigieError as error:
        message = " ".join(filter(None, error.texts()))
        print(f"vigie: {message}", file=sys.stderr)  # noqa: T201  as above
        return 1
    sys.stdout.flush()
    sys.stderr.flush()
    remove_directory()
    # Threads blocked in a call to a hung host must not hold up the end; all that matters is written by now.
    os._exit(code)


class _Server(uvicorn.Server):
    """Says where it listens once it serves; ends when it is told to, or when the engine has ended."""

    def __init__(self, app: FastAPI, settings: Settings, listener: socket.socket) -> None:
        gate = Gate(settings, app.state.quotas, room=_descriptors() - RESERVED_DESCRIPTORS)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            # Uvicorn wants classes, and only calls them.
            http=cast("type[BoundedProtocol]", partial(BoundedProtocol, gate)),
            ws=cast("type[CountedSocket]", partial(CountedSocket, gate)),
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,  # pictures are compressed already
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.proxy_addresses),
            forwarded_allow_ips=settings.proxy_addresses,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        address, port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        self._url = settings.public_url or f"http://{shown}:{port}"
        self._listener = listener
        self._ready = False
        self._engine_lost = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._ready = True
            print(f"Vigie is ready: {self._url}", flush=True)  # noqa: T201  the one line on standard output

    def engine_ended(self) -> None:
        """The engine is gone: without it nothing here is true for long. Whatever keeps Vigie running starts it anew."""
        log.critical("engine_lost")
        self._engine_lost = True
        self.should_exit = True

    def serve_until_stopped(self) -> int:
        """Serve; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # Uvicorn raises what it caught once more when it is done; by then it is the end that was asked for.
            signal.signal(number, signal.SIG_IGN)
        self.run(sockets=[self._listener])
        return 0 if self._ready and not self._engine_lost else 1


def _descriptors() -> int:
    """How many files and connections this process may have open, after raising that as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def _prepare_database(settings: Settings) -> None:
    """Bring the database up to date. Raises Unavailable or StartRefused when that cannot be done."""
    database = Database(settings.database)
    try:
        with database.read() as session:
            session.execute(sa.select(1))
        upgrade(database)
    except DBAPIError as error:
        raise StartRefused(
            f"VIGIE_DATABASE_URL: the database cannot be brought up to date ({error.orig}). "
            "Give Vigie's account the right to change its tables."
        ) from None
    finally:
        database.close()


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data directory. Raises StartRefused when it cannot be used or is in use."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartRefused(
            f"VIGIE_DATA_DIR: {data_dir} cannot be written to ({error.strerror}). "
            "Choose another directory or give Vigie's account the right to write there."
        ) from None
    try:
        try:
            _lock(handle)
        except BlockingIOError:
            pid = os.pread(handle, 20, 0).decode(errors="replace").strip()
            raise StartRefused(
                f"Another Vigie (process {pid or 'unknown'}) already uses {data_dir}. "
                "Stop it first, or choose another VIGIE_DATA_DIR."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Lock the file. The engine of a Vigie that was killed holds it for a moment longer."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """The socket to serve on. Raises StartRefused when the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except (OSError, OverflowError) as error:
            raise StartRefused(
                f"VIGIE_HOST, VIGIE_PORT: cannot listen on {settings.host} port {settings.port} "
                f"({getattr(error, 'strerror', None) or error}). Choose others, or stop what uses them."
            ) from None
        yield listener
