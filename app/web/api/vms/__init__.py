"""The API of VMs.

Public to other nouns: `definitions`.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.vms import consoles, create, definitions, delete, devices, vms

router = APIRouter()
for _module in (
    vms,
    consoles,
    create,
    delete,
    devices,
    definitions,
):
    router.include_router(_module.router)
