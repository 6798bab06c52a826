"""Which reported OOM kills are believed, held against the kernel's log and its counter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exporter.sources.docker.track.oom_claim import Claim
from exporter.sources.docker.track.oom_matcher import CERTAIN, OomMatcher

SECOND = 10**9
NOW = 1_000 * SECOND
WINDOW = 10 * SECOND
A, B, C = "a", "b", "c"
HELD = 0.5


@pytest.fixture
def matcher() -> OomMatcher:
    """A matcher whose kernel counts."""
    return OomMatcher(WINDOW, 0)


def at(seconds: float) -> int:
    return NOW + round(seconds * SECOND)


def decided(
    matcher: OomMatcher, now: float, ranks: Mapping[str, int] | None = None, *, must: str = ""
) -> dict[str, list[bool]]:
    """What is decided now, by container; who has no rank still runs."""
    found: dict[str, list[bool]] = {}

    def rank(claim: Claim) -> int:
        return (ranks or {}).get(claim.container_id, 1)

    for claim, is_true in matcher.decide(now, rank, must=lambda claim: claim.container_id in must):
        found.setdefault(claim.container_id, []).append(is_true)
    return found


def test_without_a_counter_every_report_is_believed_at_once() -> None:
    assert OomMatcher(WINDOW, None).event_reported(A, None, NOW, 0)


def test_what_happened_before_the_counter_was_watched_is_believed_at_once() -> None:
    matcher = OomMatcher(WINDOW, NOW)
    assert matcher.event_reported(A, None, at(-1), 0)
    assert not matcher.event_reported(A, None, at(1), 0)


def test_a_report_that_the_counter_bears_out_is_believed_once_no_other_can_claim_it(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.1) == {}
    assert decided(matcher, HELD) == {A: [True]}
    assert matcher.unattributed == []


def test_a_report_that_the_counter_does_not_bear_out_is_none(matcher: OomMatcher) -> None:
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, HELD) == {A: [False]}


def test_a_report_may_be_ahead_of_its_count(matcher: OomMatcher) -> None:
    matcher.event_reported(A, None, NOW, 0)
    matcher.counter_moved(1, at(0.25))
    assert decided(matcher, HELD) == {A: [True]}


def test_who_ended_as_the_killed_do_need_not_wait(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.01, {A: CERTAIN}) == {A: [True]}


def test_one_kill_that_is_reported_three_times_is_one(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for seconds in (0, 0.01, 0.02):
        matcher.event_reported(A, None, at(seconds), 0)
    assert decided(matcher, HELD) == {A: [True, False, False]}


def test_of_those_who_share_a_limit_the_one_that_ends_with_137_had_the_kill(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B, C):
        matcher.event_reported(container, None, NOW, 0)
    assert decided(matcher, HELD) == {}
    matcher.recheck()
    assert decided(matcher, 3, {C: CERTAIN}) == {A: [False], B: [False], C: [True]}


def test_of_those_who_share_a_limit_nobody_waits_for_ever(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B):
        matcher.event_reported(container, None, NOW, 0)
    decided(matcher, HELD)
    assert decided(matcher, 10) == {A: [False], B: [False]}


def test_of_those_who_share_a_limit_who_is_left_when_others_do_not_wait_has_the_kill_only_if_killed(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B, C):
        matcher.event_reported(container, None, NOW, 0)
    assert decided(matcher, 1, {A: 2}, must=A) == {A: [False]}
    matcher.recheck()
    assert decided(matcher, 2, {B: 2}, must=B) == {B: [False]}
    matcher.recheck()
    assert decided(matcher, 3, {C: CERTAIN}) == {C: [True]}


def test_a_line_of_the_log_takes_the_kill_from_those_it_does_not_name(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B, C):
        matcher.event_reported(container, None, NOW, 0)
    matcher.line_logged(C, NOW)
    # What C's event told is what the log tells.
    assert decided(matcher, HELD) == {A: [False], B: [False]}


@pytest.mark.parametrize("line_first", [True, False])
def test_a_line_may_be_read_before_its_kill_is_counted(matcher: OomMatcher, *, line_first: bool) -> None:
    if line_first:
        matcher.line_logged(A, NOW)
        matcher.counter_moved(1, at(0.2))
    else:
        matcher.counter_moved(1, at(0.2))
        matcher.line_logged(A, NOW)
    assert matcher.unattributed == []


def test_a_line_and_an_event_of_one_container_are_one_kill_and_two_of_each_are_two(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(2, NOW)
    matcher.line_logged(A, NOW)
    matcher.line_logged(A, at(0.1))
    for seconds in (0, 0.1):
        assert not matcher.event_reported(A, None, at(seconds), 0)
    assert (decided(matcher, HELD), matcher.unattributed) == ({}, [])


def test_a_kill_of_which_the_log_lost_the_line_is_believed_beside_one_that_it_tells(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(2, NOW)
    matcher.line_logged(A, NOW)
    matcher.event_reported(A, None, NOW, 0)
    matcher.event_reported(A, None, at(0.1), 0)
    assert decided(matcher, HELD) == {A: [True]}


def test_what_nobody_claims_is_left_for_who_ended_by_it(matcher: OomMatcher) -> None:
    matcher.counter_moved(2, NOW)
    matcher.event_reported(A, None, NOW, 0)
    decided(matcher, HELD)
    assert matcher.unattributed == [NOW]


@pytest.mark.parametrize(("seconds", "is_true"), [(10, True), (10.001, False), (-0.5, True), (-0.501, False)])
def test_a_report_is_of_a_kill_within_the_window(
    matcher: OomMatcher, seconds: float, *, is_true: bool
) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, at(seconds), 0)
    assert decided(matcher, HELD) == {A: [is_true]}


def test_a_kill_of_the_time_when_an_engine_was_away_is_kept_for_it(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.counter_moved(1, at(1800))
    assert matcher.unattributed == [NOW, at(1800)]


def test_a_clock_that_was_set_back_does_not_silence_the_kernel(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, at(3600))
    matcher.counter_moved(1, NOW)
    assert matcher.unattributed == [NOW]


def test_a_flood_is_bounded(matcher: OomMatcher) -> None:
    matcher.counter_moved(10**9, NOW)
    for number in range(20_000):
        matcher.line_logged(str(number), at(-60))
    assert len(matcher.unattributed) <= 10_000


def test_a_kill_that_a_later_line_takes_from_an_undecided_report_is_nobody_elses(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.1) == {}
    matcher.line_logged(B, NOW)
    assert matcher.unclaimed == []
    assert decided(matcher, HELD) == {A: [False]}
