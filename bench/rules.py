"""Cost of the rules in Prometheus, compared with one plain increase of the same series."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alerts import make
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
    ratios = [sum(each.rules.values()) / each.plain for each in rounds]
    yield Row(
        "all rules, once",
        f"{1000 * median(totals):,.0f} ms",
        f"{1000 * min(totals):,.0f} to {1000 * max(totals):,.0f}; {median(totals) / every:.1%} of {every} s",
    )
    yield Row("   of one plain increase", f"{median(ratios):.1f}", f"{min(ratios):.1f} to {max(ratios):.1f}")
    yield Row("   for 1,000 series", f"{1e6 * median(totals) / series:,.0f} ms")
    for name in sorted(rounds[0].rules, key=lambda name: -rounds[0].rules[name])[:3]:
        yield Row(f"   {name}", f"{1000 * median(each.rules[name] for each in rounds):,.0f} ms")


def _asked(prometheus: PrometheusProcess, at: int) -> Costs:
    groups: list[dict[str, Any]] = yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    names = [rule.get("alert") or rule["record"] for rule in rules]
    taken = [_seconds(prometheus, rule["expr"], at) for rule in rules]
    return Costs(dict(zip(names, taken, strict=True)), _seconds(prometheus, PLAIN, at))


def _seconds(prometheus: PrometheusProcess, query: str, at: int) -> float:
    """Return Prometheus' own evaluation time, without the request."""
    answer = prometheus.ask("query", query=query, time=at, stats="all")
    return float(answer["stats"]["timings"]["evalTotalTime"])


def _past(series: int, end: int) -> Iterator[str]:
    """Yield counters that increase now and then, over the time that the rules look back."""
    times = range(end - seconds(load().increases.look_back) - 3600, end, SCRAPE_SECONDS)
    yield "# TYPE container_exits counter"
    for number in range(series):
        labels = _labels(number)
        for count, moment in enumerate(times):
            yield f"container_exits_total{{{labels}}} {(count + number) // 100} {moment}"
    yield "# TYPE exit_exporter_exits_unobserved counter"
    for moment in times:
        yield f'exit_exporter_exits_unobserved_total{{{TARGET},host="h"}} 0 {moment}'


def _labels(number: int) -> str:
    status, code, reason = ENDS[number % len(ENDS)]
    workload, image = number // SERIES_OF_A_WORKLOAD, number // len(ENDS)
    where = f'{TARGET},host="h",workload="team/worker-{workload}",image="registry.example/image-{image}"'
    return f'{where},status="{status}",code="{code}",reason="{reason}"'
