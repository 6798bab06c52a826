"""Every rule, asked of a real Prometheus on which everything has gone wrong: none is without an answer.

What the recording rules have recorded by then is written by promtool from the shipped file.
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
from tests.lab.promql import parse, selected

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
SILENT = {"ExitExporterAbsent": "It is about a Prometheus without any exporter; here are two."}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    """One that has scraped all of it, and has recorded what the rules record."""
    directory = tmp_path_factory.mktemp("trouble")
    made_past(trouble.past(), directory)
    for independent in in_turn([rule for rule in RULES if "record" in rule]):
        judge_past(directory, independent, START, END)
    with PrometheusProcess(directory, targets={}) as prometheus:
        yield prometheus


def in_turn(rules: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Recording rules in groups, each of which builds on those before it alone."""
    left = list(rules)
    while left:
        unmade = {rule["record"] for rule in left}
        ready = [rule for rule in left if not _builds_on(rule) & unmade]
        yield ready
        left = [rule for rule in left if rule not in ready]


def _builds_on(rule: dict[str, Any]) -> set[str]:
    # Some remember their own value.
    return {part.name for part in selected(parse(rule["expr"]))} - {rule["record"]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_has_an_answer(prometheus: PrometheusProcess, rule: dict[str, Any]) -> None:
    asked: dict[str, str | int] = {"query": rule["expr"], "start": START, "end": END, "step": MINUTE}
    found = prometheus.ask("query_range", **asked)["result"]
    assert bool(found) is (rule.get("alert") not in SILENT)
