"""The runs that are submitted to dstack, and how each one ends in truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

OOM = 'python -c "a = [0] * 2000000000"'
FOR_LONG = "sleep 600"
BY_ITSELF = "CONTAINER_EXITED_WITH_ERROR"


@dataclass(frozen=True)
class Run:
    """One run: its command, what is done to it, and its true end."""

    name: str
    command: str
    status: str
    code: int | None
    reason: str
    termination: str
    error: str | None
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    is_attached: bool = False
    """Whether dstack's command stays and reads the output, after which the container ends with 0."""

    is_stopped: bool = False
    """Whether its user stops it as soon as it runs."""

    submissions: int = 1
    """How often dstack submits its job; then its user stops it."""


def failed(code: int, reason: str) -> tuple[str, int, str, str, str]:
    """Return the end of a job that failed by itself."""
    return "failed", code, reason, BY_ITSELF, f"JOB_FAILED ({BY_ITSELF}, exit code: {code} - {reason})"


RUNS = (
    Run(
        "retried",
        "exit 1",
        *failed(1, "Error"),
        settings={"retry": {"on_events": ["error"], "duration": "20m"}},
        submissions=3,
    ),
    Run(
        "too-long",
        FOR_LONG,
        *("terminated", None, "TimedOut", "MAX_DURATION_EXCEEDED"),
        "JOB_TERMINATED (MAX_DURATION_EXCEEDED)",
        settings={"max_duration": 10},
    ),
    Run(
        "stopped",
        FOR_LONG,
        *("terminated", None, "Terminated", "TERMINATED_BY_USER"),
        "JOB_TERMINATED (TERMINATED_BY_USER)",
        is_stopped=True,
    ),
    Run("attached", "exit 3", *failed(3, "Error"), is_attached=True),
    Run("oom", OOM, *failed(137, "OOMKilled")),
    Run("exit-3", "exit 3", *failed(3, "Error")),
    Run("exit-0", "exit 0", "done", 0, "Completed", "DONE", None),
)
