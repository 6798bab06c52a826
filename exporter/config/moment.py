"""Moments as users write them: a duration ago, ``2h``, or a time of RFC 3339, ``2026-03-01T12:00:00Z``."""

from __future__ import annotations

from datetime import UTC, datetime

from exporter.config.duration import parse_duration
from exporter.time_units import SECOND_NS

# Before any engine existed, and few enough seconds for the database's integers.
_MAX_SECONDS = 50 * 365 * 86400
_MICROSECOND_NS = 1000
# The year 2116. Twice as much still is an integer for the database.
_LAST_NS = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, now_ns: int) -> int:
    """Return a moment in nanoseconds since 1970; a time without a zone is in UTC. Raises ValueError.

    Moments before 1970 or after 2116 are those years: nothing ends then.
    """
    try:
        return now_ns - int(min(parse_duration(text), _MAX_SECONDS) * SECOND_NS)
    except ValueError:
        return _parse_time(text)


def _parse_time(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        since_epoch = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is neither a duration nor a time; write 2h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from error
    microseconds = (since_epoch.days * 86400 + since_epoch.seconds) * 10**6 + since_epoch.microseconds
    return min(max(0, microseconds * _MICROSECOND_NS), _LAST_NS)
