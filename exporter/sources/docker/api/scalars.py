"""Conversion of single values in messages of a Docker Engine: times, signals, numbers, tables."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from exporter.model import SECOND_NS

_REAL_TIME_SIGNAL = re.compile(r"(?:SIG)?(?:RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?)")
# Numbers of Linux with glibc.
_RTMIN, _RTMAX, _MAX_REAL_TIME_OFFSET = 34, 64, 30
_SIGNALS = {name: each.value for name, each in signal.Signals.__members__.items()}
_SIGNALS |= {"SIGRTMIN": _RTMIN, "SIGRTMAX": _RTMAX}
_MAX_SIGNAL_DIGITS = 3
_ZERO_TIME = "0001-01-01T00:00:00Z"
# What is before a fraction of a second, its digits, and what is after it.
_TIME = re.compile(r"([^.]*)\.?(\d*)(.*)", re.DOTALL)


@lru_cache(maxsize=1024)
def shared(text: str) -> str:
    """Return the copy of an equal text that is in use already: most containers have few images and labels."""
    return text


def parse_time(text: object) -> int | None:
    """Return RFC 3339 text with up to nine decimals as nanoseconds since 1970; None for the zero time.

    Raises TypeError for anything but text, and ValueError for text that is not a time.
    """
    if text == _ZERO_TIME:
        return None
    if not isinstance(text, str):
        raise TypeError("a time must be text")
    whole, digits, zone = _TIME.fullmatch(text).groups()  # type: ignore[union-attr]  # any text matches
    seconds = datetime.fromisoformat(whole + zone).timestamp()
    return None if seconds <= 0 else int64(int(seconds) * SECOND_NS + int(digits.ljust(9, "0")[:9]))


def format_time(at_ns: int) -> str:
    """Return nanoseconds since 1970 as a query of the API has them: seconds with nine decimals."""
    return f"{at_ns // SECOND_NS}.{at_ns % SECOND_NS:09d}"


def signal_number(value: object) -> int | None:
    """Return the number of a signal given by number or name, with or without SIG; None for anything else."""
    text = str(value).upper()
    name = text if text.startswith("SIG") else f"SIG{text}"
    if name in _SIGNALS:
        return _SIGNALS[name]
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= _MAX_SIGNAL_DIGITS else None
    real_time = _REAL_TIME_SIGNAL.fullmatch(text)
    return None if real_time is None else _real_time_signal(text, real_time)


def _real_time_signal(text: str, match: re.Match[str]) -> int | None:
    offset = int(match.group(1) or match.group(2) or 0)
    if offset > _MAX_REAL_TIME_OFFSET:
        return None
    return _RTMIN + offset if "RTMIN" in text else _RTMAX - offset


def exit_code(value: object) -> int | None:
    """Return an exit code as the engine means it, 32 bits without sign; None for anything else."""
    try:
        return int(str(value)) & 0xFFFFFFFF
    except ValueError:
        return None


def int64(value: Any) -> int:
    """Return a whole number that fits into the database. Raises TypeError or ValueError for others."""
    try:
        number = int(value)
    except OverflowError as error:
        raise ValueError("infinity is not a whole number") from error
    if not -(2**63) <= number < 2**63:
        raise ValueError("a number beyond 64 bits")
    return number


def positive(value: object) -> int | None:
    """Return a number above 0; None for others: engines write "no limit" as 0, -1 or nothing."""
    number = int64(value or 0)
    return number if number > 0 else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object, empty for null. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value or {}


def single_line(text: object) -> str:
    """Return text with each run of white space as one blank; empty for None."""
    return " ".join(str(text or "").split())
