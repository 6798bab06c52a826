"""Codes and reasons of a span: counts, shares and trends against the span before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Status
from exporter.report.exits import ExitCount, ExitGroup, Trend, by_workload, summarize, trend

DONE, FAILED = Status.DONE, Status.FAILED
COUNTS = [
    ExitCount("etl", DONE, 0, "Completed", 6, 9),
    ExitCount("train", FAILED, 137, "OOMKilled", 3, 0),
    ExitCount("train", DONE, 0, "Completed", 1, 1),
    ExitCount("train", FAILED, None, "Unknown", 0, 4),
]


def test_a_workload_has_the_shares_and_trends_of_its_reasons() -> None:
    found = by_workload(COUNTS, is_before_known=True)
    assert list(found) == ["train", "etl"]
    train = found["train"]
    assert (train.count, train.failed, train.before) == (4, 3, 5)
    assert train.groups == (
        ExitGroup(FAILED, 137, "OOMKilled", 3, 0.75, 0, 0, Trend.NEW),
        ExitGroup(DONE, 0, "Completed", 1, 0.25, 1, 0.2, Trend.STEADY),
        ExitGroup(FAILED, None, "Unknown", 0, 0, 4, 0.8, Trend.GONE),
    )


def test_the_exits_of_all_workloads_are_added() -> None:
    total = summarize(COUNTS, is_before_known=True)
    assert (total.count, total.failed, total.before) == (10, 3, 14)
    assert total.groups[0] == ExitGroup(DONE, 0, "Completed", 7, 0.7, 10, 10 / 14, Trend.STEADY)


def test_nothing_is_compared_with_a_span_that_is_not_on_record() -> None:
    total = summarize(COUNTS, is_before_known=False)
    assert total.before is None
    assert {(group.before, group.share_before, group.trend) for group in total.groups} == {(None, None, None)}
    assert summarize([], is_before_known=True).groups == ()


@pytest.mark.parametrize(
    ("count", "before", "expected"),
    [
        (1, 0, Trend.NEW),
        (0, 1, Trend.GONE),
        (14, 15, Trend.STEADY),
        (14, 3, Trend.UP),
        (3, 14, Trend.DOWN),
        (1000, 1050, Trend.STEADY),
        (1000, 1100, Trend.DOWN),
    ],
)
def test_a_trend_is_more_than_chance(count: int, before: int, expected: Trend) -> None:
    assert trend(count, before) is expected


numbers = st.integers(0, 10**6)
exit_counts = st.builds(
    ExitCount,
    st.sampled_from(["a", "b"]),
    st.sampled_from([DONE, FAILED]),
    st.sampled_from([0, 1, None]),
    st.sampled_from(["Completed", "Error"]),
    numbers,
    numbers,
).filter(lambda each: each.count + each.before > 0)


@given(st.lists(exit_counts, max_size=12))
def test_no_exit_is_lost_and_shares_add_up(counts: list[ExitCount]) -> None:
    total = summarize(counts, is_before_known=True)
    workloads = by_workload(counts, is_before_known=True).values()
    assert total.count == sum(each.count for each in counts) == sum(each.count for each in workloads)
    assert total.before == sum(each.before for each in counts)
    for exits in (total, *workloads):
        assert sum(group.count for group in exits.groups) == exits.count
        assert not exits.count or sum(group.share for group in exits.groups) == pytest.approx(1)
