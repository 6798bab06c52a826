"""A pipeline with real parts, fed by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.metrics.definitions import Metric
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.model import ContainerHistory, Cursor, Job, JobRecord, SeriesKey
from exporter.otlp.sampler import TraceSelector
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.loop import Pipeline
from exporter.pipeline.readiness import Readiness
from exporter.pipeline.recorder import Recorder
from exporter.pipeline.records import StoredRecords
from exporter.pipeline.sources import ConnectedSources
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.engine import ContainerList, EngineInfo, Event, Inspection
from exporter.sources.docker.messages import EventReceived, Inspected, StreamOpened, WatchMessage, connected
from exporter.sources.docker.source import DockerSource
from exporter.sources.source import Disconnected, Inbox, Message
from exporter.store import Batch, JobFilter, Store, StoreError
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from tests.contract.tracker_driver import CONFIG, HOST, at
from tests.lab.wait import wait_until

ADDRESS = "unix:///engine.sock"
OTHER_ADDRESS = "unix:///other.sock"
PATIENCE_SECONDS = 10.0
FULL = "exits.db: database or disk is full"
CONNECTED = StreamOpened(
    EngineInfo(HOST, "1", "a kernel", 1, at(-100)), has_kernel_counter=False, cursor=Cursor(0, at(-100))
)


class WatchedStore(Store):
    """A store that can be told to refuse, and tells before it takes a batch."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "exits.db")
        self.refuses_commits = False
        self.refuses_questions = False
        self.refusals = 0
        self.batches: list[Batch] = []
        self.before_commit: Callable[[], None] = lambda: None

    def commit(self, batch: Batch) -> None:
        """Take a batch, or refuse it."""
        self.before_commit()
        self._refuse(when=self.refuses_commits)
        super().commit(batch)
        self.batches.append(batch)

    def running_jobs(self) -> list[Job]:
        """Tell which jobs run, or refuse to."""
        self._refuse(when=self.refuses_questions)
        return super().running_jobs()

    def load_history(
        self, container_id: str, other_engines: frozenset[str] = frozenset()
    ) -> ContainerHistory | None:
        """Tell what is on record of a container, or refuse to."""
        self._refuse(when=self.refuses_questions)
        return super().load_history(container_id, other_engines)

    def records(self) -> list[JobRecord]:
        """Everything on record, the oldest first."""
        return self.list_jobs(JobFilter(), 100_000)[::-1]

    def _refuse(self, *, when: bool) -> None:
        if when:
            self.refusals += 1
            raise StoreError(FULL)


class Piping:
    """A pipeline over the store in a directory; it runs between ``with`` and its end."""

    def __init__(
        self,
        directory: Path,
        *,
        oom_seconds: float = 0.0,
        workloads: int = 500,
        idle_ns: int = 0,
        selector: TraceSelector | None = None,
    ) -> None:
        self.store = WatchedStore(directory)
        kept = self.store.series()
        self.metric_state, self.health, self.catalog = MetricState(kept), Readiness(), ReloadableCatalog(None)
        self.health.set_unready(ADDRESS, "the engine has not answered yet")
        self._inbox = Inbox()
        config = replace(CONFIG, host="", oom_seconds=oom_seconds)
        engines = [DockerEngine(EngineAddress(address)) for address in (ADDRESS, OTHER_ADDRESS)]
        sources = [DockerSource(engine, self._inbox, config) for engine in engines]
        job_metrics = JobMetrics(workloads, self.catalog.has_code, kept, idle_ns=idle_ns)
        stopping, classifier = threading.Event(), Classifier(self.catalog, selector)
        self.recorder = Recorder(self.store, self.metric_state, job_metrics, classifier, self.health)
        records = StoredRecords(self.store, self.recorder, stopping)
        connected_sources = ConnectedSources(sources, records, self.metric_state, self.health)
        self.pipeline = Pipeline(self._inbox, connected_sources, self.recorder, stopping)

    def __enter__(self) -> Self:
        """Begin."""
        self.pipeline.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and close the store."""
        self.pipeline.stop(PATIENCE_SECONDS)
        self.store.close()

    def says(self, *contents: WatchMessage | Disconnected, address: str = ADDRESS) -> Self:
        """An engine's watch says something."""
        for content in contents:
            message = connected(content) if isinstance(content, StreamOpened) else content
            self._inbox.put(Message(address, message))
        return self

    def connects(self, address: str = ADDRESS) -> Self:
        """An engine is there, and has no containers."""
        return self.says(CONNECTED, ContainerList((), at(-100)), address=address)

    def sees(self, *events: Event) -> Self:
        """An engine tells of events, about which nobody asks."""
        return self.says(*(EventReceived(event, inspecting=False) for event in events))

    def answers(self, container_id: str, inspection: Inspection | None) -> Self:
        """An answer comes."""
        return self.says(Inspected(container_id, inspection))

    def series(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """The series of a metric that can be seen."""
        return series_of(metric, self.metric_state.snapshot())

    def durable(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """The series of a metric as they are on record."""
        return series_of(metric, self.store.series())

    def ended(self, count: int) -> bool:
        """Whether so many jobs have ended on record, or do so soon."""
        return wait_until(
            lambda: sum(record.ended is not None for record in self.store.records()) == count,
            PATIENCE_SECONDS,
        )

    def is_ready(self) -> bool:
        """Whether nothing stands in the way, or soon does not."""
        return wait_until(lambda: not self.health.problems(), PATIENCE_SECONDS)

    def idle(self) -> bool:
        """Whether everything said so far has been taken in, or is soon."""
        return wait_until(self._inbox.empty, PATIENCE_SECONDS)


def series_of(metric: Metric, series: Mapping[SeriesKey, float]) -> dict[tuple[str, ...], float]:
    """The series of one metric, by their labels."""
    return {labels: value for (name, labels), value in series.items() if name == metric.name}
