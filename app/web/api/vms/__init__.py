"""The API of VMs.

Public to other nouns: `definitions`.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.vms import consoles, create, definitions, delete, devices, power, rename, vms

router = APIRouter()
for _module in (
    vms,
    consoles,
    create,
    delete,
    devices,
    definitions,
    rename,
    power,  # last: its /actions/{verb} would take the paths of the others' verbs
):
    router.include_router(_module.router)
