"""Pages of VMs.

Public to other nouns: `xml_view`.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.vms import compute, consoles, create, definitions, delete, devices, rename, vms

router = APIRouter(include_in_schema=False)
for _module in (
    create,  # before vms: /vms/new is no VM
    definitions,
    delete,
    devices,
    rename,
    compute,
    vms,
    consoles,
):
    router.include_router(_module.router)
