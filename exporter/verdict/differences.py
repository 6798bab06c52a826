"""Where a supervisor's server and the evidence differ about a job: both are shown, and neither is changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exporter.model import ClassifiedExit, Status, Submission, Termination
from exporter.verdict.catalog import ReasonCatalog

_STATUSES: Mapping[str, Status] = MappingProxyType(
    {
        "done": Status.DONE,
        "failed": Status.FAILED,
        "terminated": Status.TERMINATED,
        "aborted": Status.TERMINATED,
    }
)


def difference(classified: ClassifiedExit, submission: Submission, catalog: ReasonCatalog) -> str | None:
    """Return the server's words and ours; None where they agree, or the server has none yet."""
    if submission.finished_ns is None or not _differs(classified, submission):
        return None
    verdict, job = classified.verdict, classified.exit.job
    meaning = catalog.meaning(classified.exit.code, verdict, job.workload)
    ours = f"{verdict.reason} ({verdict.termination})"
    return f"{submission.supervisor}: {submission.summary}; here: {ours}: {meaning}"


def _differs(classified: ClassifiedExit, submission: Submission) -> bool:
    verdict, code = classified.verdict, classified.exit.code
    if _STATUSES.get(submission.status) is not verdict.status:
        return True
    if submission.termination != verdict.termination:
        return True
    if submission.exit_status is None:
        # It reports a code wherever the job has one: for an end by itself, that it has none is a difference.
        return code is not None and verdict.termination == Termination.CONTAINER_EXITED_WITH_ERROR
    return submission.exit_status != code
