"""Verdicts: a code, its evidence and the catalogue in; status, termination and reason out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.exit_codes import SIGKILLED, SIGTERMED, START_FAILURES, UNKNOWN_STATUS
from exporter.model import (
    ClassifiedExit,
    Evidence,
    MemoryLimit,
    Recovery,
    Status,
    Termination,
    Verdict,
    Workload,
)
from exporter.verdict.catalog import AT_ONCE_NS, NO_WORKLOAD, ExitContext, ReasonCatalog
from exporter.verdict.evidence import assess_exit
from exporter.verdict.facts import EndedRun
from exporter.verdict.start_errors import kind_of

# What a container that is told to stop mostly ends with.
_STOP_CODES = frozenset({0, SIGKILLED, SIGTERMED})
_INIT_KILLED = "InitOutOfMemory"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One way to read a code: the circumstances, the verdict in them, what it means and why it may be."""

    when: str
    verdict: Verdict
    sentence: str
    causes: tuple[str, ...]


def classify_exit(ended: EndedRun, catalogue: ReasonCatalog, *, assume_oom: bool = False) -> ClassifiedExit:
    """Reduce the facts of an ended run to evidence, and classify it."""
    assessed = assess_exit(ended)
    verdict = classify(assessed.code, assessed.evidence, catalogue, ended.job.workload, assume_oom=assume_oom)
    return ClassifiedExit(assessed, verdict)


def classify(
    code: int | None,
    evidence: Evidence,
    catalogue: ReasonCatalog,
    workload: Workload = NO_WORKLOAD,
    *,
    assume_oom: bool = False,
) -> Verdict:
    """What an end means: the first row of the design's verdict table that fits.

    ``code`` is None where it is unknown. ``assume_oom`` reads every 137 as out of memory, as
    those do who look at the code alone.
    """
    status, termination, reading = _row(code, evidence, assume_oom=assume_oom)
    reason = _start_failure(reading, evidence) or catalogue.reason(code, reading, workload)
    return Verdict(
        status=status,
        termination=termination,
        reason=reason,
        recovery=_recovery(status, catalogue.meaning(reason).recovery, evidence.limit),
        error=None if status is Status.DONE else error_text(status, termination, code, reason),
    )


def error_text(status: Status, termination: Termination, code: int | None, reason: str) -> str:
    """The one text for people, made here and shown everywhere."""
    shown = "unknown" if code is None else code
    return f"JOB_{status.upper()} ({termination}, exit code: {shown} - {reason})"


def explain(code: int, catalogue: ReasonCatalog, workload: Workload = NO_WORKLOAD) -> list[Explanation]:
    """Every way in which ``code`` can be read, the likeliest first."""
    found: dict[tuple[Verdict, tuple[str, ...]], Explanation] = {}
    for reading, evidence in _circumstances(code):
        verdict = classify(code, evidence, catalogue, workload)
        sentence = catalogue.sentence(code, verdict, workload)
        causes = catalogue.causes(code, evidence, verdict, workload)
        found.setdefault((verdict, causes), Explanation(reading.value, verdict, sentence, causes))
    return list(found.values())


def _start_failure(reading: ExitContext, evidence: Evidence) -> str | None:
    if reading is not ExitContext.START_FAILED:
        return None
    # Engines say of a runtime that was killed only what went wrong after that.
    return _INIT_KILLED if evidence.oom_killed else kind_of(evidence.start_error)


def _row(
    code: int | None, evidence: Evidence, *, assume_oom: bool
) -> tuple[Status, Termination, ExitContext]:
    if evidence.never_started:
        return Status.FAILED, Termination.CREATING_CONTAINER_ERROR, ExitContext.START_FAILED
    if evidence.instance_lost:
        return _lost(evidence)
    if code is None:
        return Status.UNKNOWN, Termination.EXIT_NOT_OBSERVED, ExitContext.UNOBSERVED
    witnessed = _witnessed(code, evidence, assume_oom=assume_oom)
    if witnessed is not None:
        return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, witnessed
    if evidence.asked_to_stop:
        return Status.TERMINATED, Termination.TERMINATED_BY_USER, ExitContext.REQUESTED
    return _by_itself(code, evidence.ran_ns)


def _lost(evidence: Evidence) -> tuple[Status, Termination, ExitContext]:
    """The engine that was away has no code to tell; a witness that named this very job knows more."""
    if evidence.oom_killed:
        return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, ExitContext.OUT_OF_MEMORY
    return Status.FAILED, Termination.INSTANCE_LOST, ExitContext.INSTANCE_LOST


def _witnessed(code: int, evidence: Evidence, *, assume_oom: bool) -> ExitContext | None:
    """What failed it beside its own doing; None where nothing shows such a thing."""
    if code != 0 and (evidence.oom_killed or (assume_oom and code == SIGKILLED)):
        return ExitContext.OUT_OF_MEMORY
    return ExitContext.UNHEALTHY if evidence.unhealthy else None


def _by_itself(code: int, ran_ns: int | None) -> tuple[Status, Termination, ExitContext]:
    if code == 0:
        return Status.DONE, Termination.DONE, ExitContext.PLAIN
    reading = ExitContext.RAN if ran_ns is not None and ran_ns > AT_ONCE_NS else ExitContext.PLAIN
    return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, reading


def _recovery(status: Status, recovery: Recovery, limit: MemoryLimit | None) -> Recovery:
    """Somebody who asked for the end does not want it mended, whatever the code says.

    And more memory for the job helps only against its own limit.
    """
    if status is Status.TERMINATED:
        return Recovery.NONE
    if recovery is Recovery.MORE_MEMORY and limit in {MemoryLimit.PARENT, MemoryLimit.HOST}:
        return Recovery.RETRY_LATER
    return recovery


def _circumstances(code: int) -> Iterator[tuple[ExitContext, Evidence]]:
    yield ExitContext.PLAIN, Evidence()
    yield ExitContext.AT_ONCE, Evidence(ran_ns=0)
    yield ExitContext.RAN, Evidence(ran_ns=AT_ONCE_NS + 1)
    yield ExitContext.OUT_OF_MEMORY, Evidence(oom_killed=True)
    if code in _STOP_CODES:
        yield ExitContext.UNHEALTHY, Evidence(unhealthy=True, asked_to_stop=True)
    yield ExitContext.REQUESTED, Evidence(asked_to_stop=True)
    if code == UNKNOWN_STATUS:
        yield ExitContext.INSTANCE_LOST, Evidence(instance_lost=True)
    if code in START_FAILURES:
        yield ExitContext.START_FAILED, Evidence(never_started=True)
