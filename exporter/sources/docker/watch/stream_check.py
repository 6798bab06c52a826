"""Check of an open stream against the engine's event buffer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from exporter.sources.docker.engine import Engine, EngineError
from exporter.sources.docker.messages import CaughtUp, StartFailed
from exporter.sources.docker.watch.connection import Connection
from exporter.sources.docker.watch.worker_pool import WorkerPool

log = structlog.get_logger(__name__)


def wait_until_caught_up(engine: Engine, connection: Connection, since_ns: int) -> None:
    """Return once all events between ``since_ns`` and now are read. Raises EngineError if they are not."""
    buffered = engine.buffered_events(since_ns, connection.now_ns)
    if buffered:
        connection.wait_until_read(buffered[-1:])


class StreamCheck:
    """Confirms that a stream is complete, and looks for failed starts that have no event."""

    def __init__(
        self, engine: Engine, workers: WorkerPool, send: Callable[[CaughtUp | StartFailed], None]
    ) -> None:
        self._engine = engine
        self._workers = workers
        self._send = send

    def check(self, connection: Connection) -> None:
        """Move the checkpoint to now. Raises EngineError if events are missing or the engine is silent."""
        self._verify(connection)
        for container_id in connection.unstarted.overdue():
            self._workers.submit(partial(self._find_failed_start, container_id, connection))

    def _verify(self, connection: Connection) -> None:
        checkpoint, now_ns = connection.checkpoint, connection.now_ns
        since_ns = max(checkpoint.event_ns, connection.info.time_ns)
        buffered = self._engine.buffered_events(since_ns, now_ns)
        buffered = [event for event in buffered if event.at_ns > checkpoint.event_ns]
        if buffered:
            connection.wait_until_read(buffered)
        if not connection.incomplete:
            event_ns = buffered[-1].at_ns if buffered else checkpoint.event_ns
            connection.checkpoint = replace(checkpoint, event_ns=event_ns, read_until_ns=now_ns)
            self._send(CaughtUp(now_ns))

    def _find_failed_start(self, container_id: str, connection: Connection) -> None:
        unstarted = connection.unstarted
        try:
            inspection = self._engine.inspect(container_id)
            if inspection is not None and inspection.start_failed:
                # An event that reports the failure may be on its way.
                wait_until_caught_up(self._engine, connection, inspection.created_ns)
        except EngineError as error:
            log.debug("cannot inspect a container", container=container_id[:12], cause=str(error))
            return
        if inspection is None:
            unstarted.discard(container_id)
        elif inspection.start_failed and container_id in unstarted and not connection.ended:
            unstarted.discard(container_id)
            self._send(StartFailed(inspection))
