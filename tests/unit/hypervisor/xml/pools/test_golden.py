"""Definitions of storage pools: each kind against golden files (see tests.unit.hypervisor.xml.golden)."""

from typing import Any

import pytest

from app.core.storage.pools import NEEDS, PoolKind, PoolSpec, checked
from app.hypervisor.xml.pools import pool_xml
from tests.unit.hypervisor.xml.golden import Golden

SCHEMA = "storagepool"
UUID = "6b1f6a2e-9d0f-4c0b-8f5e-3d2c1b0a9e8d"
IQN = "iqn.2013-06.com.example:storage"
AUTH = {"auth_user": "vigie", "auth_secret": "c2VjcmV0"}


def pool(kind: PoolKind, **fields: Any) -> str:
    spec = {"host_id": "host_aaaaaaaaaaaaaaaa", "name": f"pool-{kind}", "kind": kind, **fields}
    return pool_xml(checked(PoolSpec.model_validate(spec), ["/srv"]), UUID)


# fmt: off
BUILT = {
    "dir": pool("dir", target_path="/srv/images"),
    "dir-odd-path": pool("dir", target_path="/srv/a & <b> \"c'é"),
    "fs": pool("fs", target_path="/srv/fs", source_device="/dev/disk/by-uuid/1"),
    "netfs": pool("netfs", target_path="/srv/nfs", source_host="nfs.example", source_path="/export/a & b"),
    "logical": pool("logical", source_name="vg0"),
    "logical-named-target": pool("logical", source_name="vg0", target_path="/dev/vg0"),
    "disk": pool("disk", target_path="/dev", source_device="/dev/sdb"),
    "iscsi": pool("iscsi", target_path="/dev/disk/by-path", source_host="san.example", source_device=IQN),
    "iscsi-chap": pool("iscsi", target_path="/dev/disk/by-path", source_host="192.0.2.7", source_device=IQN, initiator="iqn.2013-06.com.example:host", **AUTH),
    "iscsi-direct": pool("iscsi-direct", source_host="san.example", source_device=IQN, initiator="iqn.2013-06.com.example:host"),
    "iscsi-direct-chap": pool("iscsi-direct", source_host="san.example", source_device=IQN, initiator="iqn.2013-06.com.example:host", **AUTH),
    "scsi": pool("scsi", target_path="/dev/disk/by-path", source_device="host1"),
    "mpath": pool("mpath", target_path="/dev/mapper"),
    "rbd": pool("rbd", source_host="ceph-1", source_name="vms"),
    "rbd-with-a-key": pool("rbd", source_host="ceph-1", source_name="vms", **AUTH),
    "gluster": pool("gluster", source_host="gluster.example", source_name="vol0"),
    "zfs": pool("zfs", source_name="tank/vms"),
}
# fmt: on


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    golden.check_built(case, BUILT[case])


def test_no_definition_holds_its_secret() -> None:
    assert not [case for case, text in BUILT.items() if AUTH["auth_secret"] in text]


def test_each_kind_has_its_case() -> None:
    assert set(NEEDS) <= set(BUILT)


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=BUILT)
