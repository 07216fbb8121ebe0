"""Examples of what goes in and comes out, by name of the schema. A test holds each against its model."""

from __future__ import annotations

from app.services.vms.power.start import Start
from app.web.api.examples.consoles import CONSOLES
from app.web.api.examples.create import MAKING
from app.web.api.examples.networks import NETWORKS

Json = dict[str, object]

_DC = "dc_a2b3c4d5e6f7g2h3"
_HOST = "host_b2c3d4e5f6g7h2i3"
_VM = "vm_c2d3e4f5g6h7i2j3"
_POOL = "pool_d2e3f4g5h6i7j2k3"
_VOLUME = "vol_e2f3g4h5i6j7k2l3"
_TASK = "task_g2h3i4j5k6l7m2n3"
_USER = "user_h2i3j4k5l6m7n2o3"
_TOKEN = "tok_i2j3k4l5m6n7o2p3"
_CREDENTIAL = "cred_j2k3l4m5n6o7p2q3"
_AT = "2026-11-24T09:30:00Z"
_FINGERPRINT = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDQfSDxPxbGKnlpsIc"
_GIB = 1_073_741_824

_USAGE: Json = {
    "cpu_percent": 12.5,
    "memory_used_bytes": _GIB,
    "memory_total_bytes": 2 * _GIB,
    "disk_read_bps": 0.0,
    "disk_write_bps": 40_960.0,
    "disk_iops": 3.2,
    "net_rx_bps": 1_250.0,
    "net_tx_bps": 980.0,
}
_OBSERVED: Json = {"stale": False, "observed_at": _AT}
_VM_RECORD: Json = {
    "id": _VM,
    "uuid": "6f1c5a52-9d5e-4f57-9a35-1c0fba7c6d11",
    "name": "web-01",
    "host_id": _HOST,
    "host_name": "kvm-01",
    "state": "running",
    "state_since": _AT,
    **_OBSERVED,
    "persistent": True,
    "autostart": True,
    "vcpus": 2,
    "memory_bytes": 2 * _GIB,
    "disk_bytes": 20 * _GIB,
    "os_name": "Debian 13",
    "guest_hostname": "web-01",
    "addresses": ["192.0.2.10"],
    "tags": ["production"],
    "usage": _USAGE,
}
_VM_DETAIL: Json = _VM_RECORD | {
    "notes": "Front end of the shop.",
    "host_connection": "connected",
    "host_admin_state": "enabled",
    "host_mode": "managed",
    "disks": [
        {"target": "vda", "device": "disk", "bus": "virtio", "source": "/var/lib/libvirt/images/web-01.qcow2"}
    ],
    "nics": [{"mac": "52:54:00:12:34:56", "kind": "network", "source": "default"}],
    "actions": [{"verb": "shutdown", "title": "Shut down", "allowed": True, "confirm": False}],
    "version": 3,
}
_HOST_RECORD: Json = {
    "id": _HOST,
    "name": "kvm-01",
    "datacenter_id": _DC,
    "datacenter_name": "Paris",
    "transport": "ssh",
    "address": "kvm-01.example.org",
    "port": 22,
    "user": "vigie",
    "mode": "managed",
    "connection": "connected",
    "connection_since": _AT,
    "admin_state": "enabled",
    **_OBSERVED,
    "hostname": "kvm-01.example.org",
    "libvirt_uuid": "0d6c5f0e-7a39-4d1e-8f0c-3a5b9f6d2c44",
    "libvirt_version": "11.3.0",
    "hypervisor_version": "10.0.2",
    "cpu_model": "x86_64",
    "cpus": 32,
    "memory_bytes": 256 * _GIB,
    "vm_count": 18,
    "vm_running": 15,
    "worst_check": "warn",
    "tags": ["rack-4"],
    "usage": _USAGE,
}
_CHECK: Json = {
    "key": "lock_manager",
    "title": "Lock manager",
    "verdict": "warn",
    "reason": "The lock manager is off: nothing keeps two hosts from starting the same disk.",
    "remedy": 'Set lock_manager = "lockd" in /etc/libvirt/qemu.conf.',
}
_HOST_DETAIL: Json = _HOST_RECORD | {
    "socket": "/var/run/libvirt/libvirt-sock",
    "credential_id": _CREDENTIAL,
    "credential_name": "vigie key",
    "fingerprint": _FINGERPRINT,
    "kvm": True,
    "checks": [_CHECK],
    "created_at": _AT,
    "vcpus_allocated": 48,
    "memory_allocated_bytes": 96 * _GIB,
    "version": 2,
}
_DATACENTER: Json = {"id": _DC, "name": "Paris", "host_count": 3, "vm_count": 54, "version": 1}
_POOL_RECORD: Json = {
    "id": _POOL,
    "uuid": "1b0c9c1e-52ad-4d36-9d68-1f5c0f1c2b10",
    "name": "default",
    "host_id": _HOST,
    "host_name": "kvm-01",
    "kind": "dir",
    "state": "running",
    **_OBSERVED,
    "autostart": True,
    "persistent": True,
    "capacity_bytes": 1000 * _GIB,
    "allocation_bytes": 400 * _GIB,
    "available_bytes": 600 * _GIB,
    "target_path": "/var/lib/libvirt/images",
    "volume_count": 20,
}
_VOLUME_RECORD: Json = {
    "id": _VOLUME,
    "name": "web-01.qcow2",
    "path": "/var/lib/libvirt/images/web-01.qcow2",
    "pool_id": _POOL,
    "pool_name": "default",
    "host_id": _HOST,
    "host_name": "kvm-01",
    "kind": "file",
    "format": "qcow2",
    "capacity_bytes": 20 * _GIB,
    "allocation_bytes": 4 * _GIB,
    **_OBSERVED,
}
_TASK_RECORD: Json = {
    "id": _TASK,
    "kind": Start.kind,
    "title": Start.title,
    "state": "queued",
    "progress": None,
    "target": {"kind": "vm", "id": _VM, "name": "web-01"},
    "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
    "actor": "alice",
    "created_at": _AT,
    "cancellable": False,
}
_EVENT: Json = {
    "id": 4711,
    "at": _AT,
    "kind": "vm.state",
    "severity": "info",
    "message": "web-01 is running.",
    "target": {"kind": "vm", "id": _VM, "name": "web-01"},
    "host": {"kind": "host", "id": _HOST, "name": "kvm-01"},
}
_AUDIT: Json = {
    "id": 815,
    "at": _AT,
    "actor": "alice",
    "via": "api",
    "action": Start.kind,
    "target": {"kind": "vm", "id": _VM, "name": "web-01"},
    "outcome": "ok",
    "remote": "192.0.2.7",
}
_USER_RECORD: Json = {
    "id": _USER,
    "name": "alice",
    "display": "Alice",
    "role": "operator",
    "language": "en",
    "disabled": False,
    "created_at": _AT,
    "version": 1,
}
_TOKEN_RECORD: Json = {
    "id": _TOKEN,
    "name": "backup script",
    "prefix": "vigie_AbCd",
    "user_id": _USER,
    "user_name": "alice",
    "created_at": _AT,
}
_CREDENTIAL_RECORD: Json = {
    "id": _CREDENTIAL,
    "name": "vigie key",
    "kind": "ssh_key",
    "summary": _FINGERPRINT,
    "host_count": 3,
    "created_at": _AT,
    "updated_at": _AT,
    "version": 1,
}
_PROBLEM: Json = {
    "type": "urn:vigie:problem:wrong_state",
    "title": "The VM cannot be started.",
    "status": 409,
    "code": "wrong_state",
    "why": "The VM is running; this needs: crashed, shutoff.",
    "hint": "Bring the VM to one of these states first.",
}
_OVERVIEW: Json = {
    "hosts": {"connected": 3},
    "vms": {"running": 45, "shutoff": 9},
    "stale_vms": 0,
    "duplicate_vms": 0,
    "cpu": {"used": 12.4, "total": 96.0, "percent": 12.9},
    "memory": {"used": 300.0 * _GIB, "total": 768.0 * _GIB, "percent": 39.1},
    "storage": {"used": 1200.0 * _GIB, "total": 3000.0 * _GIB, "percent": 40.0},
    "vcpus_allocated": 140,
    "cpus": 96,
    "memory_allocated_bytes": 320 * _GIB,
    "attention": [
        {"severity": "warning", "message": "kvm-02: the lock manager is off.", "url": f"/hosts/{_HOST}"}
    ],
    "busiest": [_VM_RECORD],
}


def _page(item: Json) -> Json:
    return {"items": [item], "next": None, "total": 1}


EXAMPLES: dict[str, Json] = {
    "HostTarget": {"uri": "qemu+ssh://vigie@kvm-01.example.org/system", "credential_id": _CREDENTIAL},
    "HostSpec": {
        "name": "kvm-01",
        "uri": "qemu+ssh://vigie@kvm-01.example.org/system",
        "credential_id": _CREDENTIAL,
        "fingerprint": _FINGERPRINT,
    },
    "HostPatch": {"mode": "observe", "tags": ["rack-4"]},
    "IdentitySpec": {"fingerprint": _FINGERPRINT},
    "VmPatch": {"tags": ["production"], "notes": "Front end of the shop."},
    "ActionOptions": {"method": "acpi", "timeout_s": 60},
    "BulkAction": {"verb": "start", "ids": [_VM]},
    "DatacenterSpec": {"name": "Paris"},
    "UserSpec": {"name": "alice", "password": "correct horse battery", "role": "operator"},
    "UserPatch": {"role": "viewer"},
    "PasswordChange": {"current": "correct horse battery", "new": "staple correct horse"},
    "TokenSpec": {"name": "backup script", "expires_in_days": 90},
    "CredentialSpec": {"name": "root password", "kind": "ssh_password", "password": "not this one"},
    "HostDetail": _HOST_DETAIL,
    "HostCheck": {
        "fingerprint": _FINGERPRINT,
        "hostname": "kvm-01.example.org",
        "libvirt_uuid": "0d6c5f0e-7a39-4d1e-8f0c-3a5b9f6d2c44",
        "libvirt_version": "11.3.0",
        "hypervisor_version": "10.0.2",
        "cpus": 32,
        "memory_bytes": 256 * _GIB,
        "vm_count": 18,
        "checks": [_CHECK],
    },
    "VmDetail": _VM_DETAIL,
    "DatacenterRecord": _DATACENTER,
    "PoolRecord": _POOL_RECORD,
    "VolumeRecord": _VOLUME_RECORD,
    "NetworkBatch": {
        "batch_id": "task_k2l3m4n5o6p7q2r3",
        "tasks": [_TASK_RECORD],
        "refused": [{"host": {"kind": "host", "id": _HOST, "name": "kvm-01"}, "problem": _PROBLEM}],
    },
    "TaskRecord": _TASK_RECORD,
    "BulkRecord": {
        "batch_id": "task_k2l3m4n5o6p7q2r3",
        "tasks": [_TASK_RECORD],
        "refused": [{"vm": {"kind": "vm", "id": _VM, "name": "web-01"}, "problem": _PROBLEM}],
    },
    "UserRecord": _USER_RECORD,
    "NewToken": _TOKEN_RECORD | {"token": "vigie_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"},
    "CredentialRecord": _CREDENTIAL_RECORD,
    "Dashboard": _OVERVIEW,
    "Hits": {
        "items": [
            {
                "kind": "vm",
                "id": _VM,
                "name": "web-01",
                "url": f"/vms/{_VM}",
                "state": "running",
                "where": "kvm-01",
            }
        ]
    },
    "Nodes": {
        "items": [
            {
                "id": _DC,
                "kind": "datacenter",
                "name": "Paris",
                "url": f"/datacenters/{_DC}",
                "count": 54,
                "children": True,
            }
        ]
    },
    "Whoami": {
        "user_id": _USER,
        "name": "alice",
        "role": "operator",
        "privileges": ["host.view", "vm.power", "vm.view"],
        "language": "en",
        "via": "api",
    },
    "Status": {"status": "ready"},
    "Problem": _PROBLEM,
    "Page_HostRecord_": _page(_HOST_RECORD),
    "Page_VmRecord_": _page(_VM_RECORD),
    "Page_DatacenterRecord_": _page(_DATACENTER),
    "Page_PoolRecord_": _page(_POOL_RECORD),
    "Page_VolumeRecord_": _page(_VOLUME_RECORD),
    "Page_TaskRecord_": _page(_TASK_RECORD),
    "Page_EventRecord_": _page(_EVENT),
    "Page_AuditRecord_": _page(_AUDIT),
    "Page_UserRecord_": _page(_USER_RECORD),
    "Page_CredentialRecord_": _page(_CREDENTIAL_RECORD),
    "Page_TokenRecord_": _page(_TOKEN_RECORD),
    "Page_SessionRecord_": _page(
        {
            "id": "login_l2m3n4o5p6q7r2s3",
            "created_at": _AT,
            "last_seen_at": _AT,
            "expires_at": _AT,
            "remote": "192.0.2.7",
            "user_agent": "Mozilla/5.0",
            "current": True,
        }
    ),
}
EXAMPLES |= MAKING | CONSOLES | NETWORKS
