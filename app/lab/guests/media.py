"""A medium that starts the lab's guest by itself: an ISO image that is also the image of a disk (isohybrid)."""

import gzip
import io
from pathlib import Path

import pycdlib

from app.lab.errors import LabError

LOADER = Path("/usr/lib/ISOLINUX/isolinux.bin")
LIBRARY = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
LABEL = "VIGIELAB"
# The counter of other guests would write over what this one starts from.
MENU = b"""SERIAL 0 115200
DEFAULT lab
LABEL lab
 KERNEL /VMLINUZ
 INITRD /INITRD.GZ
 APPEND console=tty0 console=ttyS0 quiet nokaslr mitigations=off vigie.counter=off
"""


def build_medium(target: Path, kernel: Path, initrd: Path) -> None:
    """Write the image to `target`. Raises LabError when the boot loader is not installed."""
    for needed in (LOADER, LIBRARY):
        if not needed.exists():
            raise LabError(f"{needed} is missing; run .ci/setup to install what the lab needs.")
    files = {
        "/ISOLINUX/ISOLINUX.BIN;1": LOADER.read_bytes(),
        "/ISOLINUX/LDLINUX.C32;1": LIBRARY.read_bytes(),
        "/ISOLINUX/ISOLINUX.CFG;1": MENU,
        "/VMLINUZ.;1": kernel.read_bytes(),
        "/INITRD.GZ;1": gzip.compress(initrd.read_bytes(), 9),
    }
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident=LABEL)
    image.add_directory("/ISOLINUX")
    for path, data in files.items():
        image.add_fp(io.BytesIO(data), len(data), path)
    image.add_eltorito(
        "/ISOLINUX/ISOLINUX.BIN;1",
        bootcatfile="/ISOLINUX/BOOT.CAT;1",
        boot_load_size=4,
        boot_info_table=True,
    )
    image.add_isohybrid()
    image.write(str(target))
    image.close()
