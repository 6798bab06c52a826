"""Reads that take too long, and reads while the daemon stops."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Integer, Select, column, func, literal, select

from exporter.store import StoreError
from exporter.store.opening import open_engine
from exporter.store.timed_reads import TimedReads

TOO_LONG = "interrupted; the answer takes too long: ask for less, such as a shorter time"
PATIENCE_SECONDS = 30


def counting(limit: int) -> Select[Any]:
    """Return a query that counts so far, one by one."""
    numbers = select(literal(1).label("number")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < limit))
    return select(func.max(column("number", Integer))).select_from(numbers)


@pytest.fixture
def reads(tmp_path: Path) -> Iterator[TimedReads]:
    """Return the reads of a database, without a time for each."""
    opened = TimedReads(open_engine(tmp_path / "exits.db"), 0)
    yield opened
    opened.close()


def test_a_long_read_ends_and_a_short_one_on_its_connection_does_not(reads: TimedReads) -> None:
    for _ in range(2):
        assert reads.read(counting(100))[0][0] == 100
        with pytest.raises(StoreError, match=TOO_LONG):
            reads.read(counting(10**9))


def test_all_reads_end_when_they_are_interrupted(tmp_path: Path) -> None:
    reads = TimedReads(open_engine(tmp_path / "exits.db"), PATIENCE_SECONDS)
    ended: list[str] = []

    def read() -> None:
        with pytest.raises(StoreError, match="interrupted"):
            reads.read(counting(10**9))
        ended.append("")

    threads = [threading.Thread(target=read) for _ in range(10)]
    for thread in threads:
        thread.start()
    reads.interrupt()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    reads.close()
    assert len(ended) == 10
