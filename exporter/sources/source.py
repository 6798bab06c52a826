"""The interface between the pipeline and any source of runs, such as a Docker engine.

A source reads in threads of its own and puts messages into the inbox. The pipeline understands two of them,
``Connected`` and ``Disconnected``. Any other content it hands, in order, to the tracker of that source, which
returns outcomes: jobs that started or changed, runs that ended, and what the pipeline has to count or show.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from exporter.frozen import frozen
from exporter.model import ContainerHistory, Cursor, Job, Submission
from exporter.verdict.facts import EndedRun

# --- messages to the pipeline


@dataclass(frozen=True, slots=True)
class Connected:
    """The source is being read.

    ``host`` is the name that the source gives its host. ``identity`` is equal for two addresses of one
    source on that host, empty where it is not known. ``details`` are handed to the tracker as content.
    """

    host: str
    identity: str
    details: object


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The source cannot be read; ``cause`` is for people."""

    cause: str


@frozen
class Message:
    """A message from the source at ``address``: Connected, Disconnected, or content for its tracker."""

    address: str
    content: object


class Inbox:
    """Messages that the pipeline has not taken yet, in order. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._messages.qsize()

    def waiting(self, address: str) -> int:
        """Return how many messages of the source at ``address`` have not been taken."""
        return self._waiting[address]

    def put(self, message: Message) -> None:
        """Add a message."""
        with self._lock:
            self._waiting[message.address] += 1
        self._messages.put(message)

    def take(self, most: int, timeout: float) -> list[Message]:
        """Remove and return up to ``most`` messages; wait up to ``timeout`` seconds for the first."""
        taken = []
        with suppress(queue.Empty):
            taken.append(self._messages.get(timeout=timeout) if timeout else self._messages.get_nowait())
            while len(taken) < most:
                taken.append(self._messages.get_nowait())
        if taken:
            with self._lock:
                # Once for all: it costs more than to take them.
                self._waiting.subtract(message.address for message in taken)
        return taken


# --- outcomes of a tracker


@dataclass(frozen=True, slots=True)
class EventsCounted:
    """Events were received: how many of each type, which is the value of a label."""

    types: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """Events were lost between two connections; ``cause`` is for the log."""

    cause: str


@dataclass(frozen=True, slots=True)
class Listed:
    """All that the source still knows has been handed over: it is ready once that is on record."""


@dataclass(frozen=True, slots=True)
class Limited:
    """What of the source cannot be known although it is read, in sentences; empty if nothing is missing."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostFact:
    """A fact for the other sources on the same host; their trackers receive ``content``.

    A tracker returns no HostFact for one that it receives: the two would go back and forth for ever.
    """

    content: object


@dataclass(frozen=True, slots=True)
class ServerAnswered:
    """A supervisor's server was asked for its jobs, and all that it answered has been handed over."""


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """A supervisor's server was asked and gave no usable answer; ``problem`` is a label value."""

    problem: str


Outcome = (
    Job
    | EndedRun
    | Submission
    | EventsCounted
    | EventsMissed
    | Listed
    | Limited
    | HostFact
    | ServerAnswered
    | ServerFailed
)
# What of it is recorded.
Recorded = Job | EndedRun | Submission


# --- the parts of a source


class SourceError(Exception):
    """A source cannot be set up or read; the text is for people."""


class Records(Protocol):
    """Access to what is on record. A method waits as long as the store does not answer."""

    def settle(self) -> bool:
        """Return once all that was found is on record, or False if the process stops before."""

    def pruned_of(self, address: str) -> int:
        """Return the time before which jobs of the source at ``address`` that ended may have been deleted."""

    def pruning_mark_of(self, address: str) -> int:
        """Return the same as it was marked: by a clock that was set back since, or was ahead, perhaps."""

    def cursor(self, address: str) -> Cursor | None:
        """Return up to where the source at ``address`` is on record; None if it never was read."""

    def running(self) -> list[Job]:
        """Return the jobs of all sources that are on record as running."""

    def history(
        self, container_id: str, other_sources: frozenset[str], is_own: Callable[[Job], bool]
    ) -> ContainerHistory | None:
        """Return what is on record of a container.

        Jobs of the sources at those addresses are left out, unless ``is_own``: this one was reached there.
        """

    def containers_of_job(self, job_name: str, host: str) -> frozenset[str]:
        """Return the ids of the containers that a supervisor made for a job on a host."""

    def sources_of(self, host: str) -> frozenset[str]:
        """Return the addresses of the sources whose jobs on a host are on record."""

    def has_end_or_container(self, submission_id: str) -> bool:
        """Return whether the end of a submission is on record, or a container that was made for it."""


class Tracker(Protocol):
    """State of the runs of one source. Called by the pipeline's thread alone.

    ``now`` is in seconds and never decreases. Content of an unknown type is ignored, since a source of
    another kind on the same host may have offered it as a ``HostFact``.
    """

    @property
    def host(self) -> str:
        """Name under which the source's host is shown and counted."""

    @property
    def next_due(self) -> float | None:
        """Time at which ``release_due`` must be called at the latest; None while nothing waits."""

    @property
    def cursor(self) -> Cursor | None:
        """Position up to which everything has been handed over; None before the first connection."""

    def receive(self, content: object, now: float) -> Iterable[Outcome]:
        """Take in one message, and return what follows from it at once."""

    def release_due(self, now: float) -> Iterable[Outcome]:
        """Return what else follows from the messages, and need not wait any longer for late evidence.

        Called after each batch of messages.
        """


class Source(Protocol):
    """One source of runs."""

    @property
    def address(self) -> str:
        """Unique address, shown to people and recorded with each job."""

    def start(self, cursor: Cursor | None) -> None:
        """Start to read from ``cursor`` on, in threads of its own; return at once."""

    def stop(self) -> None:
        """Stop reading."""

    def tracker(self, connected: Connected, records: Records) -> Tracker:
        """Return a tracker that continues from what is on record. Called at the first connection.

        And when another host answers at the address than before.
        """
