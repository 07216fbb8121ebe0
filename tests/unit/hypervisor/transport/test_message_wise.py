"""What is sent by TLS: a piece for each message of libvirt's protocol, however the bytes came."""

import pytest

from app.hypervisor.transport.tls import MessageWise


class Sent:
    """A side that keeps what is written to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


def message(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


MESSAGES = [message(b"a" * 24), message(b""), message(b"b" * 70_000), message(b"c"), message(b"d" * 300)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 27, 28, 29, 60, 4096, 70_005, 1_000_000])
def test_no_piece_has_parts_of_two_messages(size: int) -> None:
    sent, stream = Sent(), b"".join(MESSAGES)
    side = MessageWise(sent)
    for at in range(0, len(stream), size):
        side.write(stream[at : at + size])
    assert b"".join(sent.pieces) == stream
    ends = {sum(len(item) for item in MESSAGES[: number + 1]) for number in range(len(MESSAGES))}
    pieces_end = 0
    for piece in sent.pieces:
        begun, pieces_end = pieces_end, pieces_end + len(piece)
        assert not any(begun < end < pieces_end for end in ends)
    if size >= len(stream):
        assert sent.pieces == MESSAGES


def test_a_length_that_cannot_be_holds_nothing_back() -> None:
    sent = Sent()
    side = MessageWise(sent)
    side.write(b"\0\0\0\0" + message(b"x"))
    assert sent.pieces == [b"\0\0\0\0", message(b"x")]
