"""Timeouts and limits of a watcher."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.log_tail import LogTail


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """Timeouts (in seconds), limits, and the log tails to read; None: logs are not read.

    Every ``check_interval`` the engine's event buffer is compared with what was read, and a stream older than
    ``max_stream_age`` is replaced: a dead link, or a proxy that forgot the stream, looks like silence.
    ``catch_up`` is how long reading may take to reach the engine's latest event. If this process did not run
    for ``standstill``, the engine may have dropped events that nobody read. A created container is inspected
    if it has not started after ``start_grace``. With more than ``max_ahead`` messages waiting, reading slows
    down; with more than ``max_inbox``, it stops for a while, except of engines with at most ``inbox_share``
    of them. With ``max_ahead`` messages or ``max_backlog`` requests waiting, only necessary inspections are
    made. ``follow_job_logs``: the logs of supervised containers are read. ``inspect_threads`` is how many
    inspections are made at once.
    """

    check_interval: float = 30.0
    max_stream_age: float = 600.0
    catch_up: float = 30.0
    standstill: float = 6.0
    start_grace: float = 3.0
    # The pipeline takes a third of a second for them.
    max_ahead: int = 1_000
    # More than an engine sends in a minute.
    max_inbox: int = 50_000
    # More than an engine holds back for one who does not read. All of a hundred engines may send so many at
    # once: the inbox is bounded by this for each, beside ``max_inbox`` for all.
    inbox_share: int = 2_000
    max_backlog: int = 200
    log_tail: LogTail | None = None
    follow_job_logs: bool = False
    # More than are ever busy. An engine answers an inspection of a container that it is starting only
    # afterwards.
    inspect_threads: int = 16
