"""From the facts of an ended run to the evidence that its verdict depends on. Pure.

An OOM kill counts only if a source reports it: the engine's event or flag, the kernel's log (which names
process and container) or the kernel's counter (which names nobody).
"""

from __future__ import annotations

from dataclasses import replace
from signal import Signals

from exporter.model import Evidence, Exit
from exporter.verdict.causes import likely_causes, memory_causes
from exporter.verdict.facts import (
    CountedRun,
    EndedRun,
    FailedStart,
    NoContainer,
    RunFacts,
    SupervisedRun,
    UnwatchedRun,
)
from exporter.verdict.notes import failed_start_notes, run_notes
from exporter.verdict.oom_kills import ended_by_oom, limit_reached, oom_count
from exporter.verdict.stop_requests import explaining_requests, was_unhealthy
from exporter.verdict.supervised import assess_supervised, assess_without_container


def assess_exit(ended: EndedRun) -> Exit:
    """Return the exit with the evidence that its facts are reduced to."""
    facts = ended.facts
    if isinstance(facts, SupervisedRun):
        code, ended_ns, evidence = assess_supervised(facts, _assess_run)
    else:
        code, ended_ns, evidence = facts.code, facts.ended_ns, assess(facts)
    return Exit(
        ended.job,
        code,
        ended_ns,
        _with_not_known(evidence, ended.not_known),
        oom_count(facts.oom_kills),
        ended.recovered,
        ended.log_tail,
        ended.event_ns,
    )


def _with_not_known(evidence: Evidence, not_known: tuple[str, ...]) -> Evidence:
    return replace(evidence, not_known=not_known + evidence.not_known) if not_known else evidence


def assess(facts: RunFacts | FailedStart | CountedRun | UnwatchedRun | NoContainer) -> Evidence:
    """Return the evidence, with notes that cite the facts and the causes that they point to."""
    match facts:
        case RunFacts():
            return _assess_run(facts)
        case FailedStart():
            return _assess_failed_start(facts)
        case CountedRun():
            return Evidence(notes=("Known only from the engine's count of restarts.",))
        case UnwatchedRun():
            return Evidence(
                notes=(f"Its engine, {facts.engine}, is no longer watched; it was running when last seen.",)
            )
        case NoContainer():
            return assess_without_container(facts)


def _assess_run(run: RunFacts) -> Evidence:
    requests, oom_killed, limit = explaining_requests(run), ended_by_oom(run), limit_reached(run)
    unhealthy = bool(requests) and was_unhealthy(run, requests)
    return Evidence(
        host_lost=run.lost_with_host,
        oom_killed=oom_killed,
        limit=limit if oom_killed else None,
        unhealthy=unhealthy,
        stop_requested=bool(requests),
        ran_ns=run.ran_ns,
        notes=tuple(run_notes(run, unhealthy=unhealthy)),
        causes=tuple(likely_causes(run, limit, oom_killed=oom_killed)),
    )


def _assess_failed_start(start: FailedStart) -> Evidence:
    run = RunFacts(
        None,
        start.ended_ns,
        kills=(),
        oom_kills=start.oom_kills,
        stop_signal=Signals.SIGTERM,
        oom_window_ns=0,
    )
    limit = limit_reached(run)
    return Evidence(
        start_failed=True,
        start_error=start.error,
        oom_killed=bool(start.oom_kills),
        limit=limit,
        notes=tuple(failed_start_notes(start)),
        causes=tuple(memory_causes(run, limit)),
    )
