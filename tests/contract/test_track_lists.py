"""Lists of all containers, reconciled with events and with what is on record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import ContainerHistory, Cursor, Exit, Job
from exporter.sources.docker.engine import EventGap, Inspection
from tests.contract.tracker_driver import (
    BEGINNING,
    CONFIG,
    SECOND,
    A,
    B,
    Inspecting,
    Step,
    TrackerDriver,
    answer,
    at,
    create,
    destroy,
    die,
    ended,
    exited,
    exits,
    job,
    kill,
    listed,
    oom,
    play,
    refused,
    running,
    start,
    start_attempt,
    start_attempt_over,
    summary_of,
)

FLAGGED = "The engine's OOMKilled flag is set."
RAN_BEFORE = {A: ContainerHistory(attempts=1, last_end_ns=at(1))}
RUNS = {A: ContainerHistory(attempts=1, last_end_ns=None)}
FOUND = job(0, created=True)
STILL_RUNS = job(0, started=-0.003, created=True)
SECOND_RUN = job(3, attempt=2, created=True)
WATCHED = Cursor(at(0), at(-100))
KEPT_100_S = replace(CONFIG, retention_ns=100 * SECOND)


def on_record(*, cursor: Cursor | None = None) -> TrackerDriver:
    """Return a tracker with a job on record that runs."""
    return TrackerDriver(past=RUNS, runs=[job(0)], cursor=cursor)


def resumed(driver: TrackerDriver, event_gap: EventGap, event_ns: int = 0) -> TrackerDriver:
    """Let a tracker continue after a gap in the events."""
    driver.tracker.resumed(Cursor(event_ns, at(-100)), event_gap)
    return driver


def ends(driver: TrackerDriver) -> list[str]:
    """Return the exits in short."""
    return [summary_of(each) for each in driver.exits()]


UNKNOWN_CONTAINERS: dict[str, tuple[list[Step], list[str]]] = {
    "exited with the OOMKilled flag": (
        [listed(exited(0, 2, 137, oom_killed=True), as_of=5), 1.0],
        ["a1 exited 137 OOM, recovered"],
    ),
    "exited after restarts": (
        [listed(exited(0, 1, 3, restarts=4), as_of=5), 1.0],
        ["a5 exited 3, recovered"],
    ),
    "running": ([listed(running(0, limit=64), as_of=5), die(9, 0), 1.0], ["a1", "a1 exited 0"]),
    "listed twice": (
        [listed(exited(0, 1, 3), running(0, B), as_of=5), listed(exited(0, 1, 3), running(0, B), as_of=50)],
        ["b1", "a1 exited 3, recovered"],
    ),
    # The engine may see the end of a very short run before it takes the time of its start.
    "ended before it started": (
        [listed(exited(1, 0.9995, 3), as_of=5), 2.0, listed(exited(1, 0.9995, 3), as_of=50), 2.0],
        ["a1 exited 3, recovered"],
    ),
    "started while the list was made": (
        [start(5.5), listed(as_of=5, seen_ids=A), die(6, 0)],
        ["a1", "a1 exited 0"],
    ),
    "started again after the list was made": (
        [start(5.5), die(6, 1), start(6.1), 1.0, listed(exited(5.497, 5.99, 1), as_of=5), die(9, 4), 2.0],
        ["a1", "a2", "a1 exited 1", "a2 exited 4"],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), UNKNOWN_CONTAINERS.values(), ids=UNKNOWN_CONTAINERS)
def test_containers_that_are_not_on_record(steps: list[Step], expected: list[str]) -> None:
    assert play(*steps).summary() == expected


def test_an_exit_that_a_list_shows_is_recovered_at_once() -> None:
    driver = play(listed(exited(0, 1, 3), as_of=5))
    assert driver.emitted() == [ended(FOUND, 3, 1, recovered=True)]


def test_the_end_of_a_run_is_not_before_its_start() -> None:
    (exit_,) = play(listed(exited(1, 0.9995, 3), as_of=5)).exits()
    assert exit_.finished_ns == at(1)


RUNNING_ON_RECORD: dict[str, tuple[list[Step], list[Job | Exit]]] = {
    "still running": ([listed(running(-0.003), as_of=5), die(9, 0)], [ended(STILL_RUNS, 0, 9)]),
    "exited": ([listed(exited(-0.003, 4, 3), as_of=5), 1.0], [ended(STILL_RUNS, 3, 4, recovered=True)]),
    "vanished": ([listed(as_of=5), 1.0], [ended(job(0), None, 5, recovered=True)]),
    "running again": (
        [listed(running(3), as_of=5), 1.0, die(9, 4), 1.0],
        [SECOND_RUN, ended(FOUND, None, 3, recovered=True), ended(SECOND_RUN, 4, 9)],
    ),
    "exited again": (
        [listed(exited(3, 4, 7), as_of=5), 1.0],
        [ended(FOUND, None, 3, recovered=True), ended(SECOND_RUN, 7, 4, recovered=True)],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), RUNNING_ON_RECORD.values(), ids=RUNNING_ON_RECORD)
def test_a_run_that_is_on_record(steps: list[Step], expected: list[Job | Exit]) -> None:
    assert on_record().play(*steps).emitted() == expected


def test_a_vanished_job_keeps_its_workload() -> None:
    labelled = job(0, workload="nightly")
    driver = TrackerDriver(past=RUNS, runs=[labelled]).play(listed(as_of=5), 1.0)
    assert driver.emitted() == [ended(labelled, None, 5, recovered=True)]


ENDED_ON_RECORD: dict[str, tuple[ContainerHistory, list[Step], list[str]]] = {
    "an exit from its event": (ContainerHistory(1, at(1)), [listed(exited(-0.003, 0.95, 3), as_of=5)], []),
    "an exit from a list": (ContainerHistory(1, at(0.95)), [listed(exited(-0.003, 0.95, 3), as_of=5)], []),
    "a failed start": (ContainerHistory(1, at(0.5)), [listed(refused(127), as_of=5)], []),
    "a second die": (ContainerHistory(1, at(1)), [listed(exited(0, 0.99, 0), as_of=5), die(6, 137)], []),
    "a run before": (
        ContainerHistory(1, at(1)),
        [listed(running(3), as_of=5), die(9, 0)],
        ["a2", "a2 exited 0"],
    ),
}


@pytest.mark.parametrize(("past", "steps", "expected"), ENDED_ON_RECORD.values(), ids=ENDED_ON_RECORD)
def test_what_is_on_record_is_not_counted_again(
    past: ContainerHistory, steps: list[Step], expected: list[str]
) -> None:
    assert TrackerDriver(past={A: past}).play(*steps, 2.0).summary() == expected


def test_a_container_that_vanished_after_its_end_is_forgotten() -> None:
    driver = play(start(0), die(1, 0), create(2, B), listed(as_of=5))
    assert (driver.emitted(), [*driver.tracker._state.containers]) == ([job(0), ended(job(0), 0, 1)], [])


# How long records are kept


@pytest.mark.parametrize(("as_of", "codes"), [(101, [3]), (101.5, [])])
def test_a_first_list_adds_nothing_that_would_be_deleted_at_once(as_of: float, codes: list[int]) -> None:
    driver = play(listed(exited(0, 1, 3), refused(127, B), as_of=as_of), 2.0, config=KEPT_100_S)
    assert [each.code for each in driver.exits()] == codes


def test_an_exit_during_an_outage_that_was_longer_than_the_retention_is_counted() -> None:
    driver = TrackerDriver(KEPT_100_S, cursor=WATCHED).play(listed(exited(0, 1, 3), as_of=1000), 2.0)
    assert [each.code for each in driver.exits()] == [3]


def test_what_is_deleted_while_the_engine_is_watched_is_ignored_from_then_on() -> None:
    deleted_before = [at(0)]
    config = replace(CONFIG, pruning_mark_ns=lambda: deleted_before[-1])
    driver = TrackerDriver(config, cursor=WATCHED)
    deleted_before.append(at(5))
    driver.play(listed(exited(0, 4, 3), as_of=10), 1.0)
    assert driver.exits() == []


def test_a_job_on_record_is_recovered_however_long_ago_it_ended() -> None:
    driver = TrackerDriver(KEPT_100_S, past=RUNS, runs=[job(0)])
    driver.play(listed(exited(-0.003, 1, 3), as_of=1000), 2.0)
    assert driver.emitted() == [ended(STILL_RUNS, 3, 1, recovered=True)]


def test_what_ended_before_records_were_deleted_is_ignored() -> None:
    config = replace(CONFIG, retention_ns=1_000 * SECOND, pruning_mark_ns=lambda: at(5))
    driver = play(listed(exited(0, 4, 3), exited(0, 6, 4, B), as_of=10), 1.0, config=config)
    assert [each.code for each in driver.exits()] == [4]


@pytest.mark.parametrize(
    ("mark", "as_of", "codes"),
    [
        pytest.param(50, 60, [4], id="right"),
        pytest.param(50, 30, [1, 3, 4], id="the clock was set back, or had been ahead"),
        pytest.param(50, 12, [1, 4], id="set back so far that some ended in its future"),
        pytest.param(100, 60, [1, 3, 4], id="the clock had been ahead"),
    ],
)
def test_what_was_deleted_is_ignored_before_a_clock_is_set_back_and_once_it_is_right_again(
    mark: float, as_of: float, codes: list[int]
) -> None:
    config = replace(CONFIG, pruning_mark_ns=lambda: at(mark), recorded_until_ns=at(8))
    ends = [exited(0, 5, 0), exited(6, 9, 1, B), exited(15, 20, 3, "c" * 64), exited(52, 55, 4, "d" * 64)]
    driver = TrackerDriver(config, cursor=WATCHED).play(listed(*ends, as_of=as_of), 5.0)
    assert [each.code for each in driver.exits()] == codes


def test_runs_that_may_be_deleted_are_not_counted_by_the_number_of_restarts() -> None:
    config = replace(CONFIG, pruning_mark_ns=lambda: at(2))
    driver = TrackerDriver(config, cursor=WATCHED).play(listed(exited(3, 4, 3, restarts=2), as_of=10), 1.0)
    assert [each.code for each in driver.exits()] == [3]


# A list that comes while events are being read

RUNNING, ENDED = running(0), exited(0, 1.99, 137, oom_killed=True)


@pytest.mark.parametrize("is_on_record", [False, True])
@pytest.mark.parametrize(
    ("inspection", "place"),
    [
        pytest.param(RUNNING, 0, id="made before the end, received first"),
        pytest.param(RUNNING, 1, id="made before the end, received in between"),
        pytest.param(RUNNING, 2, id="made before the end, received last"),
        pytest.param(ENDED, 2, id="made after the end"),
    ],
)
@pytest.mark.parametrize(("cause", "is_oom"), [(kill(1.9, 9), False), (oom(1.9), True)])
def test_a_list_and_the_events_of_an_end_give_one_exit_in_any_order(
    cause: Step, inspection: Inspection, place: int, *, is_oom: bool, is_on_record: bool
) -> None:
    steps = [cause, die(2, 137)]
    steps.insert(place, listed(replace(inspection, oom_killed=inspection.oom_killed and is_oom), as_of=1))
    driver = on_record() if is_on_record else TrackerDriver()
    assert ends(driver.play(*steps, 2.0)) == [f"a1 exited 137 {'OOM' if is_oom else 'asked'}"]


@pytest.mark.parametrize("inspection", [RUNNING, ENDED])
def test_an_end_before_the_list_is_not_taken_for_one_on_record(inspection: Inspection) -> None:
    driver = TrackerDriver(past=RAN_BEFORE)
    driver.play(Inspecting(die(2, 137)), listed(replace(inspection, started_ns=at(1.5)), as_of=1.7))
    driver.play(answer(None), 2.0)
    assert ends(driver) == ["a2 exited 137 OOM" if inspection.oom_killed else "a2 exited 137"]
    assert driver.play(60.0, listed(as_of=50), 2.0).emitted() == []


@pytest.mark.parametrize(
    ("list_", "place", "code"),
    [
        (listed(running(5.997), as_of=5), 2, 0),
        (listed(running(5.997), as_of=5), 3, 0),
        (listed(exited(5.997, 6.99, 3), as_of=5), 3, 3),
    ],
)
def test_a_list_that_shows_a_run_adds_nothing_to_its_events(list_: Step, place: int, code: int) -> None:
    steps: list[Step] = [create(4), start(6), die(7, code)]
    steps.insert(place, list_)
    assert ends(play(*steps, 2.0, destroy(8), 2.0)) == [f"a1 exited {code}"]


def test_a_start_right_after_a_pending_exit_is_a_run_of_its_own() -> None:
    driver = play(listed(running(0), as_of=1), die(4, 9), start(4.2), die(8, 9), start(8.4), die(12, 9), 5.0)
    assert [each.code for each in driver.exits()] == [9, 9, 9]


def test_a_container_that_was_unhealthy_before_is_stopped_for_that() -> None:
    driver = play(listed(replace(running(0), healthy=False), as_of=5), kill(9, 15), die(9.1, 143), 2.0)
    (exit_,) = driver.exits()
    assert exit_.evidence.unhealthy


# After a gap in the events


def test_an_exit_says_that_events_were_missed() -> None:
    driver = resumed(play(start(0)), EventGap.OVERRUN, at(5)).play(die(9, 1), 2.0)
    (exit_,) = exits(driver.drain())
    missed = "Events were missed while it ran: requests to stop it and OOM kills may be missing."
    assert missed in exit_.evidence.not_known


@pytest.mark.parametrize("seen", [1, 2, 3, 4])
def test_events_that_are_sent_again_after_a_gap_show_no_failed_start(seen: int) -> None:
    run = (create(0), start_attempt(0.1), start(0.2), die(1, 126))
    driver = resumed(play(listed(as_of=-5), *run[:seen]), EventGap.OVERRUN)
    driver.play(*run, Inspecting(start_attempt_over(1.1)), answer(None), 5.0)
    assert [end.code for end in driver.exits()] == [126]


@pytest.mark.parametrize(
    ("event_gap", "is_lost"), [(EventGap.RESTARTED, True), (EventGap.NONE, False), (EventGap.OVERRUN, False)]
)
def test_a_255_is_the_hosts_only_if_no_event_can_be_missing(event_gap: EventGap, *, is_lost: bool) -> None:
    driver = resumed(on_record(cursor=WATCHED), event_gap)
    shown = exited(-0.003, 8, 255)
    driver.play(listed(shown, as_of=9, event_gap=event_gap, events_complete=is_lost), 1.0)
    (exit_,) = driver.exits()
    assert (exit_.code, exit_.evidence.host_lost, exit_.recovered) == (255, is_lost, True)


def test_the_code_of_a_failed_start_is_not_that_of_the_run_before() -> None:
    driver = resumed(on_record(cursor=WATCHED), EventGap.OVERRUN)
    driver.play(listed(exited(-0.003, 4, 126, start_failed=True), as_of=9, event_gap=EventGap.OVERRUN), 1.0)
    assert {each.job.attempt: each.code for each in driver.exits()} == {1: None, 2: 126}


@pytest.mark.parametrize("ended", [4, -0.004], ids=["recorded by its event", "a moment before the start"])
def test_a_failed_start_is_found_after_an_end_that_is_on_record_as_later(ended: float) -> None:
    past = {A: ContainerHistory(1, last_end_ns=at(max(ended, 0) + 0.5), last_start_ns=at(-0.003))}
    driver = resumed(TrackerDriver(past=past, cursor=WATCHED), EventGap.OVERRUN)
    shown = exited(-0.003, ended, 127, start_failed=True)
    driver.play(listed(shown, as_of=9, event_gap=EventGap.OVERRUN), 1.0)
    assert ends(driver) == ["a2 failed to start 127, recovered"]


@pytest.mark.parametrize(
    ("known", "shown", "missed"), [(0, 1, 0), (0, 3, 2), (2, 2, 2), (2, 0, 0), (None, 3, 0)]
)
def test_missed_restarts_are_as_many_as_the_engine_counts(known: int | None, shown: int, missed: int) -> None:
    driver = TrackerDriver(past={A: ContainerHistory(1, at(1), known)}, cursor=Cursor(at(1), at(-100)))
    resumed(driver, EventGap.OVERRUN)
    driver.play(listed(exited(5, 6, 3, restarts=shown), as_of=9, event_gap=EventGap.OVERRUN), 1.0)
    assert [(each.job.attempt, each.job.restarts, each.code) for each in driver.exits()] == [
        *((2 + number, shown - missed + number, None) for number in range(missed)),
        (2 + missed, shown, 3),
    ]


def test_a_run_that_ended_on_record_before_the_first_one_did_is_not_missed() -> None:
    # The second run has ended on record with the engine's count 1, the first has not.
    past = {A: ContainerHistory(2, at(4), 1)}
    driver = TrackerDriver(past=past, runs=[replace(job(1), restarts=0)], cursor=Cursor(at(2), at(-100)))
    resumed(driver, EventGap.OVERRUN)
    driver.play(listed(exited(5, 6, 3, restarts=2), as_of=9, event_gap=EventGap.OVERRUN), 1.0)
    assert [(end.job.attempt, end.code) for end in driver.exits()] == [(1, None), (3, 3)]


# The engine's count of restarts


@pytest.mark.parametrize(("shown", "restarts"), [(running(4.9), 0), (exited(1, 2, 3, restarts=7), None)])
def test_an_answer_before_the_start_event_has_the_count_of_its_run(
    shown: Inspection, restarts: int | None
) -> None:
    driver = TrackerDriver(past={A: ContainerHistory(1, at(2))}, cursor=Cursor(at(2), at(-100)))
    driver.play(Inspecting(start_attempt(4)), answer(shown, requested=4), start(5))
    assert [(each.attempt, each.restarts) for each in driver.drain() if isinstance(each, Job)] == [
        (2, restarts)
    ]


def test_an_answer_before_the_start_event_is_not_of_the_run_before() -> None:
    driver = TrackerDriver(cursor=WATCHED)
    # The first run still waits for a late OOM event when the second has left.
    driver.play(create(0.5), start(1), die(2, 1), start(3), die(4, 0), Inspecting(start_attempt(5)))
    driver.play(answer(exited(2.9, 4, 0, restarts=1), requested=5), start(6))
    third = [each for each in driver.drain() if isinstance(each, Job) and each.attempt == 3]
    assert [each.restarts for each in third] == [None]


def test_an_exit_keeps_the_count_of_its_own_run() -> None:
    driver = TrackerDriver(cursor=WATCHED).play(create(0.5), Inspecting(start(1)), answer(running(0.9)))
    driver.play(die(2, 1), Inspecting(start(2.2)), answer(running(2.1, restarts=1)), 2.0)
    assert [each.job.restarts for each in driver.exits()] == [0]


@pytest.mark.parametrize(
    "steps",
    [
        [Inspecting(start_attempt(10)), answer(running(10.9, restarts=501), requested=10), start(11)],
        [Inspecting(start(11)), answer(running(10.9, restarts=501), requested=11)],
        [Inspecting(start(11)), answer(None)],
    ],
)
def test_a_run_in_a_list_is_one_however_often_its_container_was_restarted(steps: list[Step]) -> None:
    driver = play(*steps, listed(exited(5, 6, 1, restarts=500), as_of=9, seen_ids=A), 5.0)
    assert [end.code for end in driver.exits()] == [1]


# The cursor


def test_after_a_gap_the_cursor_does_not_move_until_a_list() -> None:
    before = Cursor(at(1), at(-100))
    driver = resumed(TrackerDriver(cursor=before), EventGap.OVERRUN, at(7)).play(start(8))
    assert driver.tracker.cursor == before
    driver.play(listed(running(7.997), as_of=9, event_gap=EventGap.OVERRUN))
    assert driver.tracker.cursor == Cursor(at(8), at(-100), at(9))


def test_the_cursor_waits_for_pending_exits() -> None:
    driver = play(listed(as_of=-1), start(1), die(2, 1), start(3, B))
    assert driver.tracker.cursor == Cursor(at(2), BEGINNING - 100 * SECOND)
    assert driver.play(2.0).tracker.cursor == Cursor(at(3), BEGINNING - 100 * SECOND, at(3))


def test_the_cursor_moves_with_the_time_up_to_which_all_was_read() -> None:
    driver = play(listed(as_of=-1), start(1))
    driver.tracker.caught_up(at(500))
    assert driver.tracker.cursor == Cursor(at(1), BEGINNING - 100 * SECOND, at(500))
