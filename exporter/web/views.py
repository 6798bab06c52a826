"""What the API answers, as JSON: made from the model here, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from exporter.exit_codes import MAX_CODE
from exporter.model import (
    SECOND_NS,
    ClassifiedExit,
    Evidence,
    JobRecord,
    MemoryLimit,
    OomKill,
    OomVictim,
    Recovery,
    Status,
    Termination,
)
from exporter.verdict.catalog import Reason, ReasonCatalog
from exporter.verdict.classify import Explanation
from exporter.verdict.oom_kills import oom_count

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class View(BaseModel):
    """An answer of the API."""

    model_config = ConfigDict(frozen=True)


class HolderView(View):
    """The process that held most memory."""

    process: str
    rss_bytes: int


class OomProcessView(View):
    """A process that was killed for memory, as the kernel's log tells of it."""

    at: Time | None = Field(description="When it was killed; null where the log does not say.")
    process: str = Field(description="Its name.")
    pid: int = Field(description="Its process id on the host.")
    limit: MemoryLimit | None = Field(
        description="Whose memory limit was reached; null where the log does not say."
    )
    cgroup: str = Field(
        description="The control group that has this limit; / is the host, empty where the log does not say."
    )
    rss_bytes: int | None = Field(description="Its anonymous memory when it was killed.")
    largest: HolderView | None = Field(description="Another process, where that one held more than it.")


class JobView(View):
    """One run of one container. Fields of the end are null while the job runs."""

    id: str = Field(description="The container's short id and a key of the run.")
    name: str = Field(description="The container's name, without the slash.")
    container_id: str
    instance: str = Field(description="Name of the host that the job runs on.")
    workload: str
    image: str
    status: Status
    container_exit_code: Annotated[int, Field(ge=0, le=MAX_CODE)] | None = Field(
        description="The exit code; null while the job runs, and where it is not known."
    )
    reason: str | None
    termination: Termination | None
    error: str | None = Field(description="The one text for people; null where nothing is wrong.")
    start_error: str | None = Field(
        description="The engine's own text about a start that failed; null where there is none."
    )
    recovery: Recovery | None = Field(description="What automation may do about it.")
    evidence: list[str] = Field(
        description="What is known beside the code, in sentences; of a running job, what has happened in it."
    )
    meaning: str | None = Field(description="What the reason means, in one sentence.")
    causes: list[str] = Field(description="Likely causes, the likeliest first.")
    not_known: list[str] = Field(description="What was not known when it was judged, in sentences.")
    attempt: int = Field(description="Which run of its container this is, from 1.")
    restarts: int | None = Field(
        description=(
            "How often the engine had restarted the container by itself when this run began, since it was "
            "last started by hand; null where the engine was not asked."
        )
    )
    oom_kills: int = Field(description="Processes of it that were killed for memory.")
    oom_limit: MemoryLimit | None = Field(
        description=(
            "Whose memory limit was reached where that ended the job: its own, that of a parent control "
            "group, or the memory of the host; null of other ends, and where it is not known."
        )
    )
    oom_processes: list[OomProcessView] = Field(
        description="The processes that were killed for memory, as far as the kernel's log tells of them."
    )
    memory_limit_bytes: int | None
    created_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    duration_seconds: float | None
    log_tail: str | None = Field(
        description="The end of a failed job's log, where that was asked for; null in a list of jobs."
    )
    trace_id: str | None = Field(description="The job's trace; null where none was made.")
    span_id: str | None = Field(description="The job's span in that trace.")


class JobPage(View):
    """Jobs, the newest first; ``next_cursor`` asks for those after them, null at the end."""

    jobs: list[JobView]
    next_cursor: str | None


class ReasonView(View):
    """A word of the catalogue."""

    reason: str
    meaning: str
    causes: list[str]
    recovery: Recovery
    codes: list[int] = Field(description="The codes that can bear this word by themselves, for any workload.")


class ReasonList(View):
    """The whole catalogue."""

    reasons: list[ReasonView]


class ReadingView(View):
    """One way to read a code."""

    when: str = Field(description="In which circumstances the code is read so.")
    status: Status
    termination: Termination
    reason: str
    error: str | None
    recovery: Recovery
    meaning: str
    causes: list[str]


class CodeView(View):
    """Every way to read a code, the plain one first."""

    code: int
    readings: list[ReadingView]


class ReloadView(View):
    """A catalogue was taken."""

    codes: int
    reasons: int


class StateView(View):
    """Whether all is well; ``causes`` by who is in trouble."""

    status: str
    causes: dict[str, str] = {}


def job_view(record: JobRecord, catalog: ReasonCatalog) -> JobView:
    """A job as the API shows it, in the words of the catalogue of now."""
    job, judged = record.job, record.ended
    ended = judged.exit if judged else None
    evidence = ended.evidence if ended else Evidence(notes=job.notes)
    verdict = judged.verdict if judged else None
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
        meaning=catalog.meaning(judged.exit.code, judged.verdict, job.workload) if judged else None,
        causes=_causes(judged, catalog) if judged else [],
        not_known=list(evidence.not_known),
        attempt=job.attempt,
        restarts=job.restarts,
        oom_kills=ended.oom_kills if ended else oom_count(job.oom_kills),
        oom_limit=evidence.limit,
        oom_processes=[_oom_process(kill, kill.victim) for kill in job.oom_kills if kill.victim],
        memory_limit_bytes=job.memory_limit_bytes,
        created_at=rfc3339(job.created_ns),
        started_at=rfc3339(job.started_ns),
        finished_at=rfc3339(ended.finished_ns if ended else None),
        duration_seconds=_duration(job.started_ns, ended.finished_ns if ended else None),
        log_tail=ended.log_tail if ended else None,
        trace_id=judged.trace.trace_id if judged and judged.trace else None,
        span_id=judged.trace.span_id if judged and judged.trace else None,
    )


def _causes(judged: ClassifiedExit, catalog: ReasonCatalog) -> list[str]:
    """Those of this very job first; of what is no failure, only those."""
    ended, verdict = judged.exit, judged.verdict
    if verdict.status is not Status.FAILED:
        return list(ended.evidence.causes)
    return list(catalog.causes(ended.code, ended.evidence, verdict, ended.job.workload))


def reason_list(catalog: ReasonCatalog) -> ReasonList:
    """The catalogue as the API shows it."""
    codes: dict[str, list[int]] = {}
    for code, code_reasons in sorted(catalog.codes.items()):
        for word in code_reasons.specific_reasons():
            codes.setdefault(word, []).append(code)
    return ReasonList(
        reasons=[_reason(word, meaning, codes.get(word, [])) for word, meaning in catalog.reasons.items()]
    )


def code_view(code: int, explanations: list[Explanation]) -> CodeView:
    """The readings of a code as the API shows them."""
    return CodeView(code=code, readings=[_reading(explanation) for explanation in explanations])


def rfc3339(nanoseconds: int | None) -> str | None:
    """UTC, to the nanosecond."""
    if nanoseconds is None:
        return None
    seconds, rest = divmod(nanoseconds, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _oom_process(kill: OomKill, victim: OomVictim) -> OomProcessView:
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


def _reason(word: str, meaning: Reason, codes: list[int]) -> ReasonView:
    return ReasonView(
        reason=word,
        meaning=meaning.meaning,
        causes=list(meaning.all_causes),
        recovery=meaning.recovery,
        codes=codes,
    )


def _reading(explanation: Explanation) -> ReadingView:
    verdict = explanation.verdict
    return ReadingView(
        when=explanation.context.value,
        status=verdict.status,
        termination=verdict.termination,
        reason=verdict.reason,
        error=verdict.error,
        recovery=verdict.recovery,
        meaning=explanation.meaning,
        causes=list(explanation.causes),
    )
