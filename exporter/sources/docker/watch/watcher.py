"""Watcher of one engine: connect, resume, read events, list containers, and reconnect."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import structlog

from exporter.model import OVERLAP_NS, Cursor
from exporter.sources.docker.engine import ContainerList, Engine, EngineError, EngineInfo, Event, EventType
from exporter.sources.docker.kernel.poller import KernelPoller
from exporter.sources.docker.kernel.reader import KernelReader, is_this_host
from exporter.sources.docker.messages import (
    EventReceived,
    LogCollected,
    RequestsRefused,
    StreamOpened,
    WatchMessage,
    connected,
)
from exporter.sources.docker.watch.connection import Connection
from exporter.sources.docker.watch.inspect_policy import InspectPolicy, Need
from exporter.sources.docker.watch.inspections import Inspections
from exporter.sources.docker.watch.inspector import Inspector
from exporter.sources.docker.watch.job_logs import JobLogFollower
from exporter.sources.docker.watch.listing import list_containers
from exporter.sources.docker.watch.resume import ResumePoint
from exporter.sources.docker.watch.shared import Shared
from exporter.sources.docker.watch.stream_check import StreamCheck
from exporter.sources.docker.watch.watchdog import StreamWatchdog
from exporter.sources.source import Connected, Disconnected, Inbox, Message
from exporter.thread_limit import NO_THREAD, is_thread_limit

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
_INTERNAL_ERROR = "internal error of the exporter; see its log"
# An engine drops events only for one who does not read for a tenth of a second.
_FOLLOW_SECONDS = 0.01
# The kernel may have a report that explains these.
_KERNEL_EVENTS = (EventType.OOM, EventType.DIE, EventType.START_ATTEMPT_OVER)


class EngineWatcher:
    """Thread that reads one engine until it is stopped, and sends what it reads to the inbox.

    ``cursor`` is where reading resumes; None: the engine has not been watched before.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        shared: Shared,
        *,
        cursor: Cursor | None = None,
        make_kernel_reader: Callable[[], KernelReader] | None = None,
    ) -> None:
        self._engine = engine
        self._address = engine.address
        self._inbox = inbox
        self._config = config = shared.config
        self._ticker = shared.ticker
        # What the kernel logged while nobody watched explains ends that the engine will only list. A new
        # engine has no such time.
        log_since_ns = None if cursor is None else cursor.latest_ns
        make_reader = make_kernel_reader or partial(KernelReader, log_since_ns=log_since_ns)
        self._kernel = KernelPoller(make_reader, self._send)
        self._inspector = Inspector(engine, config.log_tail)
        self._job_logs = JobLogFollower(engine.follow_log, self._send) if config.follow_job_logs else None
        self._resume = ResumePoint(engine, cursor)
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        # Whether the next stream only takes the place of one that was too old.
        self._is_renewal = False
        self._inspect_pool = shared.inspect_pool()
        self._inspections = Inspections(self._inspector, self._inspect_pool, self._send)
        self._log_pool = shared.log_pool()
        self._check_pool = shared.check_pool()
        engine.on_refusal(lambda missing: self._send(RequestsRefused(missing)))
        self._check = StreamCheck(engine, self._inspect_pool, self._send)
        # A daemon thread: one that hangs in a dead connection must not delay the end of the process.
        self._thread = threading.Thread(target=self._run, name=f"watch {engine.address}", daemon=True)

    @property
    def address(self) -> str:
        """Address of the engine."""
        return self._address

    def start(self) -> None:
        """Begin to watch; return at once, even if the engine is down."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.close()
        self._kernel.close()
        if self._job_logs is not None:
            self._job_logs.stop()
        self._inspect_pool.stop()
        self._log_pool.stop()
        self._check_pool.stop()

    def _run(self) -> None:
        try:
            self._watch_until_stopped()
        finally:
            # Again: the kernel's poller may have been opened while ``stop`` was running.
            self._kernel.close()

    def _watch_until_stopped(self) -> None:
        backoff = _backoff()
        last_logged_cause: str | None = None
        while not self._stopping.is_set():
            self._connection = None
            cause = self._watch_safely()
            connection: Connection | None = self._connection
            was_listed = connection is not None and connection.listed
            if was_listed:
                backoff, last_logged_cause = _backoff(), None
            self._engine.close()
            if self._stopping.is_set():
                return
            if was_listed and connection is not None and connection.replaced:
                self._is_renewal = not connection.incomplete
                continue
            self._is_renewal = False
            self._send(Disconnected(cause))
            pause = next(backoff)
            # Each cause is logged once, not at every attempt: an engine may be down for a night.
            level = log.debug if cause == last_logged_cause else log.warning
            level("engine not reachable, trying again", engine=self._engine.address, cause=cause)
            last_logged_cause = cause
            self._stopping.wait(pause)
            self._wait_for_pipeline()

    def _watch_safely(self) -> str:
        """Watch over one connection, and return why it ended."""
        try:
            self._watch()
        except EngineError as error:
            return str(error)
        except Exception as error:
            log.exception("unexpected error while watching an engine")
            return _unexpected(error)
        return "the event stream ended"

    def _wait_for_pipeline(self) -> None:
        """Return once the pipeline has processed half of the messages that may wait."""
        while self._has_waiting(self._config.max_inbox // 2, self._config.inbox_share // 2):
            if self._stopping.wait(FIRST_PAUSE_SECONDS):
                return

    def _has_waiting(self, of_all: int, of_this: int) -> bool:
        """Return whether more messages wait, of all engines and of this one.

        An engine drops events for one who does not read: what another sends must not stop this one's.
        """
        return len(self._inbox) > of_all and self._inbox.waiting(self._address) > of_this

    def _watch(self) -> None:
        info = self._engine.info()
        self._select_kernel(info)
        # The stream is opened before the list is made, so that no event between the two is missed.
        connection = self._connection = self._resume.connect(info, self._config)
        if self._stopping.is_set():
            # ``stop`` found no connection to close.
            connection.close()
            return
        try:
            self._announce(connection)
            self._kernel.start()
            check = self._check.check
            with StreamWatchdog(connection, check, self._config, self._ticker, self._check_pool):
                self._inspect_pool.submit(partial(self._list, connection))
                self._read(connection)
            connection.raise_failure()
        finally:
            connection.close()
            self._resume.leave(connection)

    def _select_kernel(self, info: EngineInfo) -> None:
        """Read this machine's kernel while the engine runs on this machine, also through reconnects."""
        try:
            is_here = self._engine.is_local and is_this_host(info)
        except OSError as error:
            raise EngineError(f"/proc cannot be read: {error.strerror}") from error
        if is_here:
            self._kernel.open()
        else:
            self._kernel.close()

    def _announce(self, connection: Connection) -> None:
        info, resume = connection.info, self._resume
        opened = StreamOpened(
            info,
            has_kernel_counter=self._kernel.has_counter,
            cursor=connection.cursor,
            event_gap=resume.event_gap,
            has_kernel_log=self._kernel.has_log,
            read_to_end=resume.read_to_end,
        )
        self._send(connected(opened))
        # A renewal is no news: in the log it would look like a connection that is lost every ten minutes.
        level = log.debug if self._is_renewal else log.info
        level("watching", engine=self._engine.address, host=info.host, version=info.version)

    def _read(self, connection: Connection) -> None:
        policy = InspectPolicy()
        for events in connection.stream:
            latest_ns = connection.now_ns + OVERLAP_NS
            for event in events:
                if event.type in _KERNEL_EVENTS:
                    self._kernel.poll(since_ns=event.at_ns)
                self._dispatch(event, connection, policy, latest_ns)
            connection.mark_read(events)
            self._let_pipeline_follow(connection)

    @property
    def _is_behind(self) -> bool:
        """Whether the pipeline is behind what has been read."""
        return len(self._inbox) > self._config.max_ahead

    def _let_pipeline_follow(self, connection: Connection) -> None:
        """Pause if the pipeline is behind. Raises EngineError if it is too far behind to read on."""
        if self._has_waiting(self._config.max_inbox, self._config.inbox_share):
            error = EngineError("events arrive faster than they are processed; reading resumes later")
            connection.fail(error)
            raise error
        if self._is_behind:
            # Python runs one thread at a time: otherwise the first exits of a flood would be shown only once
            # all of it is read. What comes meanwhile waits in the socket.
            self._stopping.wait(_FOLLOW_SECONDS)

    def _dispatch(self, event: Event, connection: Connection, policy: InspectPolicy, latest_ns: int) -> None:
        """Send an event, and start the requests that it causes.

        One after ``latest_ns`` has a time that the engine's clock has not reached.
        """
        reading_log = self._inspector.should_read_log(event)
        since_ns = policy.previous_end_ns(event.container_id) if reading_log else 0
        need = policy.observe(event)
        is_necessary = need is Need.NECESSARY
        inspecting = is_necessary or (need is Need.USEFUL and not self._is_busy(event.container_id))
        replayed = 0 < event.at_ns <= connection.replay_until_ns
        self._send(EventReceived(event, inspecting, replayed, event.at_ns > latest_ns, reading_log))
        if self._job_logs is not None:
            self._job_logs.observe(event)
        # With --rm, a container is gone in a moment, and its log before anything else.
        if reading_log:
            self._read_log(event, since_ns)
        if inspecting:
            self._inspections.ask(event, first=is_necessary)

    def _read_log(self, event: Event, since_ns: int) -> None:
        """Send the log of the run that ended with an event, once it is read."""
        is_submitted = self._log_pool.submit(lambda: self._send(self._inspector.read_log(event, since_ns)))
        if not is_submitted:
            # The pool is stopped, but what was announced must still be sent.
            self._send(LogCollected(event.container_id, event.at_ns, None))

    def _is_busy(self, container_id: str) -> bool:
        """Return whether so much waits that a request about a container would hold up more than it says."""
        if self._inspections.has_waiting(container_id):
            return False
        return self._inspect_pool.backlog >= self._config.max_backlog or self._is_behind

    def _list(self, connection: Connection) -> None:
        try:
            listed = list_containers(self._engine, connection)
        except EngineError as error:
            connection.fail(error)
        except Exception as error:
            log.exception("unexpected error while listing containers")
            connection.fail(EngineError(_unexpected(error)))
        else:
            self._send_list(listed, connection)

    def _send_list(self, listed: ContainerList, connection: Connection) -> None:
        if not connection.ended:
            seen_ids = listed.seen_ids | connection.seen_ids
            self._send(replace(listed, seen_ids=seen_ids, event_gap=self._resume.event_gap))
            self._resume.clear_gap()
            connection.listed = True
            if self._job_logs is not None:
                self._job_logs.observe_list(listed)

    def _send(self, content: WatchMessage | Connected | Disconnected) -> None:
        self._inbox.put(Message(self._address, content))


def _backoff() -> Iterator[float]:
    """Yield growing pauses in seconds, with jitter so that many watchers do not reconnect at once."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311  # not a secret
        longest = min(longest * 2, LONGEST_PAUSE_SECONDS)


def _unexpected(error: Exception) -> str:
    """Return what users are told of an error: what to do at a limit of threads, else where to look."""
    return NO_THREAD if is_thread_limit(error) else _INTERNAL_ERROR
