"""What an expression of PromQL reads, and how: of alerts' rules and of dashboards' queries.

promql-parser parses it, the parser of GreptimeDB: regular expressions would need a special case for each new
shape of a query, and would overlook what they do not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta

import promql_parser
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    Function,
    MatchOp,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    VectorSelector,
)

from exporter.metrics import definitions
from exporter.metrics.definitions import Metric, MetricType

TARGET_LABELS = {"job", "instance"}
_PARTS = ("_bucket", "_count", "_sum")
# By their names, as they cannot be hashed.
_OPERATORS = {
    str(MatchOp.Equal): "=",
    str(MatchOp.NotEqual): "!=",
    str(MatchOp.Re): "=~",
    str(MatchOp.NotRe): "!~",
}
# What Grafana puts in before Prometheus sees a query, here as milliseconds that nobody writes.
_VARIABLES = {"$__range": 700_001, "$__rate_interval": 700_027, "$__interval": 700_057}
_VARIABLE = re.compile(rf"({'|'.join(map(re.escape, _VARIABLES))})(_ms)?\b")
_BY_DURATION = {timedelta(milliseconds=value): name for name, value in _VARIABLES.items()}


@dataclass(frozen=True)
class Matcher:
    """A condition on a label."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True)
class Selected:
    """One mention of a metric or a recording."""

    name: str
    """Empty where it is not plainly named."""
    matchers: tuple[Matcher, ...]
    function: str = ""
    """The function right around it, if there is one."""
    window: str | None = None
    offset: str | None = None

    @property
    def metric(self) -> Metric | None:
        """Find it in the catalogue; a histogram has its parts' names only."""
        part = next((part for part in _PARTS if self.name.endswith(part)), "")
        found = definitions.BY_NAME.get(self.name.removesuffix(part))
        is_whole = found is None or (found.type is MetricType.HISTOGRAM) == bool(part)
        return found if is_whole else None

    @property
    def is_counter(self) -> bool:
        """Whether its values only grow."""
        return self.metric is not None and self.metric.type is not MetricType.GAUGE

    @property
    def labels(self) -> set[str]:
        """Give the labels that its series have."""
        own = set() if self.metric is None else set(self.metric.labels)
        return own | TARGET_LABELS | ({"le"} if self.name.endswith("_bucket") else set())


@dataclass(frozen=True)
class Subquery:
    """An expression that is computed at every step of a range."""

    expression: Expr
    range: str
    step: str
    """Empty where Prometheus chooses it."""
    offset: str | None


def parse(text: str) -> Expr:
    """Parse it, with Grafana's variables; its structure has what parentheses say, so they go.

    Raises:
        ValueError: It is no PromQL.
    """
    legible = _VARIABLE.sub(lambda found: f"{_VARIABLES[found[1]]}{'' if found[2] else 'ms'}", text)
    return promql_parser.transform(
        promql_parser.parse(legible),
        post_visit=lambda node: node.expr if isinstance(node, ParenExpr) else None,
    )


def selected(expression: Expr) -> list[Selected]:
    """Everything that it reads, in its order."""
    found: list[Selected] = []
    around: list[Expr] = []

    def enter(node: Expr) -> None:
        if isinstance(node, VectorSelector):
            found.append(_selected(node, around))
        around.append(node)

    def leave(_node: Expr) -> None:
        around.pop()

    promql_parser.walk(expression, enter, leave)
    return found


def windows(expression: Expr) -> set[str]:
    """Every window and offset of what it reads."""
    return {
        window for each in selected(expression) for window in (each.window, each.offset) if window is not None
    }


def grouping_labels(expression: Expr) -> set[str]:
    """The labels that it groups or matches by."""
    labels: set[str] = set()
    for node in _nodes(expression):
        if isinstance(node, AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier:
            labels.update(node.modifier.matching.labels if node.modifier.matching else ())
            labels.update(node.modifier.group_labels or ())
    return labels


def divides_by(expression: Expr, divisor: str) -> bool:
    """Whether it divides anything by just that."""
    wanted = str(parse(divisor))
    return any(
        isinstance(node, BinaryExpr) and str(node.op) == "/" and str(node.rhs) == wanted
        for node in _nodes(expression)
    )


def subqueries(expression: Expr) -> list[Subquery]:
    """Every subquery, those within another included."""
    return [
        Subquery(node.expr, _duration(node.range) or "", _duration(node.step) or "", _duration(node.offset))
        for node in _nodes(expression)
        if isinstance(node, SubqueryExpr)
    ]


def without_subqueries(expression: Expr) -> Expr:
    """The rest of it."""
    nothing = promql_parser.parse("0")
    return promql_parser.transform(
        expression, lambda node: nothing if isinstance(node, SubqueryExpr) else None
    )


def without_first_values(expression: Expr) -> Expr:
    """The rest of it; of a counter's first value, what its number of scrapes is compared with is left.

    This is the one exception to the rule that counters are rated. ``increase`` sees a counter from its second
    value on, and that with which it was born is a gain too, which the counter alone can tell. So it may be
    read as it is in this form, that of ``gained`` in ``dashboards/queries.py``, of one counter and window::

        (min_over_time(X[w]) unless X offset w) and (count_over_time(X[w]) < ...)
    """
    return promql_parser.transform(expression, _beside_a_first_value)


def _beside_a_first_value(node: Expr) -> Expr | None:
    match node:
        case BinaryExpr(
            lhs=BinaryExpr(
                lhs=Call(func=Function(name="min_over_time")) as least,
                rhs=VectorSelector() as before,
            ) as began,
            rhs=BinaryExpr(
                lhs=Call(func=Function(name="count_over_time")) as scrapes,
                rhs=every_scrape,
            ) as late,
        ) if (_plain(node), _plain(began), str(late.op)) == ("and", "unless", "<"):
            (counter,) = selected(before)
            within = replace(counter, window=counter.offset, offset=None)
            is_one = selected(least) == [replace(within, function="min_over_time")] and (
                selected(scrapes) == [replace(within, function="count_over_time")]
            )
            return every_scrape if is_one else None
    return None


def _plain(node: BinaryExpr) -> str:
    """The operator, if it holds series with all the same labels against each other."""
    return "" if node.modifier and node.modifier.matching else str(node.op)


def _nodes(expression: Expr) -> list[Expr]:
    found: list[Expr] = []
    promql_parser.walk(expression, found.append)
    return found


def _selected(node: VectorSelector, around: list[Expr]) -> Selected:
    *_, outer, nearest = (None, None, *around)
    matrix = nearest if isinstance(nearest, MatrixSelector) else None
    call = outer if matrix else nearest
    return Selected(
        name=node.name or "",
        matchers=tuple(
            Matcher(each.name, _OPERATORS[str(each.op)], each.value) for each in node.matchers.matchers
        ),
        function=call.func.name if isinstance(call, Call) else "",
        window=_duration(matrix.range) if matrix else None,
        offset=_duration(node.offset),
    )


def _duration(given: timedelta | None) -> str | None:
    if given is None:
        return None
    return _BY_DURATION.get(given) or promql_parser.display_duration(given)
