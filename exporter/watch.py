"""Watching one engine: a thread that reads and parses, and hands everything on without judging.

What an engine tells reaches the inbox in the order in which it matters: an event that an OOM kill
could explain comes after what the kernel had to say by then, and an event that is inspected comes
before the answer.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import structlog

from exporter.engines.kernel import KernelWitness, is_ours
from exporter.engines.port import (
    Engine,
    EngineError,
    EngineInfo,
    Event,
    EventStream,
    Happening,
    KernelKills,
    Shadowed,
    Snapshot,
)

log = structlog.get_logger(__name__)

# More than are ever busy: an engine that is slow to start a container keeps one waiting for it.
WORKERS = 16
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
KERNEL_SECONDS = 0.25
# Beyond this many answers outstanding, what only adorns a job is no longer asked for.
MAX_BACKLOG = 200
_DOUBTFUL_CODES = (None, 255)
_KERNEL_MAY_KNOW = (Happening.OOM, Happening.DIE)


@dataclass(frozen=True, slots=True)
class Connected:
    """The engine answers and its events are being read."""

    info: EngineInfo
    kernel_counts: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The engine does not answer; ``cause`` is for people."""

    cause: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An event; ``inspecting`` promises an Inspected about its container."""

    event: Event
    inspecting: bool


@dataclass(frozen=True, slots=True)
class Inspected:
    """The answer about one container; None where there is none to be had."""

    container_id: str
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True)
class Listed:
    """All that the engine has, listed while its events were already being read.

    ``unanswered`` are containers that it has and would not speak of.
    """

    snapshots: tuple[Snapshot, ...]
    as_of_ns: int
    unanswered: frozenset[str] = frozenset()


Content = Connected | Disconnected | Seen | Inspected | Listed | KernelKills


@dataclass(frozen=True, slots=True)
class Message:
    """What the watch of the engine at ``address`` has to say."""

    address: str
    content: Content


Inbox = queue.SimpleQueue[Message]


class Watch:
    """Keeps one engine watched until it is stopped."""

    def __init__(
        self, engine: Engine, inbox: Inbox, witness: Callable[[], KernelWitness] = KernelWitness
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._make_witness = witness
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._workers = _Workers(WORKERS)
        # A daemon thread: one that hangs in a dead connection must not hold up the end.
        self._thread = threading.Thread(target=self._run, name=f"watch {engine.address}", daemon=True)

    @property
    def address(self) -> str:
        """The engine's address."""
        return self._engine.address

    def start(self) -> None:
        """Begin to watch; returns at once, whether the engine is there or not."""
        self._workers.start()
        self._thread.start()

    def stop(self) -> None:
        """Read no further."""
        self._stopping.set()
        if self._stream is not None:
            self._stream.close()
        self._workers.stop()

    def _run(self) -> None:
        pauses = _pauses()
        said: str | None = None
        while not self._stopping.is_set():
            self._listed = False
            try:
                self._watch()
                cause = "the event stream ended"
            except EngineError as error:
                cause = str(error)
            except Exception:
                log.exception("a bug while watching")
                cause = "a bug of the exporter; its log has the details"
            if self._listed:
                pauses, said = _pauses(), None
            self._engine.close()
            if self._stopping.is_set():
                return
            self._say(Disconnected(cause))
            pause = next(pauses)
            # Said once for each cause, not at every try: an engine may be away for a night.
            level = log.debug if cause == said else log.warning
            level("engine not reachable, trying again", engine=self._engine.address, cause=cause)
            said = cause
            self._stopping.wait(pause)

    def _watch(self) -> None:
        """One connection, from its beginning to its end."""
        info = self._engine.info()
        witness = self._witness(info)
        # The stream before the list: what happens between the two is then told by the stream.
        stream = self._stream = self._engine.events()
        self._list_failure: EngineError | None = None
        if self._stopping.is_set():
            # Stopped before there was a stream to close.
            stream.close()
            return
        try:
            self._say(Connected(info, kernel_counts=witness is not None and witness.can_count))
            log.info("watching", engine=self._engine.address, host=info.host, version=info.version)
            with _Sampling(witness, self._say) as kernel:
                self._workers.submit(partial(self._list, info.time_ns, stream))
                self._read(stream, kernel)
            if self._list_failure is not None:
                raise self._list_failure
        finally:
            stream.close()
            if witness is not None:
                witness.close()

    def _witness(self, info: EngineInfo) -> KernelWitness | None:
        return self._make_witness() if self._engine.is_local and is_ours(info) else None

    def _read(self, stream: EventStream, kernel: _Sampling) -> None:
        curiosity = _Curiosity()
        for event in stream:
            if event.happening in _KERNEL_MAY_KNOW:
                kernel.ask(since_ns=event.at_ns)
            inspecting = curiosity.wants(event, self._workers.backlog)
            self._say(Seen(event, inspecting))
            if inspecting and not self._workers.submit(partial(self._inspect, event.container_id)):
                # We are stopping: the promised answer is that there is none.
                self._say(Inspected(event.container_id, None))

    def _inspect(self, container_id: str) -> None:
        try:
            snapshot = self._engine.inspect(container_id)
        except EngineError as error:
            log.debug("no answer about a container", container=container_id[:12], cause=str(error))
            snapshot = None
        except Exception:
            log.exception("a bug while inspecting")
            snapshot = None
        self._say(Inspected(container_id, snapshot))

    def _list(self, as_of_ns: int, stream: EventStream) -> None:
        try:
            listed = self._engine.containers()
        except EngineError as error:
            self._list_failure = error
            stream.close()
            return
        except Exception:
            log.exception("a bug while listing")
            self._list_failure = EngineError("a bug of the exporter; its log has the details")
            stream.close()
            return
        answers, unanswered = [], []
        for container_id in listed:
            try:
                answers.append(self._engine.inspect(container_id))
            except EngineError as error:
                unanswered.append(container_id)
                log.warning("container left out of the list", container=container_id[:12], cause=str(error))
        self._listed = True
        known = tuple(answer for answer in answers if answer is not None)
        self._say(Listed(known, as_of_ns, frozenset(unanswered)))

    def _say(self, content: Content) -> None:
        self._inbox.put(Message(self._engine.address, content))


class _Workers:
    """Threads that ask the engine, beside the one that reads.

    Daemon threads, unlike those of an executor: one that hangs in a dead connection must not hold up the
    end of the process.
    """

    def __init__(self, count: int) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outstanding = 0
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"inspect {number}", daemon=True)
            for number in range(count)
        ]

    @property
    def backlog(self) -> int:
        """How many tasks there are beyond what all threads together can do now."""
        return max(0, self._outstanding - len(self._threads))

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def submit(self, task: Callable[[], None]) -> bool:
        """Have a task done, one that handles its own errors; False once it is stopped."""
        if self._stopped.is_set():
            return False
        self._count(1)
        self._tasks.put(task)
        return True

    def stop(self) -> None:
        """Begin no further task."""
        self._stopped.set()
        for _ in self._threads:
            self._tasks.put(lambda: None)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._tasks.get()()
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._outstanding += change


class _Curiosity:
    """Which events are worth an inspection, and at once: what ``--rm`` removes is gone in moments."""

    def __init__(self) -> None:
        self._attempted: set[str] = set()
        self._started: set[str] = set()
        self._shadowed: set[str] = set()

    def wants(self, event: Event, backlog: int) -> bool:
        """Whether to ask the engine about this event's container."""
        decide = _CURIOSITY.get(event.happening)
        if Shadowed.CODE in event.shadowed:
            self._shadowed.add(event.container_id)
        return decide is not None and decide(self, event, backlog)

    def _attempt(self, event: Event, backlog: int) -> bool:
        """Asked now, an engine answers when the start is over, and before ``--rm`` can remove a failed one.

        (It holds the container's lock meanwhile.) Where it answers at once, ``_attempt_over`` asks again.
        """
        first = event.container_id not in self._attempted
        self._attempted.add(event.container_id)
        return first and backlog < MAX_BACKLOG

    def _attempt_over(self, event: Event, _backlog: int) -> bool:
        """An attempt that ended with no start in between is one that failed."""
        failed = event.container_id in self._attempted
        self._attempted.discard(event.container_id)
        return failed

    def _start(self, event: Event, backlog: int) -> bool:
        asked = event.container_id in self._attempted
        self._attempted.discard(event.container_id)
        self._started.add(event.container_id)
        return not asked and backlog < MAX_BACKLOG

    def _die(self, event: Event, _backlog: int) -> bool:
        """The code is enough, unless it may be wrong or the run's beginning was not seen."""
        known = event.container_id in self._started and event.container_id not in self._shadowed
        return not known or event.code in _DOUBTFUL_CODES

    def _destroy(self, event: Event, _backlog: int) -> bool:
        for known in (self._attempted, self._started, self._shadowed):
            known.discard(event.container_id)
        return False


_CURIOSITY: dict[Happening, Callable[[_Curiosity, Event, int], bool]] = {
    Happening.START_ATTEMPT: _Curiosity._attempt,  # noqa: SLF001  # the table is the class's own
    Happening.START_ATTEMPT_OVER: _Curiosity._attempt_over,  # noqa: SLF001
    Happening.START: _Curiosity._start,  # noqa: SLF001
    Happening.DIE: _Curiosity._die,  # noqa: SLF001
    Happening.DESTROY: _Curiosity._destroy,  # noqa: SLF001
}


class _Sampling:
    """Asks the kernel's witness now and then, and whenever ``ask`` says so.

    Now and then, so that a kill long past is not taken for the cause of an end today.
    """

    def __init__(self, witness: KernelWitness | None, say: Callable[[Content], None]) -> None:
        self._witness = witness
        self._say = say
        self._lock = threading.Lock()
        self._asked_ns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="kernel", daemon=True)

    def __enter__(self) -> Self:
        if self._witness is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._witness is not None:
            self._thread.join()

    def ask(self, *, since_ns: int) -> None:
        """Hand on what the kernel has killed by now, unless it was asked after ``since_ns`` already.

        Only a local engine's kernel is a witness, so that both have the same clock.
        """
        if self._witness is None:
            return
        # Under the lock until it is said, or an answer could be overtaken by the event it explains.
        with self._lock:
            if self._asked_ns > since_ns:
                return
            self._asked_ns = time.time_ns()
            kills = self._witness.ask()
            if kills is not None:
                self._say(kills)

    def _sample(self) -> None:
        while not self._over.wait(KERNEL_SECONDS):
            self.ask(since_ns=time.time_ns())


def _pauses() -> Iterator[float]:
    """Ever longer pauses, jittered so that many watchers do not come back at once."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  # not a secret
        longest = min(longest * 2, LONGEST_PAUSE_SECONDS)
