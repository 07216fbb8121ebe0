import pytest

from app.core.library.import_sources import SourceRefused, is_allowed, read_source, redirected, refuse_address

ALLOWED = frozenset({"images.example.org", "*.cloud.example", "mirror.lan:8080", "[2001:db8::1]", "10.0.0.5"})


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example.org/a.qcow2",
        "https://IMAGES.example.org./a.qcow2",
        "https://images.example.org:443/a?sig=secret",
        "https://a.b.cloud.example/x",
        "https://mirror.lan:8080/x",
        "https://[2001:db8::1]/x",
        "https://10.0.0.5/x",
    ],
)
def test_allowed(url: str) -> None:
    source = read_source(url, ALLOWED, plain=False)
    assert source.host == source.host.lower()
    assert "secret" not in source.shown


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("ftp://images.example.org/a", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("images.example.org/a", "must begin with https://"),
        ("http://images.example.org/a", "SHA-256"),
        ("https://user:pw@images.example.org/a", "a name or a password"),
        ("https://images.example.org@evil.example/a", "a name or a password"),
        ("https://evil.example/images.example.org", "server evil.example"),
        ("https://images.example.org.evil.example/", "server images.example.org.evil.example"),
        ("https://cloud.example/", "server cloud.example"),
        ("https://xcloud.example/", "server xcloud.example"),
        ("https://images.example.org:22/", "server images.example.org:22"),
        ("https://mirror.lan/", "server mirror.lan"),
        ("https://2130706433/", "must name a server"),
        ("https://0x7f.1/", "must name a server"),
        ("https://127.1/", "must name a server"),
        ("https:///a", "must name a server"),
        ("https://images.example.org:99999/", "must be a URL"),
        ("https://[::1/", "must be a URL"),
        ("https://images.example.org/ä", "plain ASCII"),
        ("https://images.example.org/a b", "plain ASCII"),
        ("https://images.example.org\\@evil.example/", "plain ASCII"),
        ("https://images.example.org/\r\nHost: evil", "plain ASCII"),
        ("https://images.example.org/" + "a" * 2000, "at most 2,000"),
    ],
)
def test_refused(url: str, rule: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        read_source(url, ALLOWED, plain=False)
    assert rule in str(refused.value)


def test_http_is_good_enough_when_the_sum_is_known() -> None:
    assert read_source("http://images.example.org/a", ALLOWED, plain=True).port == 80


def test_a_redirect_is_checked_as_the_first_url_was() -> None:
    source = read_source("https://images.example.org/a/b", ALLOWED, plain=True)
    assert redirected(source, "../c", ALLOWED, plain=True).url == "https://images.example.org/c"
    assert redirected(source, "//x.cloud.example/c", ALLOWED, plain=True).host == "x.cloud.example"
    for location in (
        "https://evil.example/",
        "http://images.example.org/a",
        "file:///etc/passwd",
        "//10.0.0.6/",
    ):
        with pytest.raises(SourceRefused):
            redirected(source, location, ALLOWED, plain=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    refuse_address(address, private=False)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::"],
)  # fmt: skip
def test_inner_addresses_need_the_setting(address: str) -> None:
    refuse_address(address, private=True)
    with pytest.raises(SourceRefused):
        refuse_address(address, private=False)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
     "255.255.255.255", "240.0.0.1", "100.64.0.1"],
)  # fmt: skip
def test_addresses_that_are_never_asked(address: str) -> None:
    with pytest.raises(SourceRefused):
        refuse_address(address, private=True)


def test_an_empty_list_allows_nothing() -> None:
    source = read_source("https://images.example.org/", ALLOWED, plain=False)
    assert not is_allowed(source, frozenset())
