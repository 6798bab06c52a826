"""Recording rules: what several alerts read, and what has to be remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from alerts.thresholds import Thresholds, seconds
from exporter.metrics import definitions
from exporter.model import Status

# How long a recording keeps its own value if rules are not evaluated.
_REMEMBERED = "1d"
EXITS = definitions.EXITS.name
LOST = "HostLost"
OOM = "OOMKilled"
# Jobs that were asked to stop (terminated) are in no rule.
FINISHED = f'status=~"{Status.DONE}|{Status.FAILED}"'


@dataclass(frozen=True, slots=True)
class Recording:
    """Recording rule with its purpose, which becomes its comment."""

    name: str
    expression: str
    why: str
    labels: dict[str, str] = field(default_factory=dict)


class RecordingNames:
    """Names of all recording rules: ``level:metric:operation``, as Prometheus recommends."""

    def __init__(self, thresholds: Thresholds) -> None:
        window, long = thresholds.increases.window, thresholds.increases.long_window
        unusual = f"container_exits_oomkilled_unusual:increase{window}"
        self.oomkilled = f"workload:container_exits_oomkilled:increase{window}"
        self.oomkilled_unusual = f"workload:{unusual}"
        self.host_unusual = f"host:{unusual}"
        self.fleet_unusual = f"fleet:{unusual}"
        self.windows = f"host:{definitions.EXITS_RECOVERED.name.removesuffix('_total')}:windows{window}"
        self.repeated = "instance:exit_exporter_exits_recovered:repeated"
        self.exits = f"instance:container_exits_failed:increase{window}"
        self.exits_long = f"workload:container_exits:increase{long}"
        self.deadline = "workload:container_success_deadline:seconds"
        self.success = "workload:container_success:timestamp"
        self.exporters = f"instance:{definitions.BUILD_INFO.name}:known"


def exact_increase(series: str, window: str, until: str = "") -> str:
    """Return the increase in whole numbers.

    ``increase()`` extrapolates: of a series that has just begun it tells up to twice as much. A series is
    left out once it has been away for ``until``, or else for the window.
    """
    return f"last_over_time({series}[{until or window}]) - min_over_time({series}[{window}])"


def once(thresholds: Thresholds, series: str, *without: str) -> str:
    """Return the sum without some labels, once for all exporters of an engine.

    All other labels stay, also those that the user has added to targets.
    """
    replica = ", ".join(thresholds.labels.replica)
    return f"max without ({replica}) (sum without ({', '.join(without)}) ({series}))"


def job_recordings(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the ends of jobs within the window, and the OOM-killed ones that are more than usual."""
    names, window, spike = RecordingNames(thresholds), thresholds.increases.window, thresholds.oom_spike
    recovered = f"increase({definitions.EXITS_RECOVERED.name}[%s])"
    yield Recording(
        names.repeated,
        f"{recovered} > 0\nand ignoring ({', '.join(thresholds.labels.replica)})"
        f" ({recovered} == 0 and ignoring (host) min without (engine) ({definitions.ENGINE_UP.name}) == 1)"
        % ((thresholds.increases.replica_window,) * 2),
        "Exporters that found exits after an outage, of a host that another exporter watched meanwhile.",
    )
    ends, summed = f'{EXITS}{{status="{Status.FAILED}"}}', "sum without (image, code, status)"
    yield Recording(
        names.exits,
        # The sums are subtracted, of which there are fewer than series: both are of the same ones.
        f"{summed} (last_over_time({ends}[{window}])) - {summed} (min_over_time({ends}[{window}]))\n"
        f"unless on (host, {', '.join(thresholds.labels.replica)}) {names.repeated}",
        "Jobs that failed, by reason, as each exporter counted them: whole numbers, which increase() does"
        " not give, as it extrapolates.",
    )
    yield Recording(
        names.oomkilled,
        once(thresholds, f'{names.exits}{{reason="{OOM}"}}', "reason"),
        "Jobs that were OOM-killed.",
    )
    missed = seconds(spike.outage) // seconds(window) - 1
    yield Recording(
        names.windows,
        f"1 + {missed} * max without ({', '.join(thresholds.labels.replica)})"
        f" ({recovered % spike.after_outage} > bool 0)\n"
        f"or 1 + 0 * max without (workload) ({names.oomkilled})",
        f"For how many windows a host's exits may have come together: after an outage for {spike.outage}. One"
        " where the exporter does not tell of outages, so that what is usual is compared all the same.",
    )
    usual = f"avg_over_time({names.oomkilled}[{spike.baseline}] offset {spike.recent})"
    yield Recording(
        names.oomkilled_unusual,
        f"{names.oomkilled}\n"
        f"unless {names.oomkilled} <= {spike.multiple} * {usual}"
        f" * ignoring (workload) group_left () {names.windows}\n"
        f"or 0 * {names.oomkilled}",
        "OOM-killed jobs of the workloads that have far more than usual, 0 of the others.",
    )
    yield Recording(
        names.host_unusual,
        f"sum without (workload) ({names.oomkilled_unusual})",
        "The same of each host: a workload that is killed steadily hides nothing of the others.",
    )
    yield Recording(
        names.fleet_unusual, f"sum without (host) ({names.oomkilled_unusual})", "The same of each workload."
    )


def loop_recordings(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the ends of jobs within the long window."""
    times = thresholds.increases
    ends = f'{EXITS}{{{FINISHED}, reason!="{LOST}"}}'
    yield Recording(
        RecordingNames(thresholds).exits_long,
        once(thresholds, exact_increase(ends, times.long_window, until=times.window), "image, code, reason"),
        "Jobs that were done or failed of their own, within the long window.",
    )


def exporter_recordings(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the targets that are exporters."""
    names = RecordingNames(thresholds)
    yield Recording(
        names.exporters,
        f"group without ({', '.join(definitions.BUILD_INFO.labels)}) ({definitions.BUILD_INFO.name})\n"
        f"or last_over_time({names.exporters}[{_REMEMBERED}]) and on (job, instance) up",
        "The targets that are exporters, whatever their job is called: those that answer as one, and"
        " those that once did and are still targets.",
    )


def deadline_recordings(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the last success of the workloads that must succeed regularly."""
    names = RecordingNames(thresholds)
    for workload, deadline in thresholds.not_succeeded.workloads.items():
        yield Recording(
            names.deadline,
            f"vector({seconds(deadline)})",
            f"{workload} must succeed every {deadline}.",
            {"workload": workload},
        )
    done = f'{definitions.LAST_EXIT.name}{{status="{Status.DONE}"}}'
    yield Recording(
        names.success,
        f"max by (workload) (clamp_max({done}, time()) or last_over_time({names.success}[{_REMEMBERED}]))\n"
        # A deadline can have more labels, which its author added for routing.
        f"and on (workload) {names.deadline}\n"
        f"or max by (workload) (0 * {names.deadline} + time())",
        "When a workload has last succeeded, anywhere, or else since when that is asked of it. What was"
        " once known stays known after its exporter has gone; a clock that is ahead counts as now.",
    )
