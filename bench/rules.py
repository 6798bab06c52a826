"""Cost of the rules in Prometheus, compared with one plain increase of the same series."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerts import make
from alerts.recordings import RecordingNames
from alerts.thresholds import load, seconds
from bench.percentiles import median
from bench.table import Row
from tests.lab.install import ensure_prometheus
from tests.lab.prometheus import PrometheusProcess, made_past

SCRAPE_SECONDS = 15
SERIES_OF_A_WORKLOAD = 20
ENDS = (
    ("done", 0, "Completed"),
    ("failed", 1, "Error"),
    ("failed", 137, "OOMKilled"),
    ("failed", 2, "Misuse"),
)
TARGET = 'job="e",instance="a"'
PLAIN = "sum by (workload) (increase(container_exits_total[10m]))"


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule of the shipped file; its group is evaluated every ``interval`` seconds."""

    name: str
    expression: str
    interval: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one evaluation of each rule, and of the plain query."""

    rules: dict[str, float]
    plain: float


def costs(series: int, rounds: int, directory: Path) -> list[Costs]:
    """Evaluate all rules a number of times, after a past that is as long as they look back."""
    ensure_prometheus()
    end = int(time.time()) // 3600 * 3600
    made_past("\n".join([*_past(series, end), "# EOF", ""]), directory)
    with PrometheusProcess(directory, targets={}) as prometheus:
        return [_asked(prometheus, end) for _ in range(rounds)]


def cost_rows(series: int, rounds: Sequence[Costs]) -> Iterator[Row]:
    """Yield the cost compared with the plain query of the same round, and with the interval."""
    every = seconds(load().increases.interval)
    totals = [sum(each.rules.values()) for each in rounds]
    within = [_within(every, each) for each in rounds]
    ratios = [sum(each.rules.values()) / each.plain for each in rounds]
    yield Row("all rules, once", f"{1000 * median(totals):,.0f} ms", _span(totals))
    share = f"{_span(within)}; {median(within) / every:.2%} of a core"
    yield Row(f"   in {every} s", f"{1000 * median(within):,.0f} ms", share)
    yield Row("   of one plain increase", f"{median(ratios):.1f}", f"{min(ratios):.1f} to {max(ratios):.1f}")
    yield Row("   for 1,000 series", f"{1e6 * median(totals) / series:,.0f} ms")
    for name in sorted(rounds[0].rules, key=lambda name: -rounds[0].rules[name])[:3]:
        yield Row(f"   {name}", f"{1000 * median(each.rules[name] for each in rounds):,.0f} ms")


def _span(figures: Sequence[float]) -> str:
    return f"{1000 * min(figures):,.0f} to {1000 * max(figures):,.0f}"


def _within(every: int, costs: Costs) -> float:
    """Return what the rules cost on average in this many seconds, as some are evaluated less often."""
    return sum(costs.rules[rule.name] * every / rule.interval for rule in _shipped())


def _shipped() -> list[Rule]:
    groups: list[dict[str, Any]] = yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
    return [
        Rule(rule.get("alert") or rule["record"], rule["expr"], seconds(group["interval"]))
        for group in groups
        for rule in group["rules"]
    ]


def _asked(prometheus: PrometheusProcess, at: int) -> Costs:
    taken = {rule.name: _seconds(prometheus, rule.expression, at) for rule in _shipped()}
    return Costs(taken, _seconds(prometheus, PLAIN, at))


def _seconds(prometheus: PrometheusProcess, query: str, at: int) -> float:
    """Return Prometheus' own evaluation time, without the request."""
    answer = prometheus.ask("query", query=query, time=at, stats="all")
    return float(answer["stats"]["timings"]["evalTotalTime"])


def _past(series: int, end: int) -> Iterator[str]:
    """Yield counters that increase now and then, and recordings, as far back as the rules look."""
    times = range(end - seconds(load().increases.long_window) - 600, end, SCRAPE_SECONDS)
    yield "# TYPE container_exits counter"
    for number in range(series):
        labels = _labels(number)
        for count, moment in enumerate(times):
            yield f"container_exits_total{{{labels}}} {(count + number) // 100} {moment}"
    yield "# TYPE exit_exporter_exits_recovered counter"
    for moment in times:
        yield f'exit_exporter_exits_recovered_total{{{TARGET},host="h"}} 0 {moment}'
    names = RecordingNames(load())
    for name in (names.oomkilled, names.oomkilled_unusual):
        yield from _recorded(name, series // SERIES_OF_A_WORKLOAD, end)


def _recorded(name: str, workloads: int, end: int) -> Iterator[str]:
    """Yield a recording of each workload, for as long as a spike is compared with."""
    thresholds = load()
    back = seconds(thresholds.oom_spike.baseline) + seconds(thresholds.oom_spike.recent)
    yield f"# TYPE {name} gauge"
    for number in range(workloads):
        labels = f'host="h",workload="team/worker-{number}"'
        for moment in range(end - back, end, seconds(thresholds.increases.interval)):
            yield f"{name}{{{labels}}} {number % 3} {moment}"


def _labels(number: int) -> str:
    status, code, reason = ENDS[number % len(ENDS)]
    workload, image = number // SERIES_OF_A_WORKLOAD, number // len(ENDS)
    where = f'{TARGET},host="h",workload="team/worker-{workload}",image="registry.example/image-{image}"'
    return f'{where},status="{status}",code="{code}",reason="{reason}"'
