"""Interface to a container engine, and the values that it returns.

An adapter in ``api`` turns the messages of one kind of engine into these values. Nothing outside ``api``
knows the format of an engine's own messages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from exporter.frozen import frozen
from exporter.model import Cursor
from exporter.sources.source import SourceError
from exporter.verdict.facts import KernelFact, KernelOomKill

# An engine keeps its latest 256 events, of all types together, and replays them on request.
EVENT_BUFFER_SIZE = 256
# The kernel of a local engine is read at least this often, so that a report is at most this late.
KERNEL_POLL_SECONDS = 0.25


class EngineError(SourceError):
    """The engine did not answer, or gave no usable answer; the text is for users."""


class ForbiddenError(EngineError):
    """The engine, or a filter in front of it, does not allow this request; the text has its path."""


class LogRefusedError(EngineError):
    """The engine does not give this log, and will not later: it is gone, or its driver cannot be read."""


class EventType(StrEnum):
    """Type of an event: those that matter to an exit, and two for all others.

    START_ATTEMPT is a network connect, which comes before a start. START_ATTEMPT_OVER is a network
    disconnect, which follows a failed start; since Docker 28 a failed start has only the latter. STOP is sent
    once a stop command has seen the container end. The values are a metric label: a closed set.
    """

    CREATE = "create"
    START_ATTEMPT = "start_attempt"
    START_ATTEMPT_OVER = "start_attempt_over"
    START = "start"
    OOM = "oom"
    KILL = "kill"
    DIE = "die"
    STOP = "stop"
    HEALTH = "health"
    UPDATE = "update"
    RENAME = "rename"
    DESTROY = "destroy"
    OTHER = "other"
    MALFORMED = "malformed"


class MaskedField(StrEnum):
    """Field of an event that a container label of the same name overwrites."""

    CODE = "code"
    SIGNAL = "signal"


@frozen
class Event:
    """Event of one container, at ``at_ns`` of the engine's clock.

    ``code`` is set on DIE, ``signal`` on KILL, ``healthy`` on HEALTH (None while the checks are starting),
    ``network`` (an id) on START_ATTEMPT and START_ATTEMPT_OVER. ``masked_fields`` are the fields that a label
    of this container overwrites in its other events: there they hold the label's text.
    """

    type: EventType
    container_id: str = ""
    at_ns: int = 0
    name: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None
    signal: int | None = None
    healthy: bool | None = None
    network: str = ""
    masked_fields: frozenset[MaskedField] = frozenset()


@frozen
class Inspection:
    """State of one container at the time of the request.

    ``code`` and ``finished_ns`` belong to the end of the run that started at ``started_ns``; while it runs,
    ``previous_finished_ns`` is the end of the run before. ``start_failed``: its latest start failed after
    that run, ``error`` is the engine's text about it (may be empty), and ``code`` is the failed start's.
    ``restarts`` is a lower bound of the restarts that the engine made between the latest start by hand and
    this run. ``stop_signal`` is the signal with which the engine stops it, ``stop_seconds`` how long the
    engine then waits, None for the engine's default. ``memory_limit_bytes`` and ``pids_limit`` are None
    without a limit; ``cgroup_parent`` is empty for the engine's default. ``pid`` is the host's pid of
    process 1 while it runs. ``health_output`` is the output of its latest failed health check.
    ``repository`` is the image's, set where ``image`` is an id or may be one; empty otherwise. ``image_id``
    and ``image_digests`` (``repository@sha256:…``) are empty if unknown.
    """

    container_id: str
    name: str
    image: str
    labels: Mapping[str, str]
    running: bool
    created_ns: int
    started_ns: int | None = None
    finished_ns: int | None = None
    previous_finished_ns: int | None = None
    code: int | None = None
    oom_killed: bool = False
    start_failed: bool = False
    error: str = ""
    memory_limit_bytes: int | None = None
    cgroup_parent: str = ""
    oom_kill_disabled: bool = False
    pids_limit: int | None = None
    restarts: int = 0
    stop_signal: int = 15
    stop_seconds: int | None = None
    pid: int | None = None
    healthy: bool | None = None
    health_output: str = ""
    repository: str = ""
    image_id: str = ""
    image_digests: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether its latest run has ended, or its latest start has failed."""
        return self.start_failed or (not self.running and self.started_ns is not None)


class EventGap(Enum):
    """State of the engine's event buffer: it covers the cursor, was overrun, or was lost in a restart.

    CLOCK_SET_BACK: the cursor is at a time that the engine's clock has not reached, so that it does not say
    which events are new.
    """

    NONE = "none"
    OVERRUN = "overrun"
    RESTARTED = "restarted"
    CLOCK_SET_BACK = "clock set back"


@dataclass(frozen=True, slots=True)
class ContainerList:
    """All containers of the engine at ``as_of_ns``; compared with the events up to then or later.

    ``seen_ids`` are further ids of which no state in the list is the last word: inspecting them failed, or
    an event has named them since the connection. ``event_gap`` says which events may be missing.
    ``events_complete``: the engine still has all events since its own start, so that an end without an event
    happened before that start.
    """

    containers: tuple[Inspection, ...]
    as_of_ns: int
    seen_ids: frozenset[str] = frozenset()
    event_gap: EventGap = EventGap.NONE
    events_complete: bool = False


@dataclass(frozen=True, slots=True)
class KernelReport:
    """News from the kernel of a local engine since the report before.

    ``oom_kills`` is the increase of the kernel's counter of OOM kills; ``facts`` come from the kernel's log,
    in its order and with the times of its lines. Either can have a kill that the other lacks. ``since_ns`` is
    when the kernel was asked before, None if that is not known. ``earlier`` are OOM kills of containers that
    were logged before it was first asked, while nobody was watching; their times may have drifted.
    """

    oom_kills: int
    at_ns: int
    facts: tuple[KernelFact, ...] = ()
    since_ns: int | None = None
    earlier: tuple[KernelOomKill, ...] = ()


@dataclass(frozen=True, slots=True)
class RawLogTail:
    """End of a container's log; unless ``is_whole``, its first line may be incomplete."""

    text: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Identity of an engine and of its host.

    ``time_ns`` is the engine's own clock at the request, ``id`` the id that it reports.
    ``late_network_connect``: it connects a container to its networks only once its process exists, so that
    no event announces a start that then fails.
    """

    host: str
    version: str
    kernel: str
    memory_bytes: int
    time_ns: int
    id: str = ""
    late_network_connect: bool = False

    @property
    def identity(self) -> str:
        """Text that is unique to this engine and the same for all its clients."""
        return f"{self.host} {self.id}".strip()


class EventStream(Protocol):
    """Open event stream; iteration blocks until events come and stops when the stream ends."""

    def __iter__(self) -> Iterator[list[Event]]:
        """Yield events as they arrive, with each all that came at once. Raises EngineError if it breaks."""

    def close(self) -> None:
        """Close the stream; may be called from another thread."""


class Engine(Protocol):
    """Container engine. Every call may raise EngineError."""

    @property
    def address(self) -> str:
        """URL of the engine, for users."""

    @property
    def is_local(self) -> bool:
        """True if the engine is reached without a network."""

    def on_refusal(self, listener: Callable[[tuple[str, ...]], None]) -> None:
        """Call ``listener`` with what is missing, whenever other requests are refused than before.

        That is in sentences for people, about requests without which an engine is watched all the same.
        """

    def info(self) -> EngineInfo:
        """Return the identity of the engine and its clock."""

    def events(self, since_ns: int | None = None) -> EventStream:
        """Open a stream of new events; with ``since_ns``, buffered events since then come first."""

    def event_gap(self, cursor: Cursor, now_ns: int) -> EventGap:
        """Return whether events since the cursor are lost; ``now_ns`` must not be ahead of the engine."""

    def buffered_events(self, since_ns: int, until_ns: int) -> list[Event]:
        """Return the events of that time that the engine still has, as the stream would send them."""

    def event_buffer_complete(self, now_ns: int) -> bool:
        """Return whether the engine still has all events since its own start."""

    def container_ids(self) -> list[str]:
        """Return the ids of all containers, in any state."""

    def inspect(self, container_id: str) -> Inspection | None:
        """Return the state of a container, or None if it does not exist."""

    def log_tail(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> RawLogTail | None:
        """Return at least the last lines of a container's log in that time, or None if there is no log."""

    def follow_log(self, container_id: str, since_ns: int) -> AsyncGenerator[tuple[int, str], None]:
        """Return the lines of a container's standard output since a time, each with its time, until it ends.

        Raises LogRefusedError if there will be none.
        """

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
