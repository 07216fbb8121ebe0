"""Disk images that the kernel has mounted for hosts; it lets go of them a moment after a host's end."""

import time
from contextlib import suppress
from pathlib import Path

from app.lab.errors import LabError


def wait_until_released(prefix: Path, *, timeout_s: float = 10) -> None:
    """Return once no loop device has a file whose path begins with `prefix`.

    Raises LabError after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while any(image.startswith(str(prefix)) for image in _images_in_use()):
        if time.monotonic() > deadline:
            raise LabError(f"{prefix} is still mounted after {timeout_s:g} s; run `vigie lab down` again.")
        time.sleep(0.01)


def _images_in_use() -> list[str]:
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # the device was released just now
            found.append(path.read_text().strip())
    return found
