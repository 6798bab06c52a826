"""Every rule returns something on a real Prometheus in whose past everything has gone wrong.

The past of the recording rules is backfilled by promtool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from alerts import make
from tests.alerts import trouble
from tests.dashboards.scenario import END, MINUTE, START
from tests.lab.prometheus import PrometheusProcess, judge_past, made_past
from tests.lab.promql import selectors

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
SILENT = {"ExitExporterAbsent": "It is about a Prometheus without any exporter; here are two."}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    """Start a Prometheus with that past, recordings included."""
    directory = tmp_path_factory.mktemp("trouble")
    made_past(trouble.past(), directory)
    for independent in in_order([rule for rule in RULES if "record" in rule]):
        judge_past(directory, independent, START, END)
    with PrometheusProcess(directory, targets={}) as prometheus:
        yield prometheus


def in_order(rules: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield recording rules in groups, each of which uses only those before it."""
    left = list(rules)
    while left:
        unmade = {rule["record"] for rule in left}
        ready = [rule for rule in left if not _uses(rule) & unmade]
        yield ready
        left = [rule for rule in left if rule not in ready]


def _uses(rule: dict[str, Any]) -> set[str]:
    # Some use their own last value.
    return {each.name for each in selectors(rule["expr"])} - {rule["record"]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_returns_something(prometheus: PrometheusProcess, rule: dict[str, Any]) -> None:
    asked: dict[str, str | int] = {"query": rule["expr"], "start": START, "end": END, "step": MINUTE}
    found = prometheus.ask("query_range", **asked)["result"]
    assert bool(found) is (rule.get("alert") not in SILENT)
