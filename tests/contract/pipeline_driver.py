"""Driver of a pipeline with real parts, to which a test sends messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from exporter.metrics import definitions
from exporter.metrics.definitions import Metric
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.scrapers import MAX_INTERVAL, Scrapers
from exporter.metrics.state import MetricState
from exporter.model import ClassifiedExit, ContainerHistory, Cursor, Job, JobRecord, SeriesKey
from exporter.otlp.sampler import TraceSelector
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.loop import Pipeline
from exporter.pipeline.readiness import Readiness
from exporter.pipeline.recorder import Recorder
from exporter.pipeline.records import StoredRecords
from exporter.pipeline.sources import ConnectedSources
from exporter.pipeline.standstill import Progress, StandstillWatch
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.engine import ContainerList, EngineInfo, Event, Inspection
from exporter.sources.docker.messages import EventReceived, Inspected, StreamOpened, WatchMessage, connected
from exporter.sources.docker.source import DockerSource
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.source import Disconnected, Inbox, Message
from exporter.store import Batch, JobFilter, Store, StoreError
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from tests.contract.tracker_driver import CONFIG, HOST, at
from tests.lab.wait import wait_until

ADDRESS = "unix:///engine.sock"
OTHER_ADDRESS = "unix:///other.sock"
TIMEOUT_SECONDS = 60.0
FULL = "exits.db: database or disk is full"
CONNECTED = StreamOpened(
    EngineInfo(HOST, "1", "a kernel", 1, at(-100)), has_kernel_counter=False, cursor=Cursor(0, at(-100))
)
# Labels of the job that ``start`` and ``die`` are about, and of its ends.
JOB = (HOST, "job", "job")
COMPLETED = (*JOB, "done", "0", "Completed")
OOM_KILLED = (*JOB, "failed", "137", "OOMKilled")
ERROR = (*JOB, "failed", "1", "Error")

Series = dict[tuple[str, ...], float]


class RefusingStore(Store):
    """Store that keeps its batches, and refuses commits or queries while a test wants it to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "exits.db")
        self.refuses_commits = False
        self.refuses_queries = False
        self.refusals = 0
        self.batches: list[Batch] = []
        self.before_commit: Callable[[], object] = lambda: None

    def commit(self, batch: Batch) -> None:
        """Commit a batch, or refuse it."""
        self.before_commit()
        self._refuse(when=self.refuses_commits)
        super().commit(batch)
        self.batches.append(batch)

    def running_jobs(self) -> list[Job]:
        """Return the jobs that run, or refuse to."""
        self._refuse(when=self.refuses_queries)
        return super().running_jobs()

    def load_history(
        self,
        container_id: str,
        other_engines: frozenset[str] = frozenset(),
        is_own: Callable[[Job], bool] = lambda _job: False,
    ) -> ContainerHistory | None:
        """Return what is on record of a container, or refuse to."""
        self._refuse(when=self.refuses_queries)
        return super().load_history(container_id, other_engines, is_own)

    def records(self) -> list[JobRecord]:
        """Return all jobs, the oldest first."""
        return self.reader.list_jobs(JobFilter(), 100_000).records[::-1]

    def _refuse(self, *, when: bool) -> None:
        if when:
            self.refusals += 1
            raise StoreError(FULL)


PIPELINE_CONFIG = replace(CONFIG, host="", oom_seconds=0.0)
"""Settings of its sources: nothing waits for an OOM event."""


class PipelineDriver:
    """Pipeline over the store in a directory; it runs between ``__enter__`` and ``__exit__``."""

    def __init__(  # noqa: PLR0913  # each is changed by some test
        self,
        directory: Path,
        *,
        workloads: int = 500,
        idle_ns: int = 0,
        selector: TraceSelector | None = None,
        config: TrackerConfig = PIPELINE_CONFIG,
        addresses: Sequence[str] = (ADDRESS, OTHER_ADDRESS),
    ) -> None:
        self.store = RefusingStore(directory)
        stored = self.store.series()
        self.scrapers = Scrapers(MAX_INTERVAL, self.store.scrape_interval())
        self.metric_state = MetricState(stored, self.store.shown_series(), self.scrapers)
        self.readiness = Readiness()
        self.readiness.set_unready(ADDRESS, "the engine has not answered yet")
        self.catalog = ReloadableCatalog(None)
        self.inbox = Inbox()
        engines = [DockerEngine(EngineAddress(address)) for address in addresses]
        watched = frozenset(addresses)
        sources = [DockerSource(engine, self.inbox, config, watched=watched) for engine in engines]
        job_metrics = JobMetrics(workloads, self.catalog.has_code, stored, idle_ns=idle_ns)
        stopping, classifier = threading.Event(), Classifier(self.catalog, selector)
        progress = Progress()
        self.recorder = Recorder(self.store, self.metric_state, job_metrics, classifier, self.readiness)
        self.records = StoredRecords(self.store, self.recorder, stopping, progress)
        self.sources = ConnectedSources(sources, self.records, self.metric_state, self.readiness)
        self.loop = Pipeline(self.inbox, self.sources, self.recorder, stopping, progress)
        self.standstill = StandstillWatch(progress, self.readiness)

    def __enter__(self) -> Self:
        """Start."""
        self.loop.start()
        self.standstill.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and close the store."""
        self.stop()
        self.store.close()

    def stop(self) -> bool:
        """Stop, and return whether all that was read is on record."""
        self.standstill.stop()
        return self.loop.stop(TIMEOUT_SECONDS)

    # --- messages

    def send(self, *contents: WatchMessage | Disconnected, address: str = ADDRESS) -> Self:
        """Send messages of an engine's watcher."""
        for content in contents:
            message = connected(content) if isinstance(content, StreamOpened) else content
            self.inbox.put(Message(address, message))
        return self

    def connect(self, address: str = ADDRESS) -> Self:
        """Connect an engine that has no containers."""
        return self.send(CONNECTED, ContainerList((), at(-100)), address=address)

    def events(self, *events: Event, address: str = ADDRESS) -> Self:
        """Send events that cause no inspection."""
        return self.send(*(EventReceived(event, inspecting=False) for event in events), address=address)

    def inspected(self, container_id: str, inspection: Inspection | None) -> Self:
        """Send an inspection."""
        return self.send(Inspected(container_id, inspection))

    # --- what came of them

    def series(self, metric: Metric) -> Series:
        """Return the visible series of a metric."""
        return series_of(metric, self.metric_state.snapshot())

    def stored_series(self, metric: Metric) -> Series:
        """Return the stored series of a metric."""
        return series_of(metric, self.store.series())

    def shows(self, metric: Metric, series: Mapping[Any, float]) -> bool:
        """Return whether these become the series of a metric."""
        return self.reaches(lambda: self.series(metric) == series)

    def ends(self, count: int) -> bool:
        """Return whether the number of ended jobs on record becomes ``count``, and all are counted."""

        def visible() -> bool:
            stored, shown = self.stored_series(definitions.EXITS), self.series(definitions.EXITS)
            return sum(stored.values()) == sum(shown.values())

        return self.reaches(
            lambda: sum(each.ended is not None for each in self.store.records()) == count and visible()
        )

    def is_refused(self, times: int) -> bool:
        """Return whether the store has refused more often than that, or soon has."""
        return self.reaches(lambda: self.store.refusals > times)

    def becomes_ready(self) -> bool:
        """Return whether all problems are solved soon."""
        return self.reaches(lambda: not self.readiness.problems())

    def becomes_idle(self) -> bool:
        """Return whether all messages are taken from the inbox soon."""
        return self.reaches(lambda: not len(self.inbox))

    def reaches(self, fact: Callable[[], bool]) -> bool:
        """Return whether a fact becomes true within the timeout."""
        return wait_until(fact, TIMEOUT_SECONDS)

    def exits(self) -> list[ClassifiedExit]:
        """Return the ended jobs on record, the oldest first, with their logs."""
        records = [self.store.reader.find_job(each.job.id) for each in self.store.records()]
        return [each.ended for each in records if each is not None and each.ended is not None]


def series_of(metric: Metric, series: Mapping[SeriesKey, float]) -> Series:
    """Return the series of one metric by their labels."""
    return {labels: value for (name, labels), value in series.items() if name == metric.name}


def job_series(series: Mapping[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Return the series about jobs."""
    return {key: value for key, value in series.items() if key[0].startswith("container_")}
