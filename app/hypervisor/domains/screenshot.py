"""Screenshots. The picture comes from the host and is decoded here, so its size is limited before and after."""

from __future__ import annotations

import io

import libvirt
from PIL import Image

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.vms.observations import Picture
from app.hypervisor import errors
from app.hypervisor.domains import queries
from app.hypervisor.transport.connection import Connection

MAX_BYTES = 32 * 1024**2
MAX_PIXELS = 16 * 1024**2
CHUNK = 256 * 1024
FORMATS = ("PPM", "PNG")


def take(connection: Connection, uuid: str, max_width: int) -> Picture:
    """The VM's first screen, as PNG. Raises VmGone, HypervisorRefused."""
    vm = queries.find_vm(connection, uuid)
    stream = connection.raw.newStream(0)
    connection.call(vm.screenshot, stream, 0, 0)
    return shrink(_receive(connection, stream), max_width)


def shrink(data: bytes, max_width: int) -> Picture:
    """A picture from a host as a PNG that is no wider than `max_width`. Raises HypervisorRefused."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _unusable(f"{image.width} x {image.height} pixels")
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unusable(str(error)) from None
    if small.width > max_width:
        height = max(1, round(small.height * max_width / small.width))
        small = small.resize((max_width, height), Image.Resampling.BOX)
    out = io.BytesIO()
    small.save(out, "PNG", compress_level=4)
    return Picture(out.getvalue(), small.width, small.height)


def _receive(connection: Connection, stream: libvirt.virStream) -> bytes:
    """All that the stream holds."""
    data = bytearray()
    while chunk := connection.call(stream.recv, CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            connection.call(stream.abort)
            raise _unusable(f"more than {MAX_BYTES} bytes")
    connection.call(stream.finish)
    return bytes(data)


def _unusable(detail: str) -> HypervisorRefused:
    return HypervisorRefused(
        N_("The host's picture of the screen cannot be used."),
        code="bad_picture",
        detail=errors.clean(detail),
    )
