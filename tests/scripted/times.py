"""Both formats of times in the API, exact to the nanosecond: RFC 3339 and `seconds.nanoseconds`."""

import re
from datetime import UTC, datetime

SECOND = 10**9
NEVER = "0001-01-01T00:00:00Z"
"""Zero time of an engine."""

RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def parse_rfc3339(text: str) -> int:
    """Return the nanoseconds since 1970 of a time in UTC. Raises ValueError."""
    match = RFC3339.fullmatch(text)
    if match is None:
        message = f"not a time of an engine: {text!r}"
        raise ValueError(message)
    seconds = int(datetime.fromisoformat(f"{match[1]}+00:00").timestamp())
    return seconds * SECOND + int((match[2] or "0").ljust(9, "0"))


def format_rfc3339(nanoseconds: int) -> str:
    """Return a time as Go writes it: in UTC, without trailing zeros of the fraction."""
    seconds, rest = divmod(nanoseconds, SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{whole}{fraction}Z"


def format_seconds(nanoseconds: int) -> str:
    """Return a time in the format of `since` and `until`."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{seconds}.{rest:09d}"


def parse_seconds(text: str) -> int:
    """Parse a time as an engine parses `since` and `until`. Raises ValueError with the engine's text."""
    seconds, _, fraction = text.partition(".")
    parse_int(fraction or "0")
    return parse_int(seconds) * SECOND + int((fraction or "0").ljust(9, "0"))


def parse_int(text: str) -> int:
    """Parse a number. Raises ValueError with Go's text."""
    if not re.fullmatch(r"-?[0-9]+", text):
        message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise ValueError(message)
    return int(text)
