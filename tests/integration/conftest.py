import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.notices import Hub
from app.db.session import BUSY_TIMEOUT_MS, Database
from app.engine import Engine
from app.inventory.collectors.all_collectors import COLLECTORS, Collectors
from tests.integration.site import Site

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(empty_sqlite: Path, tmp_path: Path) -> Iterator[MakeSite]:
    """Makes a site with these settings; its engine is stopped at the end.

    `busy_timeout_ms` is how long its transactions wait for the lock of the database; `collectors` are those of its
    engine.
    """
    requested: list[Site] = []
    shutil.copy(empty_sqlite, tmp_path / "vigie.db")

    def make(
        *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, collectors: Collectors = COLLECTORS, **settings: object
    ) -> Site:
        chosen = Settings(data_dir=tmp_path, lab=True, **settings)  # type: ignore[arg-type]
        services = Services(
            chosen,
            Database(chosen.database, busy_timeout_ms=busy_timeout_ms, epoch_file=chosen.epoch_path),
            Hub(),
            Vault(chosen.key_path),
        )
        engine = Engine(services, collectors)
        engine.start()
        requested.append(Site(services, engine))
        return requested[-1]

    yield make
    for site in requested:
        site.engine.stop()
        site.services.database.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site with the usual settings, and no hosts yet."""
    return make_site()
