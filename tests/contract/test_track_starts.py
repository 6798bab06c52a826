"""Starts that failed, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.tracker_driver import (
    CONFIG,
    Inspecting,
    Step,
    answer,
    create,
    created,
    destroy,
    die,
    exited,
    job,
    listed,
    not_started,
    play,
    refused,
    running,
    start,
    start_attempt,
    start_attempt_over,
)

FAILED = job(0.5, no_start=True, created=True)
ATTEMPT, OVER = Inspecting(start_attempt(0)), Inspecting(start_attempt_over(0.5))
NOT_FOUND = answer(refused(127))
SECOND_NOT_FOUND = answer(exited(0, 1, 127, start_failed=True))
FOUND = not_started(job(-1, no_start=True, created=True), 127, -1, recovered=True)
LATE_CONNECT = replace(CONFIG, late_network_connect=True)


def failing(seconds: float) -> list[Step]:
    """Return a start that fails, with the inspections that the watcher requests."""
    return [Inspecting(start_attempt(seconds)), Inspecting(start_attempt_over(seconds + 0.5))]


def test_a_failed_start_is_an_exit_with_the_code_of_the_answer() -> None:
    driver = play(create(-1), *failing(0), NOT_FOUND)
    assert driver.emitted() == []
    assert driver.play(NOT_FOUND).emitted() == [not_started(FAILED, 127, 0.5)]


def test_a_failed_start_in_a_list_has_the_time_of_the_creation() -> None:
    assert play(listed(refused(127), as_of=5)).emitted() == [FOUND]


STARTS: dict[str, tuple[list[Step], list[str]]] = {
    "removed before the second answer": (
        [create(-1), *failing(0), NOT_FOUND, answer(None)],
        ["a1 failed to start 127"],
    ),
    "removed before both answers": (
        [create(-1), *failing(0), destroy(0.52), NOT_FOUND, answer(None)],
        ["a1 failed to start 127"],
    ),
    "no answer": ([create(-1), *failing(0), answer(None), answer(None)], ["a1 failed to start None"]),
    "an answer from before it": (
        [create(-1), ATTEMPT, answer(created()), OVER, destroy(0.52), answer(None)],
        ["a1 failed to start None"],
    ),
    "tried again after the answers": (
        [create(-1), *failing(0), NOT_FOUND, NOT_FOUND, *failing(0.6), NOT_FOUND, NOT_FOUND],
        ["a1 failed to start 127", "a2 failed to start 127"],
    ),
    "tried again before the answers": (
        [create(-1), *failing(0), *failing(0.6), *[NOT_FOUND] * 4],
        ["a1 failed to start 127", "a2 failed to start 127"],
    ),
    "after a run": (
        [start(0), die(1, 0), *failing(2), SECOND_NOT_FOUND, SECOND_NOT_FOUND],
        ["a1", "a1 exited 0", "a2 failed to start 127"],
    ),
    "before a run": (
        [create(-1), *failing(0), NOT_FOUND, NOT_FOUND, start_attempt(9), start(9.2), die(10, 0)],
        ["a1 failed to start 127", "a2", "a2 exited 0"],
    ),
    "network left, none joined": ([create(0), OVER, NOT_FOUND, 2.0], ["a1 failed to start 127"]),
    # Not a failed start
    "followed by a start": (
        [create(-1), ATTEMPT, start(0.2), answer(running(0.19)), die(1, 0), start_attempt_over(1.01)],
        ["a1", "a1 exited 0"],
    ),
    "networks joined and left in a run": (
        [start(0), ATTEMPT, answer(running(0)), die(0.4, 0), OVER, destroy(0.6), answer(None), 2.0],
        ["a1", "a1", "a1 exited 0"],
    ),
    "removed during the attempt": ([create(-1), ATTEMPT, destroy(0.5), answer(None), 2.0], []),
    "never tried": ([listed(created(), as_of=5), 2.0], []),
}


@pytest.mark.parametrize(("steps", "expected"), STARTS.values(), ids=STARTS)
def test_failed_starts(steps: list[Step], expected: list[str]) -> None:
    assert play(*steps).summary() == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([create(-1), OVER, Inspecting(die(0.55, 137)), NOT_FOUND, NOT_FOUND], ["a1 failed to start 127"]),
        ([OVER, Inspecting(die(1, 3)), *[answer(exited(0, 1, 3))] * 2], ["a1 exited 3"]),
    ],
    ids=["killed during the start", "the end of a run that was not seen"],
)
def test_a_network_left_before_a_die(steps: list[Step], expected: list[str]) -> None:
    assert play(*steps, 2.0, config=LATE_CONNECT).summary() == expected


def test_a_start_that_failed_without_an_event_counts_once() -> None:
    driver = play(create(-1))
    driver.tracker.start_failed(refused(127))
    driver.play(listed(refused(127), as_of=5))
    driver.tracker.start_failed(refused(127))
    assert driver.emitted() == [FOUND]


@pytest.mark.parametrize("place", range(3))
def test_a_list_adds_nothing_to_the_events_of_a_failed_start(place: int) -> None:
    steps: list[Step] = [NOT_FOUND, NOT_FOUND, destroy(7)]
    steps.insert(place, listed(refused(127), as_of=5))
    driver = play(create(4), *failing(6), *steps, 2.0)
    assert [(each.job.attempt, each.code) for each in driver.exits()] == [(1, 127)]


def test_a_failed_start_has_one_id_from_events_and_from_a_list() -> None:
    seen = play(create(0), *failing(1), NOT_FOUND, NOT_FOUND).exits()
    found = play(listed(refused(127), as_of=50)).exits()
    assert [each.job.id for each in seen] == [each.job.id for each in found] != []


def test_an_error_text_that_a_later_answer_lacks_is_kept() -> None:
    with_text = answer(replace(refused(126), error="is a directory"))
    (failed,) = play(create(-1), *failing(0), with_text, answer(refused(126))).exits()
    assert (failed.code, failed.evidence.start_error) == (126, "is a directory")
