"""Notes: the facts of an exit as sentences, ordered by time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from signal import Signals

from exporter.model import SECOND_NS, LimitOwner, OomKill, OomSource, OomVictim
from exporter.sizes import format_bytes
from exporter.verdict.facts import (
    Crash,
    FailedStart,
    ForkRejected,
    GpuFault,
    KernelFact,
    RunFacts,
    SeccompKill,
)
from exporter.verdict.stop_requests import is_by_engine

# How the sentences of each kind begin, for those who tell these facts in other words.
ABOUT_REQUESTS = ("The engine was asked to send ",)
ABOUT_OOM_KILLS = (*(source.value for source in OomSource), "The kernel killed process ")
ABOUT_START = ("The engine could not start it",)

_MAX_NOTES = 20
# Something that caused the end can be reported a moment after it.
_AT_END_NS = SECOND_NS // 100


def run_notes(run: RunFacts, *, unhealthy: bool) -> Iterator[str]:
    """Return the sentences of a run, with the time before its end for each fact that has a time."""
    if run.lost_with_host:
        yield "The engine or its host went down, and the container with it."
    for source in (OomSource.FLAG, OomSource.COUNTER):
        # These are known by the time at which they were read, not at which the kill happened.
        if any(kill.source is source for kill in run.oom_kills):
            yield f"{source.value}."
    if run.hung:
        yield "It was out of memory and could not be killed for that (--oom-kill-disable): it hung."
    timed = [*_oom_notes(run.oom_kills), *_request_notes(run), *_fact_notes(run)]
    for at_ns, note in sorted(timed)[-_MAX_NOTES:]:
        yield note.format(_from_end(run.ended_ns - at_ns))
    if run.was_stopped and any(is_by_engine(kill, run.stop_signal) for kill in run.kills):
        yield "The engine's stop command saw it end."
    if unhealthy:
        yield _health_note(run)
    if run.stopped_together > 1:
        yield (
            f"All {run.stopped_together} containers that ran on this engine were asked to stop at the "
            "same time, as when an engine is stopped."
        )


def failed_start_notes(start: FailedStart) -> Iterator[str]:
    """Return the sentences of a failed start: the engine's text, and OOM kills during the start."""
    yield "The engine could not start it" + (f": {start.error}" if start.error else ".")
    for at_ns, note in _oom_notes(start.oom_kills):
        yield note.format(_from_end(start.ended_ns - at_ns))


def victim_text(victim: OomVictim) -> str:
    """Return the beginning of a sentence that names the killed process."""
    size = f", {format_bytes(victim.rss_bytes)}" if victim.rss_bytes else ""
    return f"The kernel killed process {victim.pid} ({victim.process}{size}) for memory"


def signal_name(number: int | None) -> str:
    """Return ``SIGTERM`` for 15, ``signal 37`` for one without a name, ``a signal`` for None."""
    if number is None:
        return "a signal"
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def owner_is_unknown(fact: KernelFact, run: RunFacts) -> bool:
    """Return whether a fact is about a process that may belong to another container or to none."""
    return isinstance(fact, (Crash, SeccompKill, GpuFault)) and (fact.pid is None or fact.pid != run.pid)


def _request_notes(run: RunFacts) -> Iterator[tuple[int, str]]:
    for kill in run.kills:
        yield kill.at_ns, f"The engine was asked to send {signal_name(kill.signal)} {{}}."


def _oom_notes(oom_kills: Sequence[OomKill]) -> Iterator[tuple[int, str]]:
    for kill in oom_kills:
        if kill.at_ns is None or kill.source not in {OomSource.EVENT, OomSource.LOG}:
            continue
        if kill.victim is None:
            yield kill.at_ns, f"{kill.source.value} {{}}."
        else:
            victim, limit = _escaped(victim_text(kill.victim)), _escaped(_limit_text(kill.victim))
            yield kill.at_ns, f"{victim} {{}}; {limit}."


def _limit_text(victim: OomVictim) -> str:
    match victim.limit:
        case LimitOwner.OWN:
            text = "its own limit was reached"
        case LimitOwner.PARENT:
            text = f"the limit of {victim.cgroup} was reached, which others share"
        case LimitOwner.HOST:
            text = "the host itself was out of memory"
        case _:
            text = "whose limit was reached is not known"
    if victim.largest is None:
        return text
    name, size = victim.largest
    return f"{text}; {name} held most ({format_bytes(size)})"


def _health_note(run: RunFacts) -> str:
    output = f"; the last check that failed said: {run.health_output}" if run.health_output else ""
    return (
        "It was unhealthy when it was asked to stop (a stop by hand of an unhealthy container looks the "
        f"same){output}"
    )


def _fact_notes(run: RunFacts) -> Iterator[tuple[int, str]]:
    for fact in run.facts:
        text = _fact_text(fact, run)
        if text:
            doubt = "; whose process that was is not known" if owner_is_unknown(fact, run) else ""
            yield fact.at_ns, f"{_escaped(text)} {{}}{doubt}."


def _fact_text(fact: KernelFact, run: RunFacts) -> str:
    match fact:
        case ForkRejected():
            limit = f" ({run.pids_limit})" if run.pids_limit else ""
            return f"The kernel refused it another process: its limit of processes{limit} was reached"
        case Crash():
            module = f" in {fact.module}" if fact.module else ""
            return f"The kernel logged: process {fact.pid} ({fact.process}): {fact.fault}{module},"
        case SeccompKill():
            return (
                f"The kernel logged: process {fact.pid} ({fact.process}) made system call {fact.syscall}, "
                "which its seccomp profile kills,"
            )
        case GpuFault():
            return f"The GPU driver reported Xid {fact.xid} ({fact.text})"
        case _:
            return ""


def _escaped(text: str) -> str:
    """Return text from outside in a form that ``format`` turns back into itself."""
    return text.replace("{", "{{").replace("}", "}}")


def _from_end(nanoseconds: int) -> str:
    if -_AT_END_NS < nanoseconds < 0:
        return "at the end"
    side = "before" if nanoseconds >= 0 else "after"
    return f"{abs(nanoseconds) / SECOND_NS:.3f} s {side} the end"
