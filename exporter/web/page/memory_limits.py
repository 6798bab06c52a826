"""The memory limits of a workload: at which it was killed, at which it completed, and what that says."""

from __future__ import annotations

import time
from dataclasses import dataclass

from exporter.report.memory import Advice, Memory, read_memory
from exporter.report.words import memory_sentences
from exporter.sizes import format_bytes
from exporter.store import Store, TimeSpan
from exporter.time_units import DAY_NS

SPAN_DAYS = 30


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, and numbers of runs: OOM-killed at it, with an OOM kill at an unknown limit, completed."""

    size: str
    oom_killed: int
    unknown: int
    completed: int
    is_current: bool


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Limits, the highest first, and the advice in sentences; ``suggested`` is None without enough runs."""

    limits: tuple[Limit, ...]
    sentences: tuple[str, ...]
    suggested: str | None


def memory_limits(store: Store, workload: str) -> MemoryLimits | None:
    """Return what the runs of the last 30 days say, None if they say nothing."""
    now_ns = time.time_ns()
    # The clock of an engine can be ahead of this one.
    span = TimeSpan(now_ns - SPAN_DAYS * DAY_NS, now_ns + DAY_NS, workload)
    history = store.reader.memory_histories(span).get(workload)
    memory = None if history is None else read_memory(history)
    if memory is None or (memory.advice is Advice.NONE and not memory.limits):
        return None
    return MemoryLimits(
        limits=tuple(_limits(memory)),
        sentences=tuple(memory_sentences(memory)),
        suggested=format_bytes(memory.suggested.limit_bytes) if memory.suggested else None,
    )


def _limits(memory: Memory) -> list[Limit]:
    return [
        Limit(
            size=format_bytes(each.limit_bytes),
            oom_killed=each.oom_killed,
            unknown=each.oom_killed_limit_unknown,
            completed=each.completed,
            is_current=each.limit_bytes == memory.current_bytes,
        )
        for each in sorted(memory.limits, key=lambda each: -each.limit_bytes)
    ]
