"""Thread that asks dstack's server for its runs, now and then, and reports what is new of them.

Runs are listed from the newest back to the newest that was there the last time; the first time, some and all
that have not ended. Those that had not ended the last time are asked for one by one, unless they were listed.
Nothing waits for this thread.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import structlog

from exporter.model import SECOND_NS, Cursor, Submission
from exporter.sources.dstack.answers import BY_USER, Run
from exporter.sources.dstack.client import PAGE_RUNS, DstackClient
from exporter.sources.dstack.messages import Answered, Failed, Reported
from exporter.sources.dstack.problems import Problem, ServerError
from exporter.sources.source import Inbox, Message

log = structlog.get_logger(__name__)

# A run may become visible later than one that was submitted after it.
OVERLAP_NS = 60 * SECOND_NS
MAX_PAGES = 1000
# What ended before the first answer is no news: a server may have years of it.
FIRST_RUNS = 1000
# Above this number, the open runs are listed before any of them is asked for.
MAX_SINGLE_RUNS = 5
LONGEST_PAUSE_SECONDS = 300.0
# Of an answer about one run, these say nothing of the others.
_OF_ONE_RUN = frozenset({Problem.INVALID, Problem.SERVER_ERROR, Problem.REFUSED, Problem.TOO_LARGE})


class DstackServer:
    """Asks one server every ``interval`` seconds; ``projects`` are those to ask for, empty for all."""

    def __init__(
        self, client: DstackClient, inbox: Inbox, projects: tuple[str, ...], interval: float
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._projects = projects or ("",)
        self._interval = interval
        self._cursor: Cursor | None = None
        self._open: dict[str, str] = {}
        self._sent: dict[str, Submission] = {}
        self._actors: dict[str, str] = {}
        self._asks_for_actors = True
        self._page_runs = PAGE_RUNS
        self._last_single = ""
        self._failures = 0
        self._causes: set[str] = set()
        self._logged_causes: set[str] = set()
        self._stopping = threading.Event()
        # A daemon thread: a server that does not answer must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="dstack server", daemon=True)

    @property
    def address(self) -> str:
        """URL of the server."""
        return self._client.address

    def start(self, cursor: Cursor | None, open_submissions: Sequence[Submission]) -> None:
        """Start to ask, from the position on record; the submissions are those on record of open runs."""
        self._cursor = cursor
        self._open = {submission.run_id: submission.project for submission in open_submissions}
        self._sent = {submission.id: submission for submission in open_submissions}
        log.info("asking dstack's server", url=self.address)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._interval if self._ask() else self._pause())
        self._client.close()

    def _ask(self) -> bool:
        """Ask once; return whether there was a usable answer."""
        self._causes, self._asks_for_actors = set(), True
        try:
            self._report_runs()
        except ServerError as error:
            self._failures += 1
            self._note(error.problem, str(error))
            return False
        except Exception:
            log.exception("unexpected error while asking dstack's server")
            self._failures += 1
            self._send(Failed(Problem.BUG))
            return False
        if self._failures:
            log.info("dstack's server answers again", url=self.address)
        self._failures = 0
        # What is still wrong with a part of the answer is in the log.
        self._logged_causes &= self._causes
        return True

    def _pause(self) -> float:
        """Return the seconds until the next try, with jitter so that many exporters do not come together."""
        longest = max(self._interval, LONGEST_PAUSE_SECONDS)
        pause = min(longest, self._interval * 2.0 ** min(self._failures, 30))
        return random.uniform(pause / 2, pause)  # noqa: S311  # not a secret

    def _note(self, problem: Problem, cause: str) -> None:
        """Count a problem with the answer, or with a part of it, and log it."""
        self._send(Failed(problem))
        # A warning once for each cause, not at every retry: a server may be away for a night.
        level = log.debug if cause in self._logged_causes else log.warning
        level("dstack's server gave no usable answer, will ask again", url=self.address, cause=cause)
        self._logged_causes.add(cause)
        self._causes.add(cause)

    def _report_runs(self) -> None:
        is_news, sent, runs = self._cursor is not None, dict[str, Submission](), set[str]()
        newest_ns = 0 if self._cursor is None else self._cursor.event_ns
        for run in self._runs():
            newest_ns = max(newest_ns, run.submitted_ns or 0)
            runs.add(run.id)
            for submission in self._submissions(run, is_news=is_news):
                before = self._sent.get(submission.id)
                if submission != before:
                    was_open = before is not None and before.finished_ns is None
                    self._send(Reported(submission, is_news, was_open))
                # At once, so that what comes after a failure is not reported twice.
                sent[submission.id] = self._sent[submission.id] = submission
        # Those of an open run that could not be had this time as well.
        left_open = {key: each for key, each in self._sent.items() if each.run_id in self._open}
        self._sent = left_open | sent
        self._actors = {run_id: self._actors[run_id] for run_id in self._actors.keys() & runs}
        # A time to come would hide the runs until then.
        self._cursor = Cursor(min(newest_ns, time.time_ns()), 0)
        self._send(Answered(self._cursor))

    def _submissions(self, run: Run, *, is_news: bool) -> Iterator[Submission]:
        """Yield the submissions of a run; with the name of the user who stopped it, if that is news."""
        for submission in run.submissions():
            if submission.stopped_by != BY_USER or not is_news:
                yield submission
                continue
            name = self._actor(run.id)
            yield replace(submission, stopped_by=f"{BY_USER} {name}" if name else BY_USER)

    def _actor(self, run_id: str) -> str:
        """Return the name of the user who stopped a run, empty if the server does not tell, or cannot now."""
        if run_id not in self._actors and self._asks_for_actors:
            try:
                self._actors[run_id] = self._client.actor(run_id)
            except ServerError as error:
                self._note(error.problem, str(error))
                self._asks_for_actors = False
        return self._actors.get(run_id, "")

    def _runs(self) -> Iterator[Run]:
        """Yield the runs that may have changed since the last time."""
        seen: set[str] = set()
        since_ns = 0 if self._cursor is None else self._cursor.event_ns - OVERLAP_NS
        most = FIRST_RUNS if self._cursor is None else None
        for project in self._projects:
            yield from self._noted(islice(self._listed(project, since_ns), most), seen)
        if self._cursor is None or len(self._open.keys() - seen) > MAX_SINGLE_RUNS:
            for project in self._projects:
                yield from self._noted(self._listed(project, 0, only_active=True), seen)
        # After the one at which the server hung the last time, so that it does not keep others back for good.
        last_single = self._last_single
        for run_id in sorted(self._open.keys() - seen, key=lambda each: (each <= last_single, each)):
            self._last_single = run_id
            yield from self._noted(self._single(run_id), seen)

    def _single(self, run_id: str) -> Iterator[Run]:
        """Yield a run, unless it is gone or cannot be had; that one is asked for again the next time."""
        try:
            run = self._client.run(self._open[run_id], run_id)
        except ServerError as error:
            if error.problem not in _OF_ONE_RUN:
                raise
            self._note(error.problem, str(error))
            return
        if run is None:
            self._close(run_id)
        else:
            yield run

    def _close(self, run_id: str) -> None:
        """Note that the server has a run no more, so that it is not asked for again, also after a restart."""
        del self._open[run_id]
        for submission in self._sent.values():
            if submission.run_id == run_id:
                self._send(Reported(replace(submission, is_open=False), is_news=False))

    def _noted(self, runs: Iterator[Run], seen: set[str]) -> Iterator[Run]:
        """Yield the runs that were not seen yet, and note which of them are open."""
        for run in runs:
            if run.id in seen:
                continue
            seen.add(run.id)
            yield run
            if run.is_open:
                self._open[run.id] = run.project_name
            else:
                self._open.pop(run.id, None)

    def _listed(self, project: str, since_ns: int, *, only_active: bool = False) -> Iterator[Run]:
        """Yield the runs of a project that were submitted since a time, from the newest on."""
        last: Run | None = None
        for _ in range(MAX_PAGES):
            answer = self._page(project, last, only_active=only_active)
            runs = [run for run in answer if run is not None]
            if len(runs) < len(answer):
                self._note(Problem.INVALID, "some runs in the answer cannot be read; the others are used")
            yield from runs
            if not runs or (runs[-1].submitted_ns or 0) < since_ns:
                return
            if last is not None and (runs[-1].submitted_ns or 0) > (last.submitted_ns or 0):
                raise ServerError(Problem.INVALID, "the answer's pages are not in order")
            if last is not None and runs[-1].id == last.id:
                raise ServerError(Problem.INVALID, "the answer's pages do not end")
            last = runs[-1]
        raise ServerError(Problem.TOO_LARGE, f"the answer has more than {MAX_PAGES} pages")

    def _page(self, project: str, last: Run | None, *, only_active: bool) -> list[Run | None]:
        """Return the next runs: fewer where they are large, since one has all jobs with all submissions."""
        while True:
            try:
                return self._client.runs(project, last, only_active=only_active, limit=self._page_runs)
            except ServerError as error:
                if error.problem is not Problem.TOO_LARGE or self._page_runs == 1:
                    raise
                self._note(error.problem, f"{error}; fewer runs at once are asked for from now on")
                self._page_runs //= 5

    def _send(self, content: object) -> None:
        self._inbox.put(Message(self.address, content))
