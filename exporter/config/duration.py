"""Durations as Prometheus writes them: ``90s``, ``2h30m``, ``30d``."""

from __future__ import annotations

import re

from exporter.redaction import quoted

_MINUTE = 60
_SECONDS = {"y": 31536000, "w": 604800, "d": 86400, "h": 3600, "m": _MINUTE, "s": 1, "ms": 0.001}
_SHOWN_UNITS = ("d", "h", "m", "s")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdwy])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")

DURATION_EXAMPLES = "90s, 15m, 2h or 30d"
DURATION_PATTERN = r"^(0|([0-9]+(\.[0-9]+)?(ms|[smhdwy]))+)$"
"""What is a duration, as a pattern of JSON Schema."""


def parse_duration(text: str) -> float:
    """Return a duration in seconds. Raises ValueError if the text is not a duration."""
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a duration; write {DURATION_EXAMPLES}")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """Return a duration for people, in its two largest units: ``2h30m``, ``1.3s``."""
    if seconds < _MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    rest, parts = int(seconds), []
    for unit in _SHOWN_UNITS:
        count, rest = divmod(rest, int(_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
