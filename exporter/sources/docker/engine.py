"""The port: what any engine can tell, in this project's own words.

An adapter turns one kind of engine into these values. Nothing outside ``engines`` knows what an
engine's own messages look like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol

from exporter.model import Cursor
from exporter.verdict.facts import KernelFact


class EngineError(Exception):
    """The engine could not be asked, or gave no usable answer; the text is for people."""


class EventType(StrEnum):
    """The kinds of event: those that matter to an exit, and two for the rest.

    START_ATTEMPT and START_ATTEMPT_OVER enclose a try to start, also one that fails (from Engine 28 on, a
    failed one has the latter alone). STOP: a command to stop it has seen it end. The values are a label of a
    metric: a closed set.
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
    """What a container's label can hide in its events."""

    CODE = "code"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one container, at ``at_ns`` of the engine's clock.

    ``code`` is set on DIE, ``signal`` on KILL, ``healthy`` on HEALTH (None while its checks are starting),
    ``network`` (an id) on START_ATTEMPT and START_ATTEMPT_OVER. ``shadowed`` names the facts that a label of
    this container hides in its other events: there they are what the label's author wrote.
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


@dataclass(frozen=True, slots=True)
class Inspection:
    """How one container stood when the engine was asked.

    ``code`` and ``finished_ns`` speak of the end of the run that started at ``started_ns``; while it runs,
    ``previous_finished_ns`` is the end of the run before. ``start_failed`` says that its last start failed
    since, and ``error`` is the engine's text about that (empty where it has none); ``code`` is then the
    failed start's. ``restarts`` counts those that the engine made by itself since the latest start by hand
    and before this run, at least. ``stop_signal`` is the signal by which it wants to be stopped,
    ``stop_seconds`` how long it is given then. ``memory_limit_bytes`` is None where there is no limit;
    ``cgroup_parent`` the control group that it was put into, empty for the engine's own. ``pid`` is process 1
    on the host while it runs. ``health_output`` is what its last failed health check printed. ``repository``
    is the image's, where ``image`` is an id or looks like one; empty where ``image`` tells it.
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


class EventGap(Enum):
    """What an engine has forgotten since an event: nothing, the oldest, or all, being another process."""

    NONE = "none"
    OVERRUN = "overrun"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class ContainerList:
    """All that the engine has, to be held against its events up to ``as_of_ns`` or later.

    Of the containers ``elsewhere`` it is only known that they are or were there; ``lapse`` is what
    the events may lack. ``of_all``: the engine remembers all events since its own start, so that an end
    that none of them tells was before that.
    """

    containers: tuple[Inspection, ...]
    as_of_ns: int
    unlisted_ids: frozenset[str] = frozenset()
    event_gap: EventGap = EventGap.NONE
    events_complete: bool = False


@dataclass(frozen=True, slots=True)
class KernelReport:
    """What a local kernel says since it was last asked.

    ``oom_kills`` is by how much its counter of OOM kills has moved, ``facts`` what its log says, in the log's
    order. Either may know what the other does not. The facts' times are those of their lines.
    """

    oom_kills: int
    at_ns: int
    facts: tuple[KernelFact, ...] = ()


@dataclass(frozen=True, slots=True)
class RawLogTail:
    """The end of a log, or ``is_whole`` all of it; otherwise its first line may be the rest of one."""

    text: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who the engine is: its host's name, and what tells whether that host is the one we run on.

    ``time_ns`` is the engine's own clock when it was asked, ``id`` what it calls itself.
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
        """What tells this engine from others, alike for all who ask it."""
        return f"{self.host} {self.id}".strip()


class EventStream(Protocol):
    """An open stream; iterating blocks until an event comes, and ends when the stream does."""

    def __iter__(self) -> Iterator[Event]:
        """The events, as they come."""

    def close(self) -> None:
        """End the stream, also from another thread."""


class Engine(Protocol):
    """What a kind of engine must be able to do. Every call may raise EngineError."""

    @property
    def address(self) -> str:
        """Where it is, for people."""

    @property
    def is_local(self) -> bool:
        """Whether it is reached without a network."""

    def info(self) -> EngineInfo:
        """Who it is."""

    def events(self, since_ns: int | None = None) -> EventStream:
        """An open stream of what happens from now on; before it, of what it remembers since a time."""

    def event_gap(self, cursor: Cursor, now_ns: int) -> EventGap:
        """What it has forgotten that happened since; ``now_ns`` is no later than its clock."""

    def remembered(self, since_ns: int, now_ns: int) -> list[Event]:
        """What it remembers of that span, as the stream tells it."""

    def remembers_all(self, now_ns: int) -> bool:
        """Whether it has forgotten nothing since its own start."""

    def containers(self) -> list[str]:
        """The ids of all containers that it has."""

    def inspect(self, container_id: str) -> Inspection | None:
        """How a container stands; None where the engine no longer has it."""

    def log_end(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> RawLogTail | None:
        """At least the last lines that a container wrote in that span of time; None where there is no log."""

    def close(self) -> None:
        """Let go of connections; the next call makes new ones."""
