"""Weighing: what was seen of a run, and what a verdict may turn on."""

from collections.abc import Sequence
from dataclasses import replace
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTERM, SIGUSR1, SIGWINCH
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import Evidence, KillRequest, MemoryLimit, OomKill, OomSource, OomVictim
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from exporter.verdict.evidence import assess
from exporter.verdict.facts import Crash, ForkRejected, GpuFault, KernelFact, RunFacts, SeccompKill
from exporter.verdict.notes import signal_name
from exporter.verdict.oom_kills import oom_count
from exporter.verdict.stop_requests import explaining_requests, is_terminating, needs_stop_event

SECOND = 10**9
HOUR = 3600
END = 1_000_000 * SECOND
WINDOW = 10 * SECOND
PID = 4711
CHILD = 4712
SURVIVED = "A process of it was killed for memory earlier; what failed in the end may have missed it"


def run(
    kills: Sequence[KillRequest] = (),
    oom_kills: Sequence[OomKill] = (),
    *,
    code: int | None = 137,
    stop_signal: int = SIGTERM,
    **known: Any,
) -> RunFacts:
    return RunFacts(code, END, kills, oom_kills, stop_signal, WINDOW, **known)


def verdict(record: RunFacts) -> str:
    """Status and reason of an end."""
    judged = classify(record.code, assess(record), builtin_catalog())
    return f"{judged.status} {judged.reason}"


def asked(number: int | None, seconds_before: float) -> KillRequest:
    return KillRequest(number, END - round(seconds_before * SECOND))


def oom(seconds_before: float | None, source: OomSource = OomSource.EVENT) -> OomKill:
    return OomKill(source, None if seconds_before is None else END - round(seconds_before * SECOND))


@pytest.mark.parametrize(
    ("record", "evidence"),
    [
        pytest.param(run(), Evidence(), id="nothing was seen"),
        pytest.param(
            run(oom_kills=[oom(0.25)]),
            Evidence(oom_killed=True, notes=("The engine reported an OOM kill 0.250 s before the end.",)),
            id="an OOM kill right before the end",
        ),
        pytest.param(
            run(oom_kills=[oom(-0.0015)]),
            Evidence(oom_killed=True, notes=("The engine reported an OOM kill at the end.",)),
            id="an OOM report that came late",
        ),
        pytest.param(
            run(oom_kills=[oom(10)]),
            Evidence(oom_killed=True, notes=("The engine reported an OOM kill 10.000 s before the end.",)),
            id="an OOM kill at the edge of the window",
        ),
        pytest.param(
            run(oom_kills=[oom(10.001)], code=1),
            Evidence(
                causes=(SURVIVED,),
                notes=("The engine reported an OOM kill 10.001 s before the end.",),
            ),
            id="an OOM kill that was survived for long",
        ),
        pytest.param(
            run(oom_kills=[oom(100), oom(1)]),
            Evidence(
                oom_killed=True,
                notes=(
                    "The engine reported an OOM kill 100.000 s before the end.",
                    "The engine reported an OOM kill 1.000 s before the end.",
                ),
            ),
            id="the last of several OOM kills counts",
        ),
        pytest.param(
            run([asked(SIGTERM, 2)], [oom(1)]),
            Evidence(
                oom_killed=True,
                notes=(
                    "The engine was asked to send SIGTERM 2.000 s before the end.",
                    "The engine reported an OOM kill 1.000 s before the end.",
                ),
            ),
            id="an OOM kill on the way down is what ended it",
        ),
        pytest.param(
            run([asked(SIGKILL, 1)], [oom(2)]),
            Evidence(
                stop_requested=True,
                causes=(SURVIVED,),
                notes=(
                    "The engine reported an OOM kill 2.000 s before the end.",
                    "The engine was asked to send SIGKILL 1.000 s before the end.",
                ),
            ),
            id="a kill request after an OOM kill is what ended it",
        ),
        pytest.param(
            run([asked(SIGHUP, 1)], [oom(2)]),
            Evidence(
                oom_killed=True,
                notes=(
                    "The engine reported an OOM kill 2.000 s before the end.",
                    "The engine was asked to send SIGHUP 1.000 s before the end.",
                ),
            ),
            id="a HUP after an OOM kill asks for no end",
        ),
        pytest.param(
            run([asked(SIGTERM, 3)], [], code=143),
            Evidence(
                stop_requested=True, notes=("The engine was asked to send SIGTERM 3.000 s before the end.",)
            ),
            id="a stop",
        ),
        pytest.param(
            run([asked(None, 3)], []),
            Evidence(
                stop_requested=True, notes=("The engine was asked to send a signal 3.000 s before the end.",)
            ),
            id="a stop by a signal that a label hides",
        ),
        pytest.param(
            run([asked(37, 3)], [], code=165, stop_signal=37),
            Evidence(
                stop_requested=True,
                notes=("The engine was asked to send signal 37 3.000 s before the end.",),
            ),
            id="a stop by the stop signal of a container",
        ),
        pytest.param(
            run([], [oom(None, OomSource.FLAG)]),
            Evidence(oom_killed=True, notes=("The engine's OOMKilled flag is set.",)),
            id="the flag alone",
        ),
        pytest.param(
            run([asked(SIGKILL, 1)], [oom(None, OomSource.FLAG)]),
            Evidence(
                stop_requested=True,
                causes=(SURVIVED,),
                notes=(
                    "The engine's OOMKilled flag is set.",
                    "The engine was asked to send SIGKILL 1.000 s before the end.",
                ),
            ),
            id="the flag, which says not when, and a request",
        ),
        pytest.param(
            run([], [oom(0, OomSource.COUNTER)]),
            Evidence(
                oom_killed=True,
                notes=("The kernel counted an OOM kill that no other container accounts for.",),
            ),
            id="the kernel's counter",
        ),
        pytest.param(
            run([], [oom(1), oom(0, OomSource.LOG), oom(0, OomSource.LOG), oom(None, OomSource.FLAG)]),
            Evidence(
                oom_killed=True,
                notes=(
                    "The engine's OOMKilled flag is set.",
                    "The engine reported an OOM kill 1.000 s before the end.",
                    "The kernel's log names this container for an OOM kill 0.000 s before the end.",
                    "The kernel's log names this container for an OOM kill 0.000 s before the end.",
                ),
            ),
            id="three witnesses of one kill, on record since before they were told apart",
        ),
    ],
)
def test_what_was_seen_is_boiled_down_to_what_a_verdict_turns_on(
    record: RunFacts, evidence: Evidence
) -> None:
    assert assess(record) == evidence


def test_only_the_last_twenty_facts_are_told() -> None:
    kills = [asked(SIGHUP, seconds) for seconds in range(25, 0, -1)]
    assert assess(run(kills)).notes == tuple(
        f"The engine was asked to send SIGHUP {seconds}.000 s before the end." for seconds in range(20, 0, -1)
    )


SIGNALS = st.one_of(st.none(), st.sampled_from([1, 2, 3, 9, 10, 15, 28, 37]))
MOMENTS = st.integers(END - 30 * SECOND, END + 2 * SECOND)
RECORDS = st.builds(
    RunFacts,
    code=st.none() | st.integers(0, 255),
    ended_ns=st.just(END),
    kills=st.lists(st.builds(KillRequest, SIGNALS, MOMENTS), max_size=4),
    oom_kills=st.lists(
        st.builds(OomKill, st.sampled_from(OomSource), MOMENTS) | st.just(OomKill(OomSource.FLAG, None)),
        max_size=4,
    ),
    stop_signal=st.sampled_from([2, 9, 15, 28, 37]),
    oom_window_ns=st.just(WINDOW),
    started_ns=st.none() | st.integers(END - 3 * WINDOW, END),
    lost_with_host=st.just(value=False),
)


@given(RECORDS)
@example(run([asked(SIGKILL, 1)], [oom(1)]))
@example(run([], [oom(11)]))
@example(run([], [oom(11)], code=1))
def test_memory_ended_it_if_an_oom_kill_explains_it_and_nobody_asked_for_the_end_since(
    record: RunFacts,
) -> None:
    requests = [kill.at_ns for kill in explaining_requests(record)]
    moments = [kill.at_ns for kill in record.oom_kills if kill.at_ns is not None]
    if moments:
        named = any(
            kill.source in (OomSource.EVENT, OomSource.LOG) and kill.at_ns is not None
            for kill in record.oom_kills
        )
        since = [at_ns for at_ns in requests if at_ns > max(moments)]
        killed = not since and (max(moments) >= END - WINDOW or (named and record.code == 137))
    else:
        brief = record.started_ns is not None and record.started_ns >= END - WINDOW
        killed = bool(record.oom_kills) and not requests and (record.code in (None, 137) or brief)
    found = assess(record)
    assert (found.oom_killed, found.stop_requested) == (killed, bool(requests))
    assert (found.start_failed, found.host_lost) == (False, False)


# Requests


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        pytest.param(run([asked(SIGQUIT, 17)], code=1), "failed Error", id="a thread dump, and an end later"),
        pytest.param(run([asked(SIGQUIT, 5)], code=1), "failed Error", id="QUIT is no engine's stop"),
        pytest.param(
            run([asked(SIGQUIT, 5)], code=1, stop_signal=SIGQUIT), "terminated Error", id="unless set"
        ),
        pytest.param(run([asked(SIGQUIT, 1)], code=2), "terminated Error", id="QUIT, handled at once"),
        pytest.param(run([asked(SIGQUIT, 17)], code=131), "terminated SIGQUIT", id="the code of QUIT itself"),
        pytest.param(
            run([asked(SIGTERM, 2 * HOUR)], code=0), "done Completed", id="TERM, survived for hours"
        ),
        pytest.param(run([asked(SIGTERM, 2 * HOUR)], code=143), "failed SIGTERM", id="another's TERM"),
        pytest.param(run([asked(SIGTERM, 59)], code=143), "terminated Terminated", id="TERM in the window"),
        pytest.param(
            run([asked(SIGTERM, 59)], code=143, stop_window_ns=30 * SECOND),
            "failed SIGTERM",
            id="TERM beyond a window that is set",
        ),
        pytest.param(run([asked(SIGTERM, 11)], code=5), "terminated Error", id="TERM in the stop timeout"),
        pytest.param(run([asked(SIGTERM, 13)], code=5), "failed Error", id="TERM beyond the stop timeout"),
        pytest.param(
            run([asked(SIGTERM, 290)], code=5, stop_seconds=300),
            "terminated Error",
            id="TERM in a long stop timeout",
        ),
        pytest.param(
            run([asked(SIGTERM, 290)], code=143, stop_seconds=300),
            "terminated Terminated",
            id="a stop timeout that is longer than the window",
        ),
        pytest.param(
            run([asked(SIGKILL, 1)], code=0), "done Completed", id="KILL leaves no choice of a code"
        ),
        pytest.param(run([asked(SIGKILL, 1)], code=1), "failed Error", id="KILL came too late for a failure"),
        pytest.param(
            run([asked(SIGTERM, 2)], code=139),
            "failed SegmentationFault",
            id="TERM makes no other signal's code",
        ),
        pytest.param(run([asked(SIGTERM, -1.5)], code=143), "failed SIGTERM", id="a request after the end"),
        pytest.param(
            run([asked(SIGTERM, -0.5)], code=143), "terminated Terminated", id="a request that was told late"
        ),
        pytest.param(
            run([asked(SIGTERM, HOUR)], code=5, was_stopped=True, inspected=True),
            "terminated Error",
            id="the engine's stop command waited for as long as it takes",
        ),
        pytest.param(
            run([asked(SIGTERM, -1.5)], code=5, was_stopped=True),
            "failed Error",
            id="a stop command that came after the end",
        ),
        pytest.param(
            run([asked(SIGUSR1, HOUR)], code=0, was_stopped=True),
            "terminated Completed",
            id="a stop by a signal that nobody knew to be the container's own",
        ),
        pytest.param(
            run([asked(SIGUSR1, HOUR)], code=0, was_stopped=True, inspected=True),
            "done Completed",
            id="a signal that is known not to be the container's stop signal",
        ),
    ],
)
def test_a_request_explains_an_end_within_its_window_and_if_it_can_have_made_the_code(
    record: RunFacts, shown: str
) -> None:
    assert verdict(record) == shown


@pytest.mark.parametrize(
    ("record", "waits"),
    [
        (run([asked(SIGTERM, HOUR)], code=5), True),
        (run([asked(SIGTERM, 1)], code=5), False),
        (run([asked(SIGQUIT, HOUR)], code=5), False),
        (run([asked(SIGTERM, HOUR)], code=5, was_stopped=True), False),
        (run([], code=5), False),
    ],
)
def test_the_stop_command_is_waited_for_only_where_it_would_matter(record: RunFacts, *, waits: bool) -> None:
    assert needs_stop_event(record) is waits


def test_that_the_stop_command_saw_the_end_is_evidence() -> None:
    assert assess(run([asked(SIGTERM, HOUR)], code=5, was_stopped=True)).notes == (
        "The engine was asked to send SIGTERM 3600.000 s before the end.",
        "The engine's stop command saw it end.",
    )


@pytest.mark.parametrize(
    ("kills", "unhealthy_ns", "shown"),
    [
        pytest.param([asked(SIGTERM, 3)], END - 5 * SECOND, "failed Unhealthy", id="unhealthy, then stopped"),
        pytest.param(
            [asked(SIGTERM, 3)], END - SECOND, "terminated Terminated", id="stopped, then unhealthy"
        ),
        pytest.param([asked(SIGTERM, 3)], None, "terminated Terminated", id="healthy again"),
        pytest.param([], END - 5 * SECOND, "failed SIGTERM", id="unhealthy, and nobody asked"),
        pytest.param(
            [asked(SIGTERM, 2 * HOUR)], END - 9 * HOUR * SECOND, "failed SIGTERM", id="asked long before"
        ),
    ],
)
def test_it_was_ended_for_its_health_if_it_was_unhealthy_when_it_was_asked_to_stop(
    kills: list[KillRequest], unhealthy_ns: int | None, shown: str
) -> None:
    assert verdict(run(kills, code=143, unhealthy_ns=unhealthy_ns)) == shown


def test_an_unhealthy_end_says_what_the_check_said_and_what_looks_the_same() -> None:
    record = run([asked(SIGTERM, 3)], code=143, unhealthy_ns=END - 5 * SECOND, health_output="{refused}")
    assert assess(record).notes[-1] == (
        "It was unhealthy when it was asked to stop (a stop by hand of an unhealthy container looks the "
        "same); the last check that failed said: {refused}"
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_that_all_containers_of_an_engine_were_stopped_together_is_evidence(count: int) -> None:
    notes = assess(run([asked(SIGTERM, 3)], stopped_together=count)).notes[1:]
    told = (
        "All 3 containers that ran on this engine were asked to stop at the same time, as when an engine is "
        "told to stop."
    )
    assert notes == ((told,) if count == 3 else ())


# Memory


def victim(limit: MemoryLimit | None = MemoryLimit.OWN, pid: int = PID, **told: Any) -> OomVictim:
    return OomVictim(limit, "/s", "python3", pid, **told)


def logged(seconds_before: float, of: OomVictim) -> OomKill:
    return replace(oom(seconds_before, OomSource.LOG), victim=of)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        pytest.param(run([], [oom(HOUR)]), "failed OOMKilled", id="the event, and 137"),
        pytest.param(run([], [oom(HOUR)], code=1), "failed Error", id="the event, and a code of its own"),
        pytest.param(
            run([], [oom(HOUR, OomSource.COUNTER)]), "failed SIGKILL", id="the counter names nobody"
        ),
        pytest.param(
            run([asked(SIGKILL, 1)], [oom(HOUR)]), "terminated Killed", id="the event, and a kill by hand"
        ),
        pytest.param(
            run([asked(SIGTERM, 3 * HOUR)], [oom(HOUR)]), "failed OOMKilled", id="asked for the end before"
        ),
        pytest.param(
            run([], [logged(HOUR, victim())], code=255, pid=PID), "failed OOMKilled", id="process 1, and 255"
        ),
        pytest.param(
            run([], [logged(HOUR, victim(pid=CHILD))], pid=PID),
            "failed OOMKilled",
            id="a child, and 137 handed on",
        ),
        pytest.param(
            run([], [logged(2, victim(pid=CHILD))], code=1, pid=PID),
            "failed OOMKilled",
            id="a child just now",
        ),
        pytest.param(
            run([], [logged(HOUR, victim(pid=CHILD))]), "failed OOMKilled", id="whose pid is unknown"
        ),
    ],
)
def test_a_witness_that_names_who_was_killed_holds_long_after(record: RunFacts, shown: str) -> None:
    assert verdict(record) == shown


SHARED = "The limit of the control group /s, which it shares, was reached: raise that one"
ELSEWHERE = "The host itself was out of memory: run it elsewhere or later"
HOST = f"{ELSEWHERE}, or give it a limit of its own"


@pytest.mark.parametrize(
    ("record", "limit", "causes"),
    [
        pytest.param(run([], [logged(1, victim())]), MemoryLimit.OWN, (), id="its own"),
        pytest.param(
            run([], [logged(1, victim(MemoryLimit.PARENT))]), MemoryLimit.PARENT, (SHARED,), id="parent"
        ),
        pytest.param(
            run([], [logged(1, victim(MemoryLimit.HOST, largest=("postgres", 3 << 30)))]),
            MemoryLimit.HOST,
            (HOST, "Another process held most of that memory: postgres, 3,072 MiB"),
            id="the host's",
        ),
        pytest.param(
            run([], [logged(1, victim(MemoryLimit.HOST))], memory_limit_bytes=1 << 30),
            MemoryLimit.HOST,
            (ELSEWHERE,),
            id="the host's, below its own",
        ),
        pytest.param(run([], [logged(1, victim(None))]), None, (), id="the log does not say"),
        pytest.param(run([], [logged(HOUR, victim())], code=0), None, (), id="it survived, and succeeded"),
        pytest.param(run([], [oom(1)]), None, (), id="nobody knows of its limits"),
        pytest.param(
            run([], [oom(1)], inspected=True, memory_limit_bytes=1 << 20),
            None,
            (),
            id="it has one, or a parent",
        ),
        pytest.param(
            run([], [oom(1)], inspected=True, cgroup_parent="/s"),
            MemoryLimit.PARENT,
            (SHARED,),
            id="a parent alone",
        ),
        pytest.param(run([], [oom(1)], inspected=True), MemoryLimit.HOST, (HOST,), id="no limit at all"),
        pytest.param(
            run([], [logged(HOUR, victim(MemoryLimit.HOST, CHILD))], code=1, pid=PID),
            None,
            (SURVIVED,),
            id="it lived on",
        ),
    ],
)
def test_whose_limit_was_reached_is_told_with_what_to_do(
    record: RunFacts, limit: MemoryLimit | None, causes: tuple[str, ...]
) -> None:
    found = assess(record)
    assert (found.limit, found.causes) == (limit, causes)


@pytest.mark.parametrize(
    ("of", "note"),
    [
        (victim(rss_bytes=300 << 20), " (python3, 300 MiB) for memory {}; its own limit was reached."),
        (
            victim(MemoryLimit.PARENT),
            " (python3) for memory {}; the limit of /s was reached, which others share.",
        ),
        (
            victim(MemoryLimit.HOST, largest=("{db}", 1 << 30)),
            " (python3) for memory {}; the host itself was out of memory; {{db}} held most (1,024 MiB).",
        ),
        (victim(None), " (python3) for memory {}; whose limit was reached is not known."),
    ],
)
def test_what_the_kernels_log_says_of_a_kill_is_evidence(of: OomVictim, note: str) -> None:
    told = "The kernel killed process 4711" + note.format("1.000 s before the end")
    assert assess(run([], [logged(1, of)])).notes == (told,)


# Other lines of the kernel's log

AT = END - SECOND
FORK = ForkRejected(AT, "a" * 64)
CRASH = "general {protection} fault"


@pytest.mark.parametrize(
    ("fact", "known", "note", "causes"),
    [
        pytest.param(
            FORK,
            {"code": 11, "pids_limit": 64},
            "The kernel refused it another process: its limit of processes (64) was reached {}.",
            ("It reached its limit of 64 of processes and threads (--pids-limit): raise it, or start fewer",),
            id="fork rejected",
        ),
        pytest.param(
            FORK,
            {"code": 0},
            "The kernel refused it another process: its limit of processes was reached {}.",
            ("It reached its limit of processes and threads (--pids-limit): raise it, or start fewer",),
            id="fork rejected, and the limit not known",
        ),
        pytest.param(
            Crash(AT, "seg", PID, SIGSEGV, CRASH, "libx.so"),
            {"code": 139},
            "The kernel logged: process 4711 (seg): general {{protection}} fault in libx.so, {}.",
            ("Its process crashed: general {protection} fault in libx.so",),
            id="its process 1 crashed",
        ),
        pytest.param(
            Crash(AT, "seg", PID, SIGSEGV, "segfault", None),
            {"code": 1},
            "The kernel logged: process 4711 (seg): segfault, {}.",
            (),
            id="a crash that made another code",
        ),
        pytest.param(
            Crash(AT, "seg", CHILD, SIGSEGV, "segfault", None),
            {"code": 139},
            "The kernel logged: process 4712 (seg): segfault, {}; whose process that was is not known.",
            (),
            id="somebody's process crashed",
        ),
        pytest.param(
            SeccompKill(AT, "sh", PID, SIGSYS, 41),
            {"code": 159},
            "The kernel logged: process 4711 (sh) made system call 41, which its seccomp profile kills, {}.",
            ("Its seccomp profile forbids system call 41",),
            id="its process 1 made a forbidden call",
        ),
        pytest.param(
            SeccompKill(AT, "sh", CHILD, SIGSYS, 41),
            {"code": 159},
            "The kernel logged: process 4712 (sh) made system call 41, which its seccomp profile kills, {}; "
            "whose process that was is not known.",
            (),
            id="somebody made a forbidden call",
        ),
        pytest.param(
            GpuFault(AT, "0000:01:00", 79, PID, "train", "GPU has fallen off the bus."),
            {"code": 1},
            "The GPU driver reported Xid 79 (GPU has fallen off the bus.) {}.",
            ("A GPU that it used failed: Xid 79, GPU has fallen off the bus.",),
            id="its GPU failed",
        ),
        pytest.param(
            GpuFault(AT, "0000:01:00", 79, PID, "train", "GPU has fallen off the bus."),
            {"code": 0},
            "The GPU driver reported Xid 79 (GPU has fallen off the bus.) {}.",
            (),
            id="its GPU failed, and it succeeded",
        ),
        pytest.param(
            GpuFault(AT, "0000:01:00", 79, None, None, "GPU has fallen off the bus."),
            {"code": 1},
            "The GPU driver reported Xid 79 (GPU has fallen off the bus.) {}; whose process that was is not "
            "known.",
            (),
            id="somebody's GPU failed",
        ),
    ],
)
def test_other_lines_of_the_kernels_log_are_evidence_and_causes_where_they_name_the_process(
    fact: KernelFact, known: dict[str, Any], note: str, causes: tuple[str, ...]
) -> None:
    found = assess(run(facts=[fact], pid=PID, **known))
    assert (found.notes, found.causes) == ((note.format("1.000 s before the end"),), causes)


@pytest.mark.parametrize(
    "fact",
    [
        Crash(AT, "seg", CHILD, SIGSEGV, "segfault", None),
        SeccompKill(AT, "sh", CHILD, SIGSYS, 41),
        GpuFault(AT, "0000:01:00", 79, None, None, "fallen off the bus"),
    ],
)
def test_whose_process_it_was_is_not_known_either_where_process_1_is_not(fact: KernelFact) -> None:
    (note,) = assess(run(facts=[fact], code=139)).notes
    assert note.endswith("; whose process that was is not known.")


# What an engine can be asked to send


@pytest.mark.parametrize(
    ("number", "stop_signal", "asks"),
    [
        (SIGKILL, SIGTERM, True),
        (SIGTERM, SIGTERM, True),
        (SIGINT, SIGTERM, True),
        (SIGQUIT, SIGTERM, True),
        (None, SIGTERM, True),
        (SIGHUP, SIGTERM, False),
        (SIGUSR1, SIGTERM, False),
        (SIGWINCH, SIGTERM, False),
        (SIGWINCH, SIGWINCH, True),
        (SIGTERM, SIGWINCH, True),
        (0, SIGTERM, False),
    ],
)
def test_only_a_terminating_signal_or_the_containers_stop_signal_asks_for_the_end(
    number: int | None, stop_signal: int, *, asks: bool
) -> None:
    assert is_terminating(KillRequest(number, 2), stop_signal) is asks


@pytest.mark.parametrize(
    ("oom_kills", "count"),
    [
        ([], 0),
        ([oom(1)], 1),
        ([oom(1), oom(2), oom(3)], 3),
        ([oom(1), OomKill(OomSource.LOG, END, OomVictim(None, "", "python3", 4711))], 2),
        (
            [
                oom(None, OomSource.FLAG),
                oom(1),
                OomKill(OomSource.LOG, END, OomVictim(None, "", "python3", 4711)),
            ],
            2,
        ),
        ([oom(None, OomSource.FLAG)], 1),
        ([oom(1), oom(1, OomSource.LOG), oom(1, OomSource.COUNTER), oom(None, OomSource.FLAG)], 1),
        ([oom(1), oom(1, OomSource.LOG), oom(2, OomSource.LOG)], 2),
    ],
)
def test_a_kill_that_several_witnesses_tell_of_is_counted_once(oom_kills: list[OomKill], count: int) -> None:
    assert oom_count(oom_kills) == count


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (15, "SIGTERM"), (0, "signal 0"), (37, "signal 37"), (None, "a signal")],
)
def test_a_signal_is_named_or_keeps_its_number(number: int | None, name: str) -> None:
    assert signal_name(number) == name
