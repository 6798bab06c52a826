"""What the runs of a workload say about its memory limit, in sentences that are shown everywhere. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from exporter.config.duration import format_duration
from exporter.model import SECOND_NS
from exporter.report.memory import Advice, Memory
from exporter.report.raises import Raise, RaiseResult
from exporter.report.runs import LimitRuns, OomCounts
from exporter.sizes import format_bytes

_RESULTS = {
    RaiseResult.HELPED: "it has helped",
    RaiseResult.KILLS_GO_ON: "kills go on",
    RaiseResult.TOO_FEW_RUNS: "too few runs to say whether it has helped",
}


def memory_sentences(memory: Memory) -> Iterator[str]:
    """Yield the advice, what the last raise did, and which OOM kills say nothing about its limit."""
    if memory.suggested is not None:
        yield _held(memory, memory.suggested)
    elif memory.advice in _ADVICE:
        yield _ADVICE[memory.advice](memory)
    if memory.raised is not None:
        yield raise_sentence(memory.raised)
    yield from _not_counted(memory)
    if memory.oom.survived:
        ended = "One run" if memory.oom.survived == 1 else f"{memory.oom.survived} runs"
        yield f"{ended} ended with 0 and lost processes to OOM kills on the way."


def raise_sentence(raised: Raise) -> str:
    """Return what a raise did: ``14 OOM kills in 20 runs before …, 0 in 60 runs since`` and the result."""
    return (
        f"{_count(raised.kills_before, 'OOM kill')} in {_count(raised.runs_before, 'run')} before its limit "
        f"was raised from {format_bytes(raised.from_bytes)} to {format_bytes(raised.to_bytes)}, "
        f"{raised.kills_since} in {_count(raised.runs_since, 'run')} since: {_RESULTS[raised.result]}."
    )


def _held(memory: Memory, suggested: LimitRuns) -> str:
    size, current = format_bytes(suggested.limit_bytes), memory.current_bytes or 0
    if current > suggested.limit_bytes:
        advice = f"A limit of {size} is enough"
    elif current == suggested.limit_bytes:
        advice = f"Keep its limit of {size}"
    else:
        advice = f"Raise its limit to {size}"
    return f"{advice}: {_count(suggested.runs, 'run')} completed within it {_since_kill(memory)}."


def _too_few_runs(memory: Memory) -> str:
    held = memory.bracket.held
    return (
        f"Too few runs to say whether {_size(held)} is enough: {_count(held.runs if held else 0, 'run')} "
        f"completed at it {_since_kill(memory)}, and {memory.bracket.runs_needed} are needed."
    )


def _more_memory(memory: Memory) -> str:
    above = format_bytes(memory.bracket.above_bytes or 0)
    return f"Raise its limit above {above}: no run has completed at a higher one {_since_kill(memory)}."


def _never_killed(memory: Memory) -> str:
    completed = memory.bracket.completed_at
    if completed is None:
        return "No OOM kill, and no run that completed within a memory limit: what it needs is not known."
    return (
        f"No OOM kill: {_count(completed.runs, 'run')} completed within {_size(completed)}, its lowest limit."
        " Whether less is enough is not known: how much memory a run uses is not measured."
    )


def _leak(memory: Memory) -> str:
    kills = ", ".join(
        f"{format_bytes(each.limit_bytes)} after {format_duration(each.killed_after_ns / SECOND_NS)}"
        for each in memory.limits
        if each.killed_after_ns is not None
    )
    return (
        f"More memory will not help: OOM kills followed every raise, later each time ({kills}), and it has "
        "not completed since. Look for a leak."
    )


def _not_counted(memory: Memory) -> Iterator[str]:
    """Yield which OOM kills say nothing about its limit, unless the advice has."""
    oom = replace(memory.oom, unknown=0) if memory.advice is Advice.LIMIT_UNKNOWN else memory.oom
    if memory.advice is not Advice.NOT_ITS_LIMIT and _others(oom):
        yield f"Not counted for its limit: {_others(oom)}."


def _not_its_limit(memory: Memory) -> str:
    return f"A higher limit will not help, for its own was never reached: {_others(memory.oom)}."


def _limit_unknown(memory: Memory) -> str:
    limits = [each.limit_bytes for each in memory.limits if each.oom_killed_limit_unknown]
    where = f" at up to {format_bytes(max(limits))}" if limits else ""
    return (
        f"It was OOM-killed{where}, but which limit was reached is not on record: let the exporter read the "
        "kernel log."
    )


_ADVICE: Mapping[Advice, Callable[[Memory], str]] = {
    Advice.NONE: _never_killed,
    Advice.TOO_FEW_RUNS: _too_few_runs,
    Advice.MORE_MEMORY: _more_memory,
    Advice.LEAK: _leak,
    Advice.NOT_ITS_LIMIT: _not_its_limit,
    Advice.LIMIT_UNKNOWN: _limit_unknown,
}


def _since_kill(memory: Memory) -> str:
    return f"since it was OOM-killed at {_size(memory.bracket.killed_at)}"


def _others(oom: OomCounts) -> str:
    """Return how many runs had OOM kills at another limit than their own."""
    kinds = (
        (oom.parent, "with OOM kills at the limit of a parent control group"),
        (oom.host, "with OOM kills because the host was out of memory"),
        (oom.unknown, "with OOM kills at a limit that is not known"),
    )
    return ", ".join(f"{_count(number, 'run')} {kind}" for number, kind in kinds if number)


def _size(limit: LimitRuns | None) -> str:
    return format_bytes(limit.limit_bytes) if limit else "none"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
