"""What the runs of a workload say about its memory limit, by made-up histories whose truth is known."""

from bisect import bisect
from itertools import accumulate, groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.report.memory import Advice, read_memory
from exporter.report.raises import MIN_RUNS, RaiseResult, runs_needed
from exporter.report.runs import LimitRuns, MemoryHistory, OomCounts, Outcome, Runs, dividing_times
from exporter.report.words import memory_sentences
from tests.unit.histories import MIB, history

RAISED = ("14 killed at 512", "60 completed at 1024")
LEAK = ("2 killed at 512 after 600 s", "2 killed at 1024 after 1260 s", "1 killed at 2048 after 2580 s")
# One run of ten was killed: 29 runs without a kill are no luck any more (0.9 ** 29 < 0.05).
NOW_AND_THEN = ("9 completed at 512", "1 killed at 512")

ADVICE: dict[str, tuple[tuple[str, ...], Advice, int | None]] = {
    "nothing": ((), Advice.NONE, None),
    "never killed": (("60 completed at 512", "9 completed at 256"), Advice.NONE, None),
    "a raise that helped": (RAISED, Advice.HELD, 1024),
    "lowered after it helped": ((*RAISED, "1 killed at 256"), Advice.HELD, 1024),
    "far too high now": ((*RAISED, "1 completed at 4096"), Advice.HELD, 1024),
    "the lowest limit that held": (
        ("3 killed at 512", "60 completed at 4096", "60 completed at 1024"),
        Advice.HELD,
        1024,
    ),
    "a completion at less is one at more": (
        ("3 killed at 512", "3 completed at 1024", "2 completed at 2048"),
        Advice.HELD,
        2048,
    ),
    "retried with more memory": (10 * ("1 killed at 512", "1 completed at 1024"), Advice.HELD, 1024),
    "killed, nothing since": (("14 killed at 512",), Advice.MORE_MEMORY, None),
    "killed, and it completes at times": (
        ("40 completed at 512", "3 killed at 512"),
        Advice.MORE_MEMORY,
        None,
    ),
    "completed at more, but before": (
        ("60 completed at 1024", "14 killed at 512"),
        Advice.MORE_MEMORY,
        None,
    ),
    "completed at more, killed at that since": (
        ("3 killed at 512", "9 completed at 1024", "1 killed at 1024"),
        Advice.MORE_MEMORY,
        None,
    ),
    "too few runs": (("14 killed at 512", "4 completed at 1024"), Advice.TOO_FEW_RUNS, None),
    "just enough runs": (("14 killed at 512", "5 completed at 1024"), Advice.HELD, 1024),
    "luck": ((*NOW_AND_THEN, "28 completed at 1024"), Advice.TOO_FEW_RUNS, None),
    "no luck": ((*NOW_AND_THEN, "29 completed at 1024"), Advice.HELD, 1024),
    "a leak": (LEAK, Advice.LEAK, None),
    "a leak that completed before it was one": (("9 completed at 512", *LEAK), Advice.LEAK, None),
    "no leak: one raise": (LEAK[:2], Advice.MORE_MEMORY, None),
    "no leak: it completes": ((*LEAK, "9 completed at 4096"), Advice.HELD, 4096),
    "no leak: it completed in between": (
        (*LEAK[:2], "1 completed at 1024", LEAK[2]),
        Advice.MORE_MEMORY,
        None,
    ),
    "no leak: not later each time": (
        (*LEAK[:2], "1 killed at 2048 after 1300 s"),
        Advice.MORE_MEMORY,
        None,
    ),
    "no leak: times are not known": ((*LEAK[:2], "1 killed at 2048"), Advice.MORE_MEMORY, None),
    "no leak: lowered, not raised": (tuple(reversed(LEAK)), Advice.MORE_MEMORY, None),
    "whose limit is not known": (
        ("3 killed somewhere at 512", "60 completed at 1024"),
        Advice.LIMIT_UNKNOWN,
        None,
    ),
    "killed at what would be suggested, by whose limit is not known": (
        (*RAISED, "1 killed somewhere at 1024", "60 completed at 2048"),
        Advice.HELD,
        2048,
    ),
}


@pytest.mark.parametrize("name", ADVICE)
def test_each_history_has_its_advice(name: str) -> None:
    stretches, advice, suggested = ADVICE[name]
    memory = read_memory(history(*stretches))
    assert memory.advice is advice
    assert (memory.suggested and memory.suggested.limit_bytes // MIB) == suggested


def limit(mebibytes: int, runs: int) -> LimitRuns:
    """Return a limit with a number of runs."""
    return LimitRuns(mebibytes * MIB, runs)


BRACKETS: dict[str, tuple[tuple[str, ...], LimitRuns | None, LimitRuns | None]] = {
    "never killed": (("60 completed at 512", "9 completed at 256"), None, limit(256, 9)),
    "killed, completed since": (RAISED, limit(512, 14), limit(1024, 60)),
    "killed at several limits": (
        ("2 killed at 256", "1 killed at 512", "1 killed at 256", "7 completed at 1024"),
        limit(512, 1),
        limit(1024, 7),
    ),
    "completed before only": (("60 completed at 1024", "14 killed at 512"), limit(512, 14), None),
    "the need varies": (("3 killed at 512", "40 completed at 256"), limit(512, 3), limit(256, 40)),
    "killed somewhere": (("3 killed somewhere at 512", "6 completed at 1024"), None, limit(1024, 6)),
}


@pytest.mark.parametrize("name", BRACKETS)
def test_the_bracket_is_by_kills_at_its_own_limit_and_completions_since(name: str) -> None:
    stretches, killed_at, completed_at = BRACKETS[name]
    bracket = read_memory(history(*stretches)).bracket
    assert (bracket.killed_at, bracket.completed_at) == (killed_at, completed_at)


@pytest.mark.parametrize(
    ("oom", "advice"),
    [
        (OomCounts(host=3), Advice.NOT_ITS_LIMIT),
        (OomCounts(parent=3), Advice.NOT_ITS_LIMIT),
        (OomCounts(host=3, unknown=1), Advice.LIMIT_UNKNOWN),
        (OomCounts(own=1), Advice.LIMIT_UNKNOWN),
    ],
)
def test_kills_at_another_limit_draw_no_bracket(oom: OomCounts, advice: Advice) -> None:
    memory = read_memory(history("60 completed at 1024", oom=oom))
    assert (memory.advice, memory.bracket.killed_at, memory.suggested) == (advice, None, None)


RAISES: dict[str, tuple[tuple[str, ...], tuple[int, int, int, int] | None, RaiseResult | None]] = {
    "helped": (RAISED, (14, 14, 0, 60), RaiseResult.HELPED),
    "too early to say": ((*NOW_AND_THEN, "28 completed at 1024"), (1, 10, 0, 28), RaiseResult.TOO_FEW_RUNS),
    "kills go on": ((*RAISED, "1 killed at 1024"), (14, 14, 1, 61), RaiseResult.KILLS_GO_ON),
    "raised twice": (LEAK, (4, 4, 1, 1), RaiseResult.KILLS_GO_ON),
    "one host still has the old limit": (
        (*RAISED, "5 completed at 512", "1 completed at 1024"),
        (14, 14, 0, 61),
        RaiseResult.HELPED,
    ),
    "lowered": (("14 killed at 1024", "60 completed at 512"), None, None),
    "raised without a kill": (("14 completed at 512", "60 completed at 1024"), None, None),
    "retried with more memory": (10 * ("1 killed at 512", "1 completed at 1024"), None, None),
    "killed somewhere": (("3 killed at 512", "1 killed somewhere at 1024"), None, None),
}


@pytest.mark.parametrize("name", RAISES)
def test_a_raise_is_judged_by_kills_before_and_since(name: str) -> None:
    stretches, numbers, result = RAISES[name]
    raised = read_memory(history(*stretches)).raised
    found = raised and (raised.kills_before, raised.runs_before, raised.kills_since, raised.runs_since)
    assert (found, raised and raised.result) == (numbers, result)


SENTENCES: dict[tuple[str, ...], str] = {
    RAISED: """
        Keep its limit of 1 GiB: 60 runs completed within it since it was OOM-killed at 512 MiB.
        14 OOM kills in 14 runs before its limit was raised from 512 MiB to 1 GiB, 0 in 60 runs since:
        it has helped.
    """,
    (*RAISED, "1 completed at 512"): """
        Raise its limit to 1 GiB: 60 runs completed within it since it was OOM-killed at 512 MiB.
    """,
    (*RAISED, "1 completed at 2048"): """
        A limit of 1 GiB is enough: 60 runs completed within it since it was OOM-killed at 512 MiB.
        14 OOM kills in 14 runs before its limit was raised from 512 MiB to 2 GiB, 0 in 1 run since:
        too few runs to say whether it has helped.
    """,
    ("1 killed at 512", "1 completed at 1024", "1 killed at 256"): """
        Too few runs to say whether 1 GiB is enough: 1 run completed at it since it was OOM-killed at
        512 MiB, and 5 are needed.
    """,
    ("3 killed at 512",): """
        Raise its limit above 512 MiB: no run has completed at a higher one since it was OOM-killed at
        512 MiB.
    """,
    LEAK: """
        More memory will not help: OOM kills followed every raise, later each time (512 MiB after 10m,
        1 GiB after 21m, 2 GiB after 43m), and it has not completed since. Look for a leak.
        4 OOM kills in 4 runs before its limit was raised from 1 GiB to 2 GiB, 1 in 1 run since:
        kills go on.
    """,
    ("2 killed somewhere at 512", "9 completed at 1024"): """
        It was OOM-killed at up to 512 MiB, but which limit was reached is not on record: let the
        exporter read the kernel log.
    """,
    ("9 completed at 1024", "1 completed at 2048"): """
        No OOM kill: 9 runs completed within 1 GiB, its lowest limit. Whether less is enough is not known: how
        much memory a run uses is not measured.
    """,
    (): """
        No OOM kill, and no run that completed within a memory limit: what it needs is not known.
    """,
}


def said(found: MemoryHistory) -> str:
    """Return the sentences of a history."""
    return " ".join(memory_sentences(read_memory(found)))


@pytest.mark.parametrize("stretches", SENTENCES, ids=str)
def test_it_is_said_in_these_words(stretches: tuple[str, ...]) -> None:
    assert said(history(*stretches)) == " ".join(SENTENCES[stretches].split())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            MemoryHistory(oom=OomCounts(parent=1, host=2)),
            "the limit of a parent control group, 2 runs with OOM kills because the host was out of memory.",
        ),
        (
            history("1 killed somewhere at 512", oom=OomCounts(host=1, unknown=1)),
            "kernel log. Not counted for its limit: 1 run with OOM kills because the host was out of memory.",
        ),
        (
            history("1 killed at 512", oom=OomCounts(own=1, unknown=1, survived=1)),
            "at a limit that is not known. One run ended with 0 and lost processes to OOM kills on the way.",
        ),
    ],
)
def test_kills_that_do_not_count_and_lost_processes_are_told(found: MemoryHistory, expected: str) -> None:
    assert said(found).endswith(expected)


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(1, 6), st.integers(1, 40)), max_size=12))
def test_a_suggestion_has_held_and_is_above_every_kill(found: list[tuple[Outcome, int, int]]) -> None:
    ends = list(accumulate((size for _, _, size in found), initial=0))
    runs = tuple(
        Runs(limit_bytes, outcome, size, first, first + size - 1, first * 100)
        for (outcome, limit_bytes, size), first in zip(found, ends, strict=False)
    )
    memory = read_memory(MemoryHistory(runs))
    completed = [each.limit_bytes for each in runs if each.outcome is Outcome.COMPLETED]
    killed = [each.limit_bytes for each in runs if each.outcome is not Outcome.COMPLETED]
    assert (memory.suggested is not None) == (memory.advice is Advice.HELD)
    if memory.suggested is not None:
        assert memory.suggested.limit_bytes in completed
        assert memory.suggested.limit_bytes > max(killed)
        assert memory.suggested.runs >= MIN_RUNS
    assert sum(each.completed for each in memory.limits) == sum(
        each.count for each in runs if each.outcome is Outcome.COMPLETED
    )


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_enough_runs_are_those_in_which_the_old_kills_would_have_shown(kills: int, others: int) -> None:
    needed = runs_needed(kills, kills + others)
    spared = others / (kills + others)
    assert needed >= MIN_RUNS
    assert spared**needed <= 0.05 + 1e-9
    assert needed == MIN_RUNS or spared ** (needed - 1) > 0.05 - 1e-9


def counted_together(runs: list[Runs]) -> Runs:
    """Return runs with one limit and outcome as they are counted together."""
    first, last = runs[0], runs[-1]
    return Runs(first.limit_bytes, first.outcome, len(runs), first.first_ns, last.last_ns, first.ran_ns)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=25))
@example([(False, 1), (True, 1), (False, 1), (True, 2)])
def test_runs_that_completed_are_told_apart_only_where_it_matters(found: list[tuple[bool, int]]) -> None:
    outcomes = {True: (Outcome.OOM_KILLED, 60), False: (Outcome.COMPLETED, None)}
    single = [
        Runs(size * MIB, outcomes[killed][0], 1, at_ns, at_ns, outcomes[killed][1])
        for at_ns, (killed, size) in enumerate(found)
    ]
    by_limit = sorted(single, key=lambda run: (run.outcome, run.limit_bytes))
    groups = [list(runs) for _, runs in groupby(by_limit, lambda run: (run.outcome, run.limit_bytes))]
    kills = [counted_together(runs) for runs in groups if runs[0].outcome is Outcome.OOM_KILLED]
    completed_at = [run.limit_bytes for run in single if run.outcome is Outcome.COMPLETED]
    times = sorted(dividing_times(kills, completed_at))
    completed = [
        counted_together(list(stretch))
        for runs in groups
        if runs[0].outcome is Outcome.COMPLETED
        for _, stretch in groupby(runs, lambda run: bisect(times, run.first_ns))
    ]
    together = tuple(sorted((*kills, *completed), key=lambda runs: runs.first_ns))
    assert read_memory(MemoryHistory(together)) == read_memory(MemoryHistory(tuple(single)))
