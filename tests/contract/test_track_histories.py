"""Random histories of containers: any order, repetition, gap and replay of events gives the same exits."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from tests.contract.histories import (
    History,
    Outage,
    forgetful_outages,
    found,
    histories,
    listed_histories,
    must_be_known,
    outages,
    replay,
    replay_with_outage,
)


@given(histories())
@settings(max_examples=300, deadline=None)
def test_however_a_history_is_told_every_exit_is_found_once_and_judged_alike(history: History) -> None:
    assert found(replay(history)) == history.truth()


@given(listed_histories())
@settings(max_examples=300, deadline=None)
def test_a_list_at_any_moment_of_a_history_changes_nothing(history: History) -> None:
    assert found(replay(history)) == history.truth()


@given(listed_histories(), outages())
@settings(max_examples=300, deadline=None)
def test_a_tracker_that_was_killed_finds_every_exit_once_where_the_engine_remembers_its_events(
    history: History, outage: Outage
) -> None:
    counted = Counter((end.job.container_id, end.code) for end in replay_with_outage(history, outage))
    assert counted == history.codes()


@given(listed_histories(), forgetful_outages())
@settings(max_examples=300, deadline=None)
def test_a_tracker_that_is_killed_and_comes_back_later_counts_nothing_twice(
    history: History, outage: Outage
) -> None:
    ends = replay_with_outage(history, outage)
    counted = Counter((end.job.container_id, end.code) for end in ends)
    known = Counter({key: value for key, value in counted.items() if key[1] is not None})
    each = Counter(end.job.container_id for end in ends)
    truly = Counter(container for container, _ in history.codes().elements())
    assert (known - history.codes(), each - truly) == (Counter(), Counter())


@given(listed_histories(), forgetful_outages())
@settings(max_examples=300, deadline=None)
def test_a_tracker_that_was_away_finds_every_exit_that_the_engine_still_knows_of(
    history: History, outage: Outage
) -> None:
    counted = Counter((end.job.container_id, end.code) for end in replay_with_outage(history, outage))
    assert must_be_known(history, outage) - counted == Counter()
