"""VMs by the pages: actions, notes, the form of their hardware."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.access.privileges import Role
from app.db import models
from tests.integration.api.conftest import Console
from tests.integration.pages.forms import HTMX, field_in, french, version_in


def test_a_start_is_queued_and_a_second_is_refused(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    vm = console.inventory.vms[1]
    answer = browser.post(f"/vms/{vm}/actions/start", headers=HTMX)
    assert answer.status_code == 204
    assert "vigie:toast" in answer.headers["hx-trigger"]
    again = browser.post(f"/vms/{vm}/actions/start", headers=HTMX)
    assert again.status_code == 409
    assert again.headers["hx-reswap"] == "none"
    assert "vigie:toast" in again.headers["hx-trigger"]


def test_bulk_work_says_what_started_and_what_did_not(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    answer = browser.post("/vms/actions/start", data={"ids": console.inventory.vms[:4]}, headers=HTMX)
    assert answer.status_code == 200
    assert "2 tasks are queued" in answer.text
    assert "2 VMs were left alone" in answer.text
    assert browser.post("/vms/actions/start", headers=HTMX).status_code == 422


def test_notes_are_kept_unless_somebody_was_faster(console: Console) -> None:
    browser = console.browser(Role.OPERATOR)
    path = f"/vms/{console.inventory.vms[0]}/notes"
    version = version_in(browser.get(f"{path}?edit=1").text)
    posted = {"version": version, "tags": "#prod, web #", "notes": "Line one\r\nline two"}
    saved = browser.post(path, data=posted, headers=HTMX)
    assert saved.status_code == 200
    assert "#prod" in saved.text
    assert "line two" in saved.text
    assert browser.post(path, data=posted, headers=HTMX).status_code == 412


def test_a_busy_vm_tells_the_state_of_its_task_in_the_language_of_the_reader(console: Console) -> None:
    browser, url = french(console), f"/vms/{console.inventory.vms[1]}"
    browser.post(f"{url}/actions/start")
    page = browser.post(f"{url}/actions/start").text
    assert "dans l’état «\u00a0En attente\u00a0»" in page
    assert "queued" not in page


def test_memory_that_nobody_touched_is_not_changed_with_the_title(console: Console) -> None:
    vm, memory = console.inventory.vms[1], 1_000_001 * 1024
    with console.services.database.begin() as session:
        session.get_one(models.Vm, vm).memory_bytes = memory
    browser = console.browser()
    page = browser.get(f"/vms/{vm}/edit").text
    names = ("version", "vcpus", "vcpus_max", "memory_mib", "memory_max_mib")
    posted = {name: field_in(page, name) for name in names} | {"title": "Web"}
    assert browser.post(f"/vms/{vm}/hardware", data=posted).status_code == 303
    with console.services.database.read() as session:
        task = session.scalars(sa.select(models.Task).where(models.Task.kind == "vm.reconfigure")).one()
        assert [step["do"] for step in task.params["steps"]] == ["title"]
