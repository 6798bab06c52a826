"""A Docker-compatible engine as a source of runs: its watcher, and the tracker of its containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.config.settings import LogTailSettings, Settings, Switch
from exporter.log_tail import LogTail, redactor
from exporter.model import SECOND_NS, ContainerHistory, Cursor, Job
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import resolve_address
from exporter.sources.docker.engine import ContainerList, Engine, EventGap, EventType, KernelReport
from exporter.sources.docker.messages import (
    CaughtUp,
    EventReceived,
    Inspected,
    JobReported,
    LogCollected,
    OtherEngineOom,
    RequestsRefused,
    StartFailed,
    StreamOpened,
)
from exporter.sources.docker.supervisors.registry import LABELS as SUPERVISOR_LABELS
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.job import ran_on
from exporter.sources.docker.track.tracker import Tracker
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.shared import Shared
from exporter.sources.docker.watch.watcher import EngineWatcher
from exporter.sources.source import (
    Connected,
    EventsCounted,
    EventsMissed,
    HostFact,
    Inbox,
    Limited,
    Listed,
    Outcome,
    Records,
)
from exporter.workload import labels_kept

# Inspections of all engines that are made at once, as long as each has its minimum.
INSPECT_THREADS = 64
# Of each engine: it answers an inspection of a container that it is starting only afterwards, and others must
# not wait for that.
MIN_INSPECT_THREADS = 4


class DockerSource:
    """One Docker-compatible engine.

    ``config`` is what the settings say; an empty ``host`` stands for the engine's own host name.
    ``watched`` are the addresses of all engines that are watched: jobs of any other engine on the same host
    are taken over if this engine has their containers, since its address has changed. ``shared`` is what is
    shared with the other engines.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        config: TrackerConfig,
        *,
        watched: frozenset[str] = frozenset(),
        shared: Shared | None = None,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._config = config
        self._watched = watched
        self._others = watched - {engine.address}
        self._shared = shared or Shared(WatchConfig())
        self._watcher: EngineWatcher | None = None

    @property
    def address(self) -> str:
        """The engine's address."""
        return self._engine.address

    def start(self, cursor: Cursor | None) -> None:
        """Start to watch the engine from ``cursor`` on; return at once, whether it answers or not."""
        self._watcher = EngineWatcher(self._engine, self._inbox, self._shared, cursor=cursor)
        self._watcher.start()

    def stop(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.stop()

    def tracker(self, connected: Connected, records: Records) -> DockerTracker:
        """Return a tracker of the engine's containers, with the jobs that are on record as running."""
        opened = connected.details
        if not isinstance(opened, StreamOpened):
            raise TypeError(opened)
        config = self._tracker_config(opened, records)
        running = [job for job in records.running() if self._ran_here(job, config)]

        def load_history(container_id: str) -> ContainerHistory | None:
            # Hosts made from one image have containers with equal ids: other engines' runs are not ours. But
            # two of the addresses can lead to one engine, and at the last start the other one did.
            return records.history(container_id, self._others, lambda job: ran_on(job, config.identity))

        def load_containers_of_job(job_name: str) -> frozenset[str]:
            return records.containers_of_job(job_name, config.host)

        cursor = records.cursor(self.address)
        return DockerTracker(Tracker(config, load_history, running, cursor, load_containers_of_job))

    def _tracker_config(self, opened: StreamOpened, records: Records) -> TrackerConfig:
        info = opened.info
        return replace(
            self._config,
            host=self._config.host or info.host,
            engine=self.address,
            identity=info.identity,
            late_network_connect=info.late_network_connect,
            has_kernel_counter=opened.has_kernel_counter,
            has_kernel_log=opened.has_kernel_log,
            kernel_since_ns=info.time_ns,
            pruning_mark_ns=lambda: records.pruning_mark_of(self.address),
            recorded_until_ns=opened.cursor.latest_ns,
        )

    def _ran_here(self, job: Job, config: TrackerConfig) -> bool:
        """Return whether a job ran on this engine, or on this host and an engine no longer watched."""
        is_orphaned = bool(self._watched) and job.engine not in self._others
        is_own = job.engine == self.address or ran_on(job, config.identity)
        return is_own or (is_orphaned and job.instance == config.host)


class DockerTracker:
    """Hands the watcher's messages to the tracker, and says what the pipeline has to count or show."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        # By type: those received since ``release_due``.
        self._events: Counter[EventType] = Counter()
        self._has_connected = False
        # The engine was restarted after everything on it had ended and been read: nothing was missed.
        self._restarted_idle = False
        # The engine's clock was set back and is right again: what ended meanwhile looks as if it was deleted.
        self._clock_came_back = False

    @property
    def host(self) -> str:
        """Name under which the engine's host is shown."""
        return self._tracker.host

    @property
    def next_due(self) -> float | None:
        """Time at which the next run need not wait any longer; None while none waits."""
        return self._tracker.next_due

    @property
    def cursor(self) -> Cursor | None:
        """Position in the engine's events up to which everything has been handed over."""
        return self._tracker.cursor

    def receive(self, content: object, now: float) -> Sequence[Outcome]:
        """Take in a message of the watcher, or a fact from another engine on this host.

        Jobs, runs and the number of events are returned by ``release_due``: of what a batch says of a job,
        only the last matters.
        """
        match content:
            case EventReceived():
                return self._event(content, now)
            case ContainerList():
                return self._listed(content, now)
            case StreamOpened():
                self._connected(content)
            case RequestsRefused():
                return [Limited(content.missing)]
            case OtherEngineOom():
                self._tracker.oom_on_other_engine(content.container_id, content.at_ns, now)
            case _:
                self._pass_on(content)
        return ()

    def release_due(self, now: float) -> list[Outcome]:
        """Return the jobs that started or changed, and the runs that need not wait any longer."""
        self._tracker.release_due(now)
        return [*self._counted(), *self._tracker.drain()]

    def _counted(self) -> Iterator[EventsCounted]:
        if self._events:
            yield EventsCounted({event_type.value: count for event_type, count in self._events.items()})
            self._events.clear()

    def _pass_on(self, content: object) -> None:
        tracker = self._tracker
        match content:
            case Inspected():
                tracker.inspected(content.container_id, content.inspection, content.event_ns)
            case LogCollected():
                tracker.log_collected(content.container_id, content.ended_ns, content.log_tail)
            case JobReported():
                tracker.job_reported(content)
            case KernelReport():
                tracker.kernel_reported(content)
            case CaughtUp():
                tracker.caught_up(content.until_ns)
            case StartFailed():
                tracker.start_failed(content.inspection)

    def _event(self, received: EventReceived, now: float) -> Sequence[Outcome]:
        event = received.event
        self._tracker.event(received, now)
        self._events[event.type] += 1
        if event.type is EventType.OOM:
            # Engines on one host share its kernel: a kill that it has counted is one engine's or another's.
            return [HostFact(OtherEngineOom(event.container_id, event.at_ns))]
        return ()

    def _listed(self, listed: ContainerList, now: float) -> list[Outcome]:
        self._tracker.listed(listed, now)
        nothing_missed = listed.event_gap is EventGap.RESTARTED and self._restarted_idle
        if listed.event_gap is not EventGap.NONE and not nothing_missed:
            return [EventsMissed(listed.event_gap.value), Listed()]
        if self._clock_came_back:
            return [EventsMissed(EventGap.CLOCK_SET_BACK.value), Listed()]
        return [Listed()]

    def _connected(self, opened: StreamOpened) -> None:
        self._restarted_idle = self._has_connected and opened.read_to_end and self._tracker.is_idle
        self._has_connected = True
        now_ns = opened.info.time_ns
        self._clock_came_back = opened.cursor.latest_ns < self._tracker.pruning_mark_ns <= now_ns
        self._tracker.resumed(opened.cursor, opened.event_gap, now_ns=now_ns)


def docker_sources(
    settings: Settings, environment: Mapping[str, str], inbox: Inbox
) -> tuple[DockerSource, ...]:
    """Return a source for each engine in the settings. Raises EngineError if an address is not valid."""
    addresses = dict.fromkeys(
        resolve_address(host, settings.docker.cert_path, environment)
        for host in settings.docker.host or ("",)
    )
    labels = (*labels_kept(settings.workload.order), *SUPERVISOR_LABELS)
    engines = [DockerEngine(address, labels=labels) for address in addresses]
    watched = frozenset(engine.address for engine in engines)
    config, shared = _tracker_config(settings), Shared(_watch_config(settings, len(engines)), len(engines))
    return tuple(DockerSource(engine, inbox, config, watched=watched, shared=shared) for engine in engines)


def _tracker_config(settings: Settings) -> TrackerConfig:
    return TrackerConfig(
        host=settings.instance.name,
        workload_order=settings.workload.order,
        oom_seconds=settings.exits.oom_wait,
        oom_window_ns=int(settings.exits.oom_window * SECOND_NS),
        stop_window_ns=int(settings.exits.stop_window * SECOND_NS),
        reads_job_logs=_reads_job_logs(settings),
        retention_ns=int(settings.storage.retention * SECOND_NS),
    )


def _watch_config(settings: Settings, engines: int) -> WatchConfig:
    config = WatchConfig(log_tail=_log_tail(settings.tail), follow_job_logs=_reads_job_logs(settings))
    threads = max(MIN_INSPECT_THREADS, INSPECT_THREADS // max(1, engines))
    return replace(config, inspect_threads=min(config.inspect_threads, threads))


def _reads_job_logs(settings: Settings) -> bool:
    return settings.dstack.runner_log is Switch.ON


def _log_tail(settings: LogTailSettings) -> LogTail | None:
    if not settings.lines:
        return None
    return LogTail(settings.lines, settings.bytes, redactor(settings.redact) if settings.redact else None)
