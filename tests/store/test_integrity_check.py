"""A large database is opened without reading all of it; what is damaged in it is found beside the work."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest
import structlog
from sqlalchemy import Engine, event

from exporter.store import Batch, Store, StoreError, file_check
from exporter.store.file_check import FileCheck
from exporter.store.integrity_check import IntegrityCheck
from tests.lab.wait import wait_until
from tests.store.files import opened
from tests.store.samples import ended, job

PAGE = 4096
SECONDS = 60
READS_ALL = ("quick_check", "integrity_check", "ANALYZE")


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every database be large."""
    monkeypatch.setattr("exporter.store.opening.CHECKED_AT_START_BYTES", 0)


def create(path: Path) -> None:
    with opened(path) as store:
        store.commit(Batch(ended=[ended(job(), 1)], series={("container_exits_total", ("a",)): 1}))


def damage(path: Path, index: str) -> None:
    """Overwrite the beginning of an index, which is not needed to open the database."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    raw = bytearray(path.read_bytes())
    raw[(page - 1) * PAGE : (page - 1) * PAGE + 64] = b"\xff" * 64
    path.write_bytes(raw)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Give the statements that are run on all connections that are made meanwhile."""
    seen: list[str] = []

    def trace(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(seen.append)

    event.listen(Engine, "connect", trace)
    try:
        yield seen
    finally:
        event.remove(Engine, "connect", trace)


def what_reads_all(path: Path) -> list[str]:
    """Return the statements of an opening that read the whole file."""
    with statements() as seen, opened(path):
        return [statement for statement in seen if any(word in statement for word in READS_ALL)]


def test_a_small_database_is_read_as_a_whole_when_it_is_opened(database: Path) -> None:
    create(database)
    assert what_reads_all(database) == ["PRAGMA quick_check(1)"]


@pytest.mark.usefixtures("_large")
def test_a_large_database_is_not(database: Path) -> None:
    create(database)
    assert what_reads_all(database) == []


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("index", [None, "jobs_by_end"])
def test_damage_is_found_once_and_said(database: Path, index: str | None) -> None:
    create(database)
    if index is not None:
        damage(database, index)
    stopped = Event()
    with opened(database) as store, structlog.testing.capture_logs() as logs:
        check = IntegrityCheck(store, stopped.set)
        check.start()
        assert wait_until(lambda: bool(logs), SECONDS)
        check.stop()
        assert stopped.is_set() == check.found_damage == (index is not None)
    (line,) = logs
    assert ("restore a backup" in line["event"]) == (index is not None)


@pytest.mark.usefixtures("_large")
def test_what_is_damaged_where_it_is_opened_is_refused_and_stays_unlocked(database: Path) -> None:
    create(database)
    damage(database, "jobs_by_change_number")
    for _ in range(2):
        with pytest.raises(StoreError, match="malformed"):
            Store(database)


def test_a_small_database_is_not_read_twice(database: Path) -> None:
    with opened(database) as store, structlog.testing.capture_logs() as logs:
        check = IntegrityCheck(store, lambda: None)
        check.start()
        check.stop()
    assert logs == []


def test_what_another_process_has_written_is_checked_as_soon_as_a_check_may_begin(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_check, "INTERVAL_SECONDS", 0.01)
    answers = iter([False, False, True])
    asked, begun = [], Event()

    def check() -> bool:
        asked.append(answer := next(answers))
        if answer:
            begun.set()
        return answer

    with opened(database) as store:
        store.commit(Batch(ended=[ended(job(), 1)]))
        with closing(sqlite3.connect(database)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        watch = FileCheck(store, lambda: None, check)
        watch.start()
        assert begun.wait(SECONDS)
        watch.stop()
    assert asked == [False, False, True]


def test_a_check_is_not_repeated_at_once(database: Path) -> None:
    with opened(database) as store, structlog.testing.capture_logs() as logs:
        check = IntegrityCheck(store, lambda: None)
        assert check.check()
        assert wait_until(lambda: bool(logs), SECONDS)
        check._rests_until = float("inf")
        assert not check.check()
        check._rests_until = 0.0
        assert wait_until(check.check, SECONDS)
        check.stop()
