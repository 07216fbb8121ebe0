"""Signing in to VNC servers of all manners, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.core.errors import HostError
from app.web.consoles import rfb

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sign_in(serve: Serve, password: str | None = None) -> None:
    """Sign in to a server that behaves so."""

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                await rfb.sign_in(reader, writer, password)
            finally:
                writer.close()

    asyncio.run(main())


def speaking(*answers: bytes) -> Serve:
    """A server that says one thing after the other, whatever it hears, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    return serve


def code_of(serve: Serve, password: str | None = None) -> str:
    with pytest.raises(HostError) as raised:
        sign_in(serve, password)
    return raised.value.code


def test_without_a_password() -> None:
    sign_in(speaking(rfb.VERSION, b"\x02\x02\x01", bytes(4)))


def test_the_answer_to_a_challenge_is_des_with_the_bits_of_the_password_reversed() -> None:
    # DES of zeros under a key of zeros, as tables of test vectors have it.
    assert rfb.answer_to(bytes(8), "") == bytes.fromhex("8ca64de9c1b123a7")
    assert rfb.answer_to(bytes(16), "password") == rfb.answer_to(bytes(16), "password and more")
    assert rfb.answer_to(bytes(16), "password") != rfb.answer_to(bytes(16), "passwore")


def test_a_password_is_asked_for() -> None:
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rfb.VERSION + b"\x01\x02" + bytes(range(16)))
        heard.append(await reader.readexactly(12 + 1 + 16))
        writer.write(bytes(4))
        await reader.read()
        writer.close()

    sign_in(serve, "secret")
    assert heard == [rfb.VERSION + b"\x02" + rfb.answer_to(bytes(range(16)), "secret")]
    assert code_of(speaking(rfb.VERSION, b"\x01\x02", bytes(16))) == "display_refused"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\n",), "display_broken"),
        ((b"RFB 003.003\n",), "display_broken"),
        ((rfb.VERSION, b"\x01\x13"), "display_login_unsupported"),
        ((rfb.VERSION, b"\x02\x14\x12"), "display_login_unsupported"),
        ((rfb.VERSION, b"\x00", b"\x00\x00\x00\x04", b"busy"), "display_refused"),
        ((rfb.VERSION, b"\x01\x01", b"\x00\x00\x00\x01\x00\x00\x00\x02no"), "display_refused"),
        ((rfb.VERSION, b"\xff" * 300), "display_login_unsupported"),
    ],
)
def test_other_servers_are_refused_with_the_reason(answers: tuple[bytes, ...], code: str) -> None:
    assert code_of(speaking(*answers)) == code


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfb, "HANDSHAKE_S", 0.2)
    assert code_of(speaking(rfb.VERSION)) == "display_broken"


def test_a_long_reason_is_cut() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rfb.VERSION + b"\x00" + b"\xff\xff\xff\xff" + b"\x1b[31m" + b"a" * 100_000)
        await reader.read()
        writer.close()

    with pytest.raises(HostError) as raised:
        sign_in(serve)
    assert raised.value.detail is not None
    assert len(raised.value.detail) <= 500
    assert "\x1b" not in raised.value.detail
