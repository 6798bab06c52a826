"""Weighing: what was seen of a run, boiled down to what a verdict turns on. Pure.

An OOM kill needs a witness. There are four, and each may know what another does not: the engine's
event, its flag, the kernel's log (names process and container) and the kernel's counter (names nobody).
A request to stop explains an end only if it came shortly before and can have made this code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from signal import Signals

from exporter.exit_codes import MAX_SIGNAL, SIGKILLED, SIGNAL_BASE
from exporter.model import SECOND_NS, Evidence, Exit, KillRequest, MemoryLimit, OomKill, OomSource, OomVictim
from exporter.verdict.facts import (
    CountedRun,
    Crash,
    EndedRun,
    FailedStart,
    ForkRejected,
    GpuFault,
    KernelFact,
    RunFacts,
    SeccompKill,
)

_MAX_NOTES = 20
_REFUSED = "The engine could not start it"
# SIGHUP asks daemons to reload, SIGUSR1 to do anything: only these ask for the end.
TERMINATING = frozenset({Signals.SIGKILL, Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT})
# What an engine gives a container that does not say how long it wants, and a moment for the rest.
DEFAULT_STOP_SECONDS = 10
_SLACK_SECONDS = 2
# A request that is no engine's way to stop (QUIT for a thread dump) explains a code that its signal
# cannot have made only if the end followed at once.
_AT_ONCE_NS = 2 * SECOND_NS
# An engine tells of a signal when it has sent it: the end that it made can be before that.
_LATE_NS = SECOND_NS
_AT_END_NS = SECOND_NS // 100
_MEBIBYTE = 1 << 20


def oom_count(oom_kills: Sequence[OomKill]) -> int:
    """How many processes were killed."""
    return len(deduplicate(oom_kills))


def deduplicate(oom_kills: Sequence[OomKill]) -> Sequence[OomKill]:
    """One for each process.

    The flag repeats what others tell of, maybe later than it. On record since before a line of the kernel's
    log was told from an event of the same kill, all repeat each other: then what the best witness says, who
    tells of most.
    """
    told = [kill for kill in oom_kills if kill.source is not OomSource.FLAG] or oom_kills[:1]
    if all(kill.source is OomSource.EVENT or kill.victim for kill in told):
        return told
    return max(([kill for kill in told if kill.source is source] for source in OomSource), key=len)


def is_terminating(kill: KillRequest, stop_signal: int) -> bool:
    """Whether a signal asks for the end. One that a label hides does: most signals are sent for that."""
    return kill.signal is None or kill.signal in TERMINATING or kill.signal == stop_signal


def explaining_requests(record: RunFacts) -> list[KillRequest]:
    """The requests to end that can have made this end."""
    explaining = [kill for kill in record.kills if _explains(kill, record)]
    if not explaining and record.was_stopped and not record.inspected:
        # A container may want another signal than others do, and nobody has asked which.
        return [kill for kill in record.kills if kill.at_ns <= record.ended_ns + _LATE_NS][-1:]
    return explaining


def waits_for_stop(record: RunFacts) -> bool:
    """Whether it would matter if the engine's stop command turned out to have seen this end."""
    asked = any(_is_of_stop(kill, record.stop_signal) for kill in record.kills)
    return asked and not record.was_stopped and not explaining_requests(record)


def assess_exit(ended: EndedRun) -> Exit:
    """Return the exit with the evidence that its facts are reduced to."""
    facts = ended.facts
    return Exit(
        ended.job,
        facts.code,
        facts.ended_ns,
        replace(assess(facts), not_known=ended.not_known),
        oom_count(facts.oom_kills),
        ended.recovered,
        ended.log_tail,
        ended.event_ns,
    )


def assess(facts: RunFacts | FailedStart | CountedRun) -> Evidence:
    """Return what the verdict depends on, and the sentences that show why."""
    match facts:
        case RunFacts():
            return _assess_run(facts)
        case FailedStart():
            return _assess_failed_start(facts)
        case CountedRun():
            return Evidence(notes=("Known only from the engine's count of restarts.",))


def _assess_run(record: RunFacts) -> Evidence:
    requests, oom_killed = explaining_requests(record), _killed_for_memory(record)
    unhealthy = bool(requests) and _was_unhealthy(record, requests)
    limit = _limit_reached(record)
    return Evidence(
        host_lost=record.lost_with_host,
        oom_killed=oom_killed,
        limit=limit if oom_killed else None,
        unhealthy=unhealthy,
        stop_requested=bool(requests),
        ran_ns=record.ran_ns,
        notes=tuple(_notes(record, unhealthy=unhealthy)),
        causes=tuple(_causes(record, limit, oom_killed=oom_killed)),
    )


def _assess_failed_start(start: FailedStart) -> Evidence:
    error, at_ns, oom_kills = start.error, start.ended_ns, start.oom_kills
    record = RunFacts(
        None, at_ns, kills=(), oom_kills=oom_kills, stop_signal=Signals.SIGTERM, oom_window_ns=0
    )
    limit = _limit_reached(record)
    timed = [note.format(_from_end(at_ns - when)) for when, note in _oom_notes(record)]
    return Evidence(
        start_failed=True,
        start_error=error,
        oom_killed=bool(oom_kills),
        limit=limit,
        notes=(f"{_REFUSED}: {error}" if error else f"{_REFUSED}.", *timed),
        causes=tuple(_memory_causes(record, limit)),
    )


# --- requests


def _explains(kill: KillRequest, record: RunFacts) -> bool:
    if not is_terminating(kill, record.stop_signal):
        return False
    waited_ns = record.ended_ns - kill.at_ns
    if waited_ns < -_LATE_NS:
        return False
    if record.was_stopped and _is_of_stop(kill, record.stop_signal):
        return True
    grace = DEFAULT_STOP_SECONDS if record.stop_seconds is None else record.stop_seconds
    grace_ns = (grace + _SLACK_SECONDS) * SECOND_NS
    if _can_have_made(kill, record.code):
        return waited_ns <= max(record.stop_window_ns, grace_ns)
    if kill.signal == Signals.SIGKILL or _is_of_a_signal(record.code):
        # The first leaves no choice: the job had ended by itself. And another signal has ended it.
        return False
    return waited_ns <= (grace_ns if _is_of_stop(kill, record.stop_signal) else _AT_ONCE_NS)


def _can_have_made(kill: KillRequest, code: int | None) -> bool:
    """Whether the signal itself ends a process with this code."""
    if code is None:
        return True
    return code > SIGNAL_BASE if kill.signal is None else code == SIGNAL_BASE + kill.signal


def _is_of_a_signal(code: int | None) -> bool:
    """Whether a code says that a signal has ended the process."""
    return code is not None and SIGNAL_BASE < code <= SIGNAL_BASE + MAX_SIGNAL


def _is_of_stop(kill: KillRequest, stop_signal: int) -> bool:
    """Whether it is a signal by which engines stop a container."""
    return kill.signal is None or kill.signal in {stop_signal, Signals.SIGTERM, Signals.SIGKILL}


def _was_unhealthy(record: RunFacts, requests: Sequence[KillRequest]) -> bool:
    asked_ns = max(kill.at_ns for kill in requests)
    return record.unhealthy_ns is not None and record.unhealthy_ns <= asked_ns


# --- memory


def _killed_for_memory(record: RunFacts) -> bool:
    """Out of memory before the end, so that it explains it, and nobody asked for the end since."""
    timed = [kill for kill in record.oom_kills if kill.at_ns is not None]
    if not record.oom_kills:
        return False
    if not timed:
        return _flag_explains(record) and not explaining_requests(record)
    last_ns = max(kill.at_ns or 0 for kill in timed)
    if any(_asks_for_end(kill, record) and kill.at_ns > last_ns for kill in record.kills):
        return False
    return record.ended_ns - last_ns <= record.oom_window_ns or any(
        _is_certain(kill, record) for kill in timed
    )


def _asks_for_end(kill: KillRequest, record: RunFacts) -> bool:
    """Whether it asked for the end, and not only of what had ended by then."""
    return is_terminating(kill, record.stop_signal) and kill.at_ns <= record.ended_ns + _LATE_NS


def _is_certain(kill: OomKill, record: RunFacts) -> bool:
    """Whether this kill explains the end however long before it was told of.

    A witness that names the container was followed by 137: on a crowded host an engine tells of an end many
    seconds later, and who waits for a child hands its code on later. Of process 1, any code will do.
    """
    if record.code == SIGKILLED:
        return kill.source in {OomSource.EVENT, OomSource.LOG}
    return kill.victim is not None and record.pid is not None and kill.victim.pid == record.pid


def _flag_explains(record: RunFacts) -> bool:
    """Whether an OOM kill at some time of the run, nobody knows when, explains its end."""
    ran_ns = record.ran_ns
    was_short = ran_ns is not None and ran_ns <= record.oom_window_ns
    return record.code in {None, SIGKILLED} or was_short


def _limit_reached(record: RunFacts) -> MemoryLimit | None:
    """Whose limit the last OOM kill was at; None without one, and where nothing tells."""
    victims = [kill.victim for kill in record.oom_kills if kill.victim and kill.victim.limit]
    if victims:
        return victims[-1].limit
    if not record.oom_kills or not record.inspected or record.memory_limit_bytes is not None:
        return None
    return MemoryLimit.PARENT if record.cgroup_parent else MemoryLimit.HOST


# --- sentences


def _notes(record: RunFacts, *, unhealthy: bool) -> Iterator[str]:
    """The latest facts last, each with how far from the end it was, where that is known."""
    if record.lost_with_host:
        yield "The engine was started anew, and found it gone."
    for source in (OomSource.FLAG, OomSource.COUNTER):
        # Known by when they were asked, not by when it happened.
        if any(kill.source is source for kill in record.oom_kills):
            yield f"{source.value}."
    if record.hung:
        yield "It was out of memory and could not be killed for that (--oom-kill-disable): it hung."
    timed = [*_oom_notes(record), *_request_notes(record), *_fact_notes(record)]
    for at_ns, note in sorted(timed)[-_MAX_NOTES:]:
        yield note.format(_from_end(record.ended_ns - at_ns))
    if record.was_stopped and any(_is_of_stop(kill, record.stop_signal) for kill in record.kills):
        yield "The engine's stop command saw it end."
    if unhealthy:
        yield _health_note(record)
    if record.stopped_together > 1:
        yield (
            f"All {record.stopped_together} containers that ran on this engine were asked to stop at the "
            "same time, as when an engine is told to stop."
        )


def _request_notes(record: RunFacts) -> Iterator[tuple[int, str]]:
    for kill in record.kills:
        yield kill.at_ns, f"The engine was asked to send {signal_name(kill.signal)} {{}}."


def _oom_notes(record: RunFacts) -> Iterator[tuple[int, str]]:
    for kill in record.oom_kills:
        if kill.at_ns is None or kill.source not in {OomSource.EVENT, OomSource.LOG}:
            continue
        if kill.victim is None:
            yield kill.at_ns, f"{kill.source.value} {{}}."
        else:
            yield (
                kill.at_ns,
                f"{_braced(victim_text(kill.victim))} {{}}; {_braced(_limit_text(kill.victim))}.",
            )


def victim_text(victim: OomVictim) -> str:
    """Who was killed, as the beginning of a sentence."""
    size = f", {mebibytes(victim.rss_bytes)}" if victim.rss_bytes else ""
    return f"The kernel killed process {victim.pid} ({victim.process}{size}) for memory"


def _limit_text(victim: OomVictim) -> str:
    match victim.limit:
        case MemoryLimit.OWN:
            text = "its own limit was reached"
        case MemoryLimit.PARENT:
            text = f"the limit of {victim.cgroup} was reached, which others share"
        case MemoryLimit.HOST:
            text = "the host itself was out of memory"
        case _:
            text = "whose limit was reached is not known"
    if victim.largest is None:
        return text
    name, size = victim.largest
    return f"{text}; {name} held most ({mebibytes(size)})"


def _health_note(record: RunFacts) -> str:
    said = f"; the last check that failed said: {record.health_output}" if record.health_output else ""
    return (
        "It was unhealthy when it was asked to stop (a stop by hand of an unhealthy container looks the "
        f"same){said}"
    )


def _fact_notes(record: RunFacts) -> Iterator[tuple[int, str]]:
    for fact in record.facts:
        text = _fact_text(fact, record)
        if text:
            yield fact.at_ns, f"{_braced(text)} {{}}{_whose(fact, record)}."


def _fact_text(fact: KernelFact, record: RunFacts) -> str:
    match fact:
        case ForkRejected():
            limit = f" ({record.pids_limit})" if record.pids_limit else ""
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


def _whose(fact: KernelFact, record: RunFacts) -> str:
    """Say that it is not known whose process it was, where that is so."""
    if isinstance(fact, (Crash, SeccompKill, GpuFault)) and (fact.pid is None or fact.pid != record.pid):
        return "; whose process that was is not known"
    return ""


def _causes(record: RunFacts, limit: MemoryLimit | None, *, oom_killed: bool) -> Iterator[str]:
    """What this job's own evidence points to."""
    if oom_killed:
        yield from _memory_causes(record, limit)
    elif record.code and record.oom_kills:
        yield "A process of it was killed for memory earlier; what failed in the end may have missed it"
    for fact in record.facts:
        cause = _fact_cause(fact, record)
        if cause:
            yield cause


def _memory_causes(record: RunFacts, limit: MemoryLimit | None) -> Iterator[str]:
    victims = [kill.victim for kill in record.oom_kills if kill.victim]
    if limit is MemoryLimit.PARENT:
        shared = victims[-1].cgroup if victims else record.cgroup_parent
        yield f"The limit of the control group {shared}, which it shares, was reached: raise that one"
    if limit is MemoryLimit.HOST:
        own = "" if record.memory_limit_bytes else ", or give it a limit of its own"
        yield f"The host itself was out of memory: run it elsewhere or later{own}"
    if victims and victims[-1].largest:
        name, size = victims[-1].largest
        yield f"Another process held most of that memory: {name}, {mebibytes(size)}"


def _fact_cause(fact: KernelFact, record: RunFacts) -> str:
    if isinstance(fact, ForkRejected):
        limit = f" of {record.pids_limit}" if record.pids_limit else ""
        return (
            f"It reached its limit{limit} of processes and threads (--pids-limit): raise it, or start fewer"
        )
    if not record.code or _whose(fact, record):
        return ""
    match fact:
        case Crash() if record.code == SIGNAL_BASE + fact.signal:
            return f"Its process crashed: {fact.fault}{f' in {fact.module}' if fact.module else ''}"
        case SeccompKill() if record.code == SIGNAL_BASE + fact.signal:
            return f"Its seccomp profile forbids system call {fact.syscall}"
        case GpuFault():
            return f"A GPU that it used failed: Xid {fact.xid}, {fact.text}"
    return ""


def signal_name(number: int | None) -> str:
    """SIGTERM for 15; what has no name keeps its number."""
    if number is None:
        return "a signal"
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def mebibytes(size: int) -> str:
    """A size for people."""
    return f"{size / _MEBIBYTE:,.0f} MiB"


def _braced(text: str) -> str:
    """Text from outside, so that ``format`` leaves it as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def _from_end(nanoseconds: int) -> str:
    """How long before the end something was told. What made the end can be told a moment after it."""
    if -_AT_END_NS < nanoseconds < 0:
        return "at the end"
    side = "before" if nanoseconds >= 0 else "after"
    return f"{abs(nanoseconds) / SECOND_NS:.3f} s {side} the end"
