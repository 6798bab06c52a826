"""Random histories of containers: any order, repetition, gap and replay of events gives the same exits."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from tests.contract.histories import History, Outage
from tests.contract.history_replay import findable_exits, replay, replay_with_outage, verdicts
from tests.contract.history_strategies import histories, listed_histories, outages, overrun_outages


@given(histories())
@settings(max_examples=300, deadline=None)
def test_every_exit_is_found_once_with_its_verdict(history: History) -> None:
    assert verdicts(replay(history)) == history.truth()


@given(listed_histories())
@settings(max_examples=300, deadline=None)
def test_a_list_at_any_moment_changes_nothing(history: History) -> None:
    assert verdicts(replay(history)) == history.truth()


@given(listed_histories(), outages())
@settings(max_examples=300, deadline=None)
def test_after_an_outage_every_exit_in_the_event_buffer_is_found_once(
    history: History, outage: Outage
) -> None:
    counted = Counter((end.job.container_id, end.code) for end in replay_with_outage(history, outage))
    assert counted == history.codes()


@given(listed_histories(), overrun_outages())
@settings(max_examples=300, deadline=None)
def test_after_an_outage_nothing_is_counted_twice(history: History, outage: Outage) -> None:
    ends = replay_with_outage(history, outage)
    counted = Counter((end.job.container_id, end.code) for end in ends)
    known = Counter({key: value for key, value in counted.items() if key[1] is not None})
    each = Counter(end.job.container_id for end in ends)
    truly = Counter(container for container, _ in history.codes().elements())
    assert (known - history.codes(), each - truly) == (Counter(), Counter())


@given(listed_histories(), overrun_outages())
@settings(max_examples=300, deadline=None)
def test_after_an_outage_every_exit_the_engine_still_shows_is_found(history: History, outage: Outage) -> None:
    counted = Counter((end.job.container_id, end.code) for end in replay_with_outage(history, outage))
    assert findable_exits(history, outage) - counted == Counter()
