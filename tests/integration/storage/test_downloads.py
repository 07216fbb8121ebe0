"""Files fetched from a real server on the loopback, well or badly served."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from app.lab.hosts.tls import make_authority, make_server
from app.services.library.downloads import RESUMES, Download, DownloadRules
from app.tasks.errors import TaskFailed
from tests.fileserver import FileServer, serving

CONTENT = os.urandom(300_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as served:
        yield served


def rules(server: FileServer, **changed: object) -> DownloadRules:
    given: dict[str, object] = {
        "allowed": frozenset({f"localhost:{server.port}", f"127.0.0.1:{server.port}"}),
        "private": True,
        "max_bytes": 2**30,
        "timeout_s": 30,
        "ca_file": None,
        "plain": True,
    }
    return DownloadRules(**(given | changed))  # type: ignore[arg-type]


def fetch(server: FileServer, path: str, **changed: object) -> bytes:
    with Download(f"http://localhost:{server.port}/{path}", rules(server, **changed)) as download:
        content = b"".join(download.parts())
        assert len(content) == download.size_bytes
        return content


def refused(server: FileServer, path: str, **changed: object) -> str:
    with pytest.raises(TaskFailed) as reported:
        fetch(server, path, **changed)
    return (reported.value.texts().why or "") % reported.value.params


def test_a_file_comes_as_it_is_and_the_server_hears_its_own_name(server: FileServer) -> None:
    assert fetch(server, "file/a.img") == CONTENT
    assert server.asked == [("/file/a.img", f"localhost:{server.port}", None)]


def test_a_broken_connection_goes_on_where_it_broke(server: FileServer) -> None:
    server.cuts = 3
    assert fetch(server, "cut/a.img") == CONTENT
    assert [item[2] for item in server.asked] == [None, "bytes=70000-", "bytes=140000-", "bytes=210000-"]


def test_it_does_not_go_on_for_ever(server: FileServer) -> None:
    server.cuts = 1000
    server.content = CONTENT * 10
    assert "cannot be reached" in refused(server, "cut/a.img")
    assert len(server.asked) == RESUMES + 1


def test_another_file_under_the_same_name_is_not_mixed_in(server: FileServer) -> None:
    with Download(f"http://localhost:{server.port}/cut/a.img", rules(server)) as download:
        parts = download.parts()
        next(parts)
        server.etag = '"2"'
        with pytest.raises(TaskFailed, match="could not be fetched") as reported:
            list(parts)
    assert "does not go on where it stopped" in (reported.value.texts().why or "")


def test_without_a_strong_tag_nothing_is_resumed(server: FileServer) -> None:
    server.etag = 'W/"1"'
    assert "cannot be reached" in refused(server, "cut/a.img")


def test_redirects_are_followed_and_each_is_checked(server: FileServer) -> None:
    assert fetch(server, f"to?url=http://127.0.0.1:{server.port}/file/b.img") == CONTENT
    assert server.asked[-1][1] == f"127.0.0.1:{server.port}"
    assert "names server 127.0.0.2" in refused(server, f"to?url=http://127.0.0.2:{server.port}/file/b.img")
    assert "must begin with https" in refused(server, "to?url=file:///etc/passwd")
    assert "more than five times" in refused(server, "loop")


def test_an_address_is_checked_when_it_is_connected_to(server: FileServer) -> None:
    assert "no public address" in refused(server, "file/a.img", private=False)
    assert server.asked == []


def test_what_cannot_be_foreseen_or_is_too_much_is_refused(server: FileServer) -> None:
    assert "how long the file is" in refused(server, "endless")
    assert "compressed" in refused(server, "packed")
    assert "at most 1024 MiB" in refused(server, "huge")
    assert "at most 0 MiB" in refused(server, "file/a.img", max_bytes=1000)
    assert "status 404" in refused(server, "nothing")


def test_a_server_that_is_slow_has_its_time(server: FileServer) -> None:
    server.pause_s = 0.4
    assert "longer than 1 seconds" in refused(server, "slow", timeout_s=1)


def test_a_server_that_is_not_there(server: FileServer) -> None:
    gone = frozenset({"localhost:9", "no-such-name.invalid"})
    with pytest.raises(TaskFailed) as reported:
        Download("http://localhost:9/a", rules(server, allowed=gone))
    assert "cannot be reached" in (reported.value.texts().why or "")
    with pytest.raises(TaskFailed) as reported:
        Download("https://no-such-name.invalid/a", rules(server, allowed=gone))
    assert "is not known here" in (reported.value.texts().why or "")


def test_certificates_are_checked_against_the_name(tmp_path: Path) -> None:
    make_authority(tmp_path)
    make_server(tmp_path, tmp_path, "localhost", IPv4Address("127.0.0.9"))
    ca = tmp_path / "cacert.pem"
    with serving(CONTENT, certificate=tmp_path / "servercert.pem", key=tmp_path / "serverkey.pem") as server:
        url = f"https://localhost:{server.port}/file/a.img"
        with Download(url, rules(server, ca_file=ca, plain=False)) as download:
            assert b"".join(download.parts()) == CONTENT
        with pytest.raises(TaskFailed) as reported:
            Download(url, rules(server, plain=False))
        assert "cannot be reached" in (reported.value.texts().why or "")
        with pytest.raises(TaskFailed):
            Download(url.replace("localhost", "127.0.0.1"), rules(server, ca_file=ca, plain=False))
