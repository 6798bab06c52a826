"""Likely causes that the evidence of one job points to, as sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.exit_codes import SIGNAL_BASE
from exporter.model import LimitOwner
from exporter.sizes import format_bytes
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelFact, RunFacts, SeccompKill
from exporter.verdict.notes import owner_is_unknown


def likely_causes(run: RunFacts, limit: LimitOwner | None, *, oom_killed: bool) -> Iterator[str]:
    """Return the causes, the likeliest first; ``limit`` is the memory limit that an OOM kill reached."""
    if oom_killed:
        yield from memory_causes(run, limit)
    elif run.code and run.oom_kills:
        yield "A process of it was killed for memory earlier; what failed in the end may have missed it"
    for fact in run.facts:
        cause = _fact_cause(fact, run)
        if cause:
            yield cause


def memory_causes(run: RunFacts, limit: LimitOwner | None) -> Iterator[str]:
    """Return the causes of an OOM kill at a limit that is not the container's own."""
    victims = [kill.victim for kill in run.oom_kills if kill.victim]
    if limit is LimitOwner.PARENT:
        shared = victims[-1].cgroup if victims else run.cgroup_parent
        yield f"The limit of the control group {shared}, which it shares, was reached: raise that one"
    if limit is LimitOwner.HOST:
        own = "" if run.memory_limit_bytes else ", or give it a limit of its own"
        yield f"The host itself was out of memory: run it elsewhere or later{own}"
    if victims and victims[-1].largest:
        name, size = victims[-1].largest
        yield f"Another process held most of that memory: {name}, {format_bytes(size)}"


def _fact_cause(fact: KernelFact, run: RunFacts) -> str:
    if isinstance(fact, ForkRejected):
        limit = f" of {run.pids_limit}" if run.pids_limit else ""
        return (
            f"It reached its limit{limit} of processes and threads (--pids-limit): raise it, or start fewer"
        )
    if not run.code or owner_is_unknown(fact, run):
        return ""
    match fact:
        case Crash() if run.code == SIGNAL_BASE + fact.signal:
            return f"Its process crashed: {fact.fault}{f' in {fact.module}' if fact.module else ''}"
        case SeccompKill() if run.code == SIGNAL_BASE + fact.signal:
            return f"Its seccomp profile forbids system call {fact.syscall}"
        case GpuFault():
            return f"A GPU that it used failed: Xid {fact.xid}, {fact.text}"
    return ""
