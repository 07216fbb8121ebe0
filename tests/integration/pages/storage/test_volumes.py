"""Volumes by the pages."""

from __future__ import annotations

from app.db import models
from tests.integration.api.conftest import Console
from tests.integration.pages.forms import field_in


def test_the_size_form_cuts_nothing_off_by_rounding(console: Console) -> None:
    size, volume = 209_715_200 + 512, console.inventory.volume
    with console.services.database.begin() as session:
        session.get_one(models.Volume, volume).capacity_bytes = size
    browser, url = console.browser(), f"/storage/volumes/{volume}"
    page = browser.get(url).text
    untouched = {name: field_in(page, name) for name in ("size_gib", "size_shown")}
    for posted in (untouched, {"size_gib": untouched["size_gib"]}):
        answer = browser.post(f"{url}/resize", data={**posted, "shrink": "true"})
        assert answer.status_code == 422
        assert "Is the size that it has" in answer.text
    with console.services.database.begin() as session:
        session.get_one(models.Volume, volume).capacity_bytes = 2 * size  # others made it larger meanwhile
    answer = browser.post(f"{url}/resize", data={**untouched, "shrink": "true"})
    assert "Is the size that it has" in answer.text
