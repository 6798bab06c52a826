"""What the recordings are called: ``level:metric:operation``. The level says whose labels are left."""

from __future__ import annotations

from alerts.thresholds import Thresholds
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric


class SpreadNames:
    """The names for OOM kills that are spread: over the workloads of a host, or over the hosts of a fleet."""

    def __init__(self, level: str, window: str) -> None:
        self.unusual = f"{level}:container_exits_oomkilled_unusual:increase{window}"
        self.average = f"{level}:container_exits_oomkilled_unusual:average{window}"
        self.usual = f"{level}:container_exits_oomkilled_unusual:usual{window}"
        self.spike = f"{level}:container_exits_oomkilled:spike{window}"


class Names:
    """The names of the recordings, which tell of the windows."""

    def __init__(self, thresholds: Thresholds) -> None:
        window, long = thresholds.increases.window, f"increase{thresholds.increases.long_window}"
        lately, average, usual = f"increase{window}", f"average{window}", f"usual{window}"
        self._lately = lately
        self.watching = f"instance:{definitions.ENGINE_UP.name}:timestamp"
        self.exits = f"instance:container_exits:{lately}"
        self.exits_long = f"instance:container_exits:{long}"
        self.lost = f"instance:container_exits_lost:{lately}"
        self.kills = f"instance:container_oom_kills:{lately}"
        self.unhealthy = f"instance:container_exits_unhealthy:{long}"
        self.restarts = f"instance:container_restarts:{lately}"
        self.restarts_long = f"instance:container_restarts:{long}"
        self.oomkilled = f"workload:container_exits_oomkilled:{lately}"
        self.oomkilled_average = f"workload:container_exits_oomkilled:{average}"
        self.oomkilled_usual = f"workload:container_exits_oomkilled:{usual}"
        self.oomkilled_unusual = f"workload:container_exits_oomkilled_unusual:{lately}"
        self.oomkilled_spike = f"workload:container_exits_oomkilled:spike{window}"
        self.failed = f"workload:container_exits_failed:{lately}"
        self.failed_long = f"workload:container_exits_failed:{long}"
        self.done = f"workload:container_exits_done:{lately}"
        self.not_started = f"workload:container_exits_not_started:{lately}"
        self.workload_unhealthy = f"workload:container_exits_unhealthy:{lately}"
        self.workload_unhealthy_long = f"workload:container_exits_unhealthy:{long}"
        self.workload_restarts = f"workload:container_restarts:{lately}"
        self.workload_restarts_long = f"workload:container_restarts:{long}"
        self.jobs_running_long = f"workload:container_jobs_running:max{thresholds.increases.long_window}"
        self.out_of_memory = f"workload:container_exits_out_of_memory:{lately}"
        self.workload_kills = f"workload:container_oom_kills:{lately}"
        self.finished_long = f"workload:container_exits_finished:{long}"
        self.failed_ratio = f"workload:container_exits_failed:ratio{thresholds.increases.long_window}"
        self.host_exits = f"host:container_exits:{lately}"
        self.fleet_exits = f"fleet:container_exits:{lately}"
        self.of_host = SpreadNames("host", window)
        self.of_fleet = SpreadNames("fleet", window)
        self.host_lost = f"host:container_exits_lost:{lately}"
        self.deadline = "workload:container_success_deadline:seconds"
        self.success = "workload:container_success:timestamp"
        self.known = f"instance:{definitions.BUILD_INFO.name}:known"

    def span(self, window: str) -> str:
        """For how long what an exporter has gained in a window has come together, in seconds."""
        return f"instance:{definitions.ENGINE_UP.name}:span{window}"

    def steady(self, window: str) -> str:
        """Which exporters are believed where another that watches the same engine says otherwise."""
        return f"instance:{definitions.ENGINE_UP.name}:steady{window}"

    def of_itself(self, metric: Metric) -> str:
        """What a counter of the exporter's own has gained lately."""
        return f"instance:{metric.name.removesuffix('_total')}:{self._lately}"
