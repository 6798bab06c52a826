"""Runs of containers, from their events and inspections: each exit once, with all that is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.model import ContainerHistory, Cursor, Exit, Job
from exporter.sources.docker.engine import EventType, MaskedField
from exporter.sources.docker.track.container_info import ContainerInfo
from tests.contract.tracker_driver import (
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
    event,
    exited,
    job,
    kernel,
    kill,
    kill_note,
    listed,
    masking,
    oom,
    oom_ended,
    oom_note,
    play,
    running,
    start,
)

RAN_BEFORE = {A: ContainerHistory(attempts=1, last_end_ns=at(1))}
RUNS = {A: ContainerHistory(attempts=1, last_end_ns=None)}
LIMIT = 64 << 20
LIMITED = job(0, limit=LIMIT, created=True)
INSPECTED = job(0, created=True)
NIGHTLY = {"exit-exporter.workload": "nightly"}
NAMELESS = job(0, named="aaaaaaaaaaaa", image="", workload="unnamed")
ENDED, FLAGGED = exited(0, 1, 0), exited(0, 1, 137, oom_killed=True)
RENAME = replace(event(EventType.RENAME, 1), name="new")
FIRST: list[Step] = [start(0), die(1, 137)]
OTHER = event(EventType.OTHER, 0.5)
MALFORMED = replace(event(EventType.MALFORMED, 0.5), container_id="")

Case = tuple[list[Step], list[Job | Exit]]

EVENTS: dict[str, Case] = {
    "a start": ([create(-1), start(0)], [job(0)]),
    "an end": ([start(0), die(1, 0)], [job(0), ended(job(0), 0, 1)]),
    "other events": ([start(0), OTHER, MALFORMED, die(1, 0)], [job(0), ended(job(0), 0, 1)]),
    "all evidence of a run": (
        [start(0), oom(0.5), kill(0.8, 1), kill(0.9, 15), die(1, 137), 1.0],
        [
            job(0),
            ended(
                job(0),
                137,
                1,
                oom_note("0.500 s before the end"),
                kill_note("SIGHUP", "0.200 s before the end"),
                kill_note("SIGTERM", "0.100 s before the end"),
                oom_kills=1,
            ),
        ],
    ),
    "a rename": (
        [start(0), RENAME, replace(die(2, 0), name="new")],
        [job(0), job(0, named="new"), ended(job(0, named="new"), 0, 2)],
    ),
    "no name": ([replace(start(0), name="", image="")], [NAMELESS]),
    "a label with the workload": ([replace(start(0), labels=NIGHTLY)], [job(0, workload="nightly")]),
}


@pytest.mark.parametrize(("steps", "expected"), EVENTS.values(), ids=EVENTS)
def test_jobs_from_events_alone(steps: list[Step], expected: list[Job | Exit]) -> None:
    assert play(*steps).emitted() == expected


ENDS: dict[str, tuple[list[Step], list[str]]] = {
    "two runs": (
        [start(0), oom(0.9), die(1, 137), start(2), kill(2.9, 9), die(3, 137)],
        ["a1", "a1 exited 137 OOM", "a2", "a2 exited 137 asked"],
    ),
    "two containers": (
        [start(0), start(0, B), oom(0.9, B), die(1, 0), die(1, 137, B)],
        ["a1", "b1", "a1 exited 0", "b1 exited 137 OOM"],
    ),
    "a masked signal": (
        [masking(start(0), MaskedField.SIGNAL), kill(0.5, 1), die(1, 137)],
        ["a1", "a1 exited 137 asked"],
    ),
    "the stop signal of the container": (
        [Inspecting(start(0)), answer(replace(running(0), stop_signal=10)), kill(0.5, 10), die(1, 3)],
        ["a1", "a1 exited 3 asked"],
    ),
    "a second die": ([start(0), die(1, 0), die(1.1, 137), 2.0], ["a1", "a1 exited 0"]),
    "a second die of a pending exit": ([start(0), die(1, 1), die(1.1, 137), 2.0], ["a1", "a1 exited 1"]),
    "a second die before a start": (
        [start(0), die(1, 0), die(1.1, 137), start(2), die(3, 0)],
        ["a1", "a1 exited 0", "a2", "a2 exited 0"],
    ),
    "no end before a start": (
        [start(0), start(2), die(3, 4), 1.0],
        ["a1", "a2", "a1 exited None, recovered", "a2 exited 4"],
    ),
    "no end before a removal": ([start(0), destroy(5), 1.0], ["a1", "a1 exited None, recovered"]),
    "a removal after the end": ([start(0), die(1, 3), destroy(1.1), 1.0], ["a1", "a1 exited 3"]),
    "a removal before a start": ([create(-1), destroy(5), 2.0], []),
    "events after a removal": (
        [start(0), die(1, 0), destroy(1.1), oom(1.2), die(1.3, 137), answer(ENDED), listed(ENDED, as_of=1)],
        ["a1", "a1 exited 0"],
    ),
    "an OOM event after a removal": ([*FIRST, destroy(1.1), oom(1.11)], ["a1", "a1 exited 137 OOM"]),
    "a late OOM event before the second run": (
        [*FIRST, start(1.1), oom(1.05), die(2, 1), 1.0],
        ["a1", "a2", "a1 exited 137 OOM", "a2 exited 1"],
    ),
    "an OOM event in the second run": (
        [*FIRST, start(1.1), oom(1.2), die(1.3, 137), 1.0],
        ["a1", "a2", "a2 exited 137 OOM", "a1 exited 137"],
    ),
    "a late OOM event of the first of two pending runs": (
        [*FIRST, start(1.1), die(1.3, 1), oom(1.05), 1.0],
        ["a1", "a2", "a1 exited 137 OOM", "a2 exited 1"],
    ),
    "a late OOM event of the second run, which has left": (
        [start(0), die(1, 1), start(1.1), oom(1.2), die(1.3, 137), oom(1.31), 1.0],
        ["a1", "a2", "a2 exited 137 OOM", "a1 exited 1"],
    ),
    "a kill request in the second run": (
        [*FIRST, start(1.1), kill(1.2, 9), die(1.3, 137), 1.0],
        ["a1", "a2", "a2 exited 137 asked", "a1 exited 137"],
    ),
    "a removal while two runs are pending": (
        [start(0), die(1, 1), start(1.1), die(1.3, 2), destroy(1.4), 1.0],
        ["a1", "a2", "a1 exited 1", "a2 exited 2"],
    ),
    "an answer about the second run is not of the first": (
        [start(0), Inspecting(start(2)), answer(exited(1.997, 2.5, 4)), die(2.51, 4), 1.0],
        ["a1", "a2", "a1 exited None, recovered", "a2 exited 4"],
    ),
    "an answer about the first run is not of the second": (
        [Inspecting(start(0)), oom(0.9), die(1, 137), start(1.1), die(1.3, 1), answer(FLAGGED), 1.0],
        ["a1 exited 137 OOM", "a2 exited 1"],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), ENDS.values(), ids=ENDS)
def test_each_start_has_one_exit_with_its_own_evidence(steps: list[Step], expected: list[str]) -> None:
    assert play(*steps).summary() == expected


INSPECTIONS: dict[str, Case] = {
    "a start": (
        [create(-1), Inspecting(start(0)), answer(running(-0.003, limit=64))],
        [job(0, started=-0.003, limit=64, created=True)],
    ),
    "a start, without an answer": ([Inspecting(start(0)), answer(None)], [job(0)]),
    "a rename before the answer": (
        [Inspecting(start(0)), RENAME, answer(replace(running(0), name="new"))],
        [job(0, named="new", created=True)],
    ),
    "a label with the workload": (
        [Inspecting(start(0)), answer(running(0, labels=NIGHTLY))],
        [job(0, created=True, workload="nightly")],
    ),
    "an end whose start was not seen": (
        [Inspecting(die(9, 3)), answer(exited(0, 8.9, 3)), 1.0],
        [ended(INSPECTED, 3, 8.9)],
    ),
    "an end whose start is not known": (
        [Inspecting(die(9, 0)), answer(None)],
        [ended(job(9, no_start=True), 0, 9)],
    ),
}


@pytest.mark.parametrize(("steps", "expected"), INSPECTIONS.values(), ids=INSPECTIONS)
def test_jobs_from_events_and_inspections(steps: list[Step], expected: list[Job | Exit]) -> None:
    assert play(*steps).emitted() == expected


MASKED: list[Step] = [masking(start(0), MaskedField.CODE), Inspecting(die(1, 0))]
DIED_255: list[Step] = [start(0), Inspecting(die(1, 255))]

CODES: dict[str, tuple[list[Step], list[int | None]]] = {
    "masked": ([*MASKED, answer(exited(0, 1, 77))], [77]),
    "masked, without an answer": ([*MASKED, answer(None)], [None]),
    "masked, in a list": ([*MASKED, listed(exited(-0.003, 0.99, 77), as_of=-1), answer(None)], [77]),
    "of a run whose start was not seen": ([Inspecting(die(1, 0)), answer(exited(0, 1, 77))], [77]),
    "255, corrected": ([*DIED_255, answer(exited(0, 1, 1))], [1]),
    "255, confirmed": ([*DIED_255, answer(exited(0, 1, 255))], [255]),
    "255, without an answer": ([*DIED_255, answer(None)], [255]),
    "255, corrected by a list": ([*DIED_255, listed(exited(-0.003, 0.99, 1), as_of=-1), answer(None)], [1]),
    "255, with an answer about the next run": (
        [*DIED_255, start(1.1), die(1.2, 1), answer(exited(1.1, 1.2, 1))],
        [255, 1],
    ),
}


@pytest.mark.parametrize(("steps", "codes"), CODES.values(), ids=CODES)
def test_a_code_that_may_be_wrong_is_corrected(steps: list[Step], codes: list[int | None]) -> None:
    assert [each.code for each in play(*steps, 2.0).exits()] == codes


def test_a_start_that_is_inspected_is_emitted_with_the_answer() -> None:
    driver = play(Inspecting(start(0)))
    assert driver.emitted() == []
    assert driver.play(answer(running(0))).emitted() == [INSPECTED]


def test_a_job_has_what_ran_it_and_the_image_that_was_inspected_last() -> None:
    first = replace(running(0), image_id="sha256:1", image_digests=("a@sha256:2",))
    tracker = play(start(0), answer(first), answer(exited(0, 1, 0)), die(1, 0))
    (ran,) = (each.job for each in tracker.exits())
    assert (ran.runtime, ran.image_id, ran.image_digests) == ("docker", "sha256:1", ("a@sha256:2",))


def test_the_image_of_a_job_on_record_is_kept() -> None:
    info = ContainerInfo(A)
    info.update_from_record(replace(job(0), image_id="sha256:1", image_digests=("a@sha256:2",)))
    assert (info.image_id, info.image_digests) == ("sha256:1", ("a@sha256:2",))


def test_run_numbers_continue_from_the_record() -> None:
    driver = TrackerDriver(past=RAN_BEFORE).play(start(2), die(3, 0))
    assert driver.emitted() == [job(2, attempt=2), ended(job(2, attempt=2), 0, 3)]


def test_a_code_of_a_run_on_record_is_taken_from_the_answer() -> None:
    driver = TrackerDriver(past=RUNS, runs=[job(0)])
    driver.play(Inspecting(die(1, 0)), answer(exited(-0.003, 1, 77)), 1.0)
    assert driver.emitted() == [ended(job(0, started=-0.003, created=True), 77, 1)]


@pytest.mark.parametrize("code", [0, 1])
def test_a_removed_container_is_forgotten_after_its_exit(code: int) -> None:
    driver = play(listed(as_of=-1), start(0), die(1, code), destroy(1.1), 1.0)
    assert (driver.emitted(), [*driver.tracker._state.containers]) == ([job(0), ended(job(0), code, 1)], [])


# How long an exit waits: first with what is pending, then with what ends the wait

WAITS: dict[str, tuple[list[Step], list[Step], Exit]] = {
    "for an OOM event": (
        [start(0), die(1, 137), 0.9],
        [oom(1.005)],
        oom_ended(job(0), 137, 1, oom_note("at the end")),
    ),
    "for an OOM event that does not come": ([start(0), die(1, 137), 0.9], [0.1], ended(job(0), 137, 1)),
    "for an OOM event, after a signal that ends nothing": (
        [start(0), kill(0.5, 1), die(1, 3)],
        [1.0],
        ended(job(0), 3, 1, kill_note("SIGHUP", "0.500 s before the end")),
    ),
    "for an OOM event of a success with a limit": (
        [Inspecting(start(0)), answer(running(0, limit=LIMIT)), die(1, 0)],
        [oom(1.02), 1.0],
        oom_ended(LIMITED, 0, 1, oom_note("0.020 s after the end")),
    ),
    "for a line of the kernel's log": (
        [start(0), die(1, 137)],
        [kernel(1.01, logged=A)],
        oom_ended(
            job(0),
            137,
            1,
            "The kernel killed process 4711 (python) for memory 0.010 s after the end; "
            "its own limit was reached.",
        ),
    ),
    "for an inspection": (
        [Inspecting(start(0)), die(1, 0)],
        [answer(exited(0, 1, 0))],
        ended(INSPECTED, 0, 1),
    ),
    "for an inspection that does not come": (
        [Inspecting(start(0)), die(1, 0), 1.9],
        [0.1],
        ended(job(0), 0, 1),
    ),
}


@pytest.mark.parametrize(("pending", "ending", "expected"), WAITS.values(), ids=WAITS)
def test_an_exit_waits(pending: list[Step], ending: list[Step], expected: Exit) -> None:
    driver = play(*pending)
    assert driver.exits() == []
    assert driver.play(*ending).exits() == [expected]
    assert driver.play(oom(2), 10.0).exits() == []


@pytest.mark.parametrize(
    ("steps", "due"),
    [
        ([start(0), die(1, 137)], 1.0),
        ([start(0), Inspecting(die(1, 255))], 2.0),
        ([start(0), die(1, 0)], None),
    ],
)
def test_the_time_until_which_an_exit_waits_is_known(steps: list[Step], due: float | None) -> None:
    assert play(*steps).tracker.next_due == due


NO_WAITS: dict[str, list[Step]] = {
    "a success": [start(0), die(1, 0)],
    "a known OOM kill": [start(0), oom(0.5), die(1, 137)],
    "docker kill": [start(0), kill(0.5, 9), die(1, 137)],
    "docker stop": [start(0), kill(0.5, 15), die(1, 143)],
    "docker stop that timed out": [start(0), kill(0.5, 15), kill(0.8, 9), die(1, 137)],
}


@pytest.mark.parametrize("steps", NO_WAITS.values(), ids=NO_WAITS)
def test_an_exit_that_no_late_oom_event_could_change_does_not_wait(steps: list[Step]) -> None:
    assert len(play(*steps).exits()) == 1


def test_what_is_on_record_is_recognised_whatever_its_number() -> None:
    signals = frozenset(at(each / 1000) for each in range(5_000))
    past = {
        A: ContainerHistory(1, at(2), recorded_event_times=frozenset({at(0), at(1), at(2)})),
        B: ContainerHistory(1, at(5), recorded_event_times=signals),
    }
    driver = TrackerDriver(past=past, cursor=Cursor(at(-1), at(-100)))
    driver.play(kill(1, 9), kill(0.001, 9, B), start(0), die(2, 137), listed(as_of=9), 1.0)
    assert driver.emitted() == []
