"""Evidence: which facts about a run decide its verdict."""

from dataclasses import replace
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGWINCH

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import KillRequest, LimitOwner, OomKill, OomSource
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from exporter.verdict.evidence import assess
from exporter.verdict.facts import RunFacts
from exporter.verdict.oom_kills import oom_count
from exporter.verdict.stop_requests import explaining_requests, is_terminating, needs_stop_event
from tests.unit.ended_runs import CHILD, END, FLAG, HOUR, PID, SECOND, WINDOW, asked, logged, oom, run, victim


def verdict(facts: RunFacts) -> str:
    """Return status and reason of a run."""
    found = classify(facts.code, assess(facts), builtin_catalog())
    return f"{found.status} {found.reason}"


REQUESTS = {
    "no request": (run(code=143), "failed SIGTERM"),
    "a stop": (run(asked(SIGTERM, 3), code=143), "terminated Terminated"),
    "a stop by a hidden signal": (run(asked(None, 3)), "terminated Killed"),
    "the stop signal": (run(asked(37, 3), code=165, stop_signal=37), "terminated RealTimeSignal"),
    "a thread dump, and an end later": (run(asked(SIGQUIT, 17), code=1), "failed Error"),
    "QUIT is no engine's stop": (run(asked(SIGQUIT, 5), code=1), "failed Error"),
    "QUIT as the stop signal": (run(asked(SIGQUIT, 5), code=1, stop_signal=SIGQUIT), "terminated Error"),
    "QUIT, handled at once": (run(asked(SIGQUIT, 1), code=2), "terminated Error"),
    "the code of QUIT": (run(asked(SIGQUIT, 17), code=131), "terminated SIGQUIT"),
    "TERM, survived for hours": (run(asked(SIGTERM, 2 * HOUR), code=0), "done Completed"),
    "TERM hours before its code": (run(asked(SIGTERM, 2 * HOUR), code=143), "failed SIGTERM"),
    "TERM in the window": (run(asked(SIGTERM, 59), code=143), "terminated Terminated"),
    "TERM before a shorter window": (
        run(asked(SIGTERM, 59), code=143, stop_window_ns=30 * SECOND),
        "failed SIGTERM",
    ),
    "TERM in the stop timeout": (run(asked(SIGTERM, 11), code=5), "terminated Error"),
    "TERM before the stop timeout": (run(asked(SIGTERM, 13), code=5), "failed Error"),
    "TERM in a long timeout": (run(asked(SIGTERM, 290), code=5, stop_seconds=300), "terminated Error"),
    "a timeout longer than the window": (
        run(asked(SIGTERM, 290), code=143, stop_seconds=300),
        "terminated Terminated",
    ),
    "KILL cannot cause a success": (run(asked(SIGKILL, 1), code=0), "done Completed"),
    "KILL cannot cause an error": (run(asked(SIGKILL, 1), code=1), "failed Error"),
    "TERM cannot cause 139": (run(asked(SIGTERM, 2), code=139), "failed SegmentationFault"),
    "a request after the end": (run(asked(SIGTERM, -1.5), code=143), "failed SIGTERM"),
    "a request reported late": (run(asked(SIGTERM, -0.5), code=143), "terminated Terminated"),
    "a stop event after an hour": (
        run(asked(SIGTERM, HOUR), code=5, was_stopped=True, inspected=True),
        "terminated Error",
    ),
    "a stop event, asked after the end": (
        run(asked(SIGTERM, -1.5), code=5, was_stopped=True),
        "failed Error",
    ),
    "a stop event, signal not known": (
        run(asked(SIGUSR1, HOUR), code=0, was_stopped=True),
        "terminated Completed",
    ),
    "a stop event, another signal": (
        run(asked(SIGUSR1, HOUR), code=0, was_stopped=True, inspected=True),
        "done Completed",
    ),
}


@pytest.mark.parametrize(("facts", "shown"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_explains_an_end_that_it_can_have_caused(facts: RunFacts, shown: str) -> None:
    assert verdict(facts) == shown


UNHEALTHY = {
    "unhealthy, then stopped": (run(asked(SIGTERM, 3), unhealthy_ns=END - 5 * SECOND), "failed Unhealthy"),
    "stopped, then unhealthy": (run(asked(SIGTERM, 3), unhealthy_ns=END - SECOND), "terminated Terminated"),
    "healthy again": (run(asked(SIGTERM, 3)), "terminated Terminated"),
    "unhealthy, no request": (run(unhealthy_ns=END - 5 * SECOND), "failed SIGTERM"),
    "asked long before": (run(asked(SIGTERM, 2 * HOUR), unhealthy_ns=1), "failed SIGTERM"),
}


@pytest.mark.parametrize(("facts", "shown"), UNHEALTHY.values(), ids=UNHEALTHY)
def test_a_stop_of_an_unhealthy_container_is_a_failure(facts: RunFacts, shown: str) -> None:
    assert verdict(replace(facts, code=143)) == shown


MEMORY = {
    "no OOM kill": (run(), "failed SIGKILL"),
    "just before the end": (run(oom(0.25)), "failed OOMKilled"),
    "reported late": (run(oom(-0.0015)), "failed OOMKilled"),
    "at the edge of the window": (run(oom(10), code=1), "failed OOMKilled"),
    "before the window": (run(oom(10.001), code=1), "failed Error"),
    "the last one counts": (run(oom(100), oom(1), code=1), "failed OOMKilled"),
    "after a request": (run(asked(SIGTERM, 2), oom(1)), "failed OOMKilled"),
    "before a request": (run(asked(SIGKILL, 1), oom(2)), "terminated Killed"),
    "before a HUP": (run(asked(SIGHUP, 1), oom(2)), "failed OOMKilled"),
    "the flag": (run(FLAG), "failed OOMKilled"),
    "the flag, and a request": (run(FLAG, asked(SIGKILL, 1)), "terminated Killed"),
    "the counter": (run(oom(0, OomSource.COUNTER)), "failed OOMKilled"),
    "the event an hour ago, and 137": (run(oom(HOUR)), "failed OOMKilled"),
    "the counter an hour ago, and 137": (run(oom(HOUR, OomSource.COUNTER)), "failed SIGKILL"),
    "the event an hour ago, and a kill": (run(asked(SIGKILL, 1), oom(HOUR)), "terminated Killed"),
    "the event an hour ago, asked before": (run(asked(SIGTERM, 3 * HOUR), oom(HOUR)), "failed OOMKilled"),
    "process 1, and 255": (run(logged(HOUR, victim()), code=255, pid=PID), "failed OOMKilled"),
    "a child, and 137": (run(logged(HOUR, victim(pid=CHILD)), pid=PID), "failed OOMKilled"),
    "a child just now": (run(logged(2, victim(pid=CHILD)), code=1, pid=PID), "failed OOMKilled"),
    "a child long ago": (run(logged(HOUR, victim(pid=CHILD)), code=1, pid=PID), "failed Error"),
    "process 1 not known": (run(logged(HOUR, victim(pid=CHILD))), "failed OOMKilled"),
}


@pytest.mark.parametrize(("facts", "shown"), MEMORY.values(), ids=MEMORY)
def test_an_oom_kill_explains_an_end_soon_after_or_if_it_is_certain(facts: RunFacts, shown: str) -> None:
    assert verdict(facts) == shown


MOMENTS = st.integers(END - 30 * SECOND, END + 2 * SECOND)
RUNS = st.builds(
    RunFacts,
    code=st.none() | st.integers(0, 255),
    ended_ns=st.just(END),
    kills=st.lists(
        st.builds(KillRequest, st.none() | st.sampled_from([1, 2, 3, 9, 10, 15, 28, 37]), MOMENTS), max_size=4
    ),
    oom_kills=st.lists(st.builds(OomKill, st.sampled_from(OomSource), MOMENTS) | st.just(FLAG), max_size=4),
    stop_signal=st.sampled_from([2, 9, 15, 28, 37]),
    oom_window_ns=st.just(WINDOW),
    started_ns=st.none() | st.integers(END - 3 * WINDOW, END),
)


@given(RUNS)
@example(run(asked(SIGKILL, 1), oom(1)))
@example(run(oom(11)))
@example(run(oom(11), code=1))
@example(run(asked(SIGQUIT, 9.5), oom(10), code=0))
def test_a_run_was_oom_killed_if_that_explains_it_and_nobody_asked_since(facts: RunFacts) -> None:
    requested, timed = bool(explaining_requests(facts)), [kill for kill in facts.oom_kills if kill.at_ns]
    if timed:
        last_ns = max(kill.at_ns or 0 for kill in timed)
        named = any(kill.source in (OomSource.EVENT, OomSource.LOG) for kill in timed)
        asked_since = any(
            is_terminating(kill, facts.stop_signal) and last_ns < kill.at_ns <= END + SECOND
            for kill in facts.kills
        )
        killed = not asked_since and (last_ns >= END - WINDOW or (named and facts.code == 137))
    else:
        brief = facts.started_ns is not None and facts.started_ns >= END - WINDOW
        killed = bool(facts.oom_kills) and not requested and (facts.code in (None, 137) or brief)
    found = assess(facts)
    assert (found.oom_killed, found.stop_requested) == (killed, requested)
    assert (found.start_failed, found.host_lost) == (False, False)


SHARED = "The limit of the control group /s, which it shares, was reached: raise that one"
BUSY = "The host itself was out of memory: run it elsewhere or later"
UNLIMITED = f"{BUSY}, or give it a limit of its own"
SURVIVED = "A process of it was killed for memory earlier; what failed in the end may have missed it"
LIMITS = {
    "its own": (run(logged(1, victim())), LimitOwner.OWN, []),
    "a parent's": (run(logged(1, victim(LimitOwner.PARENT))), LimitOwner.PARENT, [SHARED]),
    "the host's": (
        run(logged(1, victim(LimitOwner.HOST, largest=("postgres", 3 << 30)))),
        LimitOwner.HOST,
        [UNLIMITED, "Another process held most of that memory: postgres, 3 GiB"],
    ),
    "the host's, below its own": (
        run(logged(1, victim(LimitOwner.HOST)), memory_limit_bytes=1 << 30),
        LimitOwner.HOST,
        [BUSY],
    ),
    "not in the log": (run(logged(1, victim(None))), None, []),
    "of a success": (run(logged(HOUR, victim()), code=0), None, []),
    "of a run that was not inspected": (run(oom(1)), None, []),
    "its own or a parent's": (run(oom(1), inspected=True, memory_limit_bytes=1 << 20), None, []),
    "only a parent's": (run(oom(1), inspected=True, cgroup_parent="/s"), LimitOwner.PARENT, [SHARED]),
    "none but the host's": (run(oom(1), inspected=True), LimitOwner.HOST, [UNLIMITED]),
    "of a failure much later": (
        run(logged(HOUR, victim(LimitOwner.HOST, CHILD)), code=1, pid=PID),
        None,
        [SURVIVED],
    ),
}


@pytest.mark.parametrize(("facts", "limit", "causes"), LIMITS.values(), ids=LIMITS)
def test_evidence_names_the_limit_that_was_reached(
    facts: RunFacts, limit: LimitOwner | None, causes: list[str]
) -> None:
    found = assess(facts)
    assert (found.limit, [*found.causes]) == (limit, causes)


@pytest.mark.parametrize(
    ("facts", "needs"),
    [
        (run(asked(SIGTERM, HOUR), code=5), True),
        (run(asked(SIGTERM, 1), code=5), False),
        (run(asked(SIGQUIT, HOUR), code=5), False),
        (run(asked(SIGTERM, HOUR), code=5, was_stopped=True), False),
        (run(code=5), False),
    ],
)
def test_a_stop_event_is_needed_only_if_it_matters(facts: RunFacts, *, needs: bool) -> None:
    assert needs_stop_event(facts) is needs


@pytest.mark.parametrize(
    ("stop_signal", "terminating"),
    [(SIGTERM, {SIGKILL, SIGTERM, SIGINT, SIGQUIT, None}), (SIGWINCH, {SIGTERM, SIGWINCH, None})],
)
def test_terminating_signals_and_the_stop_signal_ask_for_the_end(
    stop_signal: int, terminating: set[int | None]
) -> None:
    others = {SIGHUP, SIGUSR1, SIGWINCH, 0} - terminating
    for signal in (*terminating, *others):
        assert is_terminating(KillRequest(signal, 2), stop_signal) is (signal in terminating)


LOGGED = logged(0, victim(None))


@pytest.mark.parametrize(
    ("oom_kills", "count"),
    [
        ([], 0),
        ([oom(1)], 1),
        ([oom(1), oom(2), oom(3)], 3),
        ([oom(1), LOGGED], 2),
        ([FLAG, oom(1), LOGGED], 2),
        ([FLAG], 1),
        ([oom(1), oom(1, OomSource.LOG), oom(1, OomSource.COUNTER), FLAG], 1),
        ([oom(1), oom(1, OomSource.LOG), oom(2, OomSource.LOG)], 2),
    ],
)
def test_an_oom_kill_with_several_sources_is_counted_once(oom_kills: list[OomKill], count: int) -> None:
    assert oom_count(oom_kills) == count
