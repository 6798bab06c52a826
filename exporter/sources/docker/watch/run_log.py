"""The log of one run of a supervised container, read as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Protocol

import structlog

from exporter.sources.docker.engine import EngineError, LogRefusedError
from exporter.sources.docker.messages import LOG_END_SECONDS, JobReported
from exporter.sources.docker.supervisors.supervisor import JobLog

log = structlog.get_logger(__name__)

# An engine may break off a log that is being rotated, and a job's last lines are gone with its container.
SOON_SECONDS = 0.05
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0


class ReadLines(Protocol):
    """Reads a container's log from a time on until it ends: pairs of the engine's time and the line."""

    def __call__(self, container_id: str, since_ns: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield the lines. Raises EngineError."""


class RunLog:
    """Log of the run that started at ``since_ns``, read from ``position_ns`` on."""

    def __init__(self, container_id: str, since_ns: int, position_ns: int, job_log: JobLog) -> None:
        self.container_id = container_id
        self.since_ns = since_ns
        self._position_ns = position_ns
        self._job_log = job_log
        self._is_begun = False
        self._ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether its container has ended."""
        return self._ended.is_set()

    def note_end(self) -> None:
        """Record that its container has ended: the log ends soon."""
        self._ended.set()

    def report(self, cause: str) -> JobReported:
        """Return all that the log has said; ``cause`` is why it could not be read to its end, if so."""
        report = self._job_log.report
        if cause and report.end is None:
            report = replace(report, unreadable=report.unreadable or cause)
        return JobReported(self.container_id, self.since_ns, report, is_final=True)

    async def follow(self, read_lines: ReadLines, send: Callable[[JobReported], None]) -> None:
        """Send a report at the job's start and end, and one when the container has ended."""
        reading = asyncio.create_task(self._read_to_end(read_lines, send))
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({reading}, timeout=LOG_END_SECONDS)
            cause = reading.result() if reading.done() else "it did not end with the container"
        finally:
            reading.cancel()
            ended.cancel()
        send(self.report(cause))

    async def _read_to_end(self, read_lines: ReadLines, send: Callable[[JobReported], None]) -> str:
        """Return why the log could not be read to the container's end, empty where it was.

        A connection may break, and an engine may end a log before that: both are continued.
        """
        pause, cause = RETRY_SECONDS, "it was not given"
        while True:
            begin_ns, had_ended = self._position_ns, self.has_ended
            try:
                await self._read(read_lines, send)
            except LogRefusedError as error:
                # A log that was read to its end before is gone with its container.
                if cause:
                    log.warning(
                        "log of a supervised container not read",
                        container=self.container_id[:12],
                        cause=str(error),
                    )
                return cause and str(error)
            except EngineError as error:
                cause = f"it could not be read to its end: {error}"
            except Exception:
                log.exception("a bug while reading a supervised container's log", container=self.container_id)
                return "reading it failed by a bug"
            else:
                cause = ""
            if self._is_read(had_ended=had_ended):
                return cause
            pause = SOON_SECONDS if self._position_ns > begin_ns else pause
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), pause)
            pause = min(max(2 * pause, RETRY_SECONDS), LONGEST_RETRY_SECONDS)
            if self._is_read(had_ended=False) and not cause:
                return ""

    def _is_read(self, *, had_ended: bool) -> bool:
        """Return whether all is read that there will be; ``had_ended``: before the last read began."""
        # An engine may keep back the last lines of a log that it has rotated while it was followed.
        return had_ended or (self.has_ended and self._job_log.report.end is not None)

    async def _read(self, read_lines: ReadLines, send: Callable[[JobReported], None]) -> None:
        """Read on until the log ends."""
        async with aclosing(read_lines(self.container_id, self._position_ns)) as lines:
            async for at_ns, line in lines:
                if not self._is_begun:
                    log.debug("log of a supervised container is read", container=self.container_id[:12])
                    self._is_begun = True
                self._position_ns = max(self._position_ns, at_ns + 1)
                before = self._job_log.report
                self._job_log.read(line, at_ns)
                # Any other change would be news at any line of a log that is made for that.
                after = self._job_log.report
                if (after.started_ns, after.end) != (before.started_ns, before.end):
                    send(JobReported(self.container_id, self.since_ns, self._job_log.report))
