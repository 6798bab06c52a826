"""Durations, parsed and formatted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", 0.001),
        ("500ms", 0.5),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1.5h", 5400),
        ("2h30m", 9000),
        ("30m2h", 9000),
        ("1h1h", 7200),
        ("30d", 2_592_000),
        ("1w", 604_800),
        ("1y", 31_536_000),
        ("1y2w3d4h5m6s7ms", 33_019_506.007),
    ],
)
def test_a_duration_is_parsed_to_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1", "s", "00", "-1s", "+1s", "1 s", " 1s", "1s ", "1s\n", "2h 30m", "1S", "1H", "1M"),
        *("1e3s", ".5s", "5.s", "1,5s", "1us", "1mo", "soon", "inf", "nan"),
    ],
)
def test_other_text_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration") as refused:
        parse_duration(text)
    assert str(refused.value) == f"{text!r} is not a duration; write 90s, 15m, 2h or 30d"


@given(st.text())
def test_no_duration_is_negative(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.04, "0s"),
        (0.1, "0.1s"),
        (1, "1s"),
        (1.26, "1.3s"),
        (10.0, "10s"),
        (59.94, "59.9s"),
        (60, "1m"),
        (61.9, "1m1s"),
        (3600, "1h"),
        (3661, "1h1m"),
        (7200, "2h"),
        (86_400, "1d"),
        (86_401, "1d1s"),
        (90_061, "1d1h"),
        (2_592_000.0, "30d"),
    ],
)
def test_a_duration_is_formatted_in_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 100 * 31_536_000))
def test_formatting_loses_less_than_a_24th(seconds: int) -> None:
    shown = parse_duration(format_duration(seconds))
    assert shown <= seconds
    assert 24 * (seconds - shown) <= seconds
