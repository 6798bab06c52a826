"""List of all containers of an engine."""

from __future__ import annotations

import structlog

from exporter.sources.docker.engine import ContainerList, Engine, EngineError
from exporter.sources.docker.watch.connection import Connection
from exporter.sources.docker.watch.stream_check import wait_until_caught_up

log = structlog.get_logger(__name__)


def list_containers(engine: Engine, connection: Connection) -> ContainerList:
    """Return the state of all containers, once all events before it are read. Raises EngineError."""
    listed = _read_list(engine, connection)
    # Wait for replayed events too, or an exit that is already in the list would be counted twice.
    wait_until_caught_up(engine, connection, connection.since_ns)
    return listed


def _read_list(engine: Engine, connection: Connection) -> ContainerList:
    inspections, failed = [], []
    for container_id in engine.container_ids():
        if connection.ended:
            # Nobody waits for it, and an engine that is gone lets each request wait.
            break
        try:
            inspections.append(engine.inspect(container_id))
        except EngineError as error:
            failed.append(container_id)
            log.warning("container left out of the list", container=container_id[:12], cause=str(error))
    return ContainerList(
        tuple(inspection for inspection in inspections if inspection is not None),
        connection.info.time_ns,
        frozenset(failed),
        events_complete=engine.event_buffer_complete(connection.now_ns),
    )
