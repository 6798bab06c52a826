"""Evidence of a job inside a container, whose supervisor reports its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from signal import Signals

from exporter.model import SECOND_NS, Evidence, OomKill, Status, SupervisedEnd
from exporter.verdict.facts import NoContainer, RunFacts, SupervisedRun
from exporter.verdict.stop_requests import LATE_NS

# A supervisor gives no time between SIGTERM and SIGKILL: 11 to 47 ms were measured of dstack. A stop by hand
# gives seconds.
_AT_ONCE_NS = SECOND_NS
# What a supervisor itself ends with: stopped, killed, or by itself. Any other code is of what ran before it.
_SUPERVISORS_CODES = frozenset({None, 0, 1, 137, 143})


def assess_supervised(
    run: SupervisedRun, assess: Callable[[RunFacts], Evidence]
) -> tuple[int | None, int, Evidence]:
    """Return code, end in nanoseconds and evidence of the job, or of the container where that ended first."""
    end, container = run.report.end, run.container
    if end is not None:
        return end.code, end.at_ns, _reported(run, assess(_facts_of_job(run)))
    evidence = assess(container)
    is_silent = _may_have_ended_before(run, evidence)
    oom_killed = evidence.oom_killed and (not is_silent or _has_oom_kill_at_end(container))
    if oom_killed or evidence.host_lost:
        # A source that names the container tells more than a missing report.
        return container.code, container.ended_ns, evidence
    if is_silent:
        return None, container.ended_ns, _unknown(run, evidence)
    if not run.report.was_heard:
        note = f"The container ended before {run.supervisor}'s runner reported a job."
        return container.code, container.ended_ns, _noted(replace(evidence, start_failed=True), note)
    evidence = _noted(evidence, f"{run.supervisor}'s runner had reported no end: the container ended first.")
    if not _is_stopped_by_supervisor(container):
        return container.code, container.ended_ns, evidence
    stopped = SupervisedEnd(run.supervisor, Status.TERMINATED, signal=Signals.SIGKILL)
    return None, container.ended_ns, replace(evidence, stop_requested=True, supervised=stopped)


def assess_without_container(job: NoContainer) -> Evidence:
    """Return the evidence of a job for which no container was made."""
    end = job.end
    note = f"{job.supervisor}'s server reports that no container was made for it"
    return Evidence(
        start_error=end.start_error,
        stop_requested=end.status is Status.TERMINATED,
        notes=(f"{note}: {end.message}" if end.message else f"{note}.",),
        supervised=SupervisedEnd(job.supervisor, end.status, end.termination, start_error=end.start_error),
    )


def _facts_of_job(run: SupervisedRun) -> RunFacts:
    """Return the facts of the job, without what the supervisor did to the container afterwards."""
    end, container = run.report.end, run.container
    if end is None:
        return container
    return replace(
        container,
        code=end.code,
        started_ns=container.started_ns if run.report.started_ns is None else run.report.started_ns,
        ended_ns=end.at_ns,
        kills=[kill for kill in container.kills if kill.at_ns <= end.at_ns],
        # An engine that is late with the lines of the log may be as late with its events.
        oom_kills=_until(max(end.at_ns, end.received_ns), container.oom_kills),
        was_stopped=False,
        stopped_together=0,
        lost_with_host=False,
        unhealthy_ns=None,
        # An OOM kill of process 1 explains any code: that is the supervisor, and not the job.
        pid=None,
    )


def _until(end_ns: int, oom_kills: Sequence[OomKill]) -> Sequence[OomKill]:
    """Return the OOM kills of the job; the flag is one of them only if nothing tells when it was set."""
    timed = [kill for kill in oom_kills if kill.at_ns is not None]
    return [kill for kill in timed if (kill.at_ns or 0) <= end_ns + LATE_NS] if timed else oom_kills


def _reported(run: SupervisedRun, evidence: Evidence) -> Evidence:
    end = run.report.end
    if end is None:
        return evidence
    found = SupervisedEnd(run.supervisor, end.status, end.termination, end.signal, end.start_error)
    is_stopped = end.status is Status.TERMINATED
    evidence = replace(
        evidence,
        start_error=end.start_error or evidence.start_error,
        stop_requested=evidence.stop_requested or is_stopped,
        supervised=found,
    )
    return _noted(evidence, _end_note(run))


def _unknown(run: SupervisedRun, evidence: Evidence) -> Evidence:
    silence = "its log tells no end of it" if run.report.was_heard else "its log says nothing of a job"
    cause = run.report.unreadable or silence
    missing = f"How the job ended: {run.supervisor}'s runner reports that in its log, and {cause}."
    return replace(
        evidence,
        stop_requested=False,
        supervised=SupervisedEnd(run.supervisor, Status.UNKNOWN),
        notes=(
            *evidence.notes,
            f"The container's code {run.container.code} is that of {run.supervisor}'s runner.",
        ),
        not_known=(*evidence.not_known, missing),
    )


def _end_note(run: SupervisedRun) -> str:
    end = run.report.end
    if end is None:
        return ""
    parts = [f"{run.supervisor}'s runner reported the job as {end.status.value}"]
    if end.termination:
        parts.append(f" ({end.termination})")
    if end.code is not None and end.signal is None:
        parts.append(f", exit status {end.code}")
    if end.signal is not None:
        parts.append(f", ended by {_signal_name(end.signal)}")
    if end.start_error or end.message:
        parts.append(f": {end.start_error or end.message}")
    later = (run.container.ended_ns - end.at_ns) / SECOND_NS
    return "".join(parts) + f"; the container ended {max(0.0, later):.1f} s later."


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _noted(evidence: Evidence, note: str) -> Evidence:
    return replace(evidence, notes=(*evidence.notes, note))


def _may_have_ended_before(run: SupervisedRun, evidence: Evidence) -> bool:
    """Return whether the job may have ended unreported before its container did.

    A supervisor that returns 0 by itself has no job any more.
    """
    if run.report.unreadable:
        return True
    code, was_heard = run.container.code, run.report.was_heard
    return not evidence.stop_requested and code == 0 if was_heard else code in _SUPERVISORS_CODES


def _has_oom_kill_at_end(container: RunFacts) -> bool:
    """Return whether an OOM kill is known to be of the container's own end.

    One that the job has survived may be long before it, and the flag does not tell when it was set. After any
    the supervisor may have returned 0.
    """
    window_ns, ran_ns = container.oom_window_ns, container.ran_ns
    was_short = ran_ns is not None and ran_ns <= window_ns
    return container.code != 0 and any(
        was_short if kill.at_ns is None else container.ended_ns - kill.at_ns <= window_ns
        for kill in container.oom_kills
    )


def _is_stopped_by_supervisor(container: RunFacts) -> bool:
    """Return whether SIGKILL followed SIGTERM at once."""
    asked = {
        kill.signal: kill.at_ns for kill in container.kills if kill.at_ns <= container.ended_ns + SECOND_NS
    }
    term_ns, kill_ns = asked.get(Signals.SIGTERM), asked.get(Signals.SIGKILL)
    return term_ns is not None and kill_ns is not None and 0 <= kill_ns - term_ns < _AT_ONCE_NS
