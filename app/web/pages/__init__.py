"""The pages: what people see. A handler parses, calls one service, renders a template.

Each module here has a `router` of its own; `create_web` includes the one made of all of them.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages import (
    account,
    audit,
    consoles,
    credentials,
    dashboard,
    datacenters,
    drawer,
    events,
    filters,
    gallery,
    host_new,
    hosts,
    images,
    network_names,
    networks,
    search,
    shell,
    storage,
    tasks,
    tokens,
    tree,
    users,
    versions,
    vm_hardware,
    vm_machine,
    vm_new,
    vm_removal,
    vms,
    volumes,
)

router = APIRouter(include_in_schema=False)
for _module in (
    shell,
    dashboard,
    tree,
    search,
    drawer,
    gallery,
    host_new,  # before hosts: /hosts/new is no host
    hosts,
    vm_new,  # before vms: /vms/new is no VM
    vm_removal,
    vm_hardware,
    vm_machine,
    vms,
    consoles,
    images,
    volumes,  # before storage: /storage/volumes/… is no pool
    storage,
    versions,
    network_names,  # before networks: /networks/names is no network
    networks,
    filters,
    tasks,
    events,
    audit,
    users,
    tokens,
    credentials,
    datacenters,
    account,
):
    router.include_router(_module.router)
