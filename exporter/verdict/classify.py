"""The verdict table: what an exit code means, given its evidence and the catalog. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.exit_codes import SIGKILLED, SIGTERMED, START_FAILURES, UNKNOWN_STATUS
from exporter.model import (
    ClassifiedExit,
    Evidence,
    LimitOwner,
    Recovery,
    Status,
    SupervisedEnd,
    Termination,
    Verdict,
    Workload,
)
from exporter.verdict import terminations
from exporter.verdict.catalog import AT_ONCE_NS, NO_WORKLOAD, ExitContext, ReasonCatalog
from exporter.verdict.evidence import assess_exit
from exporter.verdict.facts import EndedRun
from exporter.verdict.start_errors import reason_of

# Usual exit codes of a container that was asked to stop.
_STOP_CODES = frozenset({0, SIGKILLED, SIGTERMED})
_INIT_KILLED = "InitOutOfMemory"

_Row = tuple[Status, str, ExitContext]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reading of an exit code: what must be known for it, and what the code then means."""

    context: ExitContext
    verdict: Verdict
    meaning: str
    causes: tuple[str, ...]


def classify_exit(ended: EndedRun, catalog: ReasonCatalog, *, assume_oom: bool = False) -> ClassifiedExit:
    """Reduce the facts of an ended run to evidence, and classify it."""
    assessed = assess_exit(ended)
    verdict = classify(assessed.code, assessed.evidence, catalog, ended.job.workload, assume_oom=assume_oom)
    return ClassifiedExit(assessed, verdict)


def classify(
    code: int | None,
    evidence: Evidence,
    catalog: ReasonCatalog,
    workload: Workload = NO_WORKLOAD,
    *,
    assume_oom: bool = False,
) -> Verdict:
    """Return the verdict of an exit: that of the first row of the table that applies.

    ``code`` is None if it is unknown. ``assume_oom`` treats every 137 as an OOM kill, without evidence.
    """
    status, termination, context = _match_row(code, evidence, assume_oom=assume_oom)
    reason = _reason_beside_code(context, evidence) or catalog.reason_for(code, context, workload)
    return Verdict(
        status=status,
        termination=termination,
        reason=reason,
        recovery=_recovery(status, catalog.describe(reason).recovery, evidence.limit),
        error=_error(status, termination, code, reason, is_supervised=evidence.supervised is not None),
    )


def _error(
    status: Status, termination: str, code: int | None, reason: str, *, is_supervised: bool
) -> str | None:
    if status is Status.DONE:
        return None
    if code is None and is_supervised:
        # Its end has a code only where it ended by itself: that there is none is nothing unknown.
        return f"JOB_{status.upper()} ({termination})"
    return error_text(status, termination, code, reason)


def error_text(status: Status, termination: str, code: int | None, reason: str) -> str:
    """Return the error as users see it everywhere."""
    shown = "unknown" if code is None else code
    return f"JOB_{status.upper()} ({termination}, exit code: {shown} - {reason})"


def explain(code: int, catalog: ReasonCatalog, workload: Workload = NO_WORKLOAD) -> list[Explanation]:
    """Return the different readings of a code, the likeliest first."""
    found: dict[tuple[Verdict, tuple[str, ...]], Explanation] = {}
    for context, evidence in _contexts(code):
        verdict = classify(code, evidence, catalog, workload)
        meaning = catalog.meaning(code, verdict, workload)
        causes = catalog.causes(code, evidence, verdict, workload)
        found.setdefault((verdict, causes), Explanation(context, verdict, meaning, causes))
    return list(found.values())


def _reason_beside_code(context: ExitContext, evidence: Evidence) -> str | None:
    if context is ExitContext.SUPERVISED and evidence.supervised is not None:
        return terminations.reason_of(evidence.supervised)
    if context is not ExitContext.START_FAILED:
        return None
    # The error text of a start whose runtime was killed is only about what failed after that.
    return _INIT_KILLED if evidence.oom_killed else reason_of(evidence.start_error)


def _match_row(code: int | None, evidence: Evidence, *, assume_oom: bool) -> _Row:
    reported = None if evidence.supervised is None else _reported_row(code, evidence, evidence.supervised)
    return reported or _row_by_evidence(code, evidence, assume_oom=assume_oom)


def _reported_row(code: int | None, evidence: Evidence, end: SupervisedEnd) -> _Row | None:
    """Return the row of a job whose supervisor reports more than its code."""
    match end.status:
        case Status.UNKNOWN:
            return Status.UNKNOWN, Termination.EXIT_NOT_OBSERVED, ExitContext.NOT_OBSERVED
        case Status.TERMINATED:
            return end.status, end.termination or Termination.TERMINATED_BY_USER, ExitContext.SUPERVISED
        case Status.FAILED if end.termination:
            return end.status, end.termination, ExitContext.SUPERVISED
        case Status.FAILED if end.start_error:
            return end.status, Termination.CONTAINER_EXITED_WITH_ERROR, ExitContext.START_FAILED
        case Status.FAILED if code is None:
            context = ExitContext.OOM_KILLED if evidence.oom_killed else ExitContext.SUPERVISED
            return end.status, Termination.CONTAINER_EXITED_WITH_ERROR, context
        case _:
            return None


def _row_by_evidence(code: int | None, evidence: Evidence, *, assume_oom: bool) -> _Row:
    if evidence.start_failed:
        return Status.FAILED, Termination.CREATING_CONTAINER_ERROR, ExitContext.START_FAILED
    if evidence.host_lost:
        return _lost(evidence)
    if code is None:
        return Status.UNKNOWN, Termination.EXIT_NOT_OBSERVED, ExitContext.NOT_OBSERVED
    killer = _killer(code, evidence, assume_oom=assume_oom)
    if killer is not None:
        return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, killer
    if evidence.stop_requested:
        return Status.TERMINATED, Termination.TERMINATED_BY_USER, ExitContext.STOP_REQUESTED
    return _plain(code, evidence.ran_ns)


def _lost(evidence: Evidence) -> _Row:
    """Return the row of a host that went down, unless an OOM kill of this very job is known."""
    if evidence.oom_killed:
        return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, ExitContext.OOM_KILLED
    return Status.FAILED, Termination.INSTANCE_LOST, ExitContext.HOST_LOST


def _killer(code: int, evidence: Evidence, *, assume_oom: bool) -> ExitContext | None:
    if code != 0 and (evidence.oom_killed or (assume_oom and code == SIGKILLED)):
        return ExitContext.OOM_KILLED
    return ExitContext.UNHEALTHY if evidence.unhealthy else None


def _plain(code: int, ran_ns: int | None) -> _Row:
    if code == 0:
        return Status.DONE, Termination.DONE, ExitContext.CODE_ONLY
    ran_longer = ran_ns is not None and ran_ns > AT_ONCE_NS
    context = ExitContext.AFTER_A_SECOND if ran_longer else ExitContext.CODE_ONLY
    return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, context


def _recovery(status: Status, recovery: Recovery, limit: LimitOwner | None) -> Recovery:
    """Return what automation may do about it.

    Nothing after a requested stop, and more memory only helps against the limit of the job itself.
    """
    if status is Status.TERMINATED:
        return Recovery.NONE
    if recovery is Recovery.MORE_MEMORY and limit in {LimitOwner.PARENT, LimitOwner.HOST}:
        return Recovery.RETRY_LATER
    return recovery


def _contexts(code: int) -> Iterator[tuple[ExitContext, Evidence]]:
    yield ExitContext.CODE_ONLY, Evidence()
    yield ExitContext.WITHIN_A_SECOND, Evidence(ran_ns=0)
    yield ExitContext.AFTER_A_SECOND, Evidence(ran_ns=AT_ONCE_NS + 1)
    yield ExitContext.OOM_KILLED, Evidence(oom_killed=True)
    if code in _STOP_CODES:
        yield ExitContext.UNHEALTHY, Evidence(unhealthy=True, stop_requested=True)
    yield ExitContext.STOP_REQUESTED, Evidence(stop_requested=True)
    if code == UNKNOWN_STATUS:
        yield ExitContext.HOST_LOST, Evidence(host_lost=True)
    if code in START_FAILURES:
        yield ExitContext.START_FAILED, Evidence(start_failed=True)
