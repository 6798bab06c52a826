"""A limit of threads: how Python reports it, and what people are told."""

from __future__ import annotations

# A thread needs address space for its stack, too.
NO_THREAD = (
    "no thread can be started; raise the limit on the exporter's tasks (TasksMax=, --pids-limit, ulimit -u) "
    "or on its address space (LimitAS=, ulimit -v)"
)


def is_thread_limit(error: BaseException) -> bool:
    """Return whether an error says that no thread can be started."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)
