"""The two ways in which an engine writes a time, to the nanosecond: RFC 3339, and `seconds.nanoseconds`."""

import re
from datetime import UTC, datetime

SECOND = 10**9
NEVER = "0001-01-01T00:00:00Z"
"""What an engine writes for a time that has not come."""

RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def parse_rfc3339(text: str) -> int:
    """Give the nanoseconds since 1970 of a time in UTC."""
    match = RFC3339.fullmatch(text)
    if match is None:
        message = f"not a time of an engine: {text!r}"
        raise ValueError(message)
    seconds = int(datetime.fromisoformat(f"{match[1]}+00:00").timestamp())
    return seconds * SECOND + int((match[2] or "0").ljust(9, "0"))


def format_rfc3339(nanoseconds: int) -> str:
    """Write a time as Go does: in UTC, without the zeros that end the fraction."""
    seconds, rest = divmod(nanoseconds, SECOND)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{whole}{fraction}Z"


def format_seconds(nanoseconds: int) -> str:
    """Write a time as `since` and `until` take it, nothing lost."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{seconds}.{rest:09d}"


def parse_seconds(text: str) -> int:
    """Read a time as an engine reads `since` and `until`; ValueError in the engine's words if it can't."""
    seconds, _, fraction = text.partition(".")
    parse_int(fraction or "0")
    return parse_int(seconds) * SECOND + int((fraction or "0").ljust(9, "0"))


def parse_int(text: str) -> int:
    """Read a number, and complain as Go does."""
    if not re.fullmatch(r"-?[0-9]+", text):
        message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise ValueError(message)
    return int(text)
