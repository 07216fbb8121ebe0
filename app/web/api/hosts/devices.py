"""Devices of a host that VMs can have."""

from __future__ import annotations

from app.core.vms.host_devices import HostDeviceList
from app.services.vms.reconfigure import host_devices
from app.web.api.shapes import ObjectPath, api_router, problems
from app.web.deps import Reader

router = api_router("hosts")


@router.get(
    "/hosts/{id}/devices", name="host.devices", response_model=HostDeviceList, responses=problems(404)
)
def list_devices(id: ObjectPath, ctx: Reader) -> HostDeviceList:
    """Devices of a host that VMs can have, with IOMMU groups and users. Asking has them read: ask again soon."""
    return host_devices.list_devices(ctx, id)
