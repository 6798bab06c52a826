"""Runs that completed in a time span: those of whole days are counted already, and none is counted twice."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from pathlib import Path

import pytest

from exporter.model import ClassifiedExit, Status
from exporter.report.runs import MemoryHistory, Outcome
from exporter.store import Batch, Store, TimeSpan
from exporter.store.exit_count_triggers import MONTH_NS
from exporter.time_units import DAY_NS, HOUR_NS
from tests.store.files import opened
from tests.store.made_up_exits import HOSTS, KILLED, LIMITS
from tests.store.samples import BEGAN_NS, ended, job

# On both sides of the bounds of days and months, and in both halves of a day.
MOMENTS = [
    BEGAN_NS // period_ns * period_ns + periods * period_ns + rest_ns
    for period_ns, periods in (
        (MONTH_NS, -2),
        (MONTH_NS, 1),
        (DAY_NS, -1),
        (DAY_NS, 0),
        (DAY_NS, 1),
        (DAY_NS, 9),
    )
    for rest_ns in (-1, 0, HOUR_NS, 13 * HOUR_NS)
]
RUNS = [
    ended(
        job("a", attempt=number, start_event_ns=at_ns, instance=host, memory_limit_bytes=limit),
        code,
        finished_ns=at_ns,
    )
    for number, (at_ns, host, limit, code) in enumerate(product(MOMENTS, HOSTS, LIMITS, (0, 1)))
]
KILLS = [
    ended(
        job("b", attempt=number, start_event_ns=at_ns, memory_limit_bytes=limit),
        137,
        KILLED,
        finished_ns=at_ns,
        oom_kills=1,
    )
    for number, (at_ns, limit) in enumerate([(MOMENTS[5], 1 << 30), (MOMENTS[15], 1 << 30)])
]


@pytest.fixture(params=[0, 1, 2], ids="{} kills".format)
def filled(request: pytest.FixtureRequest, database: Path) -> Iterator[Store]:
    """A store with all runs, and so many with OOM kills, which divide the others."""
    with opened(database) as store:
        store.commit(Batch(ended=[*RUNS, *KILLS[: request.param]]))
        yield store


def completed(found: Sequence[ClassifiedExit], span: TimeSpan) -> dict[int, list[int]]:
    """Return when runs completed in a span, by their limit."""
    times: dict[int, list[int]] = {}
    for each in found:
        limit = each.exit.job.memory_limit_bytes
        is_in_span = span.since_ns <= each.exit.finished_ns < span.until_ns
        is_wanted = is_in_span and span.instance in {None, each.exit.job.instance}
        if is_wanted and limit is not None and each.verdict.status is Status.DONE:
            times.setdefault(limit, []).append(each.exit.finished_ns)
    return times


def at_limits(history: MemoryHistory, value: Callable[[Sequence[int]], int], name: str) -> dict[int, int]:
    """Return a value of all stretches of runs that completed, by their limit."""
    values: dict[int, list[int]] = {}
    for each in history.runs:
        if each.outcome is Outcome.COMPLETED:
            values.setdefault(each.limit_bytes, []).append(getattr(each, name))
    return {limit: value(found) for limit, found in values.items()}


@pytest.mark.parametrize("host", [None, "node-1"])
def test_they_are_those_of_a_plain_count(filled: Store, host: str | None) -> None:
    workload = RUNS[0].exit.job.workload.name
    for since_ns, until_ns in combinations(MOMENTS, 2):
        span = TimeSpan(min(since_ns, until_ns), max(since_ns, until_ns), workload, host)
        history = filled.reader.memory_histories(span)[workload]
        expected = completed(RUNS, span)
        assert at_limits(history, sum, "count") == {limit: len(times) for limit, times in expected.items()}
        assert at_limits(history, min, "first_ns") == {limit: min(times) for limit, times in expected.items()}
        assert at_limits(history, max, "last_ns") == {limit: max(times) for limit, times in expected.items()}
