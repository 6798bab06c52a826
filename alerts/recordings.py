"""The recording rules, named ``level:metric:operation``: the level says whose labels are left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from alerts.shape import increase, once, selector, total
from alerts.thresholds import Thresholds, seconds
from exporter.model import Status
from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Metric

LOST = "HostLost"
OOM = "OOMKilled"
# Jobs that somebody stopped (terminated) are in no recording, and so in no alert.
_FINISHED = f'status=~"{Status.DONE}|{Status.FAILED}"'
_OF_ITSELF = (
    catalogue.EVENT_GAPS,
    catalogue.EXITS_UNOBSERVED,
    catalogue.STORE_ERRORS,
    catalogue.ROWS_GIVEN_UP,
    catalogue.SPANS_EXPORTED,
    catalogue.SPANS_REJECTED,
    catalogue.SPANS_GIVEN_UP,
    catalogue.WORKLOADS_FOLDED,
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule, and why it is there."""

    name: str
    expression: str
    why: str
    labels: dict[str, str] = field(default_factory=dict)


class Names:
    """The names of the recordings, which tell of the windows."""

    def __init__(self, thresholds: Thresholds) -> None:
        lately = f"increase{thresholds.increases.window}"
        long = thresholds.increases.long_window
        self._lately = lately
        self.exits = f"instance:container_exits:{lately}"
        self.exits_long = f"instance:container_exits:increase{long}"
        self.lost = f"instance:container_exits_lost:{lately}"
        self.kills = f"instance:container_oom_kills:{lately}"
        self.oomkilled = f"workload:container_exits_oomkilled:{lately}"
        self.oomkilled_usual = f"workload:container_exits_oomkilled:usual{thresholds.increases.window}"
        self.oomkilled_spike = f"workload:container_exits_oomkilled:spike{thresholds.increases.window}"
        self.failed = f"workload:container_exits_failed:{lately}"
        self.done = f"workload:container_exits_done:{lately}"
        self.not_started = f"workload:container_exits_not_started:{lately}"
        self.workload_kills = f"workload:container_oom_kills:{lately}"
        self.finished_long = f"workload:container_exits_finished:increase{long}"
        self.failed_ratio = f"workload:container_exits_failed:ratio{long}"
        self.host_exits = f"host:container_exits:{lately}"
        self.host_oomkilled = f"host:container_exits_oomkilled:{lately}"
        self.host_oomkilled_usual = f"host:container_exits_oomkilled:usual{thresholds.increases.window}"
        self.host_lost = f"host:container_exits_lost:{lately}"
        self.deadline = "workload:container_success_deadline:seconds"
        self.success = "workload:container_success:timestamp"
        self.known = f"instance:{catalogue.BUILD_INFO.name}:known"

    def of_itself(self, metric: Metric) -> str:
        """What a counter of the exporter's own has gained lately."""
        return f"instance:{metric.name.removesuffix('_total')}:{self._lately}"


def instance_level(thresholds: Thresholds) -> Iterator[Recording]:
    """What each exporter has counted lately."""
    names, times = Names(thresholds), thresholds.increases
    finished = increase(catalogue.EXITS, times.window, times.look_back, _FINISHED)
    yield Recording(
        names.exits,
        total(finished, ["image", "code"]),
        "Jobs that were done or failed within the window, as each exporter counted them.",
    )
    kills = increase(catalogue.OOM_KILLS, times.window, times.look_back)
    yield Recording(names.kills, total(kills, ["image"]), "Processes that the kernel killed for memory.")
    lost = increase(catalogue.EXITS, times.window, times.host_look_back, f'reason="{LOST}"')
    yield Recording(
        names.lost,
        total(lost, ["workload", "image", "status", "code", "reason"]),
        "Jobs that went down with their host; looked back for longer, as its exporter was away too.",
    )
    not_lost = f'{_FINISHED}, reason!="{LOST}"'
    long = increase(catalogue.EXITS, times.long_window, times.look_back, not_lost)
    yield Recording(
        names.exits_long,
        total(long, ["image", "code", "reason"]),
        "Jobs that were done or failed within the long window.",
    )


def of_itself(thresholds: Thresholds) -> Iterator[Recording]:
    """What each exporter has counted about itself lately, and which targets are exporters."""
    names, times = Names(thresholds), thresholds.increases
    yield Recording(
        names.known,
        f"group without ({', '.join(catalogue.BUILD_INFO.labels)}) ({catalogue.BUILD_INFO.name})\n"
        f"or\nlast_over_time({names.known}[1d]) and on (job, instance) up",
        "The targets that are exporters, whatever their job is called: those that answer as one, and"
        " those that once did and are still targets.",
    )
    for metric in _OF_ITSELF:
        gained = increase(metric, times.window, times.look_back)
        yield Recording(names.of_itself(metric), gained, metric.help)


def workload_level(thresholds: Thresholds) -> Iterator[Recording]:
    """What has happened to workloads, said once however many exporters watch their engine."""
    names, times = Names(thresholds), thresholds.increases
    failed = f'status="{Status.FAILED}"'
    yield Recording(
        names.oomkilled,
        _once(thresholds, f'{names.exits}{{{failed}, reason="{OOM}"}}', ["status", "reason"]),
        "Jobs that were OOM-killed.",
    )
    yield Recording(
        names.failed,
        _once(thresholds, f'{names.exits}{{{failed}, reason!="{LOST}"}}', ["status", "reason"]),
        "Jobs that failed of their own.",
    )
    yield Recording(
        names.done,
        _once(thresholds, f'{names.exits}{{status="{Status.DONE}"}}', ["status", "reason"]),
        "Jobs that were done.",
    )
    reasons = "|".join(thresholds.not_started.reasons)
    yield Recording(
        names.not_started,
        _once(thresholds, f'{names.exits}{{{failed}, reason=~"{reasons}"}}', ["status"], ["reason"]),
        "Jobs that could not start, by reason.",
    )
    yield Recording(names.workload_kills, _once(thresholds, names.kills, []), "Processes killed for memory.")
    yield Recording(
        names.finished_long,
        _once(thresholds, names.exits_long, ["status"], window=times.long_window),
        "Jobs that were done or failed within the long window.",
    )
    failed_long = _once(thresholds, f"{names.exits_long}{{{failed}}}", ["status"], window=times.long_window)
    yield Recording(
        names.failed_ratio,
        f"(\n{_indented(failed_long)}\n)\n/\n({names.finished_long} > 0)",
        "The share of them that failed.",
    )


def host_level(thresholds: Thresholds) -> Iterator[Recording]:
    """What has happened to hosts as a whole."""
    names, times, spike = Names(thresholds), thresholds.increases, thresholds.oom_spike
    before = f"[{spike.baseline}] offset {times.window}"
    yield Recording(
        names.host_exits,
        _sum_once(thresholds, names.exits, ["workload", "status", "reason"]),
        "Jobs that were done or failed on a host. Its samples also say since when the host is watched.",
    )
    yield Recording(
        names.host_oomkilled, total(names.oomkilled, ["workload"]), "Jobs of a host that were OOM-killed."
    )
    yield Recording(
        names.host_lost,
        _sum_once(thresholds, names.lost, []),
        "Jobs that went down with their host.",
    )
    yield Recording(
        names.oomkilled_usual,
        f"sum_over_time({names.oomkilled}{before})\n/ ignoring (workload) group_left ()\n"
        f"count_over_time({names.host_exits}{before})",
        "How many are OOM-killed within such a window on average. Over the time that the host was"
        " watched, so that for a new workload the time before its first job counts as quiet.",
    )
    yield Recording(
        names.host_oomkilled_usual,
        f"sum_over_time({names.host_oomkilled}{before})\n/\ncount_over_time({names.host_exits}{before})",
        "The same for a host.",
    )
    yield Recording(
        names.oomkilled_spike,
        f"{names.oomkilled} >= {spike.floor}\n"
        f"unless\n{names.oomkilled} <= {spike.multiple} * {names.oomkilled_usual}",
        "The workloads with a spike: many, and far more than usual. `unless`, as there may be no usual.",
    )


def deadlines(thresholds: Thresholds) -> Iterator[Recording]:
    """Since when the workloads that must succeed now and then have not."""
    names = Names(thresholds)
    for workload, deadline in thresholds.not_succeeded.workloads.items():
        yield Recording(
            names.deadline,
            f"vector({seconds(deadline)})",
            f"{workload} must succeed every {deadline}.",
            {"workload": workload},
        )
    named = f"and on (workload) {names.deadline}"
    done = selector(catalogue.LAST_EXIT, f'status="{Status.DONE}"')
    yield Recording(
        names.success,
        "max by (workload) (\n"
        f"  {done} {named}\n"
        "  or\n"
        f"  last_over_time({names.success}[1d]) {named}\n"
        ")\nor\n"
        f"0 * {names.deadline} + time()",
        "When a workload has last succeeded, anywhere, or else since when that is asked of it. What was"
        " once known stays known after its exporter has gone.",
    )


def _once(
    thresholds: Thresholds,
    series: str,
    summed: Sequence[str],
    kept: Sequence[str] = (),
    window: str = "",
) -> str:
    inner = total(series, summed) if summed else series
    times = thresholds.increases
    labels = ["host", "workload", *kept]
    return once(inner, labels, window or times.window, times.steady, thresholds.labels.replica)


def _sum_once(thresholds: Thresholds, series: str, summed: Sequence[str]) -> str:
    inner = total(series, summed) if summed else series
    times = thresholds.increases
    return once(inner, ["host"], times.window, times.steady, thresholds.labels.replica)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
