"""A file is read ahead once, within bounds, and no longer than the exporter runs."""

from pathlib import Path
from threading import Event

import pytest

from exporter.store import read_ahead as module
from exporter.store.integrity_check import IntegrityCheck
from exporter.store.read_ahead import read_ahead
from tests.store.files import opened

SIZE = (5 << 20) // 2


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of two and a half pieces."""
    path = tmp_path / "exits.db"
    path.write_bytes(bytes(SIZE))
    return path


def test_all_of_a_file_is_read_once(file: Path) -> None:
    assert read_ahead(file, Event()) == SIZE


def test_nothing_is_read_when_the_exporter_stops(file: Path) -> None:
    stopping = Event()
    stopping.set()
    assert read_ahead(file, stopping) == 0


def test_no_pause_is_waited_for_when_the_exporter_stops(file: Path) -> None:
    class StoppedInAPause(Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            self.set()
            return True

    assert read_ahead(file, StoppedInAPause()) == 1 << 20


def test_a_file_that_may_not_stay_in_memory_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", SIZE - 1)
    assert read_ahead(file, Event()) == 0


def test_a_large_database_is_read_ahead_before_it_is_checked(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.store.opening.CHECKED_AT_START_BYTES", 0)
    done: list[object] = []
    monkeypatch.setattr("exporter.store.integrity_check.read_ahead", lambda path, _: done.append(path))
    monkeypatch.setattr("exporter.store.integrity_check.find_damage", lambda _: done.append("check"))
    with opened(database):
        pass
    with opened(database) as store:
        check = IntegrityCheck(store, lambda: None)
        check.start()
        check._thread.join()
    assert done == [database, "check"]
