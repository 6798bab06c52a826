"""Crashes in the kernel's log whose process belongs to no known run."""

from __future__ import annotations

from collections import deque

from exporter.exit_codes import SIGNAL_BASE
from exporter.model import SECOND_NS
from exporter.verdict.facts import Crash, GpuFault, SeccompKill

_MAX_CRASHES = 200
# How long before an exit a crash may still have caused it.
_WINDOW_NS = SECOND_NS
# Longer if the exit code is that of the crash's signal, as a shell passes it on; and for a GPU, which fails
# slowly.
_SAME_SIGNAL_WINDOW_NS = 10 * SECOND_NS
_GPU_WINDOW_NS = 60 * SECOND_NS
# The log has a clock of its own: a line about the cause of an exit was seen 3 ms after the exit.
_CLOCK_SKEW_NS = SECOND_NS // 10

ProcessCrash = Crash | SeccompKill | GpuFault


class CrashLog:
    """The latest crashes of processes that belong to no known run."""

    def __init__(self) -> None:
        self._crashes: deque[ProcessCrash] = deque(maxlen=_MAX_CRASHES)

    def add(self, crash: ProcessCrash) -> None:
        """Keep a crash."""
        self._crashes.append(crash)

    def before_exit(self, code: int | None, ended_ns: int) -> list[ProcessCrash]:
        """Return the crashes that may have caused an exit; none for a success."""
        return [
            crash
            for crash in self._crashes
            if code and -_CLOCK_SKEW_NS <= ended_ns - crash.at_ns <= _window_ns(crash, code)
        ]


def _window_ns(crash: ProcessCrash, code: int) -> int:
    if isinstance(crash, GpuFault):
        return _GPU_WINDOW_NS
    return _SAME_SIGNAL_WINDOW_NS if code == SIGNAL_BASE + crash.signal else _WINDOW_NS
