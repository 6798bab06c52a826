"""Recording rules: increases within the windows, from single exporters up to hosts and the fleet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from alerts.promql import deduplicate, increase, selector, sum_without
from alerts.recording_names import RecordingNames, SpreadNames
from alerts.thresholds import Thresholds, seconds
from exporter.metrics import definitions
from exporter.model import Status
from exporter.verdict.catalog import FAILED_STARTS

_OF_WORKLOAD = ("host", "workload")
# How long a recording keeps its own value if rules are not evaluated.
_REMEMBERED = "1d"
LOST = "HostLost"
OOM = "OOMKilled"
INIT_OOM = "InitOutOfMemory"
UNHEALTHY = "Unhealthy"
# Jobs that were asked to stop (terminated) are in no recording rule, and so in no alert.
_FINISHED = f'status=~"{Status.DONE}|{Status.FAILED}"'
_OWN_COUNTERS = (
    definitions.EVENT_GAPS,
    definitions.EXITS_UNOBSERVED,
    definitions.STORE_ERRORS,
    definitions.JOB_RECORDS_DROPPED,
    definitions.OTLP_JOBS_EXPORTED,
    definitions.OTLP_JOBS_REJECTED,
    definitions.OTLP_JOBS_DROPPED,
    definitions.JOBS_OVER_WORKLOAD_LIMIT,
)


@dataclass(frozen=True, slots=True)
class Recording:
    """Recording rule with its purpose, which becomes its comment."""

    name: str
    expression: str
    why: str
    labels: dict[str, str] = field(default_factory=dict)


def coverage(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the time that increases cover, and which exporters are reliable."""
    names, times, up = RecordingNames(thresholds), thresholds.increases, definitions.ENGINE_UP
    engine = ", ".join(up.labels)
    yield Recording(
        names.watched_at, f"({up.name} == 1) * time()", "When an exporter was last seen to watch an engine."
    )
    for window in (times.window, times.long_window):
        lately = f"last_over_time({names.watched_at}[{window}])"
        longest = seconds(times.look_back) + seconds(window)
        yield Recording(
            names.coverage(window),
            f"max without ({engine}) (\n"
            f"  time() - last_over_time({names.watched_at}[{times.look_back}] offset {window}) and {lately}\n"
            f"  or\n  0 * {lately} + {longest}\n)",
            "For how many seconds what it has gained within the window has come together: those of the"
            " window, and what scrapes or engines were missing before it. Of the engines that it has"
            " watched within the window: one that is down for good takes nothing from the others.",
        )
        yield Recording(
            names.reliable(window),
            f"{names.coverage(window)} <= {seconds(window) + seconds(times.steady)}\n"
            f"and\nmin without ({engine}) (max_over_time({up.name}[{times.steady}])) == 1",
            "Of those the ones that have missed next to nothing, and watch all of their engines now.",
        )


def instance_level(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the increases of each exporter's counters of jobs."""
    names, times = RecordingNames(thresholds), thresholds.increases
    finished = increase(definitions.EXITS, times.window, times.look_back, _FINISHED)
    yield Recording(
        names.exits,
        sum_without(finished, ["image", "code"]),
        "Jobs that were done or failed within the window, as each exporter counted them.",
    )
    kills = increase(definitions.OOM_KILLS, times.window, times.look_back)
    yield Recording(
        names.kills, sum_without(kills, ["image"]), "Processes that the kernel killed for memory."
    )
    lost = increase(definitions.EXITS, times.window, times.host_look_back, f'reason="{LOST}"')
    yield Recording(
        names.lost,
        sum_without(lost, ["workload", "image", "status", "code", "reason"]),
        "Jobs that went down with their host; looked back for longer, as its exporter was away too.",
    )
    not_lost = f'{_FINISHED}, reason!="{LOST}"'
    # On a new exporter, a loop is reported before a whole long window is over.
    long = increase(definitions.EXITS, times.long_window, times.look_back, not_lost, since=times.window)
    yield Recording(
        names.exits_long,
        sum_without(long, ["image", "code", "reason"]),
        "Jobs that were done or failed within the long window.",
    )


def exporter_level(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the targets that are exporters, and the increases of counters about themselves."""
    names, times = RecordingNames(thresholds), thresholds.increases
    yield Recording(
        names.exporters,
        f"group without ({', '.join(definitions.BUILD_INFO.labels)}) ({definitions.BUILD_INFO.name})\n"
        f"or\nlast_over_time({names.exporters}[{_REMEMBERED}]) and on (job, instance) up",
        "The targets that are exporters, whatever their job is called: those that answer as one, and"
        " those that once did and are still targets.",
    )
    for metric in _OWN_COUNTERS:
        gained = increase(metric, times.window, times.look_back)
        yield Recording(names.own_increase(metric), gained, metric.help)


def workload_level(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the ends of each workload's jobs, once for all exporters of an engine."""
    names, long = RecordingNames(thresholds), thresholds.increases.long_window
    failed, done = f'status="{Status.FAILED}"', f'status="{Status.DONE}"'
    of_their_own = sum_without(f'{names.exits}{{{failed}, reason!="{LOST}"}}', ["status", "reason"])
    yield Recording(names.failed, _deduplicated(thresholds, of_their_own), "Jobs that failed of their own.")
    were_done = sum_without(f"{names.exits}{{{done}}}", ["status", "reason"])
    yield Recording(names.done, _deduplicated(thresholds, were_done), "Jobs that were done.")
    reasons = "|".join((*FAILED_STARTS, *thresholds.not_started.also))
    not_started = sum_without(f'{names.exits}{{{failed}, reason=~"{reasons}"}}', ["status"])
    yield Recording(
        names.not_started,
        _deduplicated(thresholds, not_started, (*_OF_WORKLOAD, "reason")),
        "Jobs that could not start, by reason.",
    )
    yield Recording(
        names.workload_kills, _deduplicated(thresholds, names.kills), "Processes killed for memory."
    )
    for name, ends, why in (
        (names.finished_long, names.exits_long, "Jobs that were done or failed within the long window."),
        (names.failed_long, f"{names.exits_long}{{{failed}}}", "Those of them that failed."),
    ):
        yield Recording(name, _deduplicated(thresholds, sum_without(ends, ["status"]), window=long), why)
    ratio = f"{names.failed_long} / ({names.finished_long} > 0)"
    yield Recording(names.failed_ratio, ratio, "The share that failed.")


def unhealthy_ends(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the jobs that were ended because their health check failed."""
    names, times = RecordingNames(thresholds), thresholds.increases
    ends = f'{_FINISHED}, reason="{UNHEALTHY}"'
    long = increase(definitions.EXITS, times.long_window, times.look_back, ends, since=times.window)
    yield Recording(
        names.unhealthy,
        sum_without(long, ["image", "status", "code", "reason"]),
        "Jobs that were ended because their health check failed, within the long window.",
    )
    lately = sum_without(f'{names.exits}{{reason="{UNHEALTHY}"}}', ["status", "reason"])
    yield Recording(
        names.workload_unhealthy, _deduplicated(thresholds, lately), "The same within the window."
    )
    yield Recording(
        names.workload_unhealthy_long,
        _deduplicated(thresholds, names.unhealthy, window=times.long_window),
        "Those of the long window.",
    )


def restarts(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the runs that restart policies began, and the most jobs that ran at once."""
    names, times, restarts = RecordingNames(thresholds), thresholds.increases, definitions.RESTARTS
    lately = sum_without(increase(restarts, times.window, times.look_back), ["image"])
    yield Recording(names.restarts, lately, "Runs that a restart policy began, within the window.")
    long = increase(restarts, times.long_window, times.look_back, since=times.window)
    yield Recording(names.restarts_long, sum_without(long, ["image"]), "The same within the long window.")
    yield Recording(
        names.workload_restarts,
        _deduplicated(thresholds, names.restarts),
        "Those within the window, of a workload.",
    )
    yield Recording(
        names.workload_restarts_long,
        _deduplicated(thresholds, names.restarts_long, window=times.long_window),
        "Those within the long window.",
    )
    yield Recording(
        names.jobs_running_long,
        f"max without ({', '.join(thresholds.labels.replica)}) (\n"
        f"  max_over_time({definitions.JOBS_RUNNING.name}[{times.long_window}])\n)",
        "How many of its jobs ran at once, at most.",
    )


def host_level(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the ends of jobs for each host."""
    names = RecordingNames(thresholds)
    exits = sum_without(names.exits, ["workload", "status", "reason"])
    yield Recording(
        names.host_exits,
        _deduplicated(thresholds, exits, ["host"]),
        "Jobs that were done or failed on a host. Its samples also say since when the host is watched.",
    )
    lost = _deduplicated(thresholds, names.lost, ["host"])
    yield Recording(names.host_lost, lost, "Jobs that went down with their host.")


def oom_spikes(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the workloads with far more OOM kills than usual."""
    names, times, spike = RecordingNames(thresholds), thresholds.increases, thresholds.oom_spike
    killed = sum_without(f'{names.exits}{{status="{Status.FAILED}", reason="{OOM}"}}', ["status", "reason"])
    yield Recording(names.oomkilled, _deduplicated(thresholds, killed), "Jobs that were OOM-killed.")
    of_memory = f'{names.exits}{{status="{Status.FAILED}", reason=~"{OOM}|{INIT_OOM}"}}'
    yield Recording(
        names.out_of_memory,
        _deduplicated(thresholds, sum_without(of_memory, ["status", "reason"])),
        "Those, and jobs whose container could not be set up within its memory limit.",
    )
    windows = f"({names.coverage(times.window)} / {seconds(times.window)})"
    by_window = f"{killed}\n/ ignoring (host, workload) group_left ()\n{windows}"
    yield Recording(
        names.oomkilled_average,
        f"{_deduplicated(thresholds, by_window)}\nor\n{names.oomkilled}",
        "The same for each window that it has come together in. What was missed for hours comes all at"
        " once, and is to be held against what is usual in hours.",
    )
    yield Recording(
        names.oomkilled_usual,
        _usual(thresholds, names.oomkilled, "ignoring (workload) group_left ()"),
        "How many are OOM-killed within such a window on average. Over the time that the host was"
        " watched, so that for a new workload the time before its first job counts as quiet.",
    )
    yield Recording(
        names.oomkilled_unusual,
        f"{names.oomkilled}\nunless\n{names.oomkilled_average} <= {spike.multiple} * {names.oomkilled_usual}",
        "Those of the workloads that have far more than usual. `unless`, as there may be no usual.",
    )
    yield Recording(
        names.oomkilled_spike, f"{names.oomkilled_unusual} >= {spike.floor}", "Where these are many."
    )


def host_oom_spikes(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the hosts with many unusual OOM kills in several workloads."""
    names, spike = RecordingNames(thresholds).of_host, thresholds.oom_spike
    yield from _spread(
        thresholds, names, spike.host_floor, spike.host_others, _usual(thresholds, names.unusual)
    )


def fleet_oom_spikes(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the workloads with many unusual OOM kills on several hosts."""
    names, spike = RecordingNames(thresholds), thresholds.oom_spike
    yield Recording(
        names.fleet_exits,
        sum_without(names.host_exits, ["host"]),
        "Jobs that were done or failed on all hosts. Its samples also say since when any of them is watched:"
        " those that are now may be young.",
    )
    matching = "ignoring (workload) group_left ()"
    usual = _usual(thresholds, names.of_fleet.unusual, matching, names.fleet_exits)
    yield from _spread(thresholds, names.of_fleet, spike.fleet_floor, spike.fleet_others, usual)


def _spread(
    thresholds: Thresholds, names: SpreadNames, floor: int, others: int, usual: str
) -> Iterator[Recording]:
    over, all_names = names.over, RecordingNames(thresholds)
    each, average = all_names.oomkilled_unusual, all_names.oomkilled_average
    yield Recording(
        names.unusual,
        sum_without(each, [over]),
        f"OOM-killed jobs of each {over} that has far more than usual, together: what one has steadily"
        " hides nothing of the others.",
    )
    yield Recording(names.average, sum_without(f"{average} and {each}", [over]), "The same for each window.")
    yield Recording(
        names.usual,
        usual,
        f"How many of these there are on average: what is rare for each {over} may be usual for all.",
    )
    yield Recording(
        names.spike,
        f"{names.unusual} >= {floor}\n"
        f"and\n{names.unusual} - max without ({over}) ({each}) >= {others}\n"
        f"unless\n{names.average} <= {thresholds.oom_spike.multiple} * {names.usual}",
        f"Where these are many, not of one {over} alone, and far more than usual.",
    )


def deadlines(thresholds: Thresholds) -> Iterator[Recording]:
    """Yield the last success of the workloads that must succeed regularly."""
    names = RecordingNames(thresholds)
    for workload, deadline in thresholds.not_succeeded.workloads.items():
        yield Recording(
            names.deadline,
            f"vector({seconds(deadline)})",
            f"{workload} must succeed every {deadline}.",
            {"workload": workload},
        )
    # A deadline can have more labels, which its author added for routing.
    named = f"and on (workload) {names.deadline}"
    done = selector(definitions.LAST_EXIT, f'status="{Status.DONE}"')
    yield Recording(
        names.success,
        "max by (workload) (\n"
        f"  clamp_max({done}, time()) {named}\n"
        "  or\n"
        f"  last_over_time({names.success}[{_REMEMBERED}]) {named}\n"
        ")\nor\n"
        f"max by (workload) (0 * {names.deadline} + time())",
        "When a workload has last succeeded, anywhere, or else since when that is asked of it. What was"
        " once known stays known after its exporter has gone; a clock that is ahead counts as now.",
    )


def _deduplicated(
    thresholds: Thresholds, series: str, labels: Sequence[str] = _OF_WORKLOAD, window: str = ""
) -> str:
    """Return the series with these labels, and those of the target, as one for all exporters of an engine."""
    reliable = RecordingNames(thresholds).reliable(window or thresholds.increases.window)
    return deduplicate(series, labels, reliable, thresholds.labels.replica)


def _usual(thresholds: Thresholds, of: str, matching: str = "", watched: str = "") -> str:
    """Return the average of a window over the time in which the host or fleet was watched."""
    before = f"[{thresholds.oom_spike.baseline}] offset {thresholds.oom_spike.recent}"
    windows = f"count_over_time({watched or RecordingNames(thresholds).host_exits}{before})"
    return f"sum_over_time({of}{before})\n{f'/ {matching}'.rstrip()}\n{windows}"
