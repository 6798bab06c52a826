"""The time of day that the torture gives an engine is that of a real one whose clock was set."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from bench.torture.engine_clock import EngineClock
from tests.scripted.times import SECOND, format_rfc3339

AT = [each * SECOND for each in (100, 200, 300, 400)]
"""One event before the steps, and one after each of them."""


def stepped(*seconds: int) -> EngineClock:
    """Return a clock that was stepped between the events."""
    clock = EngineClock()
    clock.steps += [
        ((before + after) // 2, ahead * SECOND)
        for (before, after), ahead in zip(pairwise(AT), seconds, strict=True)
    ]
    return clock


def event(at_ns: int) -> bytes:
    return b'{"Action":"die","time":%d,"timeNano":%d}' % (at_ns // SECOND, at_ns)


def test_what_happened_before_a_step_keeps_its_time() -> None:
    clock = stepped(3_600, -3_600, 0)
    shown = [json.loads(clock.rewrite(event(at)))["timeNano"] // SECOND for at in AT]
    assert shown == [100, 3_800, -3_300, 400]


def test_all_times_of_an_answer_are_the_clocks_and_a_zero_time_stays() -> None:
    clock = EngineClock()
    clock.step(-5)
    at_ns = clock.steps[-1][0] + SECOND
    answer = {"State": {"StartedAt": format_rfc3339(at_ns), "FinishedAt": "0001-01-01T00:00:00Z"}}
    shown = json.loads(clock.rewrite(json.dumps(answer).encode()))["State"]
    assert shown == {
        "StartedAt": format_rfc3339(at_ns - 5 * SECOND),
        "FinishedAt": "0001-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("steps", "since", "first"),
    [
        ((0, 0, 0), 200, 200 * SECOND),
        ((0, 0, 0), 500, 400 * SECOND + 1),
        # Going back from the newest, an engine stops at the first event that is older.
        ((0, -250, -250), 120, 400 * SECOND),
        ((0, -250, -250), 40, 100 * SECOND),
        ((3_600, 0, 0), 250, 200 * SECOND),
    ],
)
def test_a_request_gets_the_events_that_an_engine_with_this_clock_sends(
    steps: tuple[int, int, int], since: int, first: int
) -> None:
    clock = stepped(*steps)
    assert clock.since(since * SECOND, map(event, AT)) == first


def test_what_showed_a_later_time_is_not_sent() -> None:
    clock = stepped(3_600, 0, 0)
    sent = list(clock.before(350 * SECOND, map(event, AT)))
    assert [json.loads(each)["time"] for each in sent] == [100, 300]
