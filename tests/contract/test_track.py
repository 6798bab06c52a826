"""What a tracker makes of what an engine tells: each exit once, with all that is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from signal import SIGSEGV

import pytest
from hypothesis import given, settings

from exporter.model import ContainerHistory, Cursor, Job, MemoryLimit
from exporter.sources.docker.engine import (
    ContainerList,
    Event,
    EventGap,
    EventType,
    Inspection,
    KernelReport,
    MaskedField,
)
from exporter.sources.docker.track.tracker import Tracker
from exporter.verdict.facts import Crash, ForkRejected, KernelOomKill
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
from tests.contract.tracker_driver import (
    BEGINNING,
    CONFIG,
    SECOND,
    VICTIM,
    A,
    B,
    C,
    TrackerDriver,
    at,
    create,
    created,
    destroy,
    die,
    ended,
    event,
    exited,
    exits,
    job,
    kill,
    masking,
    not_started,
    oom,
    refused,
    running,
    start,
    start_attempt,
    start_attempt_over,
)

REPORTED = "The engine reported an OOM kill"
COUNTED = "The kernel counted an OOM kill that no other container accounts for."
FLAGGED = "The engine's OOMKilled flag is set."
KILLED = "The kernel killed process 4711 (python) for memory"
RAN_BEFORE = {A: ContainerHistory(attempts=1, last_end_ns=at(1))}
RUNS = {A: ContainerHistory(attempts=1, last_end_ns=None)}
LIMIT = 64 << 20
LIMITED = job(0, limit=LIMIT, created=True)

# --- joining


def test_a_job_begins_with_its_start() -> None:
    assert TrackerDriver().events(create(-1), start(0)).emitted() == [job(0)]


def test_a_job_that_is_asked_about_begins_with_the_answer_and_all_it_knows() -> None:
    driver = TrackerDriver().events(create(-1)).inspecting(start(0))
    assert driver.emitted() == []
    assert driver.inspected(running(-0.003, limit=64)).emitted() == [
        job(0, started=-0.003, limit=64, created=True)
    ]


def test_a_job_that_nobody_could_answer_about_begins_all_the_same() -> None:
    assert TrackerDriver().inspecting(start(0)).inspected(None).emitted() == [job(0)]


def test_a_job_ends_with_its_die() -> None:
    assert TrackerDriver().events(start(0), die(1, 0)).emitted() == [job(0), ended(job(0), 0, 1)]


def test_all_that_happened_in_a_run_is_known_at_its_end() -> None:
    driver = TrackerDriver().events(start(0), oom(0.5), kill(0.8, 1), kill(0.9, 15), die(1, 137)).wait(1)
    assert driver.emitted() == [
        job(0),
        ended(
            job(0),
            137,
            1,
            f"{REPORTED} 0.500 s before the end.",
            "The engine was asked to send SIGHUP 0.200 s before the end.",
            "The engine was asked to send SIGTERM 0.100 s before the end.",
            oom_kills=1,
        ),
    ]


def test_an_oom_kill_before_the_end_explains_it() -> None:
    driver = TrackerDriver().events(start(0), oom(0.95), die(1, 137))
    assert driver.emitted() == [
        job(0),
        ended(job(0), 137, 1, f"{REPORTED} 0.050 s before the end.", oom_killed=True, oom_kills=1),
    ]


def test_every_oom_kill_that_a_job_survives_is_counted() -> None:
    driver = TrackerDriver().events(start(0), oom(1), oom(2), die(60, 0))
    notes = (f"{REPORTED} 59.000 s before the end.", f"{REPORTED} 58.000 s before the end.")
    assert driver.emitted() == [job(0), ended(job(0), 0, 60, *notes, oom_kills=2)]


def test_each_run_of_a_container_is_an_attempt_with_its_own_evidence() -> None:
    driver = TrackerDriver().events(start(0), oom(0.9), die(1, 137), start(2), kill(2.9, 9), die(3, 137))
    second = job(2, attempt=2)
    assert driver.emitted() == [
        job(0),
        ended(job(0), 137, 1, f"{REPORTED} 0.100 s before the end.", oom_killed=True, oom_kills=1),
        second,
        ended(
            second,
            137,
            3,
            "The engine was asked to send SIGKILL 0.100 s before the end.",
            stop_requested=True,
        ),
    ]


def test_containers_do_not_mix() -> None:
    driver = TrackerDriver().events(start(0), start(0, B), oom(0.9, B), die(1, 0), die(1, 137, B))
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 0, 1),
        ended(job(0, B), 137, 1, f"{REPORTED} 0.100 s before the end.", oom_killed=True, oom_kills=1),
    ]


def test_an_end_whose_beginning_was_not_seen_counts_and_learns_the_beginning_from_the_answer() -> None:
    driver = TrackerDriver().inspecting(die(9, 3))
    assert driver.emitted() == []
    assert driver.inspected(exited(0, 8.9, 3)).wait(1).emitted() == [ended(job(0, created=True), 3, 8.9)]


def test_an_end_whose_beginning_nobody_knows_counts() -> None:
    driver = TrackerDriver().inspecting(die(9, 0)).inspected(None)
    assert driver.emitted() == [ended(job(9, start_failed=True), 0, 9)]


def test_attempts_go_on_from_those_on_record() -> None:
    driver = TrackerDriver(past=RAN_BEFORE).events(start(2), die(3, 0))
    assert driver.emitted() == [job(2, attempt=2), ended(job(2, attempt=2), 0, 3)]


def test_a_malformed_and_a_foreign_event_change_nothing() -> None:
    driver = TrackerDriver().events(start(0), Event(EventType.MALFORMED), Event(EventType.OTHER), die(1, 0))
    assert driver.emitted() == [job(0), ended(job(0), 0, 1)]


# --- waiting for a late OOM report


def test_an_oom_report_after_the_end_still_explains_it() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137)).wait(0.9)
    assert driver.emitted() == [job(0)]
    assert driver.events(oom(1.005)).emitted() == [
        ended(job(0), 137, 1, f"{REPORTED} at the end.", oom_killed=True, oom_kills=1)
    ]


def test_an_oom_report_is_waited_for_no_longer_than_the_rules_say() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137)).wait(1)
    assert driver.emitted() == [job(0), ended(job(0), 137, 1)]
    assert driver.events(oom(1.005)).wait(10).emitted() == []


def test_the_wait_tells_when_it_is_over() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137))
    assert driver.tracker.next_due == 1.0


def test_the_wait_for_an_answer_tells_when_it_is_over() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255))
    assert driver.tracker.next_due == 2.0


def test_nothing_is_due_while_nothing_waits() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0))
    assert driver.tracker.next_due is None


@pytest.mark.parametrize(
    ("before", "code"),
    [
        pytest.param((), 0, id="success"),
        pytest.param((oom(0.5),), 137, id="an OOM kill that is known"),
        pytest.param((kill(0.5, 9),), 137, id="docker kill"),
        pytest.param((kill(0.5, 15),), 143, id="docker stop"),
        pytest.param((kill(0.5, 15), kill(0.8, 9)), 137, id="docker stop that timed out"),
    ],
)
def test_an_end_that_no_late_oom_report_could_change_is_not_delayed(
    before: tuple[Event, ...], code: int
) -> None:
    (_, end) = TrackerDriver().events(start(0), *before, die(1, code)).emitted()
    assert getattr(end, "code", None) == code


def test_a_success_that_had_a_memory_limit_waits_for_a_late_oom_report() -> None:
    driver = TrackerDriver().inspecting(start(0)).inspected(running(0, limit=LIMIT)).events(die(1, 0))
    assert driver.emitted() == [LIMITED]
    driver.events(oom(1.02)).wait(1)
    note = f"{REPORTED} 0.020 s after the end."
    assert driver.emitted() == [ended(LIMITED, 0, 1, note, oom_killed=True, oom_kills=1)]


def test_a_success_that_had_a_memory_limit_is_not_delayed_where_the_kernel_is_silent() -> None:
    driver = (
        TrackerDriver(has_kernel_counter=True)
        .inspecting(start(0))
        .inspected(running(0, limit=LIMIT))
        .events(die(1, 0))
    )
    assert driver.emitted() == [LIMITED, ended(LIMITED, 0, 1)]


def test_an_end_that_the_kernels_silence_explains_is_not_delayed() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), die(1, 137))
    assert driver.emitted() == [job(0), ended(job(0), 137, 1)]


def test_a_signal_that_asks_for_no_end_leaves_the_wait_as_it_is() -> None:
    driver = TrackerDriver().events(start(0), kill(0.5, 1), die(1, 3))
    assert driver.emitted() == [job(0)]
    note = "The engine was asked to send SIGHUP 0.500 s before the end."
    assert driver.wait(1).emitted() == [ended(job(0), 3, 1, note)]


def test_an_end_waits_for_the_answer_that_is_on_its_way() -> None:
    driver = TrackerDriver().inspecting(start(0)).events(die(1, 0))
    assert driver.emitted() == []
    assert driver.inspected(exited(0, 1, 0)).emitted() == [ended(job(0, created=True), 0, 1)]


def test_an_answer_that_does_not_come_is_waited_for_two_seconds() -> None:
    driver = TrackerDriver().inspecting(start(0)).events(die(1, 0)).wait(1.9)
    assert driver.emitted() == []
    assert driver.wait(0.1).emitted() == [ended(job(0), 0, 1)]


# --- a restart while the run before still waits


def test_a_late_oom_report_from_before_the_restart_belongs_to_the_run_that_ended() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137), start(1.1), oom(1.05))
    second = job(1.1, attempt=2)
    assert driver.emitted() == [
        job(0),
        second,
        ended(job(0), 137, 1, f"{REPORTED} 0.050 s after the end.", oom_killed=True, oom_kills=1),
    ]
    assert driver.events(die(2, 1)).wait(1).emitted() == [ended(second, 1, 2)]


def test_an_oom_report_from_after_the_restart_belongs_to_the_new_run() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137), start(1.1), oom(1.2), die(1.3, 137))
    second = job(1.1, attempt=2)
    assert driver.emitted() == [
        job(0),
        second,
        ended(second, 137, 1.3, f"{REPORTED} 0.100 s before the end.", oom_killed=True, oom_kills=1),
    ]
    assert driver.wait(1).emitted() == [ended(job(0), 137, 1)]


def test_of_two_runs_that_both_wait_the_report_belongs_to_the_one_of_its_time() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137), start(1.1), die(1.3, 1), oom(1.05)).wait(1)
    second = job(1.1, attempt=2)
    assert driver.emitted() == [
        job(0),
        second,
        ended(job(0), 137, 1, f"{REPORTED} 0.050 s after the end.", oom_killed=True, oom_kills=1),
        ended(second, 1, 1.3),
    ]


def test_a_late_oom_report_of_a_run_that_is_judged_already_is_not_taken_for_the_run_before() -> None:
    driver = TrackerDriver().events(start(0), die(1, 1), start(1.1), oom(1.2), die(1.3, 137), oom(1.31))
    driver.wait(1)
    second = job(1.1, attempt=2)
    assert driver.emitted() == [
        job(0),
        second,
        ended(second, 137, 1.3, f"{REPORTED} 0.100 s before the end.", oom_killed=True, oom_kills=1),
        ended(job(0), 1, 1),
    ]


def test_two_runs_of_a_removed_container_that_wait_are_let_go_together() -> None:
    driver = TrackerDriver().events(start(0), die(1, 1), start(1.1), die(1.3, 2), destroy(1.4)).wait(1)
    second = job(1.1, attempt=2)
    assert driver.emitted() == [job(0), second, ended(job(0), 1, 1), ended(second, 2, 1.3)]


def test_a_kill_request_after_the_restart_says_nothing_of_the_run_before() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137), start(1.1), kill(1.2, 9), die(1.3, 137)).wait(1)
    second = job(1.1, attempt=2)
    note = "The engine was asked to send SIGKILL 0.100 s before the end."
    assert driver.emitted() == [
        job(0),
        second,
        ended(second, 137, 1.3, note, stop_requested=True),
        ended(job(0), 137, 1),
    ]


def test_an_answer_about_the_run_before_says_nothing_of_the_run_that_waits() -> None:
    driver = TrackerDriver().inspecting(start(0)).events(oom(0.9), die(1, 137), start(1.1), die(1.3, 1))
    first = ended(
        job(0, created=True), 137, 1, f"{REPORTED} 0.100 s before the end.", oom_killed=True, oom_kills=1
    )
    second = ended(job(1.1, attempt=2, created=True), 1, 1.3)
    driver.inspected(exited(0, 1, 137, oom_killed=True)).wait(1)
    assert driver.emitted() == [first, second]


# --- the kernel's counter as a witness


def test_a_move_of_the_kernels_counter_that_nobody_explains_is_the_ends() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0)).kernel(0.95, counted=1)
    driver.events(die(1, 137))
    assert driver.emitted() == [job(0)]
    assert driver.wait(1).emitted() == [ended(job(0), 137, 1, COUNTED, oom_killed=True, oom_kills=1)]


def test_a_move_of_the_kernels_counter_that_came_with_the_end_is_the_ends() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0)).kernel(1.001, counted=1)
    driver.events(die(1, 1))
    assert driver.wait(1).emitted() == [
        job(0),
        ended(job(0), 1, 1, COUNTED, oom_killed=True, oom_kills=1),
    ]


def test_a_move_of_the_kernels_counter_after_the_end_is_another_ones() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B), start(0, C))
    driver.events(oom(0.1, C)).kernel(0.1, counted=1).events(die(0.2, 137))
    driver.kernel(0.699, counted=1).events(die(0.7, 137, B)).wait(1)
    claims = {exited.job.container_id: exited.oom_kills for exited in driver.exits()}
    assert claims == {A: 0, B: 1}


def test_a_success_that_had_a_memory_limit_survived_the_kill_that_nobody_else_explains() -> None:
    driver = TrackerDriver(has_kernel_counter=True).inspecting(start(0)).inspected(running(0, limit=LIMIT))
    driver.kernel(0.95, counted=1).events(die(1, 0)).wait(1)
    assert driver.emitted() == [LIMITED, ended(LIMITED, 0, 1, COUNTED, oom_killed=True, oom_kills=1)]


def test_a_kill_that_was_counted_before_the_engine_told_of_the_start_is_this_runs() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start_attempt(-0.4)).kernel(-0.003, counted=1)
    driver.events(start(0), die(0.05, 137)).wait(1)
    assert [exited.oom_kills for exited in driver.exits()] == [1]


@pytest.mark.parametrize(("killed", "tried"), [(-0.5, -0.4), (-1.1, -4)])
def test_a_kill_that_was_counted_long_before_the_start_or_the_try_is_another_ones(
    killed: float, tried: float
) -> None:
    driver = (
        TrackerDriver(has_kernel_counter=True)
        .events(start_attempt(tried))
        .kernel(killed, counted=1)
        .events(start(0))
    )
    assert [exited.oom_kills for exited in driver.events(die(0.05, 137)).exits()] == [0]


def test_each_of_two_ends_claims_the_kernels_move_that_is_nearer_to_it() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(die(1, 137)).kernel(1.8, counted=1).events(die(1.85, 137, B)).wait(1)
    (first, second) = driver.exits()
    assert [kill.at_ns for kill in (*first.job.oom_kills, *second.job.oom_kills)] == [at(0.95), at(1.8)]


def test_an_event_that_is_ahead_of_its_count_takes_no_kill_from_one_that_has_lost_its_event() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(die(1, 137)).wait(0.8).events(oom(1.8, B)).kernel(1.81, counted=1).wait(1)
    assert [exited.oom_kills for exited in driver.exits()] == [1]


def test_the_likeliest_of_three_ends_chooses_first() -> None:
    """The kill that is nearest to the failure is the one that the two before it leave."""
    driver = TrackerDriver(has_kernel_counter=True).inspecting(start(0)).inspected(running(0, limit=LIMIT))
    driver.inspecting(start(0, B)).inspected(running(0, B, limit=LIMIT), B).events(start(0, C))
    driver.kernel(0.5, counted=1).kernel(0.9, counted=1)
    driver.events(die(1, 1, C), die(1, 0), die(1, 137, B)).wait(1)
    claims = {exited.job.container_id: exited.job.oom_kills for exited in driver.exits()}
    assert [[kill.at_ns for kill in claims[each]] for each in (A, B, C)] == [[at(0.5)], [at(0.9)], []]


def test_a_run_whose_beginning_was_not_seen_claims_no_kill_from_before_its_start() -> None:
    driver = TrackerDriver(has_kernel_counter=True).listed(running(2), as_of=3).kernel(1.9, counted=1)
    assert [exited.oom_kills for exited in driver.events(die(3.5, 137)).wait(1).exits()] == [0]


@pytest.mark.parametrize("limited_first", [False, True])
@pytest.mark.parametrize(
    ("limited", "other", "limited_claims"),
    [(137, 137, True), (1, 137, False), (1, 1, True), (0, 1, True), (0, 137, False)],
)
def test_of_two_ends_the_likelier_one_claims_the_kernels_move(
    limited: int,
    other: int,
    *,
    limited_claims: bool,
    limited_first: bool,
) -> None:
    driver = TrackerDriver(has_kernel_counter=True).inspecting(start(0)).inspected(running(0, limit=LIMIT))
    driver.events(start(0, B)).kernel(0.95, counted=1)
    ends = [die(1, limited), die(1, other, B)]
    driver.events(*ends if limited_first else reversed(ends)).wait(1)
    claims = {exited.job.container_id: exited.oom_kills for exited in driver.exits()}
    assert claims == {A: int(limited_claims), B: int(not limited_claims)}


def test_of_two_ends_the_one_with_137_claims_the_kernels_move() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(die(1, 1), die(1.05, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 1, 1),
        ended(job(0, B), 137, 1.05, COUNTED, oom_killed=True, oom_kills=1),
    ]


def test_of_two_ends_that_share_two_kernel_moves_each_claims_one() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=2)
    driver.events(die(1, 1), die(1.05, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 1, 1, COUNTED, oom_killed=True, oom_kills=1),
        ended(job(0, B), 137, 1.05, COUNTED, oom_killed=True, oom_kills=1),
    ]


def test_a_move_of_the_kernels_counter_is_attributed_once() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(die(1, 137), die(1.05, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 137, 1, COUNTED, oom_killed=True, oom_kills=1),
        ended(job(0, B), 137, 1.05),
    ]


def test_an_older_kernel_move_does_not_let_a_newer_one_be_attributed_twice() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.5, counted=1)
    driver.kernel(15, counted=1).events(die(15.1, 137), die(15.2, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 137, 15.1, COUNTED, oom_killed=True, oom_kills=1),
        ended(job(0, B), 137, 15.2),
    ]


@pytest.mark.parametrize("event_first", [False, True])
def test_a_kernel_move_that_another_containers_event_explains_is_nobody_elses(*, event_first: bool) -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B))
    if event_first:
        driver.events(oom(0.94)).kernel(0.95, counted=1)
    else:
        driver.kernel(0.95, counted=1).events(oom(0.96))
    driver.events(die(1, 137, B)).wait(1)
    assert driver.emitted() == [job(0), job(0, B), ended(job(0, B), 137, 1)]


def test_an_event_that_is_ahead_of_its_move_explains_that_one_alone() -> None:
    driver = (
        TrackerDriver(has_kernel_counter=True)
        .events(start(0), start(0, B), oom(0.94))
        .kernel(0.95, counted=1)
    )
    driver.kernel(1.2, counted=1).events(die(1.3, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0, B), 137, 1.3, COUNTED, oom_killed=True, oom_kills=1),
    ]


def test_an_event_does_not_explain_a_kernel_move_long_after_it() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B), oom(0.94))
    driver.kernel(9.9, counted=1)
    driver.events(die(10, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0, B), 137, 10, COUNTED, oom_killed=True, oom_kills=1),
    ]


def test_an_event_explains_the_kernel_move_nearest_to_it_and_not_an_older_one() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.5, counted=1)
    driver.kernel(15, counted=1).events(oom(15.01), die(16, 137, B)).wait(1)
    assert driver.emitted() == [job(0), job(0, B), ended(job(0, B), 137, 16)]


def test_an_event_that_is_late_for_its_own_run_still_explains_the_kernels_move() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(kill(0.98, 9), die(1, 137), oom(1.01), die(1.1, 137, B)).wait(1)
    note = "The engine was asked to send SIGKILL 0.020 s before the end."
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 137, 1, note, stop_requested=True),
        ended(job(0, B), 137, 1.1),
    ]


def test_the_engines_flag_explains_the_kernels_move() -> None:
    driver = (
        TrackerDriver(has_kernel_counter=True)
        .events(start(0, B))
        .kernel(0.95, counted=1)
        .inspecting(die(1, 137))
    )
    driver.inspected(exited(0, 1, 137, oom_killed=True)).events(die(1.1, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0, B),
        ended(job(0, created=True), 137, 1, FLAGGED, oom_killed=True, oom_kills=1),
        ended(job(0, B), 137, 1.1),
    ]


def test_a_kernel_move_long_before_the_end_does_not_explain_it() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0)).kernel(0.5, counted=1)
    driver.events(die(20, 137))
    assert driver.emitted() == [job(0), ended(job(0), 137, 20)]


def test_a_kernel_move_before_the_beginning_does_not_explain_the_end() -> None:
    driver = TrackerDriver(has_kernel_counter=True).kernel(5, counted=1).events(start(10), die(14, 2))
    assert driver.emitted() == [job(10), ended(job(10), 2, 14)]


def test_a_line_of_the_kernels_log_names_the_container() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B))
    driver.kernel(0.95, counted=1, logged=(B,)).events(die(1, 137), die(1, 137, B)).wait(1)
    note = f"{KILLED} 0.050 s before the end; its own limit was reached."
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 137, 1),
        ended(job(0, B), 137, 1, note, oom_killed=True, oom_kills=1),
    ]


def test_a_line_of_the_kernels_log_ends_the_wait_for_a_report() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137))
    assert driver.emitted() == [job(0)]
    assert driver.kernel(1.01, logged=(A,)).emitted() == [
        ended(
            job(0),
            137,
            1,
            f"{KILLED} 0.010 s after the end; its own limit was reached.",
            oom_killed=True,
            oom_kills=1,
        )
    ]


def test_a_line_of_the_kernels_log_that_names_a_stranger_explains_its_move() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0)).kernel(0.95, counted=1, logged=(C,))
    assert driver.events(die(1, 137)).wait(1).emitted() == [job(0), ended(job(0), 137, 1)]


def test_a_kill_within_a_container_of_its_own_engine_is_of_whose_limit_the_line_names() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0))
    victim = replace(VICTIM, limit=MemoryLimit.PARENT, cgroup=f"/docker/{A}")
    driver.tracker.kernel_reported(KernelReport(1, at(0.95), (KernelOomKill(at(0.95), C, victim),)))
    (ended_run,) = driver.events(die(1, 137)).exits()
    (kill_seen,) = ended_run.job.oom_kills
    assert ended_run.evidence.oom_killed
    assert kill_seen.victim == replace(victim, limit=MemoryLimit.OWN)


@pytest.mark.parametrize("event_first", [False, True])
def test_the_log_line_and_the_event_of_one_kill_count_once(*, event_first: bool) -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B))
    if event_first:
        driver.events(oom(0.94)).kernel(0.95, counted=1, logged=(A,))
    else:
        driver.kernel(0.93, counted=1, logged=(A,)).events(oom(0.94))
    driver.events(die(1, 137), die(1, 137, B)).wait(1)
    note = f"{KILLED} {'0.050' if event_first else '0.070'} s before the end; its own limit was reached."
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 137, 1, note, oom_killed=True, oom_kills=1),
        ended(job(0, B), 137, 1),
    ]


def test_a_line_of_the_log_that_is_read_before_the_start_is_told_counts() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(create(0))
    driver.tracker.kernel_reported(KernelReport(0, at(1), (ForkRejected(at(0.95), A),)))
    driver.events(start(1), die(2, 3))
    (ended_run,) = driver.exits()
    assert ended_run.evidence.notes == (
        "The kernel refused it another process: its limit of processes was reached 1.050 s before the end.",
    )


def test_a_crash_that_the_logs_clock_puts_just_after_the_end_is_of_it() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0))
    crash = Crash(at(1.003), "seg", 4711, SIGSEGV, "segfault at address 0x0, reading", None)
    driver.tracker.kernel_reported(KernelReport(0, at(1.01), (crash,)))
    (ended_run,) = driver.events(die(1, 139)).exits()
    (note,) = ended_run.evidence.notes
    assert note == (
        "The kernel logged: process 4711 (seg): segfault at address 0x0, reading, at the end; "
        "whose process that was is not known."
    )


@pytest.mark.parametrize(("code", "before", "is_shown"), [(1, 0.9, True), (1, 1.1, False), (139, 9, True)])
def test_a_crash_of_a_child_is_evidence_near_an_end_and_longer_where_its_code_is_handed_on(
    code: int, before: float, *, is_shown: bool
) -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0))
    crash = Crash(at(20 - before), "seg", 4711, SIGSEGV, "segfault at address 0x0, reading", None)
    driver.tracker.kernel_reported(KernelReport(0, at(20), (crash,)))
    (ended_run,) = driver.events(die(20, code)).exits()
    assert bool(ended_run.evidence.notes) == is_shown


def test_what_was_unhealthy_before_it_was_watched_is_ended_for_that() -> None:
    driver = TrackerDriver().listed(replace(running(0), healthy=False), as_of=5)
    driver.events(kill(9, 15), die(9.1, 143))
    (ended_run,) = driver.wait(2).exits()
    assert ended_run.evidence.unhealthy


def test_that_events_were_missed_while_a_job_ran_is_said() -> None:
    driver = TrackerDriver().events(start(0))
    driver.tracker.resumed(Cursor(at(5), BEGINNING), EventGap.OVERRUN)
    driver.events(die(9, 1)).wait(2)
    (ended_run,) = exits(driver.tracker.drain())
    missed = "Events were missed while it ran: requests to stop it and OOM kills may be missing."
    assert missed in ended_run.evidence.not_known


@pytest.mark.parametrize("has_kernel_counter", [False, True])
def test_what_may_not_be_killed_for_memory_is_given_no_kill_of_another(*, has_kernel_counter: bool) -> None:
    driver = TrackerDriver(has_kernel_counter=has_kernel_counter).inspecting(start(0))
    driver.inspected(replace(running(0, limit=LIMIT), oom_kill_disabled=True))
    driver.kernel(0.95, counted=1).events(oom(0.94)).wait(20)
    driver.events(kill(24.9, 9)).inspecting(die(25, 137))
    driver.inspected(replace(exited(0, 25, 137, oom_killed=True), oom_kill_disabled=True)).wait(20)
    (ended_run,) = driver.exits()
    assert (ended_run.oom_kills, ended_run.evidence.stop_requested) == (0, True)


def test_a_line_of_the_log_that_is_ahead_of_its_count_is_explained_all_the_same() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B))
    driver.kernel(0.9, logged=(A,)).kernel(0.95, counted=1).events(die(1, 137, B)).wait(1)
    assert driver.emitted() == [job(0), job(0, B), ended(job(0, B), 137, 1)]


def test_a_success_has_not_survived_what_was_killed_long_before_its_end() -> None:
    driver = TrackerDriver(has_kernel_counter=True).inspecting(start(0)).inspected(running(0, limit=LIMIT))
    driver.kernel(0.95, counted=1).events(die(2, 0))
    assert driver.emitted() == [LIMITED, ended(LIMITED, 0, 2)]


def test_an_end_does_not_wait_for_a_kill_that_was_accounted_for_long_before() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B), oom(1, B))
    driver.kernel(1, counted=1)
    driver.wait(1)
    assert driver.events(die(2.1, 137)).emitted() == [job(0), job(0, B), ended(job(0), 137, 2.1)]


def test_success_without_a_memory_limit_claims_no_kernel_move() -> None:
    driver = TrackerDriver(has_kernel_counter=True).events(start(0), start(0, B)).kernel(0.95, counted=1)
    driver.events(die(1, 0), die(1.1, 137, B)).wait(1)
    assert driver.emitted() == [
        job(0),
        job(0, B),
        ended(job(0), 0, 1),
        ended(job(0, B), 137, 1.1, COUNTED, oom_killed=True, oom_kills=1),
    ]


# --- at most one exit for each start


def test_a_second_die_for_one_start_does_not_count() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0), die(1.1, 137)).wait(2)
    assert driver.emitted() == [job(0), ended(job(0), 0, 1)]


def test_a_second_die_while_the_first_still_waits_does_not_count() -> None:
    driver = TrackerDriver().events(start(0), die(1, 1), die(1.1, 137)).wait(2)
    assert driver.emitted() == [job(0), ended(job(0), 1, 1)]


def test_a_second_die_does_not_end_the_next_run() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0), die(1.1, 137), start(2), die(3, 0))
    second = job(2, attempt=2)
    assert driver.emitted() == [job(0), ended(job(0), 0, 1), second, ended(second, 0, 3)]


def test_a_start_without_an_end_before_it_makes_that_end_unknown_and_the_new_run_keeps_its_own() -> None:
    driver = TrackerDriver().events(start(0), start(2), die(3, 4)).wait(1)
    second = job(2, attempt=2)
    assert driver.emitted() == [
        job(0),
        second,
        ended(job(0), None, 2, recovered=True),
        ended(second, 4, 3),
    ]


def test_an_answer_about_a_new_run_is_not_the_code_of_one_whose_end_was_not_told() -> None:
    driver = (
        TrackerDriver()
        .events(start(0))
        .inspecting(start(2))
        .inspected(exited(1.997, 2.5, 4))
        .events(die(2.51, 4))
    )
    assert {each.job.attempt: each.code for each in driver.wait(1).exits()} == {1: None, 2: 4}


def test_a_removal_without_an_end_before_it_makes_that_end_unknown() -> None:
    driver = TrackerDriver().events(start(0), destroy(5)).wait(1)
    assert driver.emitted() == [job(0), ended(job(0), None, 5, recovered=True)]


def test_a_removal_after_the_end_adds_nothing() -> None:
    driver = TrackerDriver().events(start(0), die(1, 3), destroy(1.1)).wait(1)
    assert driver.emitted() == [job(0), ended(job(0), 3, 1)]


@pytest.mark.parametrize("code", [0, 1])
def test_a_removed_container_is_forgotten_once_its_end_is_told(code: int) -> None:
    driver = TrackerDriver().listed(as_of=-1).events(start(0), die(1, code), destroy(1.1)).wait(1)
    assert (driver.emitted(), [*driver.tracker._state.containers]) == ([job(0), ended(job(0), code, 1)], [])


def test_an_oom_report_after_the_removal_still_explains_the_end() -> None:
    driver = TrackerDriver().events(start(0), die(1, 137), destroy(1.1), oom(1.11))
    assert driver.emitted() == [
        job(0),
        ended(job(0), 137, 1, f"{REPORTED} 0.110 s after the end.", oom_killed=True, oom_kills=1),
    ]


def test_nothing_is_made_of_what_is_told_of_a_removed_container() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0), destroy(1.1))
    assert driver.emitted() == [job(0), ended(job(0), 0, 1)]
    driver.events(oom(1.2), die(1.3, 137)).inspected(exited(0, 1, 0)).listed(exited(0, 1, 0), as_of=1)
    assert driver.wait(2).emitted() == []


def test_the_removal_of_a_container_that_never_started_is_no_exit() -> None:
    assert TrackerDriver().events(create(-1), destroy(5)).wait(2).emitted() == []


# --- names


def test_a_running_job_that_is_renamed_is_told_anew() -> None:
    renamed = replace(event(EventType.RENAME, 1), name="new")
    driver = TrackerDriver().events(start(0), renamed, replace(die(2, 0), name="new"))
    assert driver.emitted() == [job(0), job(0, named="new"), ended(job(0, named="new"), 0, 2)]


def test_a_job_that_is_renamed_before_it_is_told_is_told_once() -> None:
    renamed = replace(event(EventType.RENAME, 1), name="new")
    answer = replace(running(0), name="new")
    assert TrackerDriver().inspecting(start(0)).events(renamed).inspected(answer).emitted() == [
        job(0, named="new", created=True)
    ]


def test_a_container_without_a_name_is_called_by_its_short_id() -> None:
    driver = TrackerDriver().events(Event(EventType.START, A, at(0)))
    assert driver.emitted() == [job(0, named="aaaaaaaaaaaa", image="", workload="unnamed")]


def test_the_workload_is_what_a_label_says_in_an_event() -> None:
    labels = {"exit-exporter.workload": "nightly"}
    driver = TrackerDriver().events(replace(start(0), labels=labels), die(1, 0))
    labelled = job(0, workload="nightly")
    assert driver.emitted() == [labelled, ended(labelled, 0, 1)]


def test_the_workload_is_what_a_label_says_in_an_answer() -> None:
    driver = (
        TrackerDriver()
        .inspecting(start(0))
        .inspected(running(0, labels={"exit-exporter.workload": "nightly"}))
    )
    assert driver.emitted() == [job(0, created=True, workload="nightly")]


# --- signals


def test_the_signal_by_which_a_container_wants_to_be_stopped_asks_for_its_end() -> None:
    driver = TrackerDriver().inspecting(start(0)).inspected(replace(running(0), stop_signal=10))
    note = "The engine was asked to send SIGUSR1 0.500 s before the end."
    assert driver.events(kill(0.5, 10), die(1, 3)).emitted() == [
        job(0, created=True),
        ended(job(0, created=True), 3, 1, note, stop_requested=True),
    ]


def test_a_signal_without_a_name_keeps_its_number() -> None:
    driver = TrackerDriver().events(start(0), kill(0.5, 40), die(1, 3)).wait(1)
    note = "The engine was asked to send signal 40 0.500 s before the end."
    assert driver.emitted() == [job(0), ended(job(0), 3, 1, note)]


# --- codes that may be wrong


def test_a_code_that_a_label_hides_is_taken_from_the_answer() -> None:
    driver = TrackerDriver().events(masking(start(0), MaskedField.CODE)).inspecting(die(1, 0))
    assert driver.emitted() == [job(0)]
    assert driver.inspected(exited(0, 1, 77)).wait(1).emitted() == [ended(job(0, created=True), 77, 1)]


def test_a_code_that_a_label_hides_and_nobody_answers_for_is_unknown() -> None:
    driver = (
        TrackerDriver()
        .events(masking(start(0), MaskedField.CODE))
        .inspecting(die(1, 0))
        .inspected(None)
        .wait(1)
    )
    assert driver.emitted() == [job(0), ended(job(0), None, 1)]


def test_a_code_that_a_label_may_hide_since_the_beginning_was_not_seen_is_taken_from_the_answer() -> None:
    driver = TrackerDriver().inspecting(die(1, 0)).inspected(exited(0, 1, 77)).wait(1)
    assert driver.emitted() == [ended(job(0, created=True), 77, 1)]


def test_a_code_that_a_label_may_hide_since_the_job_ran_before_us_is_taken_from_the_answer() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).inspecting(die(1, 0)).inspected(exited(-0.003, 1, 77))
    driver.wait(1)
    assert driver.emitted() == [ended(job(0, started=-0.003, created=True), 77, 1)]


def test_a_signal_that_a_label_hides_is_a_request_to_end() -> None:
    driver = TrackerDriver().events(masking(start(0), MaskedField.SIGNAL), kill(0.5, 1), die(1, 137))
    note = "The engine was asked to send a signal 0.500 s before the end."
    assert driver.emitted() == [job(0), ended(job(0), 137, 1, note, stop_requested=True)]


def test_a_doubtful_255_gives_way_to_the_code_of_the_answer() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255)).inspected(exited(0, 1, 1)).wait(1)
    assert driver.emitted() == [job(0), ended(job(0, created=True), 1, 1)]


def test_a_255_that_the_answer_confirms_stays() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255)).inspected(exited(0, 1, 255)).wait(1)
    assert driver.emitted() == [job(0), ended(job(0, created=True), 255, 1)]


def test_a_255_that_nobody_answers_for_stays() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255)).inspected(None).wait(1)
    assert driver.emitted() == [job(0), ended(job(0), 255, 1)]


def test_the_answer_about_the_next_run_does_not_mend_a_doubtful_code() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255)).events(start(1.1), die(1.2, 1))
    driver.inspected(exited(1.1, 1.2, 1)).wait(1)
    second = job(1.1, attempt=2)
    assert driver.emitted() == [
        job(0),
        ended(job(0, created=True), 255, 1),
        ended(replace(second, created_ns=at(-1)), 1, 1.2),
    ]


# --- starts that failed


def failed_start(driver: TrackerDriver, begun: float) -> TrackerDriver:
    """A try to start that fails, asked about as the watch does: while it is tried, and when it is over."""
    return driver.inspecting(start_attempt(begun), start_attempt_over(begun + 0.5))


def test_a_failed_start_is_an_exit_with_the_code_of_the_answer() -> None:
    driver = failed_start(TrackerDriver().events(create(-1)), 0)
    assert driver.emitted() == []
    assert driver.inspected(refused(127)).inspected(refused(127)).emitted() == [
        not_started(job(0.5, start_failed=True, created=True), 127, 0.5)
    ]


def test_a_failed_start_whose_container_is_gone_at_the_second_answer_has_the_code_of_the_first() -> None:
    driver = failed_start(TrackerDriver().events(create(-1)), 0).inspected(refused(127)).inspected(None)
    assert driver.emitted() == [not_started(job(0.5, start_failed=True, created=True), 127, 0.5)]


def test_a_failed_start_that_is_removed_before_the_answers_come_is_counted_with_its_code() -> None:
    driver = failed_start(TrackerDriver().events(create(-1)), 0).events(destroy(0.52))
    assert driver.emitted() == []
    assert driver.inspected(refused(126)).inspected(None).emitted() == [
        not_started(job(0.5, start_failed=True, created=True), 126, 0.5)
    ]


def test_a_failed_start_that_nobody_can_answer_for_has_an_unknown_code() -> None:
    driver = failed_start(TrackerDriver().events(create(-1)), 0).inspected(None).inspected(None)
    assert driver.emitted() == [not_started(job(0.5, start_failed=True), None, 0.5)]


def test_a_failed_start_of_which_only_the_time_before_was_answered_has_an_unknown_code() -> None:
    driver = TrackerDriver().events(create(-1)).inspecting(start_attempt(0)).inspected(created())
    driver.inspecting(start_attempt_over(0.5)).events(destroy(0.52)).inspected(None)
    assert driver.emitted() == [not_started(job(0.5, start_failed=True, created=True), None, 0.5)]


def test_a_second_failed_start_of_a_container_is_its_second_attempt() -> None:
    driver = TrackerDriver().events(create(-1))
    for begun in (0, 10):
        failed_start(driver, begun).inspected(refused(127)).inspected(refused(127))
    assert driver.emitted() == [
        not_started(job(0.5, start_failed=True, created=True), 127, 0.5),
        not_started(job(10.5, attempt=2, start_failed=True, created=True), 127, 10.5),
    ]


def test_a_start_that_is_tried_again_before_the_answers_come_does_not_hide_the_failure_before() -> None:
    driver = failed_start(failed_start(TrackerDriver().events(create(-1)), 0), 0.6)
    for _ in range(4):
        driver.inspected(refused(127))
    assert driver.emitted() == [
        not_started(job(0.5, start_failed=True, created=True), 127, 0.5),
        not_started(job(1.1, attempt=2, start_failed=True, created=True), 127, 1.1),
    ]


def test_a_failed_restart_of_a_container_that_had_run_is_an_attempt_of_its_own() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0))
    refused = exited(0, 1, 127, start_failed=True)
    failed_start(driver, 2).inspected(refused).inspected(refused)
    assert driver.emitted() == [
        job(0),
        ended(job(0), 0, 1),
        not_started(job(2.5, attempt=2, start_failed=True, created=True), 127, 2.5),
    ]


def test_a_start_that_succeeds_after_one_that_failed_is_the_next_attempt() -> None:
    driver = (
        failed_start(TrackerDriver().events(create(-1)), 0).inspected(refused(127)).inspected(refused(127))
    )
    driver.inspecting(start_attempt(9)).events(start(9.2)).inspected(running(9.1)).events(die(10, 0))
    second = job(9.2, started=9.1, attempt=2, created=True)
    assert driver.emitted() == [
        not_started(job(0.5, start_failed=True, created=True), 127, 0.5),
        second,
        ended(second, 0, 10),
    ]


def test_a_start_that_failed_without_an_event_counts_once_whoever_tells_of_it() -> None:
    driver = TrackerDriver().events(create(-1))
    driver.tracker.start_failed(refused(128))
    driver.listed(refused(128), as_of=5)
    driver.tracker.start_failed(refused(128))
    assert driver.emitted() == [
        not_started(job(-1, start_failed=True, created=True), 128, -1, recovered=True)
    ]


def test_what_dies_and_was_never_started_is_the_start_that_failed() -> None:
    driver = (
        TrackerDriver(late_network_connect=True)
        .events(create(-1))
        .inspecting(start_attempt_over(0.5))
        .inspecting(die(0.55, 137))
    )
    driver.inspected(refused(128)).inspected(refused(128)).wait(2)
    failed = job(0.5, start_failed=True, created=True)
    assert driver.emitted() == [not_started(failed, 128, 0.5)]


def test_a_network_that_is_left_before_the_end_of_an_unseen_run_is_no_failed_start() -> None:
    driver = TrackerDriver(late_network_connect=True).inspecting(start_attempt_over(0.9))
    driver.inspecting(die(1, 3))
    driver.inspected(exited(0, 1, 3)).inspected(exited(0, 1, 3)).wait(2)
    assert driver.emitted() == [ended(job(0, created=True), 3, 1)]


def test_an_attempt_that_leads_to_a_start_is_no_failed_start() -> None:
    driver = (
        TrackerDriver()
        .events(create(-1))
        .inspecting(start_attempt(0))
        .events(start(0.2))
        .inspected(running(0.19))
    )
    driver.events(die(1, 0), start_attempt_over(1.01), destroy(1.1))
    begun = job(0.2, started=0.19, created=True)
    assert driver.emitted() == [begun, ended(begun, 0, 1)]


def test_a_network_that_a_running_container_joins_and_leaves_is_no_failed_start() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(start_attempt(1)).inspected(running(0))
    driver.events(die(2, 0))
    driver.inspecting(start_attempt_over(2.01)).events(destroy(2.02)).inspected(None).wait(2)
    assert driver.emitted() == [job(0), job(0, created=True), ended(job(0, created=True), 0, 2)]


def test_a_container_that_is_removed_while_its_start_is_tried_is_no_exit() -> None:
    driver = (
        TrackerDriver()
        .events(create(-1))
        .inspecting(start_attempt(0))
        .events(destroy(0.5))
        .inspected(None)
        .wait(2)
    )
    assert driver.emitted() == []


# --- lists


def test_what_had_ended_before_the_first_start_is_recovered() -> None:
    driver = TrackerDriver().listed(exited(0, 1, 3), exited(0, 2, 137, B, oom_killed=True), as_of=5).wait(1)
    flagged = ended(job(0, B, created=True), 137, 2, FLAGGED, oom_killed=True, oom_kills=1, recovered=True)
    assert driver.exits() == [ended(job(0, created=True), 3, 1, recovered=True), flagged]


def test_what_had_ended_before_the_first_start_is_never_told_as_running() -> None:
    driver = TrackerDriver().listed(exited(0, 1, 3), as_of=5).wait(1)
    assert driver.emitted() == [ended(job(0, created=True), 3, 1, recovered=True)]


def test_what_had_ended_well_before_the_stream_was_opened_is_not_waited_for() -> None:
    driver = TrackerDriver().listed(exited(0, 1, 3), as_of=5)
    assert driver.exits() == [ended(job(0, created=True), 3, 1, recovered=True)]


def test_what_is_running_is_found_and_its_end_seen() -> None:
    driver = TrackerDriver().listed(running(0, limit=64), as_of=5).events(die(9, 0)).wait(1)
    found = job(0, created=True, limit=64)
    assert driver.emitted() == [found, ended(found, 0, 9)]


def test_what_was_never_started_is_no_exit() -> None:
    assert TrackerDriver().listed(created(), as_of=5).wait(2).emitted() == []


def test_a_failed_start_that_nobody_saw_is_recovered_at_the_time_of_its_creation() -> None:
    driver = TrackerDriver().listed(refused(127), as_of=5).wait(1)
    assert driver.emitted() == [
        not_started(job(-1, start_failed=True, created=True), 127, -1, recovered=True)
    ]


def test_the_attempts_of_a_container_that_restarted_before_the_first_start_are_counted_on() -> None:
    driver = TrackerDriver().listed(exited(0, 1, 3, restarts=4), as_of=5).wait(1)
    assert driver.exits() == [ended(job(0, attempt=5, created=True), 3, 1, recovered=True)]


@pytest.mark.parametrize(
    "past",
    [
        pytest.param(ContainerHistory(1, at(1)), id="from its event"),
        pytest.param(ContainerHistory(1, at(0.95)), id="from a list"),
    ],
)
def test_an_exit_on_record_is_not_counted_again(past: ContainerHistory) -> None:
    driver = TrackerDriver(past={A: past}).listed(exited(-0.003, 0.95, 3), as_of=5).wait(2)
    assert driver.emitted() == []


def test_a_failed_start_on_record_is_not_counted_again() -> None:
    driver = TrackerDriver(past={A: ContainerHistory(1, at(0.5))}).listed(refused(127), as_of=5).wait(2)
    assert driver.emitted() == []


def test_what_a_list_has_told_the_next_one_does_not_tell_again() -> None:
    driver = TrackerDriver().listed(exited(0, 1, 3), running(0, B), as_of=5).wait(1)
    driver.emitted()
    assert driver.listed(exited(0, 1, 3), running(0, B), as_of=50).wait(2).emitted() == []


def test_an_end_before_its_beginning_by_the_engines_times_is_told_by_one_list_alone() -> None:
    # Of a run of a moment, an engine may see the end before it notes when it began.
    driver = TrackerDriver().listed(exited(1, 0.9995, 3), as_of=5).wait(2)
    assert [each.finished_ns for each in driver.exits()] == [at(1)]
    assert driver.listed(exited(1, 0.9995, 3), as_of=50).wait(2).emitted() == []


def test_a_network_that_fails_a_start_is_told_where_networks_are_joined_first() -> None:
    driver = TrackerDriver().events(create(0)).inspecting(start_attempt_over(1)).inspected(refused(128))
    driver.wait(2)
    assert [(each.job.attempt, each.code, each.evidence.start_failed) for each in driver.exits()] == [
        (1, 128, True)
    ]


def test_a_failed_start_has_the_same_id_for_whoever_saw_it_and_whoever_found_it() -> None:
    seen = (
        TrackerDriver()
        .events(create(0))
        .inspecting(start_attempt(1), start_attempt_over(1.5))
        .inspected(refused(127))
    )
    found_later = TrackerDriver().listed(refused(127), as_of=50)
    first, second = (
        [each.job.id for each in driver.inspected(refused(127)).wait(2).exits()]
        for driver in (seen, found_later)
    )
    assert first == second
    assert len(first) == 1


def test_a_running_job_on_record_that_still_runs_is_the_same_job() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(running(-0.003), as_of=5).events(die(9, 0))
    assert driver.emitted() == [ended(job(0, started=-0.003, created=True), 0, 9)]


def test_a_running_job_on_record_that_has_ended_is_recovered_with_its_code() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(exited(-0.003, 4, 3), as_of=5).wait(1)
    assert driver.emitted() == [ended(job(0, started=-0.003, created=True), 3, 4, recovered=True)]


def test_a_running_job_on_record_that_has_vanished_has_an_unknown_end() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(as_of=5).wait(1)
    assert driver.emitted() == [ended(job(0), None, 5, recovered=True)]


def test_a_job_that_vanished_keeps_its_workload() -> None:
    labelled = job(0, workload="nightly")
    driver = TrackerDriver(past=RUNS, runs=[labelled]).listed(as_of=5).wait(1)
    assert driver.emitted() == [ended(labelled, None, 5, recovered=True)]


def test_a_job_that_began_while_the_list_was_made_is_not_missed_in_it() -> None:
    driver = TrackerDriver().events(start(5.5)).listed(as_of=5, unlisted_ids=A).events(die(6, 0))
    assert driver.emitted() == [job(5.5), ended(job(5.5), 0, 6)]


def test_of_a_job_that_was_restarted_unseen_the_end_is_unknown_and_the_new_run_goes_on() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(running(3), as_of=5).wait(1)
    second = job(3, attempt=2, created=True)
    first = ended(job(0, created=True), None, 3, recovered=True)
    assert driver.emitted() == [second, first]
    assert driver.events(die(9, 4)).wait(1).emitted() == [ended(second, 4, 9)]


def test_the_end_that_follows_a_restart_unseen_belongs_to_the_new_run() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(running(3), as_of=5).events(die(5.5, 4)).wait(1)
    second = job(3, attempt=2, created=True)
    assert driver.emitted() == [
        second,
        ended(job(0, created=True), None, 3, recovered=True),
        ended(second, 4, 5.5),
    ]


def test_of_a_job_that_was_restarted_and_ended_unseen_the_last_code_is_recovered() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)]).listed(exited(3, 4, 7), as_of=5).wait(1)
    assert {each.job.attempt: each for each in driver.exits()} == {
        1: ended(job(0, created=True), None, 3, recovered=True),
        2: ended(job(3, attempt=2, created=True), 7, 4, recovered=True),
    }


def test_a_container_on_record_that_runs_anew_is_the_next_attempt() -> None:
    driver = TrackerDriver(past=RAN_BEFORE).listed(running(3), as_of=5).events(die(9, 0))
    second = job(3, attempt=2, created=True)
    assert driver.emitted() == [second, ended(second, 0, 9)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_list_that_shows_a_failed_start_adds_nothing_to_its_events(place: int) -> None:
    driver = TrackerDriver().events(create(4)).inspecting(start_attempt(6), start_attempt_over(6.5))
    for index in range(3):
        if index == place:
            driver.listed(refused(127), as_of=5)
        driver.inspected(refused(127)) if index < 2 else driver.events(destroy(7))
    assert [(each.job.attempt, each.code) for each in driver.wait(2).exits()] == [(1, 127)]


def test_a_container_that_vanished_after_its_end_is_forgotten() -> None:
    driver = TrackerDriver().events(start(0), die(1, 0), create(2, B)).listed(as_of=5)
    assert (driver.emitted(), [*driver.tracker._state.containers]) == ([job(0), ended(job(0), 0, 1)], [])


def test_what_ended_longer_ago_than_records_are_kept_is_left_alone() -> None:
    driver = TrackerDriver(memory_seconds=100).listed(exited(0, 1, 3), refused(127, B), as_of=101.5).wait(2)
    assert driver.emitted() == []


def test_what_ended_just_within_the_time_that_records_are_kept_is_recovered() -> None:
    driver = TrackerDriver(memory_seconds=100).listed(exited(0, 1, 3), as_of=101).wait(2)
    assert driver.exits() == [ended(job(0, created=True), 3, 1, recovered=True)]


def test_a_job_on_record_as_running_is_recovered_however_long_ago_it_ended() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)], memory_seconds=100)
    driver.listed(exited(-0.003, 1, 3), as_of=1000).wait(2)
    assert driver.emitted() == [ended(job(0, started=-0.003, created=True), 3, 1, recovered=True)]


# --- lists and events of the same moment: a list comes while events are already being read


def known(*, on_record: bool) -> TrackerDriver:
    """A tracker to which the job is known from its record, or not at all."""
    return TrackerDriver(past=RUNS, runs=[job(0)]) if on_record else TrackerDriver()


def facts(driver: TrackerDriver) -> list[tuple[int, int | None, bool, bool]]:
    """Attempt, code and what explains it of all ends."""
    return [
        (each.job.attempt, each.code, each.evidence.stop_requested, each.evidence.oom_killed)
        for each in driver.exits()
    ]


ON_RECORD = pytest.mark.parametrize(
    "on_record",
    [pytest.param(False, id="of a job not known before"), pytest.param(True, id="of a job on record")],
)
BEFORE, AFTER = running(0), exited(0, 1.99, 137, oom_killed=True)
LISTS = pytest.mark.parametrize(
    ("inspection", "place"),
    [
        pytest.param(BEFORE, 0, id="made before the end, told first"),
        pytest.param(BEFORE, 1, id="made before the end, told in between"),
        pytest.param(BEFORE, 2, id="made before the end, told last"),
        pytest.param(AFTER, 2, id="made after the end"),
    ],
)


@ON_RECORD
@LISTS
def test_a_list_and_the_events_of_an_end_by_request_give_the_same_exit_in_any_order(
    inspection: Inspection, place: int, *, on_record: bool
) -> None:
    events = (kill(1.9, 9), die(2, 137))
    driver = known(on_record=on_record).events(*events[:place])
    driver.listed(replace(inspection, oom_killed=False), as_of=1).events(*events[place:]).wait(2)
    assert facts(driver) == [(1, 137, True, False)]


@ON_RECORD
@LISTS
def test_a_list_and_the_events_of_an_oom_kill_give_the_same_exit_in_any_order(
    inspection: Inspection, place: int, *, on_record: bool
) -> None:
    events = (oom(1.9), die(2, 137))
    driver = known(on_record=on_record).events(*events[:place])
    driver.listed(inspection, as_of=1).events(*events[place:]).wait(2)
    assert facts(driver) == [(1, 137, False, True)]


@pytest.mark.parametrize("inspection", [BEFORE, AFTER])
def test_an_end_on_record_before_does_not_hide_one_that_is_told_before_its_list(
    inspection: Inspection,
) -> None:
    run_anew = replace(inspection, started_ns=at(1.5))
    driver = TrackerDriver(past=RAN_BEFORE).inspecting(die(2, 137)).listed(run_anew, as_of=1.7)
    driver.inspected(None).wait(2)
    assert (facts(driver), driver.wait(60).listed(as_of=50).wait(2).emitted()) == (
        [(2, 137, False, inspection.oom_killed)],
        [],
    )


@pytest.mark.parametrize("place", [2, 3])
def test_a_list_that_shows_a_container_running_adds_nothing_to_its_events(place: int) -> None:
    events = (create(4), start(6), die(7, 0))
    driver = TrackerDriver().events(*events[:place]).listed(running(5.997), as_of=5).events(*events[place:])
    assert (facts(driver.wait(2)), driver.events(destroy(8)).wait(2).emitted()) == (
        [(1, 0, False, False)],
        [],
    )


def test_a_list_that_shows_a_whole_run_adds_nothing_to_its_events() -> None:
    driver = TrackerDriver().events(create(4), start(6), die(7, 3)).listed(exited(5.997, 6.99, 3), as_of=5)
    assert (facts(driver.wait(2)), driver.events(destroy(8)).wait(2).emitted()) == (
        [(1, 3, False, False)],
        [],
    )


def test_after_the_list_a_die_without_a_start_is_a_second_one_of_an_end_on_record() -> None:
    driver = TrackerDriver(past=RAN_BEFORE).listed(exited(0, 0.99, 0), as_of=5).events(die(6, 137)).wait(2)
    assert driver.emitted() == []


def test_a_list_that_shows_the_run_before_does_not_end_the_one_that_has_begun_since() -> None:
    driver = TrackerDriver().events(start(5.5), die(6, 1), start(6.1)).wait(1)
    driver.listed(exited(5.497, 5.99, 1), as_of=5).wait(2)
    assert driver.emitted() == [job(5.5), job(6.1, attempt=2), ended(job(5.5), 1, 6)]
    second = job(6.1, attempt=2, created=True)
    assert driver.events(die(9, 4)).wait(2).emitted() == [ended(second, 4, 9)]


def test_a_label_does_not_hide_the_code_that_a_list_has_told() -> None:
    driver = TrackerDriver().events(masking(start(0), MaskedField.CODE)).inspecting(die(1, 0))
    driver.listed(exited(-0.003, 0.99, 77), as_of=-1).inspected(None).wait(2)
    assert driver.emitted() == [job(0), ended(job(0, started=-0.003, created=True), 77, 0.99)]


def test_a_doubtful_255_does_not_replace_the_code_that_a_list_has_told() -> None:
    driver = TrackerDriver().events(start(0)).inspecting(die(1, 255))
    driver.listed(exited(-0.003, 0.99, 1), as_of=-1).inspected(None).wait(2)
    assert driver.emitted() == [job(0), ended(job(0, started=-0.003, created=True), 1, 0.99)]


def test_what_ended_before_records_were_deleted_is_left_alone_though_they_are_kept_longer_now() -> None:
    rules = replace(CONFIG, retention_ns=1_000 * SECOND, pruned_before_ns=at(5))
    tracker = Tracker(rules, lambda _: None)
    tracker.resumed(Cursor(0, at(0)))
    tracker.listed(ContainerList((exited(0, 4, 3), exited(0, 6, 4, B)), at(10)), 0)
    tracker.release_due(1)
    assert [each.code for each in exits(tracker.drain())] == [4]


def test_a_second_start_right_after_an_end_that_was_waited_for_is_a_run_of_its_own() -> None:
    driver = TrackerDriver().listed(running(0), as_of=1).events(die(4, 9), start(4.2), die(8, 9), start(8.4))
    driver.events(die(12, 9)).wait(5)
    assert [each.code for each in driver.exits()] == [9, 9, 9]


def test_of_a_job_lost_with_its_host_that_is_said() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)], cursor=Cursor(at(0), at(-100)))
    driver.tracker.resumed(Cursor(0, at(-100)), EventGap.RESTARTED)
    driver.listed(exited(-0.003, 8, 255), as_of=9, event_gap=EventGap.RESTARTED, events_complete=True).wait(1)
    (end,) = driver.exits()
    assert (end.code, end.evidence.host_lost, end.recovered) == (255, True, True)


@pytest.mark.parametrize("event_gap", [EventGap.NONE, EventGap.OVERRUN])
def test_a_255_whose_event_may_have_been_forgotten_is_the_jobs_own(event_gap: EventGap) -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)], cursor=Cursor(at(0), at(-100)))
    driver.tracker.resumed(Cursor(at(0), at(-100)), event_gap)
    (end,) = driver.listed(exited(-0.003, 8, 255), as_of=9, event_gap=event_gap).wait(1).exits()
    assert (end.code, end.evidence.host_lost) == (255, False)


@pytest.mark.parametrize(
    ("known", "shown", "unknown"),
    [(0, 1, 0), (0, 3, 2), (2, 2, 2), (2, 0, 0), (None, 3, 0)],
)
def test_restarts_that_nobody_saw_are_as_many_as_the_engine_counts(
    known: int | None, shown: int, unknown: int
) -> None:
    past = {A: ContainerHistory(1, at(1), known)}
    driver = TrackerDriver(past=past, cursor=Cursor(at(1), at(-100)))
    driver.tracker.resumed(Cursor(0, at(-100)), EventGap.OVERRUN)
    driver.listed(exited(5, 6, 3, restarts=shown), as_of=9, event_gap=EventGap.OVERRUN).wait(1)
    ends = driver.exits()
    assert [each.code for each in ends] == [None] * unknown + [3]
    assert [each.job.attempt for each in ends] == list(range(2, 3 + unknown))
    assert [each.job.restarts for each in ends] == list(range(shown - unknown, shown + 1))


@pytest.mark.parametrize(("shown", "restarts"), [(running(4.9), 0), (exited(1, 2, 3, restarts=7), None)])
def test_an_answer_that_comes_before_its_start_is_told_counts_the_restarts_if_it_shows_that_run(
    shown: Inspection, restarts: int | None
) -> None:
    driver = TrackerDriver(past={A: ContainerHistory(1, at(2))}, cursor=Cursor(at(2), at(-100)))
    driver.inspecting(start_attempt(4)).inspected(shown, asked=4).events(start(5))
    (begun,) = driver.tracker.drain()
    assert isinstance(begun, Job)
    assert (begun.attempt, begun.restarts) == (2, restarts)


def test_an_answer_that_comes_before_its_start_is_told_is_not_of_the_run_before() -> None:
    driver = TrackerDriver(cursor=Cursor(at(0), at(-100)))
    # The first run still waits for a late report of an OOM kill when the second has left.
    driver.events(create(0.5), start(1), die(2, 1), start(3), die(4, 0))
    driver.inspecting(start_attempt(5)).inspected(exited(2.9, 4, 0, restarts=1), asked=5).events(start(6))
    (third,) = [each for each in driver.tracker.drain() if isinstance(each, Job) and each.attempt == 3]
    assert third.restarts is None


def test_what_ended_keeps_the_count_of_its_own_run() -> None:
    driver = TrackerDriver(cursor=Cursor(at(0), at(-100))).events(create(0.5))
    driver.inspecting(start(1)).inspected(running(0.9), asked=1).events(die(2, 1))
    driver.inspecting(start(2.2)).inspected(running(2.1, restarts=1), asked=2.2).wait(2)
    (end,) = driver.exits()
    assert end.job.restarts == 0


@pytest.mark.parametrize("order", ["early", "late", "none"])
def test_a_run_that_only_a_list_knows_is_one_however_often_its_container_was_restarted(order: str) -> None:
    newest = None if order == "none" else running(10.9, restarts=501)
    driver = TrackerDriver()
    if order == "early":
        driver.inspecting(start_attempt(10)).inspected(newest, asked=10).events(start(11))
    else:
        driver.inspecting(start(11)).inspected(newest, asked=11)
    driver.listed(exited(5, 6, 1, restarts=500), as_of=9, unlisted_ids=A).wait(5)
    assert [end.code for end in driver.exits()] == [1]


def test_a_run_on_record_counts_for_the_one_before_it_of_which_the_end_is_not_on_record() -> None:
    # The second run has ended on record with the engine's count 1, the first has not.
    past = {A: ContainerHistory(2, at(4), 1)}
    driver = TrackerDriver(past=past, runs=[replace(job(1), restarts=0)], cursor=Cursor(at(2), at(-100)))
    driver.tracker.resumed(Cursor(0, at(-100)), EventGap.OVERRUN)
    driver.listed(exited(5, 6, 3, restarts=2), as_of=9, event_gap=EventGap.OVERRUN).wait(1)
    assert [(end.job.attempt, end.code) for end in driver.exits()] == [(1, None), (3, 3)]


def test_the_code_of_a_failed_start_is_not_that_of_the_run_before() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)], cursor=Cursor(at(0), at(-100)))
    driver.tracker.resumed(Cursor(0, at(-100)), EventGap.OVERRUN)
    driver.listed(exited(-0.003, 4, 126, start_failed=True), as_of=9, event_gap=EventGap.OVERRUN).wait(1)
    failed, run = sorted(driver.exits(), key=lambda each: each.evidence.start_failed, reverse=True)
    assert [(run.code, run.job.attempt), (failed.code, failed.job.attempt)] == [(None, 1), (126, 2)]


def test_after_a_lapse_the_cursor_stands_still_until_a_list_has_told_what_is_missing() -> None:
    before, now = Cursor(at(1), at(-100)), Cursor(at(7), at(-100))
    driver = TrackerDriver(cursor=before)
    driver.tracker.resumed(now, EventGap.OVERRUN)
    assert driver.events(start(8)).tracker.cursor == before
    listed = driver.listed(running(7.997), as_of=9, event_gap=EventGap.OVERRUN)
    assert listed.tracker.cursor == Cursor(at(8), at(-100), at(9))


def test_the_cursor_waits_for_what_is_not_settled_yet() -> None:
    driver = TrackerDriver().listed(as_of=-1).events(start(1), die(2, 1), start(3, B))
    assert driver.tracker.cursor == Cursor(at(2), BEGINNING - 100 * SECOND)
    assert driver.wait(2).tracker.cursor == Cursor(at(3), BEGINNING - 100 * SECOND, at(3))


def test_that_nothing_more_was_told_moves_the_time_until_which_all_was_read() -> None:
    driver = TrackerDriver().listed(as_of=-1).events(start(1))
    driver.tracker.caught_up(at(500))
    assert driver.tracker.cursor == Cursor(at(1), BEGINNING - 100 * SECOND, at(500))


# --- any history


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


def test_a_text_of_the_engine_that_a_later_answer_lacks_is_kept() -> None:
    driver = TrackerDriver().events(create(-1)).inspecting(start_attempt(0))
    driver.inspecting(start_attempt_over(0.5))
    driver.inspected(replace(refused(126), error="is a directory")).inspected(refused(126)).wait(1)
    (failed,) = driver.exits()
    assert (failed.code, failed.evidence.start_error) == (126, "is a directory")
