"""Keeping one engine watched: connect, resume, read, list, and again when that ends."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import structlog

from exporter.log_tail import LogTail
from exporter.model import Cursor
from exporter.sources.docker.engine import (
    ContainerList,
    Engine,
    EngineError,
    EngineInfo,
    Event,
    EventGap,
    EventType,
)
from exporter.sources.docker.kernel.poller import KernelPoller
from exporter.sources.docker.kernel.reader import KernelReader, is_this_host
from exporter.sources.docker.messages import (
    CaughtUp,
    Connected,
    Disconnected,
    EventReceived,
    Inbox,
    Inspected,
    LogCollected,
    Message,
    StartFailed,
    WatchMessage,
)
from exporter.sources.docker.watch.inspections import Inspector, InspectPolicy, WorkerPool
from exporter.sources.docker.watch.stream import Connection, StreamWatchdog
from exporter.sources.docker.watch.unstarted import Unstarted

log = structlog.get_logger(__name__)

# More than are ever busy: an engine that is slow to start a container keeps one waiting for it.
WORKERS = 16
READERS = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# More than an engine tells in a minute; beyond, reading waits, and what was missed is asked for again.
MAX_INBOX = 50_000
_KERNEL_MAY_KNOW = (EventType.OOM, EventType.DIE, EventType.START_ATTEMPT_OVER)


@dataclass(frozen=True, slots=True)
class WatchTimeouts:
    """How long things may last, in seconds.

    Every ``confirm`` what an engine remembers is held against what was read of it, and a ``stream`` is
    replaced by a new one: a dead link and a forgetful proxy look like silence. ``catch_up`` is how long
    reading may take to arrive where the engine was when it was asked. ``unstarted`` is after how long
    without a start a container that was created is asked about.
    """

    confirm: float = 30.0
    stream: float = 600.0
    catch_up: float = 30.0
    unstarted: float = 3.0


class EngineWatcher:
    """Keeps one engine watched until it is stopped.

    ``cursor`` is where to go on; None: it has not been watched before. ``log_tail`` is what to keep of the
    logs of jobs that may have failed; None: they are not read.
    """

    def __init__(  # noqa: PLR0913  # each is a thing of its own
        self,
        engine: Engine,
        inbox: Inbox,
        source: Callable[[], KernelReader] = KernelReader,
        *,
        cursor: Cursor | None = None,
        patience: WatchTimeouts = WatchTimeouts(),  # frozen
        log_tail: LogTail | None = None,
    ) -> None:
        self._engine = engine
        self._inbox = inbox
        self._kernel = KernelPoller(source, self._say)
        self._patience = patience
        self._inspector = Inspector(engine, log_tail)
        self._cursor = cursor
        self._lapse = EventGap.NONE
        self._read_to_end = False
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._workers = WorkerPool(WORKERS)
        # Logs can be slow: who reads them must not keep those waiting on whose answers verdicts depend.
        self._readers = WorkerPool(READERS)
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
        self._kernel.close()
        self._workers.stop()
        self._readers.stop()

    def _run(self) -> None:
        try:
            self._keep_watching()
        finally:
            # Also what was begun while it was being stopped.
            self._kernel.close()

    def _keep_watching(self) -> None:
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
        self._listen_to_kernel(info)
        # One restart after another that is not listed yet: what came between them, nobody can tell.
        read_to_end = self._read_to_end and self._lapse is EventGap.NONE
        # The stream before the list: what happens between the two is then told by the stream.
        connection = self._connection = self._connect(info)
        self._cursor = connection.cursor
        if self._stopping.is_set():
            # Stopped before there was a connection to close.
            connection.close()
            return
        try:
            kernel = self._kernel
            known = (kernel.counts, connection.cursor, self._lapse, kernel.logs, read_to_end)
            self._say(Connected(info, *known))
            kernel.start()
            log.info("watching", engine=self._engine.address, host=info.host, version=info.version)
            with self._vigil(connection):
                self._workers.submit(partial(self._list, connection))
                self._read(connection)
            connection.check()
        finally:
            connection.close()
            # Over a network, the engine may have gone on, and ended only later.
            self._read_to_end = self._engine.is_local and connection.ended_itself
            if connection.incomplete:
                # Whatever was read last, something before it may have been dropped.
                self._cursor = connection.sure or connection.cursor

    def _connect(self, info: EngineInfo) -> Connection:
        cursor = self._cursor
        since_ns = None if cursor is None else cursor.since_ns
        stream = self._engine.events(since_ns)
        try:
            event_gap = self._lapse_since(cursor, info)
            if cursor is None or event_gap is not EventGap.NONE:
                remembered = self._engine.remembered(1, info.time_ns)
                not_before_ns = info.time_ns if cursor is None else cursor.not_before_ns
                cursor = Cursor(remembered[-1].at_ns if remembered else 0, not_before_ns, info.time_ns)
        except EngineError:
            stream.close()
            raise
        if event_gap is not EventGap.NONE:
            # Kept until it is listed: by then, newer events may have hidden that there was a gap.
            self._lapse = event_gap
        return Connection(info, stream, cursor, since_ns, Unstarted(self._patience.unstarted))

    def _lapse_since(self, cursor: Cursor | None, info: EngineInfo) -> EventGap:
        return EventGap.NONE if cursor is None else self._engine.event_gap(cursor, info.time_ns)

    def _listen_to_kernel(self, info: EngineInfo) -> None:
        """From the first time that the engine is known to be on this host, until it is on another one."""
        if self._engine.is_local and is_this_host(info):
            self._kernel.open()
        else:
            self._kernel.close()

    def _read(self, connection: Connection) -> None:
        curiosity = InspectPolicy()
        for event in connection.stream:
            if event.type in _KERNEL_MAY_KNOW:
                self._kernel.ask(since_ns=event.at_ns)
            self._tell(event, connection, curiosity)
            if event.container_id:
                self._cursor = replace(connection.cursor, event_ns=event.at_ns, read_until_ns=event.at_ns)
                connection.passed(event)
            if self._inbox.qsize() > MAX_INBOX:
                error = EngineError("more events than can be judged; they are asked for again later")
                connection.fail(error)
                raise error

    def _tell(self, event: Event, connection: Connection, curiosity: InspectPolicy) -> None:
        """Say it, and have asked what is worth asking about it."""
        inspecting = curiosity.wants(event, self._workers.backlog)
        logging, since_ns = self._inspector.wants_log(event), curiosity.ended_before(event)
        replayed = 0 < event.at_ns <= connection.replay_until_ns
        self._say(EventReceived(event, inspecting, replayed, logging))
        # The log first: with --rm it is gone before anything else is. Where we are stopping, the promised
        # answer is that there is none.
        if logging and not self._readers.submit(lambda: self._say(self._inspector.log_of(event, since_ns))):
            self._say(LogCollected(event.container_id, event.at_ns, None))
        if inspecting and not self._workers.submit(lambda: self._say(self._inspector.about(event))):
            self._say(Inspected(event.container_id, None))

    def _list(self, connection: Connection) -> None:
        """List the engine, and say so once all that it had told by then has been read."""
        try:
            listed = self._listed(connection)
            # Also what is told again: of the exits in a list that overtakes it, it would tell once more.
            self._await_told(connection, connection.since_ns)
        except EngineError as error:
            connection.fail(error)
        except Exception:
            log.exception("a bug while listing")
            connection.fail(EngineError("a bug of the exporter; its log has the details"))
        else:
            self._say_listed(listed, connection)

    def _vigil(self, connection: Connection) -> StreamWatchdog:
        patience = self._patience
        return StreamWatchdog(connection, self._confirm, every=patience.confirm, longest=patience.stream)

    def _confirm(self, connection: Connection) -> None:
        """Note that all has been read. Raises EngineError if not, or if the engine does not answer."""
        cursor, now_ns = connection.sure or connection.cursor, connection.now_ns
        since_ns = max(cursor.event_ns, connection.info.time_ns)
        told = self._engine.remembered(since_ns, now_ns)
        told = [event for event in told if event.at_ns > cursor.event_ns]
        if told:
            connection.await_passed(told, self._patience.catch_up)
        event_ns = told[-1].at_ns if told else cursor.event_ns
        if not connection.incomplete:
            connection.sure = replace(cursor, event_ns=event_ns, read_until_ns=now_ns)
            self._say(CaughtUp(now_ns))
        for container_id in connection.unstarted.overdue():
            self._workers.submit(partial(self._look_after, container_id, connection))

    def _look_after(self, container_id: str, connection: Connection) -> None:
        """Say that a start has failed, if an inspection shows it and no event tells of it."""
        try:
            inspection = self._engine.inspect(container_id)
            if inspection is not None and inspection.start_failed:
                self._await_told(connection, inspection.created_ns)
        except EngineError as error:
            log.debug("no answer about a container", container=container_id[:12], cause=str(error))
            return
        if inspection is None:
            connection.unstarted.forget(container_id)
        elif inspection.start_failed and container_id in connection.unstarted and not connection.ended:
            connection.unstarted.forget(container_id)
            self._say(StartFailed(inspection))

    def _await_told(self, connection: Connection, since_ns: int) -> None:
        """Return once all has been read that the engine had told by now. Raises EngineError."""
        told = self._engine.remembered(since_ns, connection.now_ns)
        if told:
            connection.await_passed(told[-1:], self._patience.catch_up)

    def _say_listed(self, listed: ContainerList, connection: Connection) -> None:
        if not connection.ended:
            unlisted_ids = listed.unlisted_ids | connection.touched
            self._say(replace(listed, unlisted_ids=unlisted_ids, event_gap=self._lapse))
            self._lapse, connection.listed = EventGap.NONE, True

    def _listed(self, connection: Connection) -> ContainerList:
        answers, unanswered = [], []
        for container_id in self._engine.containers():
            try:
                answers.append(self._engine.inspect(container_id))
            except EngineError as error:
                unanswered.append(container_id)
                log.warning("container left out of the list", container=container_id[:12], cause=str(error))
        known = tuple(answer for answer in answers if answer is not None)
        events_complete = self._engine.remembers_all(connection.now_ns)
        return ContainerList(
            known, connection.info.time_ns, frozenset(unanswered), events_complete=events_complete
        )

    def _say(self, content: WatchMessage) -> None:
        self._inbox.put(Message(self._engine.address, content))


def _pauses() -> Iterator[float]:
    """Ever longer pauses, jittered so that many watchers do not come back at once."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  # not a secret
        longest = min(longest * 2, LONGEST_PAUSE_SECONDS)
