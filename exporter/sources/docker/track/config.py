"""Settings of a tracker, and the facts about its engine that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings, and facts about the engine; the latter have neutral defaults.

    ``oom_seconds``: how long an exit waits for a late OOM event, where one could change the verdict.
    ``oom_window_ns``: how long before an exit an OOM kill still explains it. ``stop_window_ns``: the same of
    a request to stop. ``retention_ns``: age at which records are deleted, 0 for never; an engine's first list
    adds nothing that is older. ``pruning_mark_ns`` returns the time before which records may have been
    deleted by now: a container in a list that exited earlier is ignored, since it may have been counted. If
    the engine's clock has not reached that time, it was set back, or was ahead; then only what is on record,
    ``recorded_until_ns``, may have been deleted.

    ``host``: name shown for the engine's host. ``engine``: its address. ``identity``: distinguishes the
    engine from others, whatever its host is shown as. ``has_kernel_counter``: the kernel's OOM counter is
    polled, so that an unchanged counter rules an OOM kill out; kills before ``kernel_since_ns`` were not
    counted. ``has_kernel_log``: the kernel's log is read. ``late_network_connect``: as in ``EngineInfo``.
    ``reads_job_logs``: the logs of supervised containers are followed.
    """

    host: str
    workload_order: tuple[str, ...]
    oom_seconds: float
    oom_window_ns: int
    stop_window_ns: int
    retention_ns: int
    engine: str = ""
    identity: str = ""
    has_kernel_counter: bool = False
    has_kernel_log: bool = False
    kernel_since_ns: int = 0
    late_network_connect: bool = False
    reads_job_logs: bool = False
    pruning_mark_ns: Callable[[], int] = lambda: 0
    recorded_until_ns: int = 0
