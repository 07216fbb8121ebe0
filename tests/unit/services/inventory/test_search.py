"""The palette and the text filters find the same on both databases, however something is written."""

import unicodedata
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Ctx
from app.core.casefold import fold, spellings
from app.core.vms.specs import VmQuery
from app.db.models import Datacenter, Image, Pool, Vm, Volume
from app.db.session import folded
from app.services.inventory import search
from app.services.vms import vms
from tests.unit.services.hosts.test_credentials import host

AT = datetime(2026, 1, 31, tzinfo=UTC)
MAC, UUID = "52:54:00:ab:cd:ef", "0a1b2c3d-0000-4000-8000-00000000beef"
NAMES = (
    "Straße STRASSE",
    "ẞ ß ﬁ ﬀ Ǆ ŉ",
    "İstanbul ISPARTA ısparta",
    "ΌΔΟΣ όδος Ωmega",
    "Éte\u0301 Ｆｕｌｌ ½ ①",
    "ǰ ΐ ᾳ ᾼ և ﬗ",
    "ДОМ Ԩ Ⴀ Ꭰ ꭰ",
    "KELVIN ſ Å",
    "plain ASCII-Name_1",
)


@pytest.fixture
def filled(ctx) -> Ctx:
    """A VM, a pool with a volume, and an image."""
    one: Ctx = ctx()
    one.session.add(Datacenter(id="dc_1", name="Main", name_key="main", created_at=AT, version=1))
    one.session.flush()
    row = host("", 1)
    row.credential_id = None
    one.session.add(row)
    one.session.flush()
    where = {"host_id": row.id, "uuid": UUID}
    sizes = {"capacity_bytes": 1, "allocation_bytes": 0}
    one.session.add_all(
        [
            Vm(
                **(where | {"id": "vm_1", "name": "Straße", "name_key": fold("Straße"), "state": "shutoff"}),
                **{"persistent": True, "autostart": False, "created_at": AT},
                search_text="\n".join((fold("Straße"), UUID, MAC)),
            ),
            Pool(
                **(where | sizes | {"id": "pool_1", "name": "default", "kind": "dir", "state": "running"}),
                **{"autostart": True, "persistent": True, "available_bytes": 1},
            ),
            Image(
                **{"id": "img_1", "name": "Debian Été", "name_key": fold("Debian Été"), "kind": "disk"},
                **{"state": "ready", "created_at": AT, "source": "debian.qcow2", "created_by": "ada"},
            ),
        ]
    )
    one.session.flush()
    path = {"path": "/srv/images/GROẞ-disk.qcow2", "kind": "file"}
    one.session.add(Volume(id="vol_1", pool_id="pool_1", name="GROẞ-disk.qcow2", **path, **sizes))
    one.session.flush()
    return one


def found(ctx: Ctx, text: str) -> list[tuple[str, str]]:
    return [(hit.kind, hit.id) for hit in search.search(ctx, text) if hit.kind not in ("page", "action")]


SPELLINGS = (
    *(MAC, MAC.upper(), "52-54-00-AB-CD-EF", "5254.00ab.cdef", "525400abcdef", "00abcd", "0abcde", "abcdef"),
    *("00-ab-cd", "5254.00a", UUID, UUID.replace("-", ""), "STRASSE", "straße", "STRAẞE"),
)


def test_the_palette_finds_a_vm_however_its_mac_uuid_or_name_is_written(filled: Ctx) -> None:
    for text in SPELLINGS:
        assert found(filled, text) == [("vm", "vm_1")], text
        assert [row.id for row in vms.list_vms(filled, VmQuery(q=text)).items] == ["vm_1"], text
    for text in ("525400abcdee", "52-54-01", "0000abcd", "bcdef0"):
        assert found(filled, text) == [], text


def test_what_matched_is_said_as_it_is_kept(filled: Ctx) -> None:
    assert search.search(filled, "525400ABCDEF")[0].matched == MAC


def test_the_palette_finds_images_and_volumes(filled: Ctx) -> None:
    assert found(filled, "debian É") == [("image", "img_1")]
    assert found(filled, "gross-DISK") == [("volume", "vol_1")]
    (hit,) = search.search(filled, "/srv/images/gross")
    assert (hit.url, hit.where, hit.matched) == (
        "/storage/volumes/vol_1",
        "default · kvm1",
        "/srv/images/GROẞ-disk.qcow2",
    )


def test_both_databases_fold_as_python_does(filled: Ctx) -> None:
    vm = filled.session.get_one(Vm, "vm_1")
    every = [chr(item) for item in range(128, 0x1FFFF) if unicodedata.category(chr(item))[0] in "LMNS"]
    parts = ["".join(every[at : at + 5000]) for at in range(0, len(every), 5000)]
    for text in (*NAMES, *parts):
        vm.notes = text
        filled.session.flush()
        assert filled.session.scalar(sa.select(folded(Vm.notes))) == fold(text)


def test_forms_of_what_is_no_address_are_left_alone() -> None:
    for text in ("web-01", "192.168.1.10", "cafe", "db", "face-book", "10.0"):
        assert spellings(text) == (text,)
