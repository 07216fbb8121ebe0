"""SSH transport against a real SSH server in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import asyncssh
import pytest

from app.core.errors import HostNotAnswering
from app.core.hosts.endpoints import Endpoint, Transport
from app.hypervisor.transport.ssh import SshTransport
from app.hypervisor.transport.targets import SshPassword, Target

DEADLINE_S = 10.0


class _Server(asyncssh.SSHServer):
    def __init__(self, on_command: list[Callable[[], object]]) -> None:
        self._on_command = on_command

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return True

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Session(self._on_command)


class _Session(asyncssh.SSHServerSession[bytes]):
    def __init__(self, on_command: list[Callable[[], object]]) -> None:
        self._on_command = on_command

    def exec_requested(self, command: str) -> bool:
        for action in self._on_command:
            action()
        return True


class SshServer:
    """An SSH server on a loopback port, in a thread of its own."""

    def __init__(self) -> None:
        self.on_command: list[Callable[[], object]] = []
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.fingerprint = key.get_fingerprint()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._acceptor = asyncio.run_coroutine_threadsafe(self._listen(key), self._loop).result(DEADLINE_S)
        self.port: int = self._acceptor.get_port()

    async def _listen(self, key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=lambda: _Server(self.on_command)
        )

    def stop(self) -> None:
        """Close the port and end the thread."""
        self._loop.call_soon_threadsafe(self._acceptor.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()


@pytest.fixture
def server() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.stop()


def test_a_connection_that_ends_while_a_command_starts_counts_as_ended(server: SshServer) -> None:
    async def run() -> bytes | None:
        endpoint = Endpoint(Transport.SSH, "127.0.0.1", server.port, "vigie", loopback=True)
        transport = SshTransport(Target(endpoint, SshPassword("of no use"), server.fingerprint))
        await transport.open(DEADLINE_S)
        loop = asyncio.get_running_loop()
        blocked = threading.Event()

        def close_before_the_answer_is_read() -> None:
            # The answer arrives while this blocks the loop, and is read just after the connection is aborted.
            blocked.set()
            time.sleep(0.2)
            loop.call_soon(transport.abort)

        def answer_when_blocked() -> None:
            loop.call_soon_threadsafe(close_before_the_answer_is_read)
            blocked.wait(DEADLINE_S)

        server.on_command.append(answer_when_blocked)
        async with asyncio.timeout(DEADLINE_S):
            result = await transport.run("true", 0)
            with pytest.raises(HostNotAnswering):
                await transport.run("true", 0)
        return result

    assert asyncio.run(run()) is None
