"""Lengths of time as Prometheus writes them: ``90s``, ``2h30m``, ``30d``."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def parse(text: str) -> float:
    """Seconds. Raises ValueError where the text is no duration."""
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write 90s, 15m, 2h or 30d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def show(seconds: float) -> str:
    """The two largest units, for people: ``2h30m``, ``1.3s``."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    units = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    rest, parts = int(seconds), []
    for unit, length in units:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
