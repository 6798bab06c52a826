"""As much of PromQL as the rules about queries need: selectors, subqueries, what is around them, labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Kind, Metric

_MATCHERS = r'(?:[^"{}]|"(?:[^"\\]|\\.)*")*'
_SELECTOR = rf"[a-zA-Z_:][\w:]*\{{{_MATCHERS}\}}"
_SELECTED = re.compile(
    rf"(?P<name>[a-zA-Z_:][\w:]*)\{{(?P<matchers>{_MATCHERS})\}}"
    r"(?:\[(?P<window>[^\]]+)\])?(?: offset (?P<offset>[\w$]+))?"
)
# The value that a counter was born with, where it was not there when its target was first scraped.
_FIRST_VALUE = re.compile(
    rf"\(min_over_time\((?P<selector>{_SELECTOR})\[(?P<window>\$\w+)\]\)"
    r" unless (?P=selector) offset (?P=window)\)"
    r" and \(count_over_time\((?P=selector)\[(?P=window)\]\) <"
)
_SUBQUERY = re.compile(r"\)\[(?P<range>[^\[\]:]+):(?P<step>[^\[\]:]*)\]")
_LABEL_LIST = re.compile(r"\b(?:by|on|group_left|group_right|without|ignoring)\s*\(([^()]*)\)")
_PARTS = ("_bucket", "_count", "_sum")

PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
"""What Prometheus itself says of a target."""
TARGET_LABELS = {"job", "instance"}
OWN_LABELS = {"first"}
"""What a query calls itself: the first value of a counter, in `gained`."""


@dataclass(frozen=True)
class Selector:
    """One mention of a metric in a query."""

    name: str
    matchers: dict[str, tuple[str, str]]
    window: str | None
    offset: str | None

    @property
    def metric(self) -> Metric | None:
        """Find it in the catalogue; a histogram has its parts' names only."""
        stem, part = next(
            ((self.name.removesuffix(part), part) for part in _PARTS if self.name.endswith(part)),
            (self.name, ""),
        )
        found = catalogue.BY_NAME.get(stem)
        is_whole = found is None or (found.kind is Kind.HISTOGRAM) == bool(part)
        return found if is_whole else None

    @property
    def is_counter(self) -> bool:
        """Whether its values only grow."""
        return self.metric is not None and self.metric.kind is not Kind.GAUGE

    @property
    def labels(self) -> set[str]:
        """Give the labels that its series have."""
        own = set() if self.metric is None else set(self.metric.labels)
        return own | TARGET_LABELS | ({"le"} if self.name.endswith("_bucket") else set())


@dataclass(frozen=True)
class Subquery:
    """An expression that is computed at every step of a range."""

    expression: str
    range: str
    step: str


def selectors(query: str) -> Iterator[Selector]:
    """Give every mention of a metric."""
    for found in _SELECTED.finditer(query):
        matchers = {
            label: (operator, value)
            for label, operator, value in re.findall(
                r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', found["matchers"]
            )
        }
        yield Selector(found["name"], matchers, found["window"], found["offset"])


def bare_metrics(query: str) -> set[str]:
    """Give what looks like a metric and has no matchers."""
    names = re.findall(
        r"\b((?:container|exit_exporter|scrape)_\w+|up|ALERTS)\b(?!\{)", _without_strings(query)
    )
    return set(names)


def unrated_counters(query: str) -> list[str]:
    """Give the counters that are neither under rate or increase, nor the first value of a counter."""
    rest = _FIRST_VALUE.sub("FIRST", query)
    rest = re.sub(rf"\b(?:rate|increase)\({_SELECTOR}\[[^\]]+\]\)", "RATED", rest)
    return [selector.name for selector in selectors(rest) if selector.is_counter]


def rated_gauges(query: str) -> list[str]:
    """Give what is under rate or increase and is no counter."""
    rated = re.findall(rf"\b(?:rate|irate|increase)\(({_SELECTOR})", query)
    return [each.name for text in rated for each in selectors(text) if not each.is_counter]


def windows(query: str) -> set[str]:
    """Give every window and offset."""
    found = selectors(query)
    return {window for each in found for window in (each.window, each.offset) if window is not None}


def subqueries(query: str) -> list[Subquery]:
    """Give every subquery; within another there is none here."""
    legible = _with_blank_strings(query)
    return [
        Subquery(query[_opening(legible, found.start()) : found.start() + 1], found["range"], found["step"])
        for found in _SUBQUERY.finditer(legible)
    ]


def without_subqueries(query: str) -> str:
    """Give the rest of a query."""
    for each in subqueries(query):
        query = query.replace(f"{each.expression}[{each.range}:{each.step}]", "SUBQUERY")
    return query


def grouping_labels(query: str) -> set[str]:
    """Give the labels of every by, on and group_left."""
    lists = _LABEL_LIST.findall(_without_strings(query))
    return {label.strip() for each in lists for label in each.split(",") if label.strip()}


def _opening(query: str, closing: int) -> int:
    depth = 0
    for place in range(closing, -1, -1):
        depth += {")": 1, "(": -1}.get(query[place], 0)
        if depth == 0:
            return place
    raise ValueError(query)


def _with_blank_strings(query: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda found: f'"{" " * (len(found[0]) - 2)}"', query)


def _without_strings(query: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
