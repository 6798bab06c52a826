"""Following the logs of supervised containers: hundreds of them on one thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from exporter.model import SECOND_NS
from exporter.sources.docker.engine import ContainerList, Event, EventType, Inspection
from exporter.sources.docker.messages import JobReported
from exporter.sources.docker.supervisors.registry import find_supervisor
from exporter.sources.docker.supervisors.supervisor import JobLog
from exporter.sources.docker.watch.run_log import ReadLines, RunLog

log = structlog.get_logger(__name__)

STOP_SECONDS = 5.0
MAX_FOLLOWED = 1_000


class JobLogFollower:
    """Reads the logs of supervised containers, and sends a JobReported when a job starts, ends, and is gone.

    One thread serves all; it is started with the first, since most engines have none. Beyond
    ``MAX_FOLLOWED`` logs a further one is not read, and said to be unreadable.
    """

    def __init__(self, read_lines: ReadLines, send: Callable[[JobReported], None]) -> None:
        self._read_lines = read_lines
        self._send = send
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        # The latest run of each container that is followed, and the latest end of each that is there.
        self._runs: dict[str, RunLog] = {}
        self._last_end_ns: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="job logs", daemon=True)
        self._lock = threading.Lock()
        self._is_stopped = False

    def stop(self) -> None:
        """Stop reading; nothing is sent from now on, and what is observed is ignored."""
        with self._lock:
            self._is_stopped, was_started = True, self._thread.ident is not None
        if not was_started:
            self._runner.close()
        else:
            self._call(self._stopping.set)
            self._thread.join(STOP_SECONDS)

    def observe(self, event: Event) -> None:
        """Follow the log of a supervised container that starts, to its end when that ends."""
        supervisor = find_supervisor(event.labels)
        if supervisor is None:
            return
        match event.type:
            case EventType.START:
                self._start()
                self._call(self._begin, event.container_id, event.at_ns, supervisor.open_log())
            case EventType.DIE:
                self._call(self._note_end, event.container_id, event.at_ns)
            case EventType.DESTROY:
                self._call(self._last_end_ns.pop, event.container_id, None)
            case _:
                pass

    def observe_list(self, listed: ContainerList) -> None:
        """Follow the logs of the supervised containers in a list, also of those that have ended."""
        # Where there are too many, those that have ended are left out.
        for inspection in sorted(listed.containers, key=lambda each: not each.running):
            supervisor = find_supervisor(inspection.labels)
            if supervisor is not None and inspection.started_ns is not None:
                self._observe_listed(inspection, inspection.started_ns, supervisor.open_log())

    def _observe_listed(self, inspection: Inspection, started_ns: int, job_log: JobLog) -> None:
        self._start()
        container_id = inspection.container_id
        if inspection.previous_finished_ns is not None:
            self._call(self._note_end_before, container_id, inspection.previous_finished_ns)
        self._call(self._begin, container_id, started_ns, job_log)
        if not inspection.running:
            self._call(self._note_end, container_id, inspection.finished_ns or started_ns)

    def _start(self) -> None:
        with self._lock:
            if self._thread.ident is None and not self._is_stopped:
                self._thread.start()

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Run a callback on the thread."""
        # Once that has been stopped, its loop is closed and raises this.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _run(self) -> None:
        with self._runner:
            self._runner.run(self._serve())

    async def _serve(self) -> None:
        await self._stopping.wait()

    def _begin(self, container_id: str, since_ns: int, job_log: JobLog) -> None:
        """Follow the log of a run, unless that is done already."""
        followed = self._runs.get(container_id)
        if followed is not None and not followed.has_ended:
            return
        run = RunLog(container_id, since_ns, self._begin_ns(container_id, since_ns), job_log)
        if len(self._tasks) >= MAX_FOLLOWED:
            log.warning("log of a supervised container not followed: too many are", container=container_id)
            self._send(run.report("too many logs are followed"))
            return
        self._runs[container_id] = run
        task = self._loop.create_task(run.follow(self._read_lines, self._send))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._forget(task, run))

    def _begin_ns(self, container_id: str, since_ns: int) -> int:
        """Return from when on a log is that of the run which started at ``since_ns``."""
        # Its first lines may be older than the event of its start, but not than the end of the run before.
        end_ns = self._last_end_ns.get(container_id, 0)
        return max(since_ns - SECOND_NS, end_ns + 1 if end_ns <= since_ns else 0)

    def _note_end(self, container_id: str, at_ns: int) -> None:
        self._last_end_ns[container_id] = at_ns
        if container_id in self._runs:
            self._runs[container_id].note_end()

    def _note_end_before(self, container_id: str, at_ns: int) -> None:
        """Note the end of the run before the one in a list, of which the event may have been missed."""
        self._last_end_ns.setdefault(container_id, at_ns)
        followed = self._runs.get(container_id)
        if followed is not None and followed.since_ns < at_ns:
            self._note_end(container_id, at_ns)

    def _forget(self, task: asyncio.Task[None], run: RunLog) -> None:
        self._tasks.discard(task)
        if self._runs.get(run.container_id) is run:
            del self._runs[run.container_id]
