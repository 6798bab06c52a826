"""Frozen values that all parts share: jobs, exits, evidence and verdicts.

Times are integers named ``…_ns``: nanoseconds since the Unix epoch, by the clock of the engine's host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from exporter.frozen import frozen
from exporter.outcomes import Recovery as Recovery  # noqa: PLC0414  # of the model too
from exporter.outcomes import Status as Status  # noqa: PLC0414  # of the model too
from exporter.outcomes import Termination as Termination  # noqa: PLC0414  # of the model too
from exporter.time_units import SECOND_NS as SECOND_NS  # noqa: PLC0414  # as above

# Name and label values. A histogram has a series for each bucket's own count (not cumulated; the last label
# is the index of the bucket) and one, with the last label "sum", for the sum.
SeriesKey = tuple[str, tuple[str, ...]]
# Engines report events of different containers slightly out of order.
OVERLAP_NS = SECOND_NS


@dataclass(frozen=True, slots=True)
class KillRequest:
    """Request to the engine to send a signal.

    ``signal`` is None if a label of the container hides it: events show labels and signal under one name.
    """

    signal: int | None
    at_ns: int


class OomSource(Enum):
    """Source that reports an OOM kill; the value is how notes begin that cite it."""

    EVENT = "The engine reported an OOM kill"
    FLAG = "The engine's OOMKilled flag is set"
    LOG = "The kernel's log names this container for an OOM kill"
    COUNTER = "The kernel counted an OOM kill that no other container accounts for"


class LimitOwner(StrEnum):
    """Owner of the memory limit that was reached: the container, a control group above it, or the host."""

    OWN = "own"
    PARENT = "parent"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class OomVictim:
    """Process that the kernel killed for memory, as its log describes it.

    ``limit`` and ``cgroup`` say which limit was reached, and the path of its control group ("/" is the host):
    None and empty if the log does not say. ``pid`` is the host's. ``rss_bytes`` is the anonymous memory of
    the process. ``largest`` is the name and size in bytes of the process that used most memory, None if that
    was the victim.
    """

    limit: LimitOwner | None
    cgroup: str
    process: str
    pid: int
    rss_bytes: int | None = None
    largest: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class OomKill:
    """OOM kill in a run, as one source reports it.

    ``at_ns`` is None if only the fact is known. For the kernel's counter it is the time at which the counter
    was read, shortly after the kill. ``victim`` is None unless the source is the kernel's log.
    """

    source: OomSource
    at_ns: int | None
    victim: OomVictim | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """One run of a job, as its supervisor's server reports it. It is shown beside the verdict, never in it.

    ``id`` is that of the SupervisedJob, ``run_id`` and ``run`` are id and name of the run that it belongs to,
    which ``is_open`` until it has ended. ``number`` counts the submissions of the job from 0. ``status`` is
    the server's own word, and ``summary`` the words that its users see. ``termination`` is its word for the
    end in capitals, ``message`` its sentence, ``stopped_by`` who asked for the end; each is empty where there
    is none. ``exit_status`` is None where there is none, and may be negative. ``has_container`` is False only
    where the server says that no container was made.
    """

    supervisor: str
    id: str
    run_id: str
    run: str = ""
    job_num: int | None = None
    replica_num: int | None = None
    number: int | None = None
    project: str = ""
    user: str = ""
    image: str = ""
    host: str = ""
    status: str = ""
    summary: str = ""
    termination: str = ""
    message: str = ""
    stopped_by: str = ""
    exit_status: int | None = None
    submitted_ns: int = 0
    finished_ns: int | None = None
    has_container: bool = True
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class JobEnd:
    """End of a job inside a container, as its supervisor reports it.

    ``status`` is done, failed or terminated. ``code`` is the job's own, None where there is none; ``signal``
    ended it, if one did. ``termination`` is the supervisor's own word in capitals, empty where it has none;
    ``message`` its sentence. ``start_error`` says why the job could not be started, empty where it was.
    ``received_ns`` is when an engine received this report, 0 if none did: its events may be as late.
    """

    at_ns: int
    status: Status
    code: int | None = None
    signal: int | None = None
    termination: str = ""
    message: str = ""
    start_error: str = ""
    received_ns: int = 0


@frozen
class JobReport:
    """What a supervisor has said of a job inside a container.

    ``was_heard``: it has said anything at all. ``started_ns`` is when the job was started, None where it was
    not. ``unreadable`` is why nothing, or not all, could be read of it; empty where all was.
    """

    was_heard: bool = False
    started_ns: int | None = None
    end: JobEnd | None = None
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class SupervisedJob:
    """A job inside a container, as the supervisor that made the container names it.

    ``id`` is the supervisor's own for this very run of the job (of dstack: the id of the job submission).
    The names are empty or None where the container does not prove them. ``submission`` is what the
    supervisor's server reports of it, None where that is not known. ``report`` is how it ended, None unless
    its container still runs then.
    """

    supervisor: str
    id: str
    run: str = ""
    job_num: int | None = None
    replica_num: int | None = None
    submission: Submission | None = field(default=None, compare=False)
    report: JobReport | None = field(default=None, compare=False)

    @property
    def job_name(self) -> str:
        """Name that all submissions of the job share; empty where it is not known."""
        return f"{self.run}-{self.job_num}-{self.replica_num}" if self.run else ""


@dataclass(frozen=True, slots=True)
class SupervisedEnd:
    """How a job inside a container ended, as far as the verdict depends on its supervisor's report.

    ``status`` is unknown where the report is missing. ``termination`` is the supervisor's own word in
    capitals, empty where it has none; ``signal`` the signal that ended the job; ``start_error`` why it could
    not be started.
    """

    supervisor: str
    status: Status
    termination: str = ""
    signal: int | None = None
    start_error: str = ""


@frozen
class Evidence:
    """Everything beside the code that a verdict depends on.

    ``start_error`` is the engine's text about a failed start. ``ran_ns`` is the duration of the run, None if
    unknown. ``limit`` is the memory limit that was reached if ``oom_killed``, None if unknown. ``notes`` are
    sentences that cite the evidence, ordered by time. ``causes`` are likely causes that the evidence of this
    job points to, the likeliest first. ``not_known`` are sentences about what could not be found out.
    """

    start_failed: bool = False
    start_error: str = ""
    host_lost: bool = False
    oom_killed: bool = False
    limit: LimitOwner | None = None
    unhealthy: bool = False
    stop_requested: bool = False
    ran_ns: int | None = None
    notes: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()
    supervised: SupervisedEnd | None = None


class TelemetrySignal(StrEnum):
    """OTLP signal: spans, or the events of a job as log records."""

    TRACES = "traces"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Trace:
    """Span of a job: ids as OTLP writes them, 32 and 16 lower-case hexadecimal digits.

    ``parent_span_id`` is the span that launched the job, None if there is none.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None


class Workload(NamedTuple):
    """Group of equal jobs. There are few of them, so that the name can be a metric label.

    ``image`` is the repository, without tag or digest.
    """

    name: str
    image: str


@frozen
class Job:
    """One run of one container, or a job for which a supervisor made none: its ``container_id`` is empty.

    ``attempt`` counts the runs of the container from 1. ``key`` identifies the run, equally for every
    exporter that watches the engine; empty for jobs that were recorded before keys existed. ``image`` is the
    reference that the engine was given, ``image_id`` its id there, and ``image_digests`` are its digests in
    registries, as ``repository@sha256:…``; empty if unknown. ``engine`` is the engine's address, ``runtime``
    its kind in OpenTelemetry's words (``docker``), empty if there was none. ``start_event_ns`` is the time of
    the engine's ``start`` event; ``created_ns`` and ``started_ns`` are its ``Created`` and
    ``State.StartedAt``. ``started_ns`` is None for a start that failed, ``created_ns`` if unknown,
    ``memory_limit_bytes`` if unknown or unlimited. ``traceparent`` is the text of the label, not parsed,
    empty without one. ``restarts`` is the engine's count of restarts; ``kills``, ``oom_kills`` and ``notes``
    are what has happened so far.
    """

    container_id: str
    attempt: int
    name: str
    instance: str
    workload: Workload
    image: str
    start_event_ns: int
    engine: str = ""
    created_ns: int | None = None
    started_ns: int | None = None
    memory_limit_bytes: int | None = None
    traceparent: str = ""
    # Derived from the other fields.
    key: str = field(default="", compare=False)
    # It follows from labels and name.
    supervised: SupervisedJob | None = field(default=None, compare=False)
    runtime: str = field(default="", compare=False)
    image_id: str = field(default="", compare=False)
    image_digests: tuple[str, ...] = field(default=(), compare=False)
    # Not part of the identity: these change while the job runs.
    restarts: int | None = field(default=None, compare=False)
    kills: tuple[KillRequest, ...] = field(default=(), compare=False)
    oom_kills: tuple[OomKill, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def id(self) -> str:
        """Id in URLs: the short id of the container, and the key, or the attempt if there is no key.

        Without a container, the key alone.
        """
        return f"{self.container_id[:12]}-{self.key or self.attempt}" if self.container_id else self.key

    @property
    def has_container(self) -> bool:
        """Return whether a container was made for it."""
        return bool(self.container_id)


@dataclass(frozen=True, slots=True)
class ContainerHistory:
    """Recorded past of a container.

    ``attempts`` is the number of its runs and failed starts, ``last_end_ns`` the last time at which one
    ended, None if none did, ``last_start_ns`` the last time at which a run began, None if no start is known.
    ``restarts`` is the engine's last known count of restarts.
    ``recorded_event_times`` are the times of all recorded events in nanoseconds. ``failed_start_ns`` is the
    time of its last failed start, None if the last record is a run.
    """

    attempts: int
    last_end_ns: int | None
    restarts: int | None = None
    recorded_event_times: frozenset[int] = frozenset()
    failed_start_ns: int | None = None
    last_start_ns: int | None = None


@frozen
class Cursor:
    """Position from which the events of an engine are read again.

    ``event_ns`` is the time of the last event that was read, 0 if there was none. Events before
    ``not_before_ns`` are never requested: the container list covers that time. Everything up to
    ``read_until_ns`` has been read.
    """

    event_ns: int
    not_before_ns: int
    read_until_ns: int = 0

    @property
    def since_ns(self) -> int:
        """Time from which events are requested; it overlaps with what was read."""
        return max(self.not_before_ns, self.event_ns - OVERLAP_NS)

    @property
    def latest_ns(self) -> int:
        """Latest of its times."""
        return max(self.event_ns, self.not_before_ns, self.read_until_ns)

    def bounded(self, now_ns: int) -> Cursor:
        """Return it with no time after ``now_ns``."""
        return Cursor(
            *(min(each, now_ns) for each in (self.event_ns, self.not_before_ns, self.read_until_ns))
        )


@frozen
class Exit:
    """Ended job with the evidence that its facts were reduced to; the second of three stages of an exit.

    ``code`` is None if it is unknown. ``finished_ns`` is the engine's ``State.FinishedAt``, or the time of
    the event if that is all there is. ``oom_kills`` is the number of processes that were OOM-killed.
    ``recovered`` means that the exit was found afterwards instead of being observed. ``log_tail`` is the end
    of the log, None if it was not read. ``event_ns`` is the time of the ``die`` event, None if there was
    none.
    """

    job: Job
    code: int | None
    finished_ns: int
    evidence: Evidence = field(default_factory=Evidence)
    oom_kills: int = 0
    recovered: bool = False
    log_tail: str | None = None
    event_ns: int | None = None


@frozen
class Verdict:
    """Classification of an exit. ``error`` is the text that users see, None for a job that is done."""

    status: Status
    termination: str
    reason: str
    recovery: Recovery
    error: str | None


@frozen
class ClassifiedExit:
    """Exit with its verdict, as it is stored, counted and shown. ``trace`` is None if none is exported."""

    exit: Exit
    verdict: Verdict
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Job as it is recorded; ``ended`` is None while it runs."""

    job: Job
    ended: ClassifiedExit | None

    @property
    def status(self) -> Status:
        """Status of the job."""
        return self.ended.verdict.status if self.ended else Status.RUNNING
