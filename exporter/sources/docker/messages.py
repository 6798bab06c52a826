"""Messages from an EngineWatcher to the tracker of its engine.

Their order in the inbox matters: the kernel's report precedes an event that one of its OOM kills may explain,
and an event precedes the inspection that it causes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.frozen import frozen
from exporter.model import Cursor, JobReport
from exporter.sources.docker.engine import (
    ContainerList,
    EngineInfo,
    Event,
    EventGap,
    Inspection,
    KernelReport,
)
from exporter.sources.source import Connected


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The engine's event stream is open and is read from ``cursor`` on.

    ``event_gap`` tells whether events since the cursor before are lost. ``has_kernel_counter`` and
    ``has_kernel_log``: the engine runs on this machine, and the kernel's counter of OOM kills or its log can
    be read. ``read_to_end``: the stream before this one was read until a local engine closed it, so that only
    events after that are missing.
    """

    info: EngineInfo
    has_kernel_counter: bool
    cursor: Cursor
    event_gap: EventGap = EventGap.NONE
    has_kernel_log: bool = False
    read_to_end: bool = field(default=False, compare=False)


def connected(opened: StreamOpened) -> Connected:
    """Return the message to the pipeline that the stream is open."""
    return Connected(opened.info.host, opened.info.id, opened)


@frozen
class EventReceived:
    """An event arrived.

    With ``inspecting``, an Inspected about its container will follow; with ``reading_log``, a LogCollected.
    ``replayed``: it happened before its stream was opened. ``ahead``: the engine's clock has not reached its
    time, so that it may be a replay too, of when the clock was ahead.
    """

    event: Event
    inspecting: bool
    replayed: bool = False
    ahead: bool = False
    reading_log: bool = False


@frozen
class Inspected:
    """State of a container, requested at the event of ``event_ns``; None if it could not be read."""

    container_id: str
    inspection: Inspection | None
    event_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A created container could not be started, and no event reports it."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class LogCollected:
    """End of the log of the run that ended at ``ended_ns``; None if it could not be read."""

    container_id: str
    ended_ns: int
    log_tail: str | None


# The log of a supervised container ends within a moment after it; what holds it open longer is not waited
# for.
LOG_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class JobReported:
    """What a supervisor has logged about the job in the run that started at ``since_ns``.

    ``is_final``: the log has been read to its end, or will not be read any further.
    """

    container_id: str
    since_ns: int
    report: JobReport
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All events up to ``until_ns`` of the engine's clock have been read."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class RequestsRefused:
    """Other requests are refused than before; ``missing`` says what is not known now, empty if nothing."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherEngineOom:
    """Another engine on the same host reported an OOM kill: the kernel that counted it is shared."""

    container_id: str
    at_ns: int


WatchMessage = (
    StreamOpened
    | EventReceived
    | Inspected
    | StartFailed
    | LogCollected
    | JobReported
    | ContainerList
    | CaughtUp
    | KernelReport
    | RequestsRefused
)
