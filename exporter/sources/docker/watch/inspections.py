"""Asking an engine about its containers: about which events, and by whom."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog

from exporter.exit_codes import UNKNOWN_STATUS
from exporter.log_tail import LogTail
from exporter.sources.docker.engine import Engine, EngineError, Event, EventType, MaskedField
from exporter.sources.docker.messages import Inspected, LogCollected

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

# Beyond this many answers outstanding, what only adorns a job is no longer asked for.
MAX_BACKLOG = 200
_DOUBTFUL_CODES = (None, UNKNOWN_STATUS)


class Inspector:
    """Asks an engine about the container of an event; whatever goes wrong, it has an answer."""

    def __init__(self, engine: Engine, log_tail: LogTail | None) -> None:
        self._engine = engine
        self._log_tail = log_tail

    def wants_log(self, event: Event) -> bool:
        """Whether to read the log of the run that ended with this event: one that may have failed."""
        return self._log_tail is not None and event.type is EventType.DIE and event.code != 0

    def about(self, event: Event) -> Inspected:
        """How it stands."""
        inspection = self._asked(event, partial(self._engine.inspect, event.container_id))
        return Inspected(event.container_id, inspection, event.at_ns)

    def log_of(self, event: Event, since_ns: int) -> LogCollected:
        """The end of what it wrote since then."""
        return LogCollected(
            event.container_id, event.at_ns, self._asked(event, partial(self._tail, event, since_ns))
        )

    def _asked(self, event: Event, ask: Callable[[], Answer | None]) -> Answer | None:
        try:
            return ask()
        except EngineError as error:
            log.debug("no answer about a container", container=event.container_id[:12], cause=str(error))
        except Exception:
            log.exception("a bug while inspecting")
        return None

    def _tail(self, event: Event, since_ns: int) -> str | None:
        if self._log_tail is None:
            return None
        end = self._engine.log_end(event.container_id, self._log_tail.lines, since_ns, event.at_ns)
        return None if end is None else self._log_tail.of(end.text, is_whole=end.is_whole)


class WorkerPool:
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


class InspectPolicy:
    """Which events are worth an inspection, and at once: what ``--rm`` removes is gone in moments."""

    def __init__(self) -> None:
        self._ended: dict[str, int] = {}
        self._attempted: set[str] = set()
        self._running: set[str] = set()
        self._unsure: set[str] = set()
        self._joined: dict[str, set[str]] = {}

    def wants(self, event: Event, backlog: int) -> bool:
        """Whether to ask the engine about this event's container."""
        if MaskedField.CODE in event.masked_fields:
            self._unsure.add(event.container_id)
        match event.type:
            case EventType.START_ATTEMPT:
                wanted, urgent = self._attempt(event), False
            case EventType.START_ATTEMPT_OVER:
                wanted = urgent = self._attempt_over(event)
            case EventType.START:
                wanted, urgent = self._start(event), False
            case EventType.DIE:
                wanted, urgent = True, self._die(event)
            case _:
                wanted, urgent = event.type is EventType.UPDATE or event.healthy is False, False
        if event.type is EventType.DESTROY:
            self._forget(event)
        return urgent or (wanted and backlog < MAX_BACKLOG)

    def ended_before(self, event: Event) -> int:
        """When the container's run before this event's ended, as far as that was told; else 0."""
        before = self._ended.get(event.container_id, 0)
        if event.type is EventType.DIE:
            self._ended[event.container_id] = event.at_ns
        return before

    def _attempt(self, event: Event) -> bool:
        """Asked now, an engine answers when the start is over, and before ``--rm`` can remove a failed one.

        (It holds the container's lock meanwhile.) Where it answers at once, ``_attempt_over`` asks again.
        """
        self._joined.setdefault(event.container_id, set()).add(event.network)
        first = event.container_id not in self._attempted
        self._attempted.add(event.container_id)
        return first

    def _attempt_over(self, event: Event) -> bool:
        """Whether a start may have failed: a network was left with no start before.

        An engine tells of it after the end of a run too (before the end, from 23 on), of each network that
        the run had joined.
        """
        joined = self._joined.get(event.container_id, set())
        had_joined = event.network in joined
        joined.discard(event.network)
        if event.container_id in self._running:
            return False
        if event.container_id in self._attempted:
            self._attempted.discard(event.container_id)
            return True
        return not had_joined

    def _start(self, event: Event) -> bool:
        asked = event.container_id in self._attempted
        self._attempted.discard(event.container_id)
        self._running.add(event.container_id)
        return not asked

    def _die(self, event: Event) -> bool:
        """Whether more than the true time of the end is to be had: a code that may be wrong, a beginning."""
        known = event.container_id in self._running and event.container_id not in self._unsure
        self._running.discard(event.container_id)
        return not known or event.code in _DOUBTFUL_CODES

    def _forget(self, event: Event) -> None:
        for known in (self._attempted, self._running, self._unsure):
            known.discard(event.container_id)
        self._joined.pop(event.container_id, None)
        self._ended.pop(event.container_id, None)
