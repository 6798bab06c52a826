"""Response models of jobs, and how they are made of the model's values."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.exit_codes import MAX_CODE
from exporter.model import (
    SECOND_NS,
    ClassifiedExit,
    Evidence,
    JobRecord,
    LimitOwner,
    OomKill,
    OomVictim,
    Recovery,
    Status,
    Submission,
    SupervisedJob,
    Termination,
)
from exporter.verdict.catalog import ReasonCatalog
from exporter.verdict.differences import difference
from exporter.verdict.oom_kills import oom_count
from exporter.web.views import Timestamp, View, rfc3339


class HolderView(View):
    """The process that used the most memory."""

    process: str
    rss_bytes: int


class OomProcessView(View):
    """A process that was OOM-killed, as reported in the kernel log."""

    at: Timestamp | None = Field(description="Time of the kill; null if the log does not have it.")
    process: str = Field(description="Its name.")
    pid: int = Field(description="Its process id on the host.")
    limit: LimitOwner | None = Field(
        description="Memory limit that was reached; null if the log does not say."
    )
    cgroup: str = Field(
        description="Control group that has this limit; / is the host; empty if the log does not say."
    )
    rss_bytes: int | None = Field(description="Its anonymous memory at the time of the kill.")
    largest: HolderView | None = Field(
        description="The process that used the most memory, if it was another one."
    )


class SubmissionView(View):
    """What a supervisor's server reports of a job. It is shown beside the verdict and never changes it."""

    project: str
    user: str
    number: int | None = Field(description="Number of this submission of the job, from 0.")
    status: str = Field(description="The server's own word.")
    summary: str = Field(description="What the supervisor's own commands show, such as instance unreachable.")
    termination: str | None = Field(
        description="The server's word for the end in capitals; null while there is none."
    )
    message: str | None
    exit_status: int | None
    stopped_by: str | None = Field(
        description="Who asked for the end: user, with a name if it is known, or server; else null."
    )
    submitted_at: Timestamp | None
    finished_at: Timestamp | None
    difference: str | None = Field(
        description="The server's words and ours where they differ; null where they agree, or it has none."
    )


class SupervisorView(View):
    """A job inside a container, as its supervisor names it."""

    name: str = Field(description="The supervisor: dstack.")
    job_id: str = Field(description="Its id of this run of the job; of dstack, the id of the job submission.")
    run: str | None = Field(
        description="The run that the job belongs to; null where the name does not prove it."
    )
    job_num: int | None
    replica_num: int | None
    submission: SubmissionView | None = Field(
        description="What the supervisor's server reports; null if it is not asked, or does not know it."
    )


class JobView(View):
    """One run of one container. The fields of its end are null while it runs."""

    id: str = Field(description="The container's short id and a key of the run.")
    name: str = Field(description="The container's name, without the slash; that of the job without one.")
    container_id: str = Field(
        description="Its full id; empty for a job that ended before it had a container."
    )
    instance: str = Field(
        description="Name of the host that the job runs on; without a container, empty if it had none."
    )
    workload: str
    image: str
    status: Status
    container_exit_code: Annotated[int, Field(ge=0, le=MAX_CODE)] | None = Field(
        description="The exit code; null while the job runs, or if it is not known."
    )
    reason: str | None
    termination: str | None = Field(
        description=(
            "How the job ended, whatever its code: one of "
            f"{', '.join(Termination)}, or the word of a supervisor such as dstack, in capitals."
        )
    )
    error: str | None = Field(
        description="Status, termination, exit code and reason as one text; null if nothing is wrong."
    )
    start_error: str | None = Field(
        description="The engine's error text of a failed start; null if there is none."
    )
    recovery: Recovery | None = Field(
        description="What automation may do: none, retry, retry-later, more-memory, fix-command or fix-code."
    )
    evidence: list[str] = Field(
        description="Evidence beside the code, in sentences; for a running job, what has happened so far."
    )
    meaning: str | None = Field(description="Meaning of the reason, in one sentence.")
    causes: list[str] = Field(description="Likely causes, the most likely first.")
    not_known: list[str] = Field(description="What was not known when the exit was classified, in sentences.")
    supervisor: SupervisorView | None = Field(
        description="Supervisor that made the container for a job inside it; null without one."
    )
    attempt: int = Field(
        description=(
            "Which run of its container this is, from 1; where a supervisor makes a container for each try, "
            "which try on this host."
        )
    )
    restarts: int | None = Field(
        description=(
            "Restarts by the engine's restart policy before this run, since the last manual start; null if "
            "the engine did not report them."
        )
    )
    oom_kills: int = Field(description="Number of its processes that were OOM-killed.")
    oom_limit: LimitOwner | None = Field(
        description=(
            "Memory limit that was reached, if that ended the job: its own, that of a parent control group, "
            "or the memory of the host; null for other exits, or if it is not known."
        )
    )
    oom_processes: list[OomProcessView] = Field(
        description="The OOM-killed processes that the kernel log reports."
    )
    memory_limit_bytes: int | None
    created_at: Timestamp | None
    started_at: Timestamp | None
    finished_at: Timestamp | None
    duration_seconds: float | None
    log_tail: str | None = Field(
        description="Last lines of a failed job's log, if they are kept; always null in a list of jobs."
    )
    trace_id: str | None = Field(description="Trace of the job; null if it has none.")
    span_id: str | None = Field(description="Span of the job in that trace.")


class JobPage(View):
    """Jobs, the newest first; ``next_cursor`` is null on the last page."""

    jobs: list[JobView]
    next_cursor: str | None


def _supervisor_view(
    supervised: SupervisedJob | None, classified: ClassifiedExit | None, catalog: ReasonCatalog
) -> SupervisorView | None:
    if supervised is None:
        return None
    submission = supervised.submission
    return SupervisorView(
        name=supervised.supervisor,
        job_id=supervised.id,
        run=supervised.run or None,
        job_num=supervised.job_num,
        replica_num=supervised.replica_num,
        submission=None if submission is None else _submission_view(submission, classified, catalog),
    )


def _submission_view(
    submission: Submission, classified: ClassifiedExit | None, catalog: ReasonCatalog
) -> SubmissionView:
    return SubmissionView(
        project=submission.project,
        user=submission.user,
        number=submission.number,
        status=submission.status,
        summary=submission.summary,
        termination=submission.termination or None,
        message=submission.message or None,
        exit_status=submission.exit_status,
        stopped_by=submission.stopped_by or None,
        submitted_at=rfc3339(submission.submitted_ns or None),
        finished_at=rfc3339(submission.finished_ns),
        difference=None if classified is None else difference(classified, submission, catalog),
    )


def job_view(record: JobRecord, catalog: ReasonCatalog) -> JobView:
    """Return a job as the API shows it, with the meanings of the current catalogue."""
    job, classified = record.job, record.ended
    ended = classified.exit if classified else None
    evidence = ended.evidence if ended else Evidence(notes=job.notes)
    verdict = classified.verdict if classified else None
    return JobView(
        id=job.id,
        name=job.name,
        container_id=job.container_id,
        instance=job.instance,
        workload=job.workload.name,
        image=job.image,
        status=record.status,
        container_exit_code=ended.code if ended else None,
        reason=verdict.reason if verdict else None,
        termination=verdict.termination if verdict else None,
        error=verdict.error if verdict else None,
        start_error=evidence.start_error or None,
        recovery=verdict.recovery if verdict else None,
        evidence=list(evidence.notes),
        meaning=catalog.meaning(classified.exit.code, classified.verdict, job.workload)
        if classified
        else None,
        causes=_causes(classified, catalog) if classified else [],
        not_known=list(evidence.not_known),
        supervisor=_supervisor_view(job.supervised, classified, catalog),
        attempt=job.attempt,
        restarts=job.restarts,
        oom_kills=ended.oom_kills if ended else oom_count(job.oom_kills),
        oom_limit=evidence.limit,
        oom_processes=[_oom_process_view(kill, kill.victim) for kill in job.oom_kills if kill.victim],
        memory_limit_bytes=job.memory_limit_bytes,
        created_at=rfc3339(job.created_ns),
        started_at=rfc3339(job.started_ns),
        finished_at=rfc3339(ended.finished_ns if ended else None),
        duration_seconds=_duration(job.started_ns, ended.finished_ns if ended else None),
        log_tail=ended.log_tail if ended else None,
        trace_id=classified.trace.trace_id if classified and classified.trace else None,
        span_id=classified.trace.span_id if classified and classified.trace else None,
    )


def _causes(classified: ClassifiedExit, catalog: ReasonCatalog) -> list[str]:
    """Return the causes: those in the evidence first; if the job did not fail, only those."""
    ended, verdict = classified.exit, classified.verdict
    if verdict.status is not Status.FAILED:
        return list(ended.evidence.causes)
    return list(catalog.causes(ended.code, ended.evidence, verdict, ended.job.workload))


def _oom_process_view(kill: OomKill, victim: OomVictim) -> OomProcessView:
    return OomProcessView(
        at=rfc3339(kill.at_ns),
        process=victim.process,
        pid=victim.pid,
        limit=victim.limit,
        cgroup=victim.cgroup,
        rss_bytes=victim.rss_bytes,
        largest=victim.largest and HolderView(process=victim.largest[0], rss_bytes=victim.largest[1]),
    )


def _duration(started_ns: int | None, finished_ns: int | None) -> float | None:
    if started_ns is None or finished_ns is None:
        return None
    return max(0, finished_ns - started_ns) / SECOND_NS
