"""Times and signals in messages of engines."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.docker.api.scalars import parse_time, signal_number
from tests.scripted.times import format_rfc3339


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("2026-11-23T21:23:44.687181839Z", 1_795_469_024_687_181_839),
        ("2026-11-23T21:23:44.6Z", 1_795_469_024_600_000_000),
        ("2026-11-23T21:23:44.000000001Z", 1_795_469_024_000_000_001),
        ("2026-11-23T21:23:44Z", 1_795_469_024_000_000_000),
        ("2026-11-23T23:23:44+02:00", 1_795_469_024_000_000_000),
        ("2026-11-23T23:23:44.5+02:00", 1_795_469_024_500_000_000),
        ("2026-11-23T15:53:44.5-05:30", 1_795_469_024_500_000_000),
        ("2026-11-23T21:23:44.6871818391Z", 1_795_469_024_687_181_839),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_a_time_is_exact_in_every_zone(text: str, at_ns: int | None) -> None:
    assert parse_time(text) == at_ns


@given(st.integers(10**9, 2**63 - 1))
def test_a_time_survives_format_and_parse(at_ns: int) -> None:
    assert parse_time(format_rfc3339(at_ns)) == at_ns


@given(st.integers(10**9, 2**33), st.integers(0, 10**9 - 1), st.integers(-14 * 60, 14 * 60))
def test_a_zone_does_not_change_the_moment(seconds: int, fraction: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    local = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    offset = local.isoformat()[-6:]
    text = f"{local.strftime('%Y-%m-%dT%H:%M:%S')}.{fraction:09d}{offset}"
    assert parse_time(text) == seconds * 10**9 + fraction


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-11-23T21:23:60Z", "2026-11-23T21:23:44.5x", "2026-13-01T00:00:00Z"]
)
def test_other_text_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be in|Invalid isoformat"):
        parse_time(text)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("9", 9),
        (9, 9),
        ("SIGKILL", 9),
        ("KILL", 9),
        ("kill", 9),
        ("sigterm", 15),
        ("SIGRTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMIN+15", 49),
        ("rtmax-14", 50),
        ("SIGRTMAX", 64),
        ("37", 37),
        ("SIGSTKFLT", 16),
        ("", None),
        ("KABOOM", None),
        ("SIG", None),
        ("SIG_DFL", None),
        ("RTMIN+31", None),
        ("RTMAX-31", None),
        ("-9", None),
        ("9.0", None),
        ("²", None),
        ("9" * 5000, None),
        (None, None),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_signal_has_a_number_or_a_name(value: object, number: int | None) -> None:
    assert signal_number(value) == number
