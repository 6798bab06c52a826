"""The replay, held to a plain statement of what an engine does, for any events and any query."""

from hypothesis import given
from hypothesis import strategies as st

from tests.scripted.event_log import RING, EventLog
from tests.scripted.event_query import EventQuery

TIMES = st.integers(min_value=1, max_value=50)


def replayed(times: list[int], query: EventQuery) -> list[int]:
    """Give the times of what is replayed of events with these times."""
    log = EventLog()
    for moment in times:
        log.add({"timeNano": moment})
    return [entry.time_nano for entry in log.replay(query)]


@given(st.lists(TIMES, max_size=600).map(sorted), TIMES, TIMES)
def test_with_times_in_order_the_replay_is_what_lies_between_of_the_last_256(
    times: list[int], since: int, until: int
) -> None:
    expected = [each for each in times[-RING:] if since <= each <= until]
    assert replayed(times, EventQuery(since, until)) == expected


@given(st.lists(TIMES, max_size=20), TIMES)
def test_with_times_that_step_back_the_replay_is_the_end_of_what_happened(
    times: list[int], since: int
) -> None:
    found = replayed(times, EventQuery(since))
    before = times[: len(times) - len(found)]
    assert found == times[len(before) :]
    assert all(each >= since for each in found)
    assert not before or before[-1] < since


@given(st.lists(TIMES, max_size=20))
def test_without_a_time_nothing_is_replayed(times: list[int]) -> None:
    assert replayed(times, EventQuery()) == []


def test_a_line_without_a_time_is_replayed_with_the_event_before_it() -> None:
    log = EventLog()
    for line in (b'{"timeNano":5}', b"nonsense", b'{"timeNano":7}', b"[" * 100_000):
        log.add(line)
    assert [entry.line[:8] for entry in log.replay(EventQuery(since=5, until=5))] == [
        b'{"timeNa',
        b"nonsense",
    ]
