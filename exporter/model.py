"""The words of the field as frozen values: what a job is, what is known of its end, what it means.

Times are integers: nanoseconds since the Unix epoch on the engine's clock, named ``…_ns``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

SECOND_NS = 10**9
# Engines report events of different containers slightly out of order.
OVERLAP_NS = SECOND_NS


class Status(StrEnum):
    """How a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


class Termination(StrEnum):
    """How a job came to its end, whatever its code."""

    DONE = "DONE"
    TERMINATED_BY_USER = "TERMINATED_BY_USER"
    CONTAINER_EXITED_WITH_ERROR = "CONTAINER_EXITED_WITH_ERROR"
    CREATING_CONTAINER_ERROR = "CREATING_CONTAINER_ERROR"
    INSTANCE_LOST = "INSTANCE_LOST"
    EXIT_NOT_OBSERVED = "EXIT_NOT_OBSERVED"


class Recovery(StrEnum):
    """What automation may do about an end."""

    NONE = "none"
    RETRY = "retry"
    RETRY_LATER = "retry-later"
    MORE_MEMORY = "more-memory"
    FIX_COMMAND = "fix-command"
    FIX_CODE = "fix-code"


@dataclass(frozen=True, slots=True)
class KillRequest:
    """A signal that the engine was asked to send, and when; None where a label hides which."""

    signal: int | None
    at_ns: int


class OomSource(Enum):
    """Who says that a process was killed for memory."""

    EVENT = "The engine reported an OOM kill"
    FLAG = "The engine's OOMKilled flag is set"
    LOG = "The kernel's log names this container for an OOM kill"
    COUNTER = "The kernel counted an OOM kill that no other container accounts for"


class MemoryLimit(StrEnum):
    """Whose memory limit was reached when the kernel killed a process."""

    OWN = "own"
    PARENT = "parent"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class OomVictim:
    """What the kernel's log says of one OOM kill.

    ``limit`` is whose limit was reached, ``cgroup`` the path of the control group that has it ("/" is the
    host): None and empty where the log does not say. ``process`` and ``pid`` (the host's) are who was killed,
    ``rss_bytes`` its anonymous memory then, ``largest`` the process that held most where that is another one,
    with its bytes.
    """

    limit: MemoryLimit | None
    cgroup: str
    process: str
    pid: int
    rss_bytes: int | None = None
    largest: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class OomKill:
    """One OOM kill of a run, by one witness; ``at_ns`` is None where only the fact is known.

    Of the kernel's counter it is the moment at which it was read, shortly after the kill. ``victim`` is
    what the kernel's log says of it; None of other witnesses.
    """

    source: OomSource
    at_ns: int | None
    victim: OomVictim | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an end beside its code, weighed down to what the verdict turns on.

    ``start_error`` is the engine's own text about a failed start. ``ran_ns`` is how long the job ran, None
    where that is not known. ``limit`` is whose memory limit was reached, where ``oom_killed``. ``notes`` are
    the sentences that show a reader why, in the order of their time; ``causes`` those likely causes that
    this very job's evidence names, the likeliest first; ``not_known`` what could not be known when it was
    judged, in sentences.
    """

    start_failed: bool = False
    start_error: str = ""
    host_lost: bool = False
    oom_killed: bool = False
    limit: MemoryLimit | None = None
    unhealthy: bool = False
    stop_requested: bool = False
    ran_ns: int | None = None
    notes: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()


class TelemetrySignal(StrEnum):
    """What a collector is sent: spans, or the events of a job as log records."""

    TRACES = "traces"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Trace:
    """Which span a job is: ids as OTLP writes them, 32 and 16 lower-case hexadecimal digits.

    ``parent_span_id`` is the span that launched the job; None where nothing says so.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """What a job is an instance of; few values, so that it can be a metric's label."""

    name: str
    image: str


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one container while it lasts: who it is and when it began.

    ``attempt`` counts the runs of one container from 1. ``key`` tells this run from others of equal
    containers, alike for every observer of its engine; empty for jobs on record since before there was one.
    ``began_ns`` is when the engine's event told of its start, ``started_ns`` its ``State.StartedAt``.
    ``image`` is whole, as the engine was
    given it; the workload bears it without tag or digest. ``engine`` is the engine's address.
    ``started_ns`` is None for a job that the engine could not start, ``created_ns`` and
    ``memory_limit_bytes`` where they are not known (or there is no limit). ``restarts`` is the engine's
    own count of them; ``kills`` and ``oom_kills`` are what has happened in it so far. ``traceparent`` is
    what its label says of the span that launched it, unread; empty where it has none.
    """

    container_id: str
    attempt: int
    name: str
    instance: str
    workload: Workload
    image: str
    began_ns: int
    engine: str = ""
    created_ns: int | None = None
    started_ns: int | None = None
    memory_limit_bytes: int | None = None
    traceparent: str = ""
    # It follows from the rest.
    key: str = field(default="", compare=False)
    # What has happened so far does not make it another job. ``notes`` says it in sentences.
    restarts: int | None = field(default=None, compare=False)
    kills: tuple[KillRequest, ...] = field(default=(), compare=False)
    oom_kills: tuple[OomKill, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def id(self) -> str:
        """The job's name in URLs: the container's short id, and its key (or the attempt)."""
        return f"{self.container_id[:12]}-{self.key or self.attempt}"


@dataclass(frozen=True, slots=True)
class ContainerHistory:
    """What is already on record of a container: how many attempts, and until when they are counted.

    ``restarts`` is the engine's count at the latest; ``told_ns`` are the times of the events on record.
    ``failed_start_ns`` is when its latest start failed; None where the latest on record is a run.
    """

    attempts: int
    last_end_ns: int | None
    restarts: int | None = None
    recorded_event_times: frozenset[int] = frozenset()
    failed_start_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the reading of an engine's events goes on.

    ``event_ns`` is the time of an event that it has told, 0 where it had none to tell; ``read_ns`` until
    when all that it told was read, at least. What happened before ``floor_ns`` is not asked for: only lists
    tell of it.
    """

    event_ns: int
    not_before_ns: int
    read_until_ns: int = 0

    @property
    def since_ns(self) -> int:
        """From when on events are asked for."""
        return max(self.not_before_ns, self.event_ns - OVERLAP_NS)


@dataclass(frozen=True, slots=True)
class Exit:
    """A job that has ended, with its evidence and not yet classified.

    ``code`` is None where it is not known. ``finished_ns`` is the engine's ``State.FinishedAt``, or the time
    of its event where that was all there was; ``event_ns`` is the time of that event, None where there was
    none. ``recovered`` says that the exit was not seen happening but found afterwards. ``log_tail`` is the
    end of its log, where that was asked for and had.
    """

    job: Job
    code: int | None
    finished_ns: int
    evidence: Evidence = field(default_factory=Evidence)
    oom_kills: int = 0
    recovered: bool = False
    log_tail: str | None = None
    event_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an exit means. ``error`` is the one text for people, None where nothing is wrong."""

    status: Status
    termination: Termination
    reason: str
    recovery: Recovery
    error: str | None


@dataclass(frozen=True, slots=True)
class ClassifiedExit:
    """An exit and its verdict: what is stored, counted and shown. ``trace`` is None where none is made."""

    exit: Exit
    verdict: Verdict
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands on record; ``ended`` is None while it runs."""

    job: Job
    ended: ClassifiedExit | None

    @property
    def status(self) -> Status:
        """How the job stands."""
        return self.ended.verdict.status if self.ended else Status.RUNNING
