"""Selectors and labels of a PromQL expression."""

from __future__ import annotations

import re
from dataclasses import dataclass

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, VectorSelector


@dataclass(frozen=True)
class Selector:
    """Selector of a metric or a recording; ``function`` is the one that is applied to it, if any."""

    name: str
    matchers: dict[str, str]
    function: str = ""
    is_offset: bool = False


def selectors(expression: str) -> list[Selector]:
    """Return all selectors of an expression, in order."""
    found: list[Selector] = []
    around: list[Expr] = []

    def enter(node: Expr) -> None:
        if isinstance(node, VectorSelector):
            *_, outer, nearest = (None, None, *around)
            call = outer if isinstance(nearest, MatrixSelector) else nearest
            function = call.func.name if isinstance(call, Call) else ""
            matchers = {each.name: each.value for each in node.matchers.matchers}
            found.append(Selector(node.name or "", matchers, function, node.offset is not None))
        around.append(node)

    def leave(_node: Expr) -> None:
        around.pop()

    promql_parser.walk(_parse(expression), enter, leave)
    return found


def grouping_labels(expression: str) -> set[str]:
    """Return the labels by which an expression groups or matches series."""
    labels: set[str] = set()

    def enter(node: Expr) -> None:
        if isinstance(node, AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier:
            labels.update(node.modifier.matching.labels if node.modifier.matching else ())
            labels.update(node.modifier.group_labels or ())

    promql_parser.walk(_parse(expression), enter)
    return labels


def _parse(expression: str) -> Expr:
    # Grafana replaces its variables by durations, also several in a row, before Prometheus sees a query.
    durations = r"(?:\$__(?:interval|range|rate_interval)\b|\$\{__range_ms\}ms)+"
    return promql_parser.parse(re.sub(r"\$__\w+_ms", "1", re.sub(durations, "1h", expression)))
