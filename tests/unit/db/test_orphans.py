"""What killed sessions of the tests leave behind does not disturb the next one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.databases import remove_orphans

NO_PROCESS = 2**22 + 1  # above the largest pid that Linux gives


def test_an_orphan_that_several_workers_find_is_removed_once(tmp_path: Path) -> None:
    """Every test on PostgreSQL failed in the workers that lost this race."""
    folders = f"{tmp_path}/pg-"
    workers = 4
    for round_ in range(5):
        orphan = Path(f"{folders}{NO_PROCESS + round_}/data")
        orphan.mkdir(parents=True)
        for number in range(300):
            (orphan / str(number)).touch()
        with ThreadPoolExecutor(workers) as pool:
            ended = [
                pool.submit(remove_orphans, tmp_path, tmp_path / f"own-{number}", folders)
                for number in range(workers)
            ]
        assert [item.exception() for item in ended] == [None] * workers
        assert list(tmp_path.iterdir()) == []


def test_a_folder_of_an_earlier_process_with_the_same_number_is_removed(tmp_path: Path) -> None:
    own = tmp_path / "pg-1"
    (own / "data").mkdir(parents=True)
    remove_orphans(tmp_path, own, f"{tmp_path}/pg-")
    assert not own.exists()
