"""NoCloud seeds as guests read them."""

import io

import pycdlib

from app.core.vms.create.spec import CloudInit
from app.services.vms.cloud_init.drive_content import cloud_init_image, cloud_init_texts


def test_a_small_cloud_init_drive_is_found_by_its_label() -> None:
    """Busybox' findfs reads 68 KiB to look for a label, and saw none in one of 66 KiB."""
    image = cloud_init_image(cloud_init_texts(CloudInit(hostname="kiosk", user="bob"), "vm", "id", []))
    assert image[32808:32814] == b"cidata"
    assert len(image) >= 300 * 1024
    assert len(image) % 2048 == 0


def test_a_cloud_init_drive_holds_its_texts_under_their_names() -> None:
    texts = cloud_init_texts(CloudInit(hostname="kiosk"), "vm", "id", [])
    disc = pycdlib.PyCdlib()
    disc.open_fp(io.BytesIO(cloud_init_image(texts)))
    for name, text in texts.items():
        out = io.BytesIO()
        disc.get_file_from_iso_fp(out, rr_path=f"/{name}")
        assert out.getvalue().decode() == text
    disc.close()
