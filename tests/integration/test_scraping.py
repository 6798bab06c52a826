"""A real Prometheus and what its plain ``increase()`` says, through kills and restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from tests.contract.engines import exited, on_other_host
from tests.contract.test_daemon import KEEP, run_job
from tests.lab.exporter import ExporterProcess
from tests.lab.prometheus import PrometheusProcess
from tests.lab.prometheus_kinds import KINDS, programs_of
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

EXITS = "container_exits_total"
SECONDS = 120.0
RESTART_SECONDS = 30
SLOW = 3
HISTORY = 3


class Watched:
    """An engine with a history, its exporter, and two Prometheus that scrape at different intervals."""

    def __init__(self, directory: Path, programs: Path | None) -> None:
        self.directory = directory
        self.programs = programs
        self.parts = ExitStack()
        self.count = 0

    def __enter__(self) -> Self:
        """Start all, and wait until the exporter knows who scrapes."""
        self.engine = self.parts.enter_context(on_other_host(ScriptedEngine(self.directory)))
        for _ in range(HISTORY):
            self.count += 1
            self.engine.set_container(exited(1, 2, 1, self.count))
        arguments = (*KEEP, "--metrics.max-scrape-interval", f"{RESTART_SECONDS}s")
        self.exporter = ExporterProcess(self.engine.url, self.directory, arguments=arguments)
        self.parts.enter_context(self.exporter)
        self.scrapers = [self.prometheus("1s"), self.prometheus(f"{SLOW}s")]
        assert wait_until(lambda: self.interval_on_record() > SLOW - 1, SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all."""
        self.parts.close()

    def prometheus(self, interval: str) -> PrometheusProcess:
        """Start another Prometheus."""
        directory = self.directory / f"every-{interval}"
        directory.mkdir()
        targets = {"exit-exporter": self.exporter.address}
        started = PrometheusProcess(directory, targets=targets, programs=self.programs, interval=interval)
        return self.parts.enter_context(started)

    def interval_on_record(self) -> float:
        """Return the longest interval that the exporter has learned."""
        with closing(sqlite3.connect(self.exporter.database)) as connection:
            rows = connection.execute("SELECT seconds FROM scrape_interval").fetchall()
        return float(rows[0][0]) if rows else 0.0

    def run_jobs(self, *codes: int) -> None:
        """Run jobs that end with these codes."""
        for code in codes:
            self.count += 1
            run_job(self.engine, self.count, code)

    def is_seen(self, scraper: PrometheusProcess) -> bool:
        """Return whether a Prometheus soon has the true total."""
        return wait_until(lambda: scraper.value(f"sum({EXITS})") == self.count, SECONDS)

    def is_counted(self, scraper: PrometheusProcess) -> bool:
        """Return whether what is not history soon is what ``increase()`` counts.

        Right after a sample, it is extrapolated by half an interval.
        """
        query = f"sum(round(increase({EXITS}[1h])))"
        return wait_until(lambda: scraper.value(query) == self.count - HISTORY, SECONDS)


def samples_add_up_to(scraper: PrometheusProcess) -> float:
    """Return by how much the samples of the counter grew, without any extrapolation."""
    total = 0.0
    for series in scraper.ask("query", query=f"{EXITS}[1h]")["result"]:
        values = [float(value) for _, value in series["values"]]
        total += sum(now - before if now >= before else now for before, now in pairwise(values))
    return total


@pytest.fixture(params=KINDS)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """Start an exporter that is scraped, by each version of Prometheus."""
    with Watched(tmp_path, programs_of(request.param)) as started:
        yield started


def test_plain_increase_counts_each_exit_once(watched: Watched) -> None:
    fast, slow = watched.scrapers
    watched.run_jobs(1, 0, 137, 1)
    assert watched.is_seen(fast)
    watched.run_jobs(2)
    watched.exporter.kill()
    watched.run_jobs(2, 3, 1)
    watched.exporter.stop()
    watched.exporter.start()
    watched.run_jobs(4)
    watched.exporter.await_ready()
    assert watched.is_seen(fast)
    fast.stop()
    watched.run_jobs(5, 5)
    fast.start()
    fast.await_ready()
    for scraper in (fast, slow):
        assert watched.is_seen(scraper)
        assert watched.is_counted(scraper)
        assert samples_add_up_to(scraper) == watched.count - HISTORY


def test_a_new_prometheus_counts_no_history(watched: Watched) -> None:
    watched.run_jobs(1, 0, 137)
    for scraper in watched.scrapers:
        assert watched.is_seen(scraper)
    new = watched.prometheus("2s")
    assert wait_until(lambda: (new.value(f"max(count_over_time({EXITS}[1h]))") or 0) > 3, SECONDS)
    assert (new.value(f"sum({EXITS})"), new.value(f"sum(increase({EXITS}[1h]))")) == (watched.count, 0)
