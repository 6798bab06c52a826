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
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
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
    Lapse,
    Listed,
    Shadowed,
    Snapshot,
)
from exporter.model import Cursor

log = structlog.get_logger(__name__)

# More than are ever busy: an engine that is slow to start a container keeps one waiting for it.
WORKERS = 16
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
KERNEL_SECONDS = 0.25
# Beyond this many answers outstanding, what only adorns a job is no longer asked for.
MAX_BACKLOG = 200
# More than an engine tells in a minute; beyond, reading waits, and what was missed is asked for again.
MAX_INBOX = 50_000
# More than an engine remembers.
_RECENT = 1_024
_DOUBTFUL_CODES = (None, 255)
_KERNEL_MAY_KNOW = (Happening.OOM, Happening.DIE)


@dataclass(frozen=True, slots=True)
class Connected:
    """The engine's events are being read, from ``cursor`` on.

    ``lapse`` is what it has forgotten of those since the cursor before.
    """

    info: EngineInfo
    kernel_counts: bool
    cursor: Cursor
    lapse: Lapse = Lapse.NONE


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The engine does not answer; ``cause`` is for people."""

    cause: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An event; ``inspecting`` promises an Inspected about its container.

    ``replayed``: it happened before its stream was opened.
    """

    event: Event
    inspecting: bool
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Inspected:
    """The answer about one container, asked for at an event; None where there is none to be had."""

    container_id: str
    snapshot: Snapshot | None
    asked_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Read:
    """All that the engine told up to then has been read, by the engine's clock."""

    until_ns: int


Content = Connected | Disconnected | Seen | Inspected | Listed | Read | KernelKills


@dataclass(frozen=True, slots=True)
class Message:
    """What the watch of the engine at ``address`` has to say."""

    address: str
    content: Content


Inbox = queue.SimpleQueue[Message]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may last, in seconds.

    ``silence`` of a stream, before the engine is asked for a sign of life, and a ``stream`` itself, before
    a new one replaces it: a dead link and a forgetful proxy look like silence. ``catch_up`` is how long
    reading may take to arrive where the engine was when it was listed.
    """

    silence: float = 30.0
    stream: float = 600.0
    catch_up: float = 30.0


class Watch:
    """Keeps one engine watched until it is stopped.

    ``cursor`` is where to go on; None: it has not been watched before.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        witness: Callable[[], KernelWitness] = KernelWitness,
        *,
        cursor: Cursor | None = None,
        patience: Patience = Patience(),  # frozen
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._make_witness = witness
        self.patience = patience
        self._cursor = cursor
        self._lapse = Lapse.NONE
        self._stopping = threading.Event()
        self._connection: _Connection | None = None
        self._workers = _Workers(WORKERS)
        # A daemon thread: one that hangs in a dead connection must not hold up the end.
        self._thread = threading.Thread(target=self._run, name=f"watch {engine.address}", daemon=True)

    @property
    def address(self) -> str:
        """The engine's address."""
        return self._engine.address

    def start(self) -> None:
        """Begin to watch; returns at once, whether the engine is there or not."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.close()
        self._workers.stop()

    def _run(self) -> None:
        pauses = _pauses()
        said: str | None = None
        while not self._stopping.is_set():
            self._connection = None
            try:
                self._watch()
                cause = "the event stream ended"
            except EngineError as error:
                cause = str(error)
            except Exception:
                log.exception("a bug while watching")
                cause = "a bug of the exporter; its log has the details"
            was_listed = self._connection is not None and self._connection.listed
            if was_listed:
                pauses, said = _pauses(), None
            self._engine.close()
            if self._stopping.is_set():
                return
            if was_listed and self._connection is not None and self._connection.replaced:
                continue
            self._say(Disconnected(cause))
            pause = next(pauses)
            # Said once for each cause, not at every try: an engine may be away for a night.
            level = log.debug if cause == said else log.warning
            level("engine not reachable, trying again", engine=self._engine.address, cause=cause)
            said = cause
            self._stopping.wait(pause)
            self._await_inbox()

    def _await_inbox(self) -> None:
        """Read nothing while there is more than enough to be judged."""
        while self._inbox.qsize() > MAX_INBOX // 2 and not self._stopping.wait(FIRST_PAUSE_SECONDS):
            pass

    def _watch(self) -> None:
        """One connection, from its beginning to its end."""
        info = self._engine.info()
        witness = self._witness(info)
        # The stream before the list: what happens between the two is then told by the stream.
        connection = self._connection = self._connect(info)
        self._cursor = connection.cursor
        if self._stopping.is_set():
            # Stopped before there was a connection to close.
            connection.close()
            return
        try:
            counts = witness is not None and witness.can_count
            self._say(Connected(info, counts, connection.cursor, self._lapse))
            log.info("watching", engine=self._engine.address, host=info.host, version=info.version)
            with _Sampling(witness, self._say) as kernel, _Vigil(self, connection):
                self._workers.submit(partial(self._list, connection))
                self._read(connection, kernel)
            connection.check()
        finally:
            connection.close()
            if witness is not None:
                witness.close()

    def _connect(self, info: EngineInfo) -> _Connection:
        cursor = self._cursor
        stream = self._engine.events(None if cursor is None else cursor.since_ns)
        try:
            lapse = self._lapse_since(cursor, info)
            if cursor is None or lapse is not Lapse.NONE:
                newest = self._engine.newest(1, info.time_ns)
                floor_ns = info.time_ns if cursor is None else cursor.floor_ns
                cursor = Cursor(0 if newest is None else newest.at_ns, floor_ns, info.time_ns)
        except EngineError:
            stream.close()
            raise
        if lapse is not Lapse.NONE:
            # Kept until it is listed: by then, newer events may have hidden that there was a gap.
            self._lapse = lapse
            log.warning("events were missed", engine=self._engine.address, lapse=lapse.value)
        return _Connection(info, stream, cursor, is_first=self._cursor is None)

    def _lapse_since(self, cursor: Cursor | None, info: EngineInfo) -> Lapse:
        return Lapse.NONE if cursor is None else self._engine.lapse(cursor, info.time_ns)

    def _witness(self, info: EngineInfo) -> KernelWitness | None:
        return self._make_witness() if self._engine.is_local and is_ours(info) else None

    def _read(self, connection: _Connection, kernel: _Sampling) -> None:
        curiosity = _Curiosity()
        for event in connection.stream:
            if event.happening in _KERNEL_MAY_KNOW:
                kernel.ask(since_ns=event.at_ns)
            inspecting = curiosity.wants(event, self._workers.backlog)
            self._say(Seen(event, inspecting, replayed=0 < event.at_ns <= connection.resumed_ns))
            if inspecting and not self._workers.submit(partial(self._inspect, event)):
                # We are stopping: the promised answer is that there is none.
                self._say(Inspected(event.container_id, None))
            if event.container_id:
                self._cursor = replace(connection.cursor, event_ns=event.at_ns, read_ns=event.at_ns)
                connection.passed(event)
            if self._inbox.qsize() > MAX_INBOX:
                raise EngineError("more events than can be judged; they are asked for again later")

    def _inspect(self, event: Event) -> None:
        try:
            snapshot = self._engine.inspect(event.container_id)
        except EngineError as error:
            log.debug("no answer about a container", container=event.container_id[:12], cause=str(error))
            snapshot = None
        except Exception:
            log.exception("a bug while inspecting")
            snapshot = None
        self._say(Inspected(event.container_id, snapshot, event.at_ns))

    def _list(self, connection: _Connection) -> None:
        """List the engine, and say so once all that it had told by then has been read."""
        try:
            listed = self._listed(connection)
            newest = self._engine.newest(connection.info.time_ns, connection.now_ns)
            if newest is not None:
                connection.await_passed(newest, self.patience.catch_up)
        except EngineError as error:
            connection.fail(error)
        except Exception:
            log.exception("a bug while listing")
            connection.fail(EngineError("a bug of the exporter; its log has the details"))
        else:
            self._say_listed(listed, connection)

    def confirm(self, connection: _Connection) -> None:
        """Note that all has been read. Raises EngineError if not, or if the engine does not answer."""
        cursor, now_ns = self._cursor or connection.cursor, connection.now_ns
        newest = self._engine.newest(cursor.event_ns or cursor.floor_ns, now_ns)
        if newest is not None and newest.at_ns != cursor.event_ns:
            connection.await_passed(newest, self.patience.catch_up)
        else:
            self._cursor = replace(cursor, read_ns=now_ns)
            self._say(Read(now_ns))

    def _say_listed(self, listed: Listed, connection: _Connection) -> None:
        if not connection.ended:
            elsewhere = listed.elsewhere | connection.touched
            self._say(replace(listed, elsewhere=elsewhere, lapse=self._lapse))
            self._lapse, connection.listed = Lapse.NONE, True
            if self._cursor is not None:
                self._cursor = replace(self._cursor, read_ns=max(self._cursor.read_ns, listed.as_of_ns))

    def _listed(self, connection: _Connection) -> Listed:
        answers, unanswered = [], []
        for container_id in self._engine.containers():
            try:
                answers.append(self._engine.inspect(container_id))
            except EngineError as error:
                unanswered.append(container_id)
                log.warning("container left out of the list", container=container_id[:12], cause=str(error))
        known = tuple(answer for answer in answers if answer is not None)
        return Listed(known, connection.info.time_ns, frozenset(unanswered))

    def _say(self, content: Content) -> None:
        self._inbox.put(Message(self._engine.address, content))


class _Connection:
    """One open stream: what has been read of it, and why it ends.

    What happened up to ``resumed_ns`` it tells again, or late.
    """

    def __init__(self, info: EngineInfo, stream: EventStream, cursor: Cursor, *, is_first: bool) -> None:
        self.info = info
        self.stream = stream
        self.cursor = cursor
        self.resumed_ns = 0 if is_first else info.time_ns
        self.listed = False
        self.replaced = False
        self.ended = False
        self.read = 0
        self._begun = time.monotonic()
        self._failure: EngineError | None = None
        self._reading = threading.Condition()
        self._recent: deque[tuple[str, int]] = deque(maxlen=_RECENT)
        self._touched: set[str] = set()

    @property
    def now_ns(self) -> int:
        """The engine's clock, as far as ours tells."""
        return self.info.time_ns + int((time.monotonic() - self._begun) * 10**9)

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return time.monotonic() - self._begun

    @property
    def touched(self) -> frozenset[str]:
        """The containers of which something has been read."""
        with self._reading:
            return frozenset(self._touched)

    def passed(self, event: Event) -> None:
        """An event has been read and handed on."""
        with self._reading:
            self.read += 1
            self._recent.append((event.container_id, event.at_ns))
            self._reading.notify_all()
            if not self.listed:
                self._touched.add(event.container_id)

    def await_passed(self, event: Event, seconds: float) -> None:
        """Return once an event has been read. Raises EngineError if it does not come in time."""
        wanted = (event.container_id, event.at_ns)
        with self._reading:
            self._reading.wait_for(lambda: self.ended or wanted in self._recent, seconds)
            if wanted not in self._recent:
                raise EngineError("the stream lacks events that the engine remembers")

    def replace(self) -> None:
        """End it, so that a new one is opened."""
        self.replaced = True
        self.stream.close()

    def fail(self, error: EngineError) -> None:
        """End it for a reason."""
        self._failure = error
        self.stream.close()

    def check(self) -> None:
        """Raise the reason for which it has ended, if there was one."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End it."""
        with self._reading:
            self.ended = True
            self._reading.notify_all()
        self.stream.close()


class _Vigil:
    """Watches over a stream that says nothing, beside the thread that reads it."""

    def __init__(self, watch: Watch, connection: _Connection) -> None:
        self._watch = watch
        self._connection = connection
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="vigil", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Not waited for: it may be asking an engine that does not answer.
        self._over.set()

    def _keep(self) -> None:
        patience, read = self._watch.patience, -1
        while not self._over.wait(patience.silence):
            if self._connection.listed and self._connection.seconds > patience.stream:
                self._connection.replace()
                return
            if read == self._connection.read and not self._confirmed():
                return
            read = self._connection.read

    def _confirmed(self) -> bool:
        try:
            self._watch.confirm(self._connection)
        except EngineError as error:
            if not self._over.is_set():
                self._connection.fail(error)
            return False
        return True


class _Workers:
    """Threads that ask the engine, beside the one that reads; as many as were needed at once so far.

    Daemon threads, unlike those of an executor: one that hangs in a dead connection must not hold up the
    end of the process.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outstanding = 0
        self._hired = 0
        self._stopped = threading.Event()

    @property
    def backlog(self) -> int:
        """How many tasks there are beyond what all threads together can do now."""
        return max(0, self._outstanding - self._most)

    def submit(self, task: Callable[[], None]) -> bool:
        """Have a task done, one that handles its own errors; False once it is stopped."""
        if self._stopped.is_set():
            return False
        with self._lock:
            self._outstanding += 1
            hire = self._hired < min(self._outstanding, self._most)
            self._hired += hire
        if hire:
            threading.Thread(target=self._work, name=f"inspect {self._hired}", daemon=True).start()
        self._tasks.put(task)
        return True

    def stop(self) -> None:
        """Begin no further task."""
        self._stopped.set()
        for _ in range(self._most):
            self._tasks.put(lambda: None)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._tasks.get()()
            with self._lock:
                self._outstanding -= 1


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
