import pytest
from pydantic import ValidationError

from app.config import Settings


def test_servers_of_imports_are_read_by_commas() -> None:
    given = Settings(import_from=" Cloud.Debian.org, *.ubuntu.com,mirror.lan:8080,[2001:db8::1]:443, ")
    assert given.import_servers == {
        "cloud.debian.org",
        "*.ubuntu.com",
        "mirror.lan:8080",
        "[2001:db8::1]:443",
    }
    assert Settings().import_servers == frozenset()


@pytest.mark.parametrize(
    "entry", ["https://a", "a/b", "*", "*.", "a:b", "a b", "*.[::1]", "user@a", "a:123456", ".a"]
)
def test_an_entry_that_names_no_server_stops_the_start(entry: str) -> None:
    with pytest.raises(ValidationError, match="is no server"):
        Settings(import_from=entry)
