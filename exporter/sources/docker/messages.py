"""What a watch has to say.

It reaches the inbox in the order in which it matters: an event that an OOM kill could explain comes after
what the kernel had to say by then, and an event that is inspected comes before the answer.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

from exporter.model import Cursor
from exporter.sources.docker.engine import (
    ContainerList,
    EngineInfo,
    Event,
    EventGap,
    Inspection,
    KernelReport,
)


@dataclass(frozen=True, slots=True)
class Connected:
    """The engine's events are being read, from ``cursor`` on.

    ``lapse`` is what it has forgotten of those since the cursor before. ``kernel_counts`` and ``kernel_logs``
    say that its kernel is this machine's, and that its counter of OOM kills and its log can be read.
    ``read_to_end``: an engine of this machine that is another process now was read until the one before
    closed its stream, so that only what it had not ended by then is missing.
    """

    info: EngineInfo
    has_kernel_counter: bool
    cursor: Cursor
    event_gap: EventGap = EventGap.NONE
    has_kernel_log: bool = False
    read_to_end: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The engine does not answer; ``cause`` is for people."""

    cause: str


@dataclass(frozen=True, slots=True)
class EventReceived:
    """An event; ``inspecting`` promises an Inspected about its container, ``reading_log`` a LogCollected.

    ``replayed``: it happened before its stream was opened.
    """

    event: Event
    inspecting: bool
    replayed: bool = False
    reading_log: bool = False


@dataclass(frozen=True, slots=True)
class Inspected:
    """The answer about one container, asked for at an event; None where there is none to be had."""

    container_id: str
    inspection: Inspection | None
    event_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A container was created and could not be started, and no event has told of that."""

    inspection: Inspection


@dataclass(frozen=True, slots=True)
class LogCollected:
    """The end of the log of the run that ended then; None where there is none to be had."""

    container_id: str
    ended_ns: int
    log_tail: str | None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that the engine told up to then has been read, by the engine's clock."""

    until_ns: int


WatchMessage = (
    Connected
    | Disconnected
    | EventReceived
    | Inspected
    | StartFailed
    | LogCollected
    | ContainerList
    | CaughtUp
    | KernelReport
)


@dataclass(frozen=True, slots=True)
class Message:
    """What the watch of the engine at ``address`` has to say."""

    address: str
    content: WatchMessage


Inbox = queue.SimpleQueue[Message]
