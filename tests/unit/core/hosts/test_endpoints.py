"""Fields of hosts and pasted URIs: what is taken, and that everything else is refused by the field's name."""

import pytest

from app.config import Settings
from app.core.errors import InvalidInput
from app.core.hosts.endpoints import (
    SYSTEM_SOCKET,
    Endpoint,
    check_dialable,
    is_dialable,
    make_endpoint,
    parse_uri,
    require_libvirt_socket,
)
from app.core.hosts.states import Transport

SOCKETS = Settings().sockets


@pytest.mark.parametrize(
    ("uri", "endpoint"),
    [
        ("qemu+ssh://root@kvm-01/system", Endpoint(Transport.SSH, "kvm-01", 22, "root")),
        (
            "qemu+ssh://kvm-01.Example.org:2222/system",
            Endpoint(Transport.SSH, "kvm-01.example.org", 2222, "root"),
        ),
        (
            "qemu+ssh://a@[2001:db8::1]/system?socket=/run/x",
            Endpoint(Transport.SSH, "2001:db8::1", 22, "a", "/run/x"),
        ),
        ("qemu+tls://10.0.0.1/system", Endpoint(Transport.TLS, "10.0.0.1", 16514)),
        ("qemu://10.0.0.1/system", Endpoint(Transport.TLS, "10.0.0.1", 16514)),
        ("qemu:///system", Endpoint(Transport.LOCAL, socket=SYSTEM_SOCKET)),
        ("qemu+unix:///system?socket=/run/y", Endpoint(Transport.LOCAL, socket="/run/y")),
    ],
)
def test_uris_that_are_taken(uri: str, endpoint: Endpoint) -> None:
    assert parse_uri(uri) == endpoint


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "kvm-01",
        "test:///etc/passwd",
        "test+unix:///x?socket=/y",
        "qemu+ext://h/system?command=/bin/sh",
        "qemu+ssh://h/system?command=/bin/sh",
        "qemu+ssh://h/system?netcat=/bin/sh",
        "qemu+ssh://h/system?keyfile=/root/.ssh/id",
        "qemu+ssh://h/system?no_verify=1",
        "qemu+ssh://h/system?socket=/a&socket=/b",
        "qemu+ssh://h/system?socket=relative",
        "qemu+tls://h/system?socket=/a",
        "qemu+tls://h/system?pkipath=/tmp",
        "qemu+tcp://h/system",
        "qemu+libssh2://h/system",
        "qemu+ssh://h/session",
        "qemu+ssh://h/",
        "qemu+ssh://-oProxyCommand=x/system",
        "qemu+ssh://-l@h/system",
        "qemu+ssh://u:secret@h/system",
        "qemu+ssh://h:99999/system",
        "qemu+ssh://h:x/system",
        "qemu+ssh://%2doProxyCommand/system",
        "qemu+ssh://h/system#x",
        "qemu+ssh://h\\@evil/system",
        "qemu+ssh://h /system",
        "qemu+ssh:///system",
        "qemu+ssh://[::1/system",
        "qemu+ssh://1.2.3/system",
        "vbox:///session",
        "qemu+ssh://" + "a" * 600 + "/system",
    ],
)
def test_uris_that_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_uri(uri)
    assert refused.value.texts().why
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"transport": Transport.SSH}, "address"),
        ({"transport": Transport.SSH, "address": "a b"}, "address"),
        ({"transport": Transport.SSH, "address": "-x"}, "address"),
        ({"transport": Transport.SSH, "address": "h", "port": 0}, "port"),
        ({"transport": Transport.SSH, "address": "h", "user": "-x"}, "user"),
        ({"transport": Transport.SSH, "address": "h", "socket": "/" + "s" * 108}, "socket"),
        ({"transport": Transport.TLS, "address": "h", "user": "root"}, "user"),
        ({"transport": Transport.LOCAL, "address": "h"}, "address"),
        ({"transport": Transport.SIMULATED, "address": "relative", "socket": "/s"}, "address"),
    ],
)
def test_fields_that_are_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_endpoint(**fields)  # type: ignore[arg-type]
    assert refused.value.field == named


@pytest.mark.parametrize("transport", [Transport.LOCAL, Transport.SSH])
@pytest.mark.parametrize(
    "socket",
    ["/run/docker.sock", "/etc/passwd", "/run/libvirt/../docker.sock", "/tmp/libvirt-sock", "//etc/passwd"],
)
def test_a_socket_that_is_not_libvirts_is_never_dialled(transport: Transport, socket: str) -> None:
    address = "" if transport is Transport.LOCAL else "kvm-01"
    with pytest.raises(InvalidInput) as refused:
        require_libvirt_socket(make_endpoint(transport, address=address, socket=socket), SOCKETS)
    assert refused.value.field == "socket"


@pytest.mark.parametrize("socket", [None, "/run/libvirt/libvirt-sock", "/var/run//libvirt/virtqemud-sock"])
def test_sockets_of_libvirt_are_dialled(socket: str | None) -> None:
    require_libvirt_socket(make_endpoint(Transport.LOCAL, socket=socket), SOCKETS)


def test_in_the_lab_libvirts_sockets_may_lie_anywhere_but_have_its_names() -> None:
    require_libvirt_socket(make_endpoint(Transport.LOCAL, socket="/x/libvirt-sock"), SOCKETS, anywhere=True)
    with pytest.raises(InvalidInput):
        require_libvirt_socket(
            make_endpoint(Transport.LOCAL, socket="/x/docker.sock"), SOCKETS, anywhere=True
        )


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_addresses_where_no_host_may_be_are_never_dialled(address: str) -> None:
    for loopback in (False, True):
        assert not is_dialable(address, loopback=loopback)
        endpoint = Endpoint(Transport.SSH, address, 22, "root", loopback=loopback)
        with pytest.raises(InvalidInput, match="must not be a loopback, link-local"):
            check_dialable(endpoint)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_the_loopback_is_dialled_in_the_lab_only(address: str) -> None:
    assert not is_dialable(address, loopback=False)
    assert is_dialable(address, loopback=True)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.1.1", "198.18.0.1", "192.0.2.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:201"],
)
def test_private_and_public_addresses_may_be_hosts(address: str) -> None:
    assert is_dialable(address, loopback=False)
