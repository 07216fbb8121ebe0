"""The opening of the VNC protocol (RFB 3.8), on both sides of the proxy.

The proxy signs in to the VNC server by itself and asks the browser for nothing, so that no password of a display
reaches a browser. What comes after is passed on as it is. https://www.rfc-editor.org/rfc/rfc6143
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from struct import pack, unpack

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from app.core.errors import HostError, VigieError
from app.core.messages import N_

VERSION = b"RFB 003.008\n"
HANDSHAKE_S = 10.0
NONE, VNC_PASSWORD = 1, 2
_NAMES = {16: "Tight", 18: "TLS", 19: "VeNCrypt", 20: "SASL", 30: "Apple", 129: "MSLogon"}
_MAX_REASON = 500

Exactly = Callable[[int], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


async def sign_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str | None) -> None:
    """Agree on version and security with a VNC server. Raises HostError when it does not come to an end."""
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await _sign_in(reader, writer, password)
    except TimeoutError:
        raise _broken(N_("It did not answer within 10 seconds.")) from None
    except (EOFError, OSError):
        raise _broken(N_("It closed the connection.")) from None


async def _sign_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str | None) -> None:
    greeting = await reader.readexactly(len(VERSION))
    if not (greeting.startswith(b"RFB 003.") and greeting.endswith(b"\n") and greeting >= VERSION):
        raise _broken(N_("It does not speak the VNC protocol 3.8."))
    writer.write(VERSION)
    count = (await reader.readexactly(1))[0]
    if not count:
        raise _refused(await _reason(reader))
    offered = await reader.readexactly(count)
    if NONE in offered:
        writer.write(bytes([NONE]))
    elif VNC_PASSWORD in offered:
        if not password:
            raise _refused("", N_("It asks for a password, and the VM's definition holds none."))
        writer.write(bytes([VNC_PASSWORD]))
        writer.write(answer_to(await reader.readexactly(16), password))
    else:
        raise _unsupported(offered)
    (result,) = unpack(">I", await reader.readexactly(4))
    if result:
        raise _refused(await _reason(reader))


async def welcome(exactly: Exactly, write: Write) -> bytes:
    """Play the server's part towards a browser, without any security of VNC's own.

    Returns the first message to the server: always one that shares the display, for without it the server would
    throw out all others. Raises HostError for a client that speaks something else.
    """
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await write(VERSION)
            if not (await exactly(len(VERSION))).startswith(b"RFB 003."):
                raise _strange()
            await write(bytes([1, NONE]))
            if await exactly(1) != bytes([NONE]):
                raise _strange()
            await write(pack(">I", 0))
            await exactly(1)
    except TimeoutError:
        raise _strange() from None
    return b"\x01"


def answer_to(challenge: bytes, password: str) -> bytes:
    """The answer to a VNC password challenge: DES with the password's first 8 bytes, their bits reversed."""
    key = password.encode(errors="replace")[:8].ljust(8, b"\0")
    reversed_bits = bytes(int(f"{item:08b}"[::-1], 2) for item in key)
    # With its key repeated, triple DES is DES.
    encryptor = Cipher(TripleDES(reversed_bits * 3), modes.ECB()).encryptor()  # noqa: S305 -- the protocol's own
    return encryptor.update(challenge) + encryptor.finalize()


async def _reason(reader: asyncio.StreamReader) -> str:
    """Why the server refuses; cut, and without control characters."""
    (length,) = unpack(">I", await reader.readexactly(4))
    text = (await reader.readexactly(min(length, _MAX_REASON))).decode(errors="replace")
    return "".join(item if item.isprintable() else "?" for item in text)


def _broken(why: str) -> VigieError:
    return HostError(
        N_("The VM's display does not behave as a VNC server."),
        why=why,
        hint=N_("Try again; look on the host what listens on the display's port."),
        code="display_broken",
    )


def _refused(
    detail: str, why: str = N_("It did not accept the password of the VM's definition.")
) -> VigieError:
    return HostError(
        N_("The VM's display refused Vigie."),
        why=why,
        hint=N_(
            "Set the display's password in the VM's definition, or take it away; look whether it has expired."
        ),
        code="display_refused",
        detail=detail or None,
    )


def _unsupported(offered: bytes) -> VigieError:
    names = ", ".join(_NAMES.get(item, str(item)) for item in offered[:8])
    return HostError(
        N_("The VM's display asks for a kind of login that Vigie does not have."),
        why=N_("It asks for TLS or SASL: vnc_tls or vnc_sasl is on in the host's qemu.conf."),
        hint=N_(
            "Switch vnc_tls and vnc_sasl off and let displays listen on 127.0.0.1: Vigie reaches them through its encrypted link. It counts for VMs that are started afterwards."
        ),
        code="display_login_unsupported",
        detail=names,
    )


def _strange() -> VigieError:
    return HostError(
        N_("The program that opened the console does not speak the VNC protocol 3.8."), code="console_client"
    )
