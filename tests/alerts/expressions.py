"""What an expression of PromQL names: metrics with their matchers, and labels that it groups by."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_NAME = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(\{[^}]*\})?(\[\w+\])?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
FUNCTIONS = frozenset(
    {
        *("absent", "clamp_max", "group", "max", "min", "sum", "time", "vector"),
        *(f"{what}_over_time" for what in ("avg", "count", "last", "max", "sum")),
    }
)
OPERATORS = frozenset({"and", "or", "unless", "offset"})


@dataclass(frozen=True)
class Matcher:
    """A condition on a label."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True)
class Selected:
    """A metric or a recording that an expression reads."""

    name: str
    matchers: tuple[Matcher, ...]
    function: str
    """The function right around it, if there is one."""


def selected(expression: str) -> list[Selected]:
    """Everything that it reads, in its order; raises ``ValueError`` for a word that it does not know."""
    bare = _GROUPING.sub(" ", expression)
    found = []
    for match in _NAME.finditer(bare):
        name, matchers, _range = match.groups()
        if name in OPERATORS or (bare[match.end() :].lstrip().startswith("(") and name in FUNCTIONS):
            continue
        if bare[match.end() :].startswith("("):
            raise ValueError(f"{name} is no function that is known here")
        before = re.search(r"(\w+)\s*\(\s*$", bare[: match.start()])
        conditions = tuple(Matcher(*part) for part in _MATCHER.findall(matchers or ""))
        found.append(Selected(name, conditions, before.group(1) if before else ""))
    return found


def grouping_labels(expression: str) -> set[str]:
    """The labels that it groups or matches by."""
    lists = _GROUPING.findall(_TEXT.sub('""', expression))
    return {label.strip() for names in lists for label in names.split(",") if label.strip()}
