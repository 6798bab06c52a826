"""OOM kills and crashes that the kernel reports, and the runs that they are attributed to."""

from __future__ import annotations

from dataclasses import replace
from signal import SIGSEGV

import pytest

from exporter.model import ContainerHistory, LimitOwner, OomKill, OomSource
from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.track.config import TrackerConfig
from exporter.verdict.facts import Crash, EndedRun, ForkRejected, KernelOomKill
from tests.contract.tracker_driver import (
    BEGINNING,
    CONFIG,
    SECOND,
    VICTIM,
    A,
    B,
    C,
    Inspecting,
    Step,
    TrackerDriver,
    answer,
    at,
    create,
    die,
    exited,
    job,
    kernel,
    kill,
    listed,
    oom,
    oom_ended,
    play,
    running,
    start,
    start_attempt,
)


def counted(seconds: float, kills: int = 1) -> KernelReport:
    return kernel(seconds, counted=kills)


COUNTED = "The kernel counted an OOM kill that no other container accounts for."
LIMIT = 64 << 20
COUNTING = replace(CONFIG, has_kernel_counter=True)
LIMITED: list[Step] = [Inspecting(start(0)), answer(running(0, limit=LIMIT))]
LIMITED_B: list[Step] = [Inspecting(start(0, B)), answer(running(0, B, limit=LIMIT))]
BOTH: list[Step] = [start(0), start(0, B)]
EARLY, ONE, LATE = counted(0.5), counted(0.95), counted(0.699)
BOTH_END: list[Step] = [die(1, 0), die(1, 137, B)]
FLAGGED = exited(0, 1, 137, oom_killed=True)

Kills = dict[str, list[float]]


def play_counting(*steps: Step) -> TrackerDriver:
    """Return a driver of a tracker with a kernel counter that has taken these steps."""
    return play(*steps, config=COUNTING)


def seconds(at_ns: int) -> float:
    return (at_ns - BEGINNING) / SECOND


def kills(driver: TrackerDriver) -> Kills:
    """Return the times of the OOM kills of each container that exited, -1 for one without a time."""
    return {
        each.job.container_id: [-1 if own.at_ns is None else seconds(own.at_ns) for own in each.job.oom_kills]
        for each in driver.exits()
    }


def test_a_counted_kill_that_nothing_else_explains_is_the_exits() -> None:
    driver = play_counting(start(0), ONE, die(1, 137), 1.0)
    assert driver.emitted() == [job(0), oom_ended(job(0), 137, 1, COUNTED)]


def test_a_success_with_a_limit_has_survived_a_counted_kill() -> None:
    limited = job(0, limit=LIMIT, created=True)
    driver = play_counting(*LIMITED, ONE, die(1, 0), 1.0)
    assert driver.emitted() == [limited, oom_ended(limited, 0, 1, COUNTED)]


ONE_RUN: dict[str, tuple[list[Step], int]] = {
    "counted with the exit": ([start(0), counted(1.001), die(1, 1)], 1),
    "counted before the start event": ([start_attempt(-0.4), counted(-0.003), start(0), die(0.05, 137)], 1),
    "counted before the start attempt": ([start_attempt(-0.4), counted(-0.5), start(0), die(0.05, 137)], 0),
    "counted long before the start": ([start_attempt(-4), counted(-1.1), start(0), die(0.05, 137)], 0),
    "counted before an unseen start": ([listed(running(2), as_of=3), counted(1.9), die(3.5, 137)], 0),
    "counted before the run": ([counted(5), start(10), die(14, 2)], 0),
    "counted long before the exit": ([start(0), counted(0.5), die(20, 137)], 0),
    "counted long before a success": ([*LIMITED, ONE, die(2, 0)], 0),
    "logged for another container": ([start(0), kernel(0.95, counted=1, logged=C), die(1, 137)], 0),
}


@pytest.mark.parametrize(("steps", "expected"), ONE_RUN.values(), ids=ONE_RUN)
def test_kills_of_one_run(steps: list[Step], expected: int) -> None:
    (exit_,) = play_counting(*steps, 1.0).exits()
    assert exit_.oom_kills == expected


TWO_RUNS: dict[str, tuple[list[Step], Kills]] = {
    "one kill, two exits with 137": ([*BOTH, ONE, die(1, 137), die(1.05, 137, B)], {A: [0.95], B: []}),
    "one kill, one exit with 137": ([*BOTH, ONE, die(1, 1), die(1.05, 137, B)], {A: [], B: [0.95]}),
    "two kills, two exits": ([*BOTH, counted(0.95, 2), die(1, 1), die(1.05, 137, B)], {A: [0.95], B: [0.95]}),
    "each exit takes the nearer kill": (
        [*BOTH, ONE, die(1, 137), counted(1.8), die(1.85, 137, B)],
        {A: [0.95], B: [1.8]},
    ),
    "an older and a newer kill": (
        [*BOTH, EARLY, counted(15), die(15.1, 137), die(15.2, 137, B)],
        {A: [15], B: []},
    ),
    "a kill after the exit": (
        [*BOTH, start(0, C), oom(0.1, C), counted(0.1), die(0.2, 137), LATE, die(0.7, 137, B)],
        {A: [], B: [0.699]},
    ),
    "a success without a limit": ([*BOTH, ONE, die(1, 0), die(1.1, 137, B)], {A: [], B: [0.95]}),
    "an event explains the kill": ([*BOTH, ONE, oom(0.96), die(1, 137, B)], {B: []}),
    "an event before the count explains it": ([*BOTH, oom(0.94), ONE, die(1, 137, B)], {B: []}),
    "an event explains one of two kills": (
        [*BOTH, oom(0.94), ONE, counted(1.2), die(1.3, 137, B)],
        {B: [1.2]},
    ),
    "an event long before the count": ([*BOTH, oom(0.94), counted(9.9), die(10, 137, B)], {B: [9.9]}),
    "an event explains the nearest kill": ([*BOTH, EARLY, counted(15), oom(15.01), die(16, 137, B)], {B: []}),
    "an event after the exit of its own run": (
        [*BOTH, ONE, kill(0.98, 9), die(1, 137), oom(1.01), die(1.1, 137, B)],
        {A: [], B: []},
    ),
    "an event before its count takes no other kill": (
        [*BOTH, ONE, die(1, 137), 0.8, oom(1.8, B), counted(1.81)],
        {A: [0.95]},
    ),
    "the OOMKilled flag explains the kill": (
        [start(0, B), ONE, Inspecting(die(1, 137)), answer(FLAGGED), die(1.1, 137, B)],
        {A: [-1], B: []},
    ),
    "a log line names the container": (
        [*BOTH, kernel(0.95, counted=1, logged=B), die(1, 137), die(1, 137, B)],
        {A: [], B: [0.95]},
    ),
    "a log line before the count": ([*BOTH, kernel(0.9, logged=A), ONE, die(1, 137, B)], {B: []}),
    "a log line and an event": (
        [*BOTH, kernel(0.93, counted=1, logged=A), oom(0.94), die(1, 137), die(1, 137, B)],
        {A: [0.93], B: []},
    ),
    "an event and a log line": (
        [*BOTH, oom(0.94), kernel(0.95, counted=1, logged=A), die(1, 137), die(1, 137, B)],
        {A: [0.95], B: []},
    ),
    "three exits: the most likely victim chooses first": (
        [*LIMITED, *LIMITED_B, start(0, C), EARLY, counted(0.9), die(1, 1, C), *BOTH_END],
        {A: [0.5], B: [0.9], C: []},
    ),
}


@pytest.mark.parametrize(("steps", "expected"), TWO_RUNS.values(), ids=TWO_RUNS)
def test_kills_of_several_runs(steps: list[Step], expected: Kills) -> None:
    assert kills(play_counting(*steps, 1.0)) == expected


@pytest.mark.parametrize("limited_first", [False, True])
@pytest.mark.parametrize(
    ("limited", "other", "is_limited_ones"),
    [(137, 137, True), (1, 137, False), (1, 1, True), (0, 1, True), (0, 137, False)],
)
def test_the_more_likely_of_two_victims_gets_the_kill(
    limited: int, other: int, *, is_limited_ones: bool, limited_first: bool
) -> None:
    ends = [die(1, limited), die(1, other, B)]
    driver = play_counting(*LIMITED, start(0, B), ONE, *(ends if limited_first else reversed(ends)), 1.0)
    killed = {each.job.container_id for each in driver.exits() if each.oom_kills}
    assert killed == {A if is_limited_ones else B}


NO_WAITS: dict[str, tuple[list[Step], int]] = {
    "a success with a limit, nothing counted": ([*LIMITED, die(1, 0)], 0),
    "137, nothing counted": ([start(0), die(1, 137)], 137),
    "137, all that was counted is explained": ([*BOTH, oom(1, B), counted(1), 1.0, die(2.1, 137)], 137),
}


@pytest.mark.parametrize(("steps", "code"), NO_WAITS.values(), ids=NO_WAITS)
def test_an_exit_does_not_wait_for_a_kill_that_was_not_counted(steps: list[Step], code: int) -> None:
    assert [(each.code, each.oom_kills) for each in play_counting(*steps).exits()] == [(code, 0)]


@pytest.mark.parametrize("config", [CONFIG, COUNTING])
def test_a_container_that_may_not_be_killed_gets_no_kill(config: TrackerConfig) -> None:
    hung = replace(running(0, limit=LIMIT), oom_kill_disabled=True)
    flagged = replace(exited(0, 25, 137, oom_killed=True), oom_kill_disabled=True)
    driver = play(Inspecting(start(0)), answer(hung), ONE, oom(0.94), 20.0, config=config)
    (exit_,) = driver.play(kill(24.9, 9), Inspecting(die(25, 137)), answer(flagged), 20.0).exits()
    assert (exit_.oom_kills, exit_.evidence.stop_requested) == (0, True)


def test_a_kill_in_a_nested_engine_is_of_the_container_whose_limit_was_reached() -> None:
    victim = replace(VICTIM, limit=LimitOwner.PARENT, cgroup=f"/docker/{A}")
    report = kernel(0.95, KernelOomKill(at(0.95), C, victim), counted=1)
    (exit_,) = play_counting(start(0), report, die(1, 137)).exits()
    (oom_kill,) = exit_.job.oom_kills
    assert exit_.evidence.oom_killed
    assert oom_kill.victim == replace(victim, limit=LimitOwner.OWN)


# Other facts in the log


def test_a_log_line_that_is_read_before_the_start_counts() -> None:
    rejected = kernel(1, ForkRejected(at(0.95), A))
    (exit_,) = play_counting(create(0), rejected, start(1), die(2, 3)).exits()
    assert exit_.evidence.notes == (
        "The kernel refused it another process: its limit of processes was reached 1.050 s before the end.",
    )


def crash(seconds: float) -> Crash:
    return Crash(at(seconds), "seg", 4711, SIGSEGV, "segfault at address 0x0, reading", None)


def test_a_crash_that_is_logged_just_after_the_exit_is_evidence() -> None:
    (exit_,) = play_counting(start(0), kernel(1.01, crash(1.003)), die(1, 139)).exits()
    (note,) = exit_.evidence.notes
    assert note == (
        "The kernel logged: process 4711 (seg): segfault at address 0x0, reading, at the end; "
        "whose process that was is not known."
    )


@pytest.mark.parametrize(
    ("code", "before", "is_evidence"),
    [(1, 0.9, True), (1, 1.1, False), (139, 9, True), (0, 0.9, False), (0, -0.01, False)],
)
def test_a_crash_near_a_failure_is_evidence(code: int, before: float, *, is_evidence: bool) -> None:
    (exit_,) = play_counting(start(0), kernel(20, crash(20 - before)), die(20, code)).exits()
    assert bool(exit_.evidence.notes) == is_evidence


@pytest.mark.parametrize(
    ("config", "is_said"),
    [
        (CONFIG, True),
        (COUNTING, False),
        (replace(COUNTING, kernel_since_ns=at(2)), True),
        (replace(COUNTING, kernel_since_ns=at(0)), False),
    ],
    ids=["no counter", "always read", "read since its end", "read since its start"],
)
def test_a_kill_that_the_kernel_could_not_be_asked_about_is_not_known(
    config: TrackerConfig, *, is_said: bool
) -> None:
    driver = TrackerDriver(config).play(start(0), die(1, 137), 1.0)
    *_, ended = driver.drain()
    assert isinstance(ended, EndedRun)
    said = "Whether the kernel killed it for memory without an event: the kernel could not be asked."
    assert (said in ended.not_known) is is_said


@pytest.mark.parametrize(
    ("logged", "ends", "is_oom"),
    [
        (29.9, [listed(exited(0, 30, 137), as_of=50)], True),
        (35, [listed(exited(0, 30, 137), as_of=50)], True),
        (41, [listed(exited(0, 30, 137), as_of=50)], False),
        (19, [listed(exited(0, 30, 137), as_of=50)], False),
        (29.9, [listed(exited(31, 32, 137), as_of=50)], False),
        (29.9, [listed(exited(0, 30, 1), as_of=50)], False),
        (29.9, [die(30, 137)], False),
        (29.9, [listed(running(0), as_of=29), listed(exited(0, 30, 137), as_of=50)], False),
    ],
    ids=[
        "its own",
        "by a clock that drifts",
        "by a clock that was set",
        "it went on for long",
        "of the run before",
        "it went on",
        "events tell",
        "it ran when the engine was back",
    ],
)
def test_a_kill_that_was_logged_while_nobody_watched_explains_an_end_in_the_next_list(
    logged: float, ends: list[Step], *, is_oom: bool
) -> None:
    config = replace(COUNTING, kernel_since_ns=at(40), has_kernel_log=True)
    driver = TrackerDriver(config, past={A: ContainerHistory(1, None)}, runs=[job(0)])
    driver.play(KernelReport(0, at(40), earlier=(KernelOomKill(at(logged), A, VICTIM),)), *ends, 1.0)
    assert driver.exits()[-1].evidence.oom_killed is is_oom


def test_a_kill_on_record_is_not_added_again_from_the_log() -> None:
    recorded = OomKill(OomSource.LOG, at(29.9), VICTIM)
    driver = TrackerDriver(
        COUNTING, past={A: ContainerHistory(1, None)}, runs=[replace(job(0), oom_kills=(recorded,))]
    )
    again = KernelReport(0, at(40), earlier=(KernelOomKill(at(29.8), A, VICTIM),))
    (exit_,) = driver.play(again, listed(exited(0, 30, 137), as_of=50), 1.0).exits()
    assert exit_.job.oom_kills == (recorded,)
