"""Notes and causes: the sentences by which the evidence of an exit is shown."""

from signal import SIGHUP, SIGKILL, SIGSEGV, SIGSYS, SIGTERM
from typing import Any

import pytest

from exporter.model import LimitOwner, OomSource, OomVictim
from exporter.verdict.evidence import assess
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelFact, RunFacts, SeccompKill
from exporter.verdict.notes import signal_name
from tests.unit.ended_runs import CHILD, END, FLAG, HOUR, PID, SECOND, asked, logged, oom, run, victim

AT = END - SECOND


def notes(facts: RunFacts) -> list[str]:
    """Return the notes of a run."""
    return [*assess(facts).notes]


def test_facts_with_a_time_follow_those_without_and_are_sorted() -> None:
    kills = (asked(SIGKILL, 1), asked(None, 2), asked(37, -2))
    oom_kills = (FLAG, oom(100), oom(1.5, OomSource.LOG), oom(0, OomSource.COUNTER), oom(-0.0015))
    assert notes(run(*kills, *oom_kills, lost_with_host=True, hung=True)) == [
        "The engine or its host went down, and the container with it.",
        "The engine's OOMKilled flag is set.",
        "The kernel counted an OOM kill that no other container accounts for.",
        "It was out of memory and could not be killed for that (--oom-kill-disable): it hung.",
        "The engine reported an OOM kill 100.000 s before the end.",
        "The engine was asked to send a signal 2.000 s before the end.",
        "The kernel's log names this container for an OOM kill 1.500 s before the end.",
        "The engine was asked to send SIGKILL 1.000 s before the end.",
        "The engine reported an OOM kill at the end.",
        "The engine was asked to send signal 37 2.000 s after the end.",
    ]


def test_only_the_last_twenty_facts_are_noted() -> None:
    assert notes(run(*(asked(SIGHUP, seconds) for seconds in range(25, 0, -1)))) == [
        f"The engine was asked to send SIGHUP {seconds}.000 s before the end." for seconds in range(20, 0, -1)
    ]


TOGETHER = (
    "All 3 containers that ran on this engine were asked to stop at the same time, as when an engine is "
    "stopped."
)
HEALTH = (
    "It was unhealthy when it was asked to stop (a stop by hand of an unhealthy container looks the same); "
    "the last check that failed said: {refused}"
)


@pytest.mark.parametrize(
    ("seconds", "known", "note"),
    [
        (HOUR, {"was_stopped": True}, "The engine's stop command saw it end."),
        (3, {"unhealthy_ns": END - 5 * SECOND, "health_output": "{refused}"}, HEALTH),
        (3, {"stopped_together": 3}, TOGETHER),
        (3, {"stopped_together": 1}, None),
        (3, {}, None),
    ],
)
def test_the_circumstances_of_a_stop_are_noted(
    seconds: float, known: dict[str, Any], note: str | None
) -> None:
    _, *others = notes(run(asked(SIGTERM, seconds), code=143, **known))
    assert others == ([note] if note else [])


@pytest.mark.parametrize(
    ("of", "note"),
    [
        (victim(rss_bytes=300 << 20), " (python3, 300 MiB) for memory {}; its own limit was reached."),
        (
            victim(LimitOwner.PARENT),
            " (python3) for memory {}; the limit of /s was reached, which others share.",
        ),
        (
            victim(LimitOwner.HOST, largest=("{db}", 1 << 30)),
            " (python3) for memory {}; the host itself was out of memory; {{db}} held most (1 GiB).",
        ),
        (victim(None), " (python3) for memory {}; whose limit was reached is not known."),
    ],
)
def test_the_details_of_an_oom_kill_are_noted(of: OomVictim, note: str) -> None:
    assert notes(run(logged(1, of))) == [
        "The kernel killed process 4711" + note.format("1.000 s before the end")
    ]


FORK = ForkRejected(AT, "a" * 64)
FORKS = "It reached its limit{} of processes and threads (--pids-limit): raise it, or start fewer"
CRASH = Crash(AT, "seg", CHILD, SIGSEGV, "segfault", None)
SYSCALL = "made system call 41, which its seccomp profile kills,"
SECCOMP = SeccompKill(AT, "sh", CHILD, SIGSYS, 41)
BUS = "GPU has fallen off the bus."
XID = f"The GPU driver reported Xid 79 ({BUS})"
GPU = GpuFault(AT, "0000:01:00", 79, PID, "train", BUS)
OTHER_GPU = GpuFault(AT, "0000:01:00", 79, None, None, BUS)
UNKNOWN = "; whose process that was is not known"
FACTS = {
    "fork rejected": (
        run(FORK, code=11, pids_limit=64),
        "The kernel refused it another process: its limit of processes (64) was reached",
        FORKS.format(" of 64"),
    ),
    "fork rejected at an unknown limit": (
        run(FORK, code=0),
        "The kernel refused it another process: its limit of processes was reached",
        FORKS.format(""),
    ),
    "a crash of process 1": (
        run(Crash(AT, "seg", PID, SIGSEGV, "general {protection} fault", "libx.so"), code=139, pid=PID),
        "The kernel logged: process 4711 (seg): general {protection} fault in libx.so,",
        "Its process crashed: general {protection} fault in libx.so",
    ),
    "a crash with another code": (
        run(Crash(AT, "seg", PID, SIGSEGV, "segfault", None), code=1, pid=PID),
        "The kernel logged: process 4711 (seg): segfault,",
        None,
    ),
    "a system call of process 1": (
        run(SeccompKill(AT, "sh", PID, SIGSYS, 41), code=159, pid=PID),
        f"The kernel logged: process 4711 (sh) {SYSCALL}",
        "Its seccomp profile forbids system call 41",
    ),
    "a GPU of process 1": (run(GPU, code=1, pid=PID), XID, f"A GPU that it used failed: Xid 79, {BUS}"),
    "a GPU of a success": (run(GPU, code=0, pid=PID), XID, None),
}
UNATTRIBUTED = {
    "a crash": (CRASH, 139, "The kernel logged: process 4712 (seg): segfault,"),
    "a system call": (SECCOMP, 159, f"The kernel logged: process 4712 (sh) {SYSCALL}"),
    "a GPU": (OTHER_GPU, 1, XID),
}


@pytest.mark.parametrize(("facts", "note", "cause"), FACTS.values(), ids=FACTS)
def test_the_kernels_log_is_noted_with_the_cause_that_it_names(
    facts: RunFacts, note: str, cause: str | None
) -> None:
    assert notes(facts) == [f"{note} 1.000 s before the end."]
    assert assess(facts).causes == ((cause,) if cause else ())


@pytest.mark.parametrize("pid", [PID, None])
@pytest.mark.parametrize(("fact", "code", "note"), UNATTRIBUTED.values(), ids=UNATTRIBUTED)
def test_facts_of_an_unknown_process_are_noted_without_a_cause(
    fact: KernelFact, code: int, note: str, pid: int | None
) -> None:
    facts = run(fact, code=code, pid=pid)
    assert notes(facts) == [f"{note} 1.000 s before the end{UNKNOWN}."]
    assert assess(facts).causes == ()


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (15, "SIGTERM"), (0, "signal 0"), (37, "signal 37"), (None, "a signal")],
)
def test_a_signal_has_a_name_or_its_number(number: int | None, name: str) -> None:
    assert signal_name(number) == name
