"""Model of several Prometheus that scrape one exporter, which is killed and restarted over one database.

The exporter's parts are real: recorder, state of the metrics, store. Time is made up.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, count
from pathlib import Path
from signal import SIGTERM

from exporter.metrics import definitions, exporter_metrics
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.scrapers import Scrapers
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import SeriesKey, Workload
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.readiness import Readiness
from exporter.pipeline.recorder import Recorder
from exporter.store import Batch, Store
from exporter.verdict.facts import EndedRun, RunFacts
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from tests.store.samples import BEGAN_NS, SECOND_NS, job

TICK_SECONDS = 1.0
KINDS = tuple((workload, code) for workload in ("web", "batch") for code in (0, 1, 2, 137))
"""Workload and code of the exits: each has a series of its own. There are four histograms."""

RUN_SECONDS = (1, 90_000, 30, 2_000)
"""How long runs take, in turns: each is in another bucket, and none is in the order of the buckets."""

BOUNDS = (*definitions.RUN_DURATION.buckets, math.inf)
CATALOG = ReloadableCatalog(None)


class KilledError(Exception):
    """The exporter is killed in the middle of a commit."""


class KillingStore(Store):
    """Store in the middle of whose commit the exporter is killed, if a test wants it.

    ``recorded`` are the ids of the jobs that are on record as ended.
    """

    recorded: set[str]
    kill_before_commit = kill_after_commit = False

    def commit(self, batch: Batch) -> None:
        """Commit a batch, unless the exporter is killed before that."""
        if self.kill_before_commit:
            raise KilledError
        super().commit(batch)
        self.recorded.update(classified.exit.job.id for classified in batch.ended)
        if self.kill_after_commit:
            raise KilledError


@dataclass
class Prometheus:
    """Scrapes every ``interval`` seconds, and adds up what each series grew by, as ``increase()`` does.

    ``has_scraped`` says whether it has, since it or the exporter was last started.
    """

    interval: float
    next_at: float
    connection: int = 0
    last: dict[SeriesKey, float] = field(default_factory=dict)
    increases: Counter[str] = field(default_factory=Counter)
    first: Counter[str] | None = None
    has_scraped: bool = False
    taken: dict[SeriesKey, float] | None = None

    def restart(self, connection: int) -> None:
        """Restart it: it misses one scrape, and comes back with another connection."""
        self.connection, self.next_at, self.has_scraped = connection, self.next_at + self.interval, False

    def take(self, samples: dict[SeriesKey, float]) -> None:
        """Take in the samples of a scrape."""
        self.has_scraped = True
        if self.first is None:
            self.first = totals(samples)
        if samples is self.taken:
            return
        self.taken = samples
        for key, value in samples.items():
            before = self.last.get(key, value)
            self.increases[key[0]] += int(value - before if value >= before else value)
        self.last = {**self.last, **samples}


class World:
    """One engine, one database, an exporter that may be down, and those who scrape it."""

    def __init__(self, intervals: Iterable[float], history: int) -> None:
        self.now = 0.0
        self.directory = Path(tempfile.mkdtemp())
        self.numbers = count()
        self.connections = count()
        self.scrapers = [Prometheus(each, each / 3, next(self.connections)) for each in intervals]
        self.ended: list[EndedRun] = []
        self.recorded: set[str] = set()
        for number in range(history):
            self.end(number)
        self.is_up = False
        # What was shown last, and its samples: most scrapes show the same.
        self.shown: dict[SeriesKey, float] = {}
        self.samples: dict[SeriesKey, float] = {}

    def close(self) -> None:
        """Remove the database."""
        if self.is_up:
            self.store.close()
        shutil.rmtree(self.directory)

    # --- the exporter

    def start(self) -> None:
        """Start the exporter, which has not listed its engine yet."""
        self.store = KillingStore(self.directory / "exits.db")
        self.store.recorded = self.recorded
        stored = self.store.series()
        scrapers = Scrapers(learned=self.store.scrape_interval(), clock=lambda: self.now)
        self.state = MetricState(stored, self.store.shown_series(), scrapers)
        job_metrics = JobMetrics(10, CATALOG.has_code, stored)
        self.recorder = Recorder(self.store, self.state, job_metrics, Classifier(CATALOG), Readiness())
        self.recorder.resume()
        if not self.state.was_listed("node-1"):
            self.state.begin_history(job().engine)
        self.is_up = True
        self.missed = [each for each in self.ended if each.job.id not in self.recorded]

    def list(self) -> None:
        """Record what ended while the exporter was away, in two batches with time between them."""
        middle = len(self.missed) // 2
        for batch in (self.missed[:middle], self.missed[middle:]):
            for each in batch:
                self.recorder.add(each)
            self.recorder.commit({})
            self.advance(TICK_SECONDS)
        update = MetricUpdate()
        exporter_metrics.create_backfill_series(update, "node-1")
        self.state.apply(update)
        self.recorder.commit({}, always=True)
        self.state.end_history(job().engine, "node-1")

    def kill(self) -> None:
        """Kill the exporter: what is not in the database is gone, and all connections with it."""
        self.store.close()
        self.is_up = False
        for scraper in self.scrapers:
            scraper.connection, scraper.has_scraped = next(self.connections), False

    def end(self, kind: int) -> EndedRun:
        """End a run."""
        workload, code = KINDS[kind % len(KINDS)]
        number = next(self.numbers)
        at_ns = BEGAN_NS + number * SECOND_NS
        run = job(
            workload=Workload(workload, workload), container_id=f"{number:012x}{0:052x}", started_ns=at_ns
        )
        end_ns = at_ns + RUN_SECONDS[number % len(RUN_SECONDS)] * SECOND_NS
        ended = EndedRun(run, RunFacts(code, end_ns, [], [], SIGTERM, SECOND_NS), event_ns=end_ns)
        self.ended.append(ended)
        return ended

    def observe(self, kind: int) -> None:
        """End a run, and record it if the exporter runs."""
        ended = self.end(kind)
        if self.is_up:
            self.recorder.add(ended)
            self.recorder.commit({})

    def total(self) -> Counter[str]:
        """Return the true sums."""
        return totals(samples_of(self.state.snapshot()))

    @property
    def knows_scrapers(self) -> bool:
        """True if all scrape, and an exporter that is restarted knows how long to wait for them."""
        learned = self.store.scrape_interval() if all(each.has_scraped for each in self.scrapers) else None
        return learned is not None and learned * 1.25 > max(each.interval for each in self.scrapers)

    # --- time

    def advance(self, seconds: float) -> None:
        """Let time pass: every scraper scrapes when it is due, and the recorder looks every second."""
        end = self.now + seconds
        while (moment := min(self._next_tick(), *(each.next_at for each in self.scrapers))) <= end:
            self.now = moment
            for scraper in self.scrapers:
                if scraper.next_at <= moment:
                    self._scrape(scraper)
            if self.is_up and moment % TICK_SECONDS == 0:
                self.recorder.commit({})
        self.now = end

    def advance_to_scrape(self, scraper: Prometheus) -> None:
        """Let time pass until this scraper has scraped; what is recorded next comes right after that."""
        self.advance(scraper.next_at - self.now)

    def _next_tick(self) -> float:
        return (self.now // TICK_SECONDS + 1) * TICK_SECONDS

    def _scrape(self, scraper: Prometheus) -> None:
        scraper.next_at += scraper.interval
        if self.is_up:
            shown = self.state.shown_values()
            if shown != self.shown:
                self.shown, self.samples = shown, samples_of(shown)
            scraper.take(self.samples)
            self.state.scrapers.on_scraped(scraper.connection, self.now)


def samples_of(values: Mapping[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Return the series that count exits, of each histogram those of all its buckets."""
    samples = {key: value for key, value in values.items() if key[0] == definitions.EXITS.name}
    name = definitions.RUN_DURATION.name
    for labels in {labels[:-1] for each, labels in values if each == name}:
        counts = accumulate(values.get((name, (*labels, str(index))), 0) for index in range(len(BOUNDS)))
        samples |= {(bucket(bound), labels): count for bound, count in zip(BOUNDS, counts, strict=True)}
    return samples


def totals(samples: Mapping[SeriesKey, float]) -> Counter[str]:
    """Return the sum of each metric, and of each bucket."""
    sums = Counter[str]()
    for (name, _), value in samples.items():
        sums[name] += int(value)
    return sums


def counted(ended: Iterable[EndedRun]) -> Counter[str]:
    """Return the sums after these exits."""
    sums = Counter[str]()
    for each in ended:
        seconds = RUN_SECONDS[int(each.job.container_id[:12], 16) % len(RUN_SECONDS)]
        sums.update([definitions.EXITS.name, *(bucket(bound) for bound in BOUNDS if seconds <= bound)])
    return sums


def bucket(bound: float) -> str:
    """Return the name of a bucket."""
    return f"{definitions.RUN_DURATION.name}_bucket le={bound}"
