"""Facts about a run that has ended, for the evidence, and what could not be known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from signal import SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS

from exporter.exit_codes import SIGNAL_BASE
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.run import Run
from exporter.verdict.facts import KernelFact, RunFacts
from exporter.verdict.stop_requests import explaining_requests

_MAX_FACTS = 20
_CRASH_SIGNALS = (SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)
_CRASH_CODES = frozenset(SIGNAL_BASE + signal for signal in _CRASH_SIGNALS)


def run_facts(run: Run, config: TrackerConfig, crashes: Sequence[KernelFact] = ()) -> RunFacts:
    """Return the facts about a run; ``crashes`` are of processes that may have been its own."""
    info = run.info
    return RunFacts(
        run.code,
        run.ended_ns,
        run.kills,
        run.oom_kills,
        info.stop_signal,
        config.oom_window_ns,
        run.started_ns,
        run.lost_with_host,
        stop_window_ns=config.stop_window_ns,
        stop_seconds=info.stop_seconds,
        was_stopped=run.was_stopped,
        unhealthy_ns=run.unhealthy_ns,
        health_output=run.health_output,
        inspected=info.is_inspected,
        memory_limit_bytes=info.memory_limit_bytes,
        cgroup_parent=info.cgroup_parent,
        pids_limit=info.pids_limit,
        pid=run.pid,
        facts=(*run.facts[-_MAX_FACTS:], *crashes[-_MAX_FACTS:]),
        stopped_together=run.stopped_together,
        hung=run.is_hung,
    )


def unknowns(run: Run, facts: RunFacts, config: TrackerConfig) -> Iterator[str]:
    """Return sentences about what could not be known of an exit, where that may matter."""
    if not run.end_seen:
        yield "Its end was not seen: requests to stop it and OOM kills just before it may be missing."
    elif not run.start_seen and not run.is_emitted:
        yield "Its beginning was not seen."
    if not run.end_confirmed:
        yield "The engine's own time of its end: the time is that of the engine's event."
    if run.missed_events:
        yield "Events were missed while it ran: requests to stop it and OOM kills may be missing."
    if run.oom_contested:
        yield "Which of several containers at a limit that they share was hit by an OOM kill then."
    if not run.code:
        return
    was_asked = bool(explaining_requests(facts))
    if not run.oom_kills and not was_asked and _kernel_was_not_read(run, config):
        yield "Whether the kernel killed it for memory without an event: the kernel could not be asked."
    if any(kill.victim is None for kill in run.oom_kills) and not config.has_kernel_log:
        yield "Which process was killed, and at whose limit: the kernel's log could not be read."
    if run.code in _CRASH_CODES and not config.has_kernel_log:
        yield "What the kernel's log says of its crash: it could not be read."


def _kernel_was_not_read(run: Run, config: TrackerConfig) -> bool:
    """Return whether the kernel's counter says nothing of an end, such as one while nobody was watching."""
    return not config.has_kernel_counter or run.ended_ns < config.kernel_since_ns
