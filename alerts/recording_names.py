"""Names of the recording rules: ``level:metric:operation``, as Prometheus recommends."""

from __future__ import annotations

from alerts.thresholds import Thresholds
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric


class SpreadNames:
    """Names for OOM kills that are spread ``over`` the workloads of a host, or the hosts of a fleet."""

    def __init__(self, level: str, over: str, window: str) -> None:
        self.over = over
        self.unusual = f"{level}:container_exits_oomkilled_unusual:increase{window}"
        self.average = f"{level}:container_exits_oomkilled_unusual:average{window}"
        self.usual = f"{level}:container_exits_oomkilled_unusual:usual{window}"
        self.spike = f"{level}:container_exits_oomkilled:spike{window}"


class RecordingNames:
    """Names of all recording rules; those over a window contain it."""

    def __init__(self, thresholds: Thresholds) -> None:
        window, long = thresholds.increases.window, f"increase{thresholds.increases.long_window}"
        recent, average, usual = f"increase{window}", f"average{window}", f"usual{window}"
        self._recent = recent
        self.watched_at = f"instance:{definitions.ENGINE_UP.name}:timestamp"
        self.exits = f"instance:container_exits:{recent}"
        self.exits_long = f"instance:container_exits:{long}"
        self.lost = f"instance:container_exits_lost:{recent}"
        self.kills = f"instance:container_oom_kills:{recent}"
        self.unhealthy = f"instance:container_exits_unhealthy:{long}"
        self.restarts = f"instance:container_restarts:{recent}"
        self.restarts_long = f"instance:container_restarts:{long}"
        self.oomkilled = f"workload:container_exits_oomkilled:{recent}"
        self.oomkilled_average = f"workload:container_exits_oomkilled:{average}"
        self.oomkilled_usual = f"workload:container_exits_oomkilled:{usual}"
        self.oomkilled_unusual = f"workload:container_exits_oomkilled_unusual:{recent}"
        self.oomkilled_spike = f"workload:container_exits_oomkilled:spike{window}"
        self.failed = f"workload:container_exits_failed:{recent}"
        self.failed_long = f"workload:container_exits_failed:{long}"
        self.done = f"workload:container_exits_done:{recent}"
        self.not_started = f"workload:container_exits_not_started:{recent}"
        self.workload_unhealthy = f"workload:container_exits_unhealthy:{recent}"
        self.workload_unhealthy_long = f"workload:container_exits_unhealthy:{long}"
        self.workload_restarts = f"workload:container_restarts:{recent}"
        self.workload_restarts_long = f"workload:container_restarts:{long}"
        self.jobs_running_long = f"workload:container_jobs_running:max{thresholds.increases.long_window}"
        self.out_of_memory = f"workload:container_exits_out_of_memory:{recent}"
        self.workload_kills = f"workload:container_oom_kills:{recent}"
        self.finished_long = f"workload:container_exits_finished:{long}"
        self.failed_ratio = f"workload:container_exits_failed:ratio{thresholds.increases.long_window}"
        self.host_exits = f"host:container_exits:{recent}"
        self.fleet_exits = f"fleet:container_exits:{recent}"
        self.of_host = SpreadNames("host", "workload", window)
        self.of_fleet = SpreadNames("fleet", "host", window)
        self.host_lost = f"host:container_exits_lost:{recent}"
        self.deadline = "workload:container_success_deadline:seconds"
        self.success = "workload:container_success:timestamp"
        self.exporters = f"instance:{definitions.BUILD_INFO.name}:known"

    def coverage(self, window: str) -> str:
        """Return the name for the time that the increases of an exporter in a window cover, in seconds."""
        return f"instance:{definitions.ENGINE_UP.name}:span{window}"

    def reliable(self, window: str) -> str:
        """Return the name for the exporters that are preferred over others of the same engine."""
        return f"instance:{definitions.ENGINE_UP.name}:steady{window}"

    def own_increase(self, metric: Metric) -> str:
        """Return the name for the increase of a counter that an exporter has about itself."""
        return f"instance:{metric.name.removesuffix('_total')}:{self._recent}"
