"""What becomes of the server's reports: all are recorded, and jobs without a container get a row."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.model import Cursor, Job, JobEnd, Status, Submission, SupervisedJob
from exporter.sources.dstack.messages import Answered, Failed, Reported
from exporter.sources.source import Outcome, Records, ServerAnswered, ServerFailed
from exporter.verdict.facts import EndedRun, NoContainer
from exporter.workload import workload_of

# Nothing can be done without a container.
_STATUSES = {
    "failed": Status.FAILED,
    "terminated": Status.TERMINATED,
    "aborted": Status.TERMINATED,
}
# Ends that were handed over; the store may be this many behind.
_MAX_HANDED_OVER = 10_000


class SubmissionTracker:
    """Tracker of one server's submissions. ``order`` is that of the sources of a workload's name.

    ``lists_jobs``: jobs without a container get a row and are counted.
    """

    host = ""
    next_due = None

    def __init__(
        self,
        address: str,
        records: Records,
        cursor: Cursor | None,
        *,
        order: tuple[str, ...],
        lists_jobs: bool,
    ) -> None:
        self._address = address
        self._records = records
        self._cursor = cursor
        self._order = order
        self._lists_jobs = lists_jobs
        self._handed_over: dict[str, None] = {}

    @property
    def cursor(self) -> Cursor | None:
        """Position in the server's runs up to which all is handed over."""
        return self._cursor

    def receive(self, content: object, _now: float) -> Iterator[Outcome]:
        """Yield what is to be recorded of a message, and what is to be counted."""
        match content:
            case Reported():
                yield from self._reported(content)
            case Answered(cursor):
                self._cursor = cursor
                yield ServerAnswered()
            case Failed(problem):
                yield ServerFailed(problem)

    def release_due(self, _now: float) -> tuple[Outcome, ...]:
        """Return nothing: nothing waits."""
        return ()

    def _reported(self, reported: Reported) -> Iterator[Outcome]:
        submission, is_news = reported.submission, reported.is_news
        finished_ns = submission.finished_ns
        if finished_ns is None:
            yield submission
            return
        if finished_ns < self._records.pruned_of(self._address) and not reported.was_open:
            # Its record was deleted for its age: it would be counted again.
            return
        ended = self._without_container(submission, finished_ns) if is_news and self._lists_jobs else None
        if ended is not None and not self._is_known(submission.id):
            yield ended
        yield submission
        self._handed_over[submission.id] = None
        if len(self._handed_over) > _MAX_HANDED_OVER:
            self._handed_over.pop(next(iter(self._handed_over)))

    def _is_known(self, submission_id: str) -> bool:
        return submission_id in self._handed_over or self._records.has_end_or_container(submission_id)

    def _without_container(self, submission: Submission, finished_ns: int) -> EndedRun | None:
        status = _STATUSES.get(submission.status)
        if submission.has_container or status is None:
            return None
        end = JobEnd(
            finished_ns, status, termination=submission.termination or "UNKNOWN", message=submission.message
        )
        return EndedRun(self._job(submission), NoContainer(submission.supervisor, end))

    def _job(self, submission: Submission) -> Job:
        supervised = SupervisedJob(
            submission.supervisor,
            submission.id,
            submission.run,
            submission.job_num,
            submission.replica_num,
            submission,
        )
        return Job(
            container_id="",
            attempt=(submission.number or 0) + 1,
            name=supervised.job_name or submission.id,
            instance=submission.host,
            workload=workload_of({}, submission.image, self._order, run=submission.run),
            image=submission.image,
            start_event_ns=submission.submitted_ns,
            engine=self._address,
            created_ns=None,
            key=submission.id,
            supervised=supervised,
        )
