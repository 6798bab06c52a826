"""Weighing: what was seen of a run, and what a verdict may turn on."""

from collections.abc import Sequence
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGWINCH

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.evidence import (
    RunRecord,
    oom_count,
    requested_end,
    signal_name,
    weigh,
)
from exporter.model import Evidence, Kill, OomKill, Witness

SECOND = 10**9
END = 1_000 * SECOND
WINDOW = 10 * SECOND


def run(
    kills: Sequence[Kill] = (),
    oom_kills: Sequence[OomKill] = (),
    *,
    code: int | None = 137,
    stop_signal: int = SIGTERM,
) -> RunRecord:
    return RunRecord(code, END, kills, oom_kills, stop_signal, WINDOW)


def asked(number: int | None, seconds_before: float) -> Kill:
    return Kill(number, END - round(seconds_before * SECOND))


def oom(seconds_before: float | None, witness: Witness = Witness.EVENT) -> OomKill:
    return OomKill(witness, None if seconds_before is None else END - round(seconds_before * SECOND))


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
            Evidence(oom_killed=True, notes=("The engine reported an OOM kill 0.002 s after the end.",)),
            id="an OOM report that came late",
        ),
        pytest.param(
            run(oom_kills=[oom(10)]),
            Evidence(oom_killed=True, notes=("The engine reported an OOM kill 10.000 s before the end.",)),
            id="an OOM kill at the edge of the window",
        ),
        pytest.param(
            run(oom_kills=[oom(10.001)]),
            Evidence(notes=("The engine reported an OOM kill 10.001 s before the end.",)),
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
                asked_to_stop=True,
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
                asked_to_stop=True,
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
            run([asked(SIGTERM, 3)], []),
            Evidence(
                asked_to_stop=True, notes=("The engine was asked to send SIGTERM 3.000 s before the end.",)
            ),
            id="a stop",
        ),
        pytest.param(
            run([asked(None, 3)], []),
            Evidence(
                asked_to_stop=True, notes=("The engine was asked to send a signal 3.000 s before the end.",)
            ),
            id="a stop by a signal that a label hides",
        ),
        pytest.param(
            run([asked(37, 3)], [], stop_signal=37),
            Evidence(
                asked_to_stop=True,
                notes=("The engine was asked to send signal 37 3.000 s before the end.",),
            ),
            id="a stop by the stop signal of a container",
        ),
        pytest.param(
            run([], [oom(None, Witness.FLAG)]),
            Evidence(oom_killed=True, notes=("The engine's OOMKilled flag is set.",)),
            id="the flag alone",
        ),
        pytest.param(
            run([asked(SIGKILL, 1)], [oom(None, Witness.FLAG)]),
            Evidence(
                asked_to_stop=True,
                notes=(
                    "The engine's OOMKilled flag is set.",
                    "The engine was asked to send SIGKILL 1.000 s before the end.",
                ),
            ),
            id="the flag, which says not when, and a request",
        ),
        pytest.param(
            run([], [oom(0, Witness.COUNTER)]),
            Evidence(
                oom_killed=True,
                notes=("The kernel counted an OOM kill that no other container accounts for.",),
            ),
            id="the kernel's counter",
        ),
        pytest.param(
            run([], [oom(1), oom(0, Witness.LOG), oom(0, Witness.LOG), oom(None, Witness.FLAG)]),
            Evidence(
                oom_killed=True,
                notes=(
                    "The engine's OOMKilled flag is set.",
                    "The kernel's log names this container for an OOM kill.",
                    "The engine reported an OOM kill 1.000 s before the end.",
                ),
            ),
            id="three witnesses of one kill",
        ),
    ],
)
def test_what_was_seen_is_boiled_down_to_what_a_verdict_turns_on(
    record: RunRecord, evidence: Evidence
) -> None:
    assert weigh(record) == evidence


def test_only_the_last_twenty_facts_are_told() -> None:
    kills = [asked(SIGHUP, seconds) for seconds in range(25, 0, -1)]
    assert weigh(run(kills)).notes == tuple(
        f"The engine was asked to send SIGHUP {seconds}.000 s before the end." for seconds in range(20, 0, -1)
    )


SIGNALS = st.one_of(st.none(), st.sampled_from([1, 2, 3, 9, 10, 15, 28, 37]))
MOMENTS = st.integers(END - 30 * SECOND, END + 2 * SECOND)
RECORDS = st.builds(
    RunRecord,
    code=st.none() | st.integers(0, 255),
    ended_ns=st.just(END),
    kills=st.lists(st.builds(Kill, SIGNALS, MOMENTS), max_size=4),
    oom_kills=st.lists(
        st.builds(OomKill, st.sampled_from(Witness), MOMENTS) | st.just(OomKill(Witness.FLAG, None)),
        max_size=4,
    ),
    stop_signal=st.sampled_from([2, 9, 15, 28, 37]),
    oom_window_ns=st.just(WINDOW),
    started_ns=st.none() | st.integers(END - 3 * WINDOW, END),
    lost_with_host=st.just(value=False),
)


@given(RECORDS)
@example(run([asked(SIGKILL, 1)], [oom(1)]))
def test_memory_ended_it_if_an_oom_kill_was_near_and_nobody_asked_for_the_end_since(
    record: RunRecord,
) -> None:
    requests = [kill.at_ns for kill in record.kills if kill.signal in (None, 2, 3, 9, 15, record.stop_signal)]
    moments = [kill.at_ns for kill in record.oom_kills if kill.at_ns is not None]
    if moments:
        since = [at_ns for at_ns in requests if at_ns > max(moments)]
        killed = not since and max(moments) >= END - WINDOW
    else:
        brief = record.started_ns is not None and record.started_ns >= END - WINDOW
        killed = bool(record.oom_kills) and not requests and (record.code in (None, 137) or brief)
    found = weigh(record)
    assert (found.oom_killed, found.asked_to_stop) == (killed, bool(requests))
    assert (found.never_started, found.instance_lost) == (False, False)


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
    assert requested_end([Kill(SIGHUP, 1), Kill(number, 2)], stop_signal) is asks


def test_without_a_kill_nobody_asked() -> None:
    assert not requested_end([], SIGTERM)


@pytest.mark.parametrize(
    ("oom_kills", "count"),
    [
        ([], 0),
        ([oom(1)], 1),
        ([oom(1), oom(2), oom(3)], 3),
        ([oom(1), oom(1, Witness.LOG), oom(1, Witness.COUNTER), oom(None, Witness.FLAG)], 1),
        ([oom(1), oom(1, Witness.LOG), oom(2, Witness.LOG)], 2),
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
