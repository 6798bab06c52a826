"""Reported OOM kills that are accepted, given the kernel's log and its counter."""

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
    """Return a matcher whose kernel has a counter."""
    return OomMatcher(WINDOW, 0)


def at(seconds: float) -> int:
    return NOW + round(seconds * SECOND)


def decided(
    matcher: OomMatcher, now: float, ranks: Mapping[str, int] | None = None, *, must: str = ""
) -> dict[str, list[bool]]:
    """Return the decisions by container; one without a rank still runs."""
    found: dict[str, list[bool]] = {}

    def rank(claim: Claim) -> int:
        return (ranks or {}).get(claim.container_id, 1)

    for claim, is_true in matcher.decide(now, rank, must=lambda claim: claim.container_id in must):
        found.setdefault(claim.container_id, []).append(is_true)
    return found


def times(matcher: OomMatcher) -> list[int]:
    """Return when the kills that nothing accounts for were counted."""
    return [kill.at_ns for kill in matcher.unattributed]


def test_without_a_counter_every_event_is_accepted_at_once() -> None:
    assert OomMatcher(WINDOW, None).event_reported(A, None, NOW, 0)


def test_an_event_from_before_the_first_poll_is_accepted_at_once() -> None:
    matcher = OomMatcher(WINDOW, NOW)
    assert matcher.event_reported(A, None, at(-1), 0)
    assert not matcher.event_reported(A, None, at(1), 0)


def test_an_event_with_a_counted_kill_is_accepted_after_the_hold(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.1) == {}
    assert decided(matcher, HELD) == {A: [True]}
    assert matcher.unattributed == []


def test_an_event_without_a_counted_kill_is_refused(matcher: OomMatcher) -> None:
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, HELD) == {A: [False]}


def test_an_event_may_come_before_its_count(matcher: OomMatcher) -> None:
    matcher.event_reported(A, None, NOW, 0)
    matcher.counter_moved(1, at(0.25))
    assert decided(matcher, HELD) == {A: [True]}


def test_a_kill_may_be_counted_late_if_the_kernel_is_asked_late(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, at(5), at(-0.1))
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, HELD) == {A: [True]}
    matcher.counter_moved(1, at(9), at(5))
    matcher.event_reported(A, None, at(4), 1)
    assert decided(matcher, 1 + HELD) == {A: [False]}


def test_a_claim_of_an_exit_with_137_does_not_wait(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.01, {A: CERTAIN}) == {A: [True]}


def test_three_events_of_one_kill_are_one(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for seconds in (0, 0.01, 0.02):
        matcher.event_reported(A, None, at(seconds), 0)
    assert decided(matcher, HELD) == {A: [True, False, False]}


@pytest.mark.parametrize("reports", ["AAB", "ABA", "BAA"])
def test_a_kill_that_is_reported_twice_takes_none_from_another_container(
    matcher: OomMatcher, reports: str
) -> None:
    matcher.counter_moved(1, NOW)
    matcher.counter_moved(1, at(0.3))
    for number, container in enumerate(reports):
        matcher.event_reported(container, None, at(number / 10), number / 10)
    found = [decided(matcher, seconds) for seconds in (0.5, 0.6, 0.7, WINDOW / SECOND, 20)]
    accepted = {container: sum(sum(each.get(container, [])) for each in found) for container in reports}
    assert accepted == {"A": 1, "B": 1}


def test_at_a_shared_limit_the_exit_with_137_had_the_kill(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B, C):
        matcher.event_reported(container, None, NOW, 0)
    assert decided(matcher, HELD) == {}
    matcher.recheck()
    assert decided(matcher, 3, {C: CERTAIN}) == {A: [False], B: [False], C: [True]}


def test_at_a_shared_limit_no_claim_waits_for_ever(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B):
        matcher.event_reported(container, None, NOW, 0)
    decided(matcher, HELD)
    assert decided(matcher, 10) == {A: [False], B: [False]}


def test_at_a_shared_limit_the_last_claim_needs_a_137(
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


def test_a_log_line_takes_the_kill_from_other_containers(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    for container in (A, B, C):
        matcher.event_reported(container, None, NOW, 0)
    matcher.line_logged(C, NOW)
    # The event of C reports the kill in the log.
    assert decided(matcher, HELD) == {A: [False], B: [False]}


@pytest.mark.parametrize("line_first", [True, False])
def test_a_log_line_may_come_before_its_count(matcher: OomMatcher, *, line_first: bool) -> None:
    if line_first:
        matcher.line_logged(A, NOW)
        matcher.counter_moved(1, at(0.2))
    else:
        matcher.counter_moved(1, at(0.2))
        matcher.line_logged(A, NOW)
    assert matcher.unattributed == []


def test_a_log_line_and_an_event_of_one_kill_count_once(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(2, NOW)
    matcher.line_logged(A, NOW)
    matcher.line_logged(A, at(0.1))
    for seconds in (0, 0.1):
        assert not matcher.event_reported(A, None, at(seconds), 0)
    assert (decided(matcher, HELD), matcher.unattributed) == ({}, [])


def test_a_kill_whose_log_line_was_lost_is_accepted(
    matcher: OomMatcher,
) -> None:
    matcher.counter_moved(2, NOW)
    matcher.line_logged(A, NOW)
    matcher.event_reported(A, None, NOW, 0)
    matcher.event_reported(A, None, at(0.1), 0)
    assert decided(matcher, HELD) == {A: [True]}


def test_a_kill_without_a_claim_stays_unattributed(matcher: OomMatcher) -> None:
    matcher.counter_moved(2, NOW)
    matcher.event_reported(A, None, NOW, 0)
    decided(matcher, HELD)
    assert times(matcher) == [NOW]


@pytest.mark.parametrize(("seconds", "is_true"), [(10, True), (10.001, False), (-0.5, True), (-0.501, False)])
def test_an_event_claims_a_kill_within_the_window(
    matcher: OomMatcher, seconds: float, *, is_true: bool
) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, at(seconds), 0)
    assert decided(matcher, HELD) == {A: [is_true]}


def test_kills_are_kept_while_an_engine_is_away(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.counter_moved(1, at(1800))
    assert times(matcher) == [NOW, at(1800)]


def test_kills_from_before_a_clock_was_set_back_are_dropped(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, at(3600))
    matcher.counter_moved(1, NOW)
    assert times(matcher) == [NOW]


def test_the_number_of_kills_is_bounded(matcher: OomMatcher) -> None:
    matcher.counter_moved(10**9, NOW)
    for number in range(20_000):
        matcher.line_logged(str(number), at(-60))
    assert len(matcher.unattributed) <= 10_000


def test_a_log_line_can_take_the_kill_of_an_undecided_claim(matcher: OomMatcher) -> None:
    matcher.counter_moved(1, NOW)
    matcher.event_reported(A, None, NOW, 0)
    assert decided(matcher, 0.1) == {}
    matcher.line_logged(B, NOW)
    assert matcher.unclaimed == []
    assert decided(matcher, HELD) == {A: [False]}
