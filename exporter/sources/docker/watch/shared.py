"""What the watchers of all engines of an exporter share."""

from __future__ import annotations

from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.ticker import Ticker
from exporter.sources.docker.watch.worker_pool import WorkerPool
from exporter.sources.docker.watch.worker_threads import WorkerThreads

# Beside one for each engine. At work at once, hundreds wait for each other.
WORKERS = 64
LOGS_AT_ONCE = 4
TICK_SECONDS = 2.0


class Shared:
    """The configuration, and threads for requests and for the watchdogs of a number of engines.

    Each engine has a few threads at once at most: engines that do not answer must not take all of them until
    their requests time out. Logs may be slow, and must not delay inspections, on which verdicts depend;
    neither must delay the check that finds an engine dead. So each of these has threads of its own.
    """

    def __init__(self, config: WatchConfig, engines: int = 1) -> None:
        self.config = config
        self.ticker = Ticker(min(TICK_SECONDS, config.check_interval))
        self._inspect = WorkerThreads("inspect", WORKERS + engines)
        self._logs = WorkerThreads("read log", WORKERS)
        self._check = WorkerThreads("check", engines)

    def inspect_pool(self) -> WorkerPool:
        """Return an engine's share of the threads for inspections and the container list."""
        return WorkerPool(self._inspect, self.config.inspect_threads)

    def log_pool(self) -> WorkerPool:
        """Return an engine's share of the threads that read logs."""
        return WorkerPool(self._logs, LOGS_AT_ONCE)

    def check_pool(self) -> WorkerPool:
        """Return an engine's share of the threads for checks of event streams."""
        return WorkerPool(self._check, 1)
