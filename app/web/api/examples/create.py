"""Examples of what VMs are made from."""

from __future__ import annotations

Json = dict[str, object]

_HOST = "host_b2c3d4e5f6g7h2i3"
_GIB = 1_073_741_824
_AT = "2026-11-24T09:30:00Z"

DISK: Json = {"pool": "default", "size_bytes": 20 * _GIB}
NIC: Json = {"network": "default"}
CPU: Json = {"vcpus": 2, "vcpus_max": 4}
CLOUD_INIT: Json = {
    "user": "admin",
    "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDp0bG9uZ2tleQ admin@example.org"],
    "user_data": "packages: [nginx]\n",
}
PRESET: Json = {
    "name": "web-01",
    "host_id": _HOST,
    "os": "debian11",
    "cpu": CPU,
    "memory_bytes": 2 * _GIB,
    "disks": [DISK],
    "nics": [NIC],
    "tags": ["web"],
}
_SAVED: Json = {
    "id": "spec_k2l3m4n5o6p7q2r3",
    "name": "Web server",
    "spec": PRESET,
    "created_at": _AT,
    "created_by": "admin",
    "version": 1,
}
_POOL: Json = {"kind": "pool", "id": "pool_f2g3h4i5j6k7l2m3", "name": "default"}
_IMAGE: Json = {
    "id": "img_j2k3l4m5n6o7p2q3",
    "name": "Debian 12",
    "kind": "disk",
    "format": "qcow2",
    "state": "ready",
    "size_bytes": 400_000_000,
    "virtual_bytes": 2 * _GIB,
    "sha256": "0" * 64,
    "os": "debian11",
    "source": "kvm-01: /var/lib/libvirt/images/debian-12.qcow2",
    "notes": "",
    "created_at": _AT,
    "created_by": "admin",
    "places": [
        {
            "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
            "path": "/var/lib/libvirt/images/debian-12.qcow2",
            "volume_name": "debian-12.qcow2",
            "checked_at": _AT,
        }
    ],
    "version": 1,
}
_UPLOAD: Json = {
    "id": "task_h2i3j4k5l6m7n2o3",
    "pool": _POOL,
    "name": "debian-12.iso",
    "size_bytes": 650_000_000,
    "offset_bytes": 16_777_216,
    "part_bytes": 16_777_216,
    "updated_at": _AT,
}
_DELETED: Json = {
    "id": "vm_c2d3e4f5g6h7i2j3",
    "name": "web-01",
    "uuid": "6b1f6a2e-9d0f-4c0b-8f5e-3d2c1b0a9e8d",
    "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
    "deleted_at": _AT,
    "deleted_by": "admin",
    "volumes": ["/var/lib/libvirt/images/web-01-vda.qcow2"],
    "tags": ["web"],
}

_COMPUTE: Json = {
    "cpu_mode": "host-model",
    "cpu_model": None,
    "sockets": None,
    "cores": None,
    "threads": None,
    "firmware": "efi",
    "huge_pages": False,
    "memory_locked": False,
    "graphics": "vnc",
    "video": "virtio",
    "watchdog": "reset",
    "sound": False,
    "tpm": True,
    "rng": True,
    "guest_agent": True,
    "serial": True,
}
_RESOURCES: Json = {
    "cpu_shares": 2048,
    "cpu_limit_percent": None,
    "pins": [{"vcpu": 0, "cpus": "0-3"}],
    "emulator_cpus": None,
    "numa_nodes": None,
    "numa_mode": None,
}
MAKING: dict[str, Json] = {
    "DiskSpec": DISK,
    "NicSpec": NIC,
    "CpuSpec": CPU,
    "CloudInit": CLOUD_INIT,
    "KernelSpec": {"kernel_volume_id": "vol_e2f3g4h5i6j7k2l3", "command_line": "console=ttyS0"},
    "VmSpec": PRESET,
    "VmBatch": {"spec": {**PRESET, "name": "web-##"}, "count": 3},
    "VmPresetSpec": {"name": "Web server", "spec": PRESET},
    "VmPresetRecord": _SAVED,
    "VmPresetList": {"items": [_SAVED]},
    "PoolSpec": {"host_id": _HOST, "name": "fast", "kind": "dir", "target_path": "/srv/fast"},
    "PoolPatch": {"autostart": True},
    "ImageSpec": {"name": "Debian 12", "volume_id": "vol_e2f3g4h5i6j7k2l3", "os": "debian11"},
    "ImageImport": {
        "name": "Debian 12 cloud",
        "url": "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2",
        "pool_id": _POOL["id"],
    },
    "ImagePatch": {"notes": "From debian.org, 2026-11"},
    "ImageCopySpec": {"pool_id": _POOL["id"]},
    "ImageRecord": _IMAGE,
    "Page_ImageRecord_": {"items": [_IMAGE], "next": None, "total": 1},
    "HardwarePatch": {"vcpus": 2, "memory_bytes": 2 * _GIB},
    "Media": {"volume_id": "vol_e2f3g4h5i6j7k2l3"},
    "NicPatch": {"link_up": False},
    "ComputePatch": {"cpu_mode": "host-model", "watchdog": "reset"},
    "ResourcesPatch": {"cpu_shares": 2048, "pins": [{"vcpu": 0, "cpus": "0-3"}]},
    "DiskPatch": {"read_iops": 500, "write_iops": 500},
    "ComputeRecord": _COMPUTE,
    "ResourcesRecord": _RESOURCES,
    "HardwareRecord": {
        **_COMPUTE,
        **_RESOURCES,
        "title": None,
        "vcpus": 2,
        "vcpus_max": 4,
        "memory_bytes": 2 * _GIB,
        "memory_max_bytes": 4 * _GIB,
        "disks": [
            {
                "target": "vda",
                "cache": "default",
                "io": "default",
                "discard": True,
                "read_bps": None,
                "write_bps": None,
                "read_iops": 500,
                "write_iops": 500,
            }
        ],
        "nics": [
            {"mac": "52:54:00:12:34:56", "in_kbps": None, "out_kbps": None, "filter": None, "link_up": True}
        ],
        "host_devices": [{"kind": "usb", "address": "0x046d:0xc52b"}],
        "filesystems": [],
        "boot": ["vda"],
    },
    "HostDeviceAdd": {"name": "usb_1_4"},
    "HostDeviceList": {
        "items": [
            {
                "name": "pci_0000_01_00_0",
                "kind": "pci",
                "address": "0000:01:00.0",
                "title": "Intel Corporation I350 Gigabit Network Connection",
                "driver": "igb",
                "iommu_group": 15,
                "group_members": ["0000:01:00.0"],
                "numa_node": 0,
                "users": [],
            }
        ],
        "read_at": _AT,
    },
    "FilesystemAdd": {"path": "/srv/media", "tag": "media"},
    "RenameSpec": {"name": "web-02"},
    "DefinitionSpec": {"xml": "<domain type='kvm'><name>web-01</name>…</domain>"},
    "DefinitionRecord": {
        "saved": "<domain type='kvm'><name>web-01</name>…</domain>",
        "live": None,
        "pending": [],
        "version": 169_223_761_003_412,
    },
    "DiffRecord": {
        "parts": ["Title"],
        "host_access": [],
        "lines": [{"kind": "new", "text": "  <title>Shop</title>"}],
    },
    "VersionList": {
        "items": [
            {"id": 7, "since": _AT, "actor": "admin", "task_id": "task_h2i3j4k5l6m7n2o3", "current": True},
            {"id": 6, "since": None, "actor": None, "task_id": None, "current": False},
        ]
    },
    "VolumeSpec": {"pool_id": _POOL["id"], "name": "data.qcow2", "size_bytes": 20 * _GIB},
    "VolumeResize": {"size_bytes": 40 * _GIB},
    "VolumeClone": {"name": "data-copy.qcow2"},
    "VolumeMove": {"pool_id": "pool_g2h3i4j5k6l7m2n3"},
    "VolumeDetail": {
        "id": "vol_e2f3g4h5i6j7k2l3",
        "name": "web-01-vda.qcow2",
        "path": "/var/lib/libvirt/images/web-01-vda.qcow2",
        "pool_id": _POOL["id"],
        "pool_name": "default",
        "host_id": _HOST,
        "host_name": "kvm-01",
        "kind": "file",
        "format": "qcow2",
        "capacity_bytes": 20 * _GIB,
        "allocation_bytes": 3 * _GIB,
        "backing_path": "/var/lib/libvirt/images/debian-12.qcow2",
        "stale": False,
        "observed_at": _AT,
        "users": [{"kind": "vm", "id": "vm_c2d3e4f5g6h7i2j3", "name": "web-01"}],
        "chain": ["/var/lib/libvirt/images/debian-12.qcow2"],
        "freed_bytes": 0,
        "usable": True,
    },
    "UploadSpec": {"name": "debian-12.iso", "size_bytes": 650_000_000},
    "UploadRecord": _UPLOAD,
    "UploadList": {"items": [_UPLOAD]},
    "DeleteSpec": {"volumes": ["vol_e2f3g4h5i6j7k2l3"], "force_off": True},
    "DeletePreview": {
        "vm": {"kind": "vm", "id": "vm_c2d3e4f5g6h7i2j3", "name": "web-01"},
        "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
        "running": False,
        "disks": [
            {
                "target": "vda",
                "path": "/var/lib/libvirt/images/web-01-vda.qcow2",
                "volume": {"kind": "volume", "id": "vol_e2f3g4h5i6j7k2l3", "name": "web-01-vda.qcow2"},
                "pool": _POOL,
                "allocation_bytes": 3 * _GIB,
                "deletable": True,
                "own": True,
                "why": None,
            }
        ],
        "nvram": None,
        "tpm": False,
        "managed_save": False,
        "snapshots": [],
        "deleted_vm_days": 30,
    },
    "DeletedVmRecord": _DELETED,
    "DeletedVmList": {"items": [_DELETED]},
    "CreationPlan": {
        "name": "web-01",
        "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
        "reason": None,
        "os_variant": "Debian 11",
        "machine": "q35",
        "firmware": "bios",
        "hypervisor": "kvm",
        "cpu": "host-model",
        "vcpus": 2,
        "memory_bytes": 2 * _GIB,
        "video": "virtio",
        "volumes": [
            {"pool": "default", "name": "web-01-vda.qcow2", "format": "qcow2", "size_bytes": 20 * _GIB}
        ],
        "networks": ["default"],
        "room": [
            {
                "name": "memory",
                "total_bytes": 64 * _GIB,
                "free_bytes": 30 * _GIB,
                "after_bytes": 28 * _GIB,
            }
        ],
        "warnings": [],
        "xml": '<domain type="kvm">…</domain>',
    },
    "OsVariantList": {
        "items": [
            {
                "id": "debian11",
                "name": "Debian 11",
                "family": "linux",
                "released": "2021-08-14",
                "memory_bytes": _GIB,
                "disk_bytes": 20 * _GIB,
            }
        ]
    },
    "HostCapabilitiesRecord": {
        "host_id": _HOST,
        "hypervisor": "kvm",
        "arch": "x86_64",
        "machines": ["q35", "pc"],
        "vcpus_max": 288,
        "firmwares": ["bios", "efi", "efi-secure"],
        "cpu_modes": ["host-passthrough", "host-model", "custom"],
        "cpu_models": [{"name": "Skylake-Server", "usable": True}],
        "host_model": "Skylake-Server",
        "disk_buses": ["virtio", "scsi", "sata", "usb"],
        "video_models": ["virtio", "vga", "none"],
        "graphics": ["vnc"],
        "tpm": True,
        "rng": True,
        "filesystems": ["virtiofs"],
        "huge_page_sizes": [2_097_152],
        "read_at": _AT,
    },
}
