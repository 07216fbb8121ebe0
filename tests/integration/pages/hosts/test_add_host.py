"""The form that adds a host."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import Console


@pytest.mark.parametrize(
    "uri",
    [
        "test:///etc/passwd",
        "qemu+ssh://root@kvm/system?command=/bin/sh",
        "qemu+ext://kvm/system",
        "qemu+ssh://-oProxyCommand=x/system",
        "ssh",
    ],
)
def test_a_uri_that_is_refused_stays_in_its_field_with_the_reason(console: Console, uri: str) -> None:
    posted = {"step": "check", "way": "uri", "uri": uri, "sign_in": "", "name": "kept"}
    answer = console.browser().post("/hosts/new", data=posted)
    assert answer.status_code == 422
    assert 'id="f-uri-error"' in answer.text
    assert 'name="name" value="kept"' in answer.text
    assert "Where it is" in answer.text
