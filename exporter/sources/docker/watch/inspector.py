"""Requests about the container of an event: its state and its log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog

from exporter.log_tail import LogTail
from exporter.sources.docker.engine import Engine, EngineError, Event, EventType, ForbiddenError
from exporter.sources.docker.messages import Inspected, LogCollected

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Inspector:
    """Sends requests to an engine; every error becomes a result without an answer.

    ``log_tail`` is what to keep of a log; None: logs are not read.
    """

    def __init__(self, engine: Engine, log_tail: LogTail | None) -> None:
        self._engine = engine
        self._log_tail = log_tail

    def should_read_log(self, event: Event) -> bool:
        """Return whether to read the log of the run that ended with this event: if it may have failed."""
        return self._log_tail is not None and event.type is EventType.DIE and event.code != 0

    def inspect(self, event: Event) -> Inspected:
        """Read the state of the container."""
        inspection = self._or_none(event, partial(self._engine.inspect, event.container_id))
        return Inspected(event.container_id, inspection, event.at_ns)

    def read_log(self, event: Event, since_ns: int) -> LogCollected:
        """Read the end of what the container wrote between ``since_ns`` and the event."""
        tail = self._or_none(event, partial(self._read_tail, event, since_ns))
        return LogCollected(event.container_id, event.at_ns, tail)

    def _read_tail(self, event: Event, since_ns: int) -> str | None:
        if self._log_tail is None:
            return None
        raw = self._engine.log_tail(event.container_id, self._log_tail.lines, since_ns, event.at_ns)
        return None if raw is None else self._log_tail.extract(raw.text, is_whole=raw.is_whole)

    def _or_none(self, event: Event, request: Callable[[], T | None]) -> T | None:
        try:
            return request()
        except ForbiddenError as error:
            # Unlike other errors, it goes on until somebody allows the request.
            log.warning("request about a container not allowed", cause=str(error))
        except EngineError as error:
            log.debug("cannot inspect a container", container=event.container_id[:12], cause=str(error))
        except Exception:
            log.exception("unexpected error while inspecting a container")
        return None
