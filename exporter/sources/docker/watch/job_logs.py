"""Following the logs of supervised containers: hundreds of them on one thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import structlog

from exporter.model import SECOND_NS
from exporter.sources.docker.engine import ContainerList, EngineError, Event, EventType, LogRefusedError
from exporter.sources.docker.messages import LOG_END_SECONDS, JobReported
from exporter.sources.docker.supervisors.registry import find_supervisor
from exporter.sources.docker.supervisors.supervisor import JobLog

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
MAX_FOLLOWED = 1_000


class ReadLines(Protocol):
    """Reads a container's log from a time on until it ends: pairs of the engine's time and the line."""

    def __call__(self, container_id: str, since_ns: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the lines. Raises EngineError."""


class JobLogFollower:
    """Reads the logs of supervised containers; sends a JobReported at each change and at each log's end.

    One thread serves all. Beyond ``MAX_FOLLOWED`` logs a further one is not read, and said to be unreadable.
    """

    def __init__(self, read_lines: ReadLines, send: Callable[[JobReported], None]) -> None:
        self._read_lines = read_lines
        self._send = send
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._thread = threading.Thread(target=self._run, name="job logs", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; nothing is sent from now on."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def observe(self, event: Event) -> None:
        """Follow the log of a supervised container that starts, to its end when that ends."""
        match event.type:
            case EventType.START:
                self._follow_if_supervised(event.container_id, event.at_ns, event.labels)
            case EventType.DIE:
                self._loop.call_soon_threadsafe(self._note_end, event.container_id)
            case _:
                pass

    def observe_list(self, listed: ContainerList) -> None:
        """Follow the logs of the supervised containers in a list, also of those that have ended."""
        for inspection in listed.containers:
            if inspection.started_ns is not None:
                self._follow_if_supervised(inspection.container_id, inspection.started_ns, inspection.labels)
                if not inspection.running:
                    self._loop.call_soon_threadsafe(self._note_end, inspection.container_id)

    def _follow_if_supervised(self, container_id: str, start_ns: int, labels: Mapping[str, str]) -> None:
        supervisor = find_supervisor(labels)
        if supervisor is not None:
            self._loop.call_soon_threadsafe(self._begin, container_id, start_ns, supervisor.open_log())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*self._tasks.values(), return_exceptions=True))
            self._loop.close()

    def _begin(self, container_id: str, since_ns: int, job_log: JobLog) -> None:
        if container_id in self._tasks:
            return
        if len(self._tasks) >= MAX_FOLLOWED:
            log.warning("log of a supervised container not followed: too many are", container=container_id)
            self._send(
                JobReported(
                    container_id,
                    since_ns,
                    replace(job_log.report, unreadable="too many logs are followed"),
                    is_final=True,
                )
            )
            return
        self._ended[container_id] = asyncio.Event()
        task = self._loop.create_task(self._follow(container_id, since_ns, job_log))
        self._tasks[container_id] = task
        task.add_done_callback(lambda _: self._forget(container_id))

    def _forget(self, container_id: str) -> None:
        self._tasks.pop(container_id, None)
        self._ended.pop(container_id, None)

    def _note_end(self, container_id: str) -> None:
        if container_id in self._ended:
            self._ended[container_id].set()

    async def _follow(self, container_id: str, since_ns: int, job_log: JobLog) -> None:
        """Read the log to its end; continue after a broken connection while the container runs."""
        ended = self._ended[container_id]
        reading = asyncio.ensure_future(self._read_to_end(container_id, since_ns, job_log))
        waiting = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=LOG_END_SECONDS)
            cause = reading.result() if reading.done() else "its log did not end with the container"
        finally:
            reading.cancel()
            waiting.cancel()
        report = job_log.report
        if cause and report.end is None:
            report = replace(report, unreadable=cause)
        self._send(JobReported(container_id, since_ns, report, is_final=True))

    async def _read_to_end(self, container_id: str, since_ns: int, job_log: JobLog) -> str:
        """Return why the log could not be read to its end, empty where it was."""
        # Its first lines may be older than the event of its start.
        position_ns, cause = since_ns - SECOND_NS, ""
        while True:
            try:
                async with aclosing(self._read_lines(container_id, position_ns)) as lines:
                    async for at_ns, line in lines:
                        position_ns = max(position_ns, at_ns + 1)
                        before = job_log.report
                        job_log.read(line, at_ns)
                        if job_log.report != before:
                            self._send(JobReported(container_id, since_ns, job_log.report))
            except LogRefusedError as error:
                return str(error)
            except EngineError as error:
                cause = str(error)
            except Exception:
                log.exception("a bug while reading the log of a supervised container", container=container_id)
                return "a bug in reading it"
            else:
                return ""
            if self._ended[container_id].is_set():
                return cause
            await asyncio.sleep(RETRY_SECONDS)
