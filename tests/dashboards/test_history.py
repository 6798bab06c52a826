"""What figures, tables and graphs say of outages, restarts, spikes, replicas and a hundred workloads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboards import histories
from tests.dashboards.boards import FILES, MINUTE, PanelQuery, interpolated, load, narrowed, step_of, targets
from tests.dashboards.histories import DAY
from tests.dashboards.prometheus import Prometheus, Series, running
from tests.dashboards.scenario import BEGIN, END, HOUR, START
from tests.lab.prometheus_kinds import KINDS, programs_of

OVERVIEW, WORKLOAD, HEALTH = FILES
ALL = targets()
FEW = 10


@pytest.fixture(scope="module", params=KINDS)
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Start a Prometheus of each kind with the histories; it scrapes nothing that answers."""
    directory, programs = tmp_path_factory.mktemp("prometheus"), programs_of(request.param)
    with running(directory, histories.past(), "127.0.0.1:1", programs) as server:
        yield server


def ask(prometheus: Prometheus, job: str, board: str, title: str, end: int = END) -> list[Series]:
    """Send a query of a panel for the hour before the end, with a scrape job selected.

    The title can have the letter of the query behind it; otherwise it is the first one.
    """
    return sent(prometheus, job, query_of(board, title), end)


def query_of(board: str, title: str) -> PanelQuery:
    """Return the query of a panel, by the title that `ask` takes."""
    named, _, letter = title.partition(": ")
    wanted = (board, named, letter or "A")
    (target,) = [each for each in ALL if (each.board, each.panel["title"], each.query["refId"]) == wanted]
    return target


def sent(
    prometheus: Prometheus, job: str, target: PanelQuery, end: int = END, span: int = HOUR
) -> list[Series]:
    """Send a query as Grafana does, with a scrape job selected, for so many seconds before the end."""
    step = step_of(target.panel, span)
    values = narrowed(load(target.board), job=[job])
    expression = interpolated(target.expression, values, range_seconds=span, step=step)
    if target.query.get("instant"):
        return prometheus.at(expression, end)
    return prometheus.over(expression, end // step * step - span, end // step * step, step)


def figure(prometheus: Prometheus, job: str, title: str, board: str = OVERVIEW) -> float | None:
    """Return the number of a panel, None without one."""
    found = [float(series["value"][1]) for series in ask(prometheus, job, board, title)]
    return found[0] if found else None


def column(found: list[Series], label: str) -> dict[str, float]:
    """Return the values of an instant query by a label."""
    return {series["metric"][label]: float(series["value"][1]) for series in found}


def points(found: list[Series]) -> dict[int, float]:
    """Return the sums of all series by minute since `START`."""
    sums: dict[int, float] = {}
    for series in found:
        for second, value in series["values"]:
            minute = (int(second) - START) // MINUTE
            sums[minute] = sums.get(minute, 0) + float(value)
    return sums


@pytest.mark.parametrize("job", ["steady", "outage", "out-of-reach", "hundred", "replicas", "spike"])
def test_figure_table_and_bars_add_up_to_the_truth(prometheus: Prometheus, job: str) -> None:
    truth = histories.failures_in_range(job)
    table = ask(prometheus, job, OVERVIEW, "Last failures by workload")
    told = {
        "figure": figure(prometheus, job, "Failures"),
        "table": sum(float(series["value"][1]) for series in table),
        "workloads": sum(column(ask(prometheus, job, OVERVIEW, "Failing workloads"), "workload").values()),
        "bars": sum(points(ask(prometheus, job, OVERVIEW, "Failures over time")).values()),
        "hosts": sum(points(ask(prometheus, job, OVERVIEW, "Failures by host")).values()),
    }
    assert told == dict.fromkeys(told, truth)


def test_what_was_found_after_an_outage_is_in_the_first_bar_behind_it(prometheus: Prometheus) -> None:
    away = range(*histories.AWAY)
    for job in ("outage", "out-of-reach"):
        bars = points(ask(prometheus, job, OVERVIEW, "Ends by status"))
        assert not [minute for minute in away if bars.get(minute)]
        # Three failures and three that were done, each minute.
        assert bars[histories.AWAY[1]] >= 6 * len(away)


def test_the_newest_failure_is_on_the_graph_at_once(prometheus: Prometheus) -> None:
    now = START + 45 * MINUTE + 31
    bars = points(ask(prometheus, "steady", OVERVIEW, "Failures over time", end=now))
    assert max(bars) == 45
    kills = ask(prometheus, "steady", OVERVIEW, "OOM spikes", end=now)
    assert [(each["metric"]["workload"], each["values"][-1]) for each in kills] == [
        ("first/kill", [now // 60 * 60, "1"])
    ]


def test_counters_that_are_set_back_make_no_exits_of_old_ones(prometheus: Prometheus) -> None:
    truth, told = histories.failures_in_range("set-back"), figure(prometheus, "set-back", "Failures")
    assert told is not None
    assert 0.95 * truth <= told <= 1.05 * truth


@pytest.mark.parametrize(
    ("title", "whole"), [("OOM spikes", "OOM kills"), ("Jobs OOMKilled", "OOMKilled"), ("Jobs running", "")]
)
def test_of_a_hundred_workloads_ten_have_a_name(prometheus: Prometheus, title: str, whole: str) -> None:
    few = ask(prometheus, "hundred", OVERVIEW, title)
    others = ask(prometheus, "hundred", OVERVIEW, f"{title}: B")
    assert (len(few), len(others)) == (FEW, 1)
    both = points([*few, *others])
    if not whole:
        assert set(both.values()) == {100}
    else:
        kills = sum(
            1 for each in histories.HUNDRED if each.reason == "OOMKilled" and BEGIN < each.second <= END
        )
        assert sum(both.values()) == kills


def test_no_graph_has_more_series_than_a_legend_can_hold(prometheus: Prometheus) -> None:
    graphs = [each for each in ALL if each.panel["type"] == "timeseries"]
    assert [str(each) for each in graphs if len(sent(prometheus, "hundred", each)) > FEW] == []


def test_the_average_of_a_spike_is_of_the_time_before_it(prometheus: Prometheus) -> None:
    average = points(ask(prometheus, "spike", OVERVIEW, "OOM spikes: C"))
    # One kill in ten minutes, and the spike of thirty is only in what comes after it.
    assert average[79] == average[80] == pytest.approx(0.1, abs=0.02)
    assert average[82] > 0.5
    assert points(ask(prometheus, "spike", OVERVIEW, "OOM spikes"))[80] >= 25


def test_the_span_before_is_beside_the_failures(prometheus: Prometheus) -> None:
    before = points(ask(prometheus, "steady", OVERVIEW, "Failures over time: B"))
    bars = points(ask(prometheus, "steady", OVERVIEW, "Failures over time", end=END - HOUR + 15 * MINUTE))
    # A point of the line is the bar that ended there, an hour before.
    assert {minute: before[minute + 61] for minute in range(6, 25)} == {
        minute: bars[minute] for minute in range(6, 25)
    }


def test_an_exporter_that_has_been_dead_for_the_whole_range_is_no_all_clear(prometheus: Prometheus) -> None:
    assert column(ask(prometheus, "dead", OVERVIEW, "Down now"), "instance") == {"one:10137": 1}
    assert ask(prometheus, "dead", OVERVIEW, "Down now: C") == []
    assert figure(prometheus, "dead", "Minutes not watched") == pytest.approx(60, abs=1)
    assert figure(prometheus, "dead", "Failures") is None
    assert figure(prometheus, "dead", "Running") is None
    states = ask(prometheus, "dead", HEALTH, "Engines watched")
    assert set(points(states).values()) == {-1}
    (row,) = ask(prometheus, "dead", HEALTH, "Not watched")
    assert row["metric"]["instance"] == "one:10137"


def test_without_any_exporter_that_is_said(prometheus: Prometheus) -> None:
    assert [ask(prometheus, "nobody", OVERVIEW, f"Down now: {query}") for query in "ABC"] == [[], [], []]
    assert len(ask(prometheus, "nobody", OVERVIEW, "Down now: D")) == 1
    assert ask(prometheus, "steady", OVERVIEW, "Down now: D") == []
    assert [series["value"][1] for series in ask(prometheus, "steady", OVERVIEW, "Down now: C")] == ["0"]


def test_minutes_not_watched_are_those_of_the_outage(prometheus: Prometheus) -> None:
    assert figure(prometheus, "steady", "Minutes not watched") == 0
    # Prometheus returns the last value for five minutes, where no scrape has failed in these made-up samples.
    assert figure(prometheus, "outage", "Minutes not watched") == pytest.approx(12 - 5, abs=1)


def test_minutes_not_watched_are_those_of_a_range_of_more_than_a_week(tmp_path: Path) -> None:
    target = query_of(OVERVIEW, "Minutes not watched")
    with running(tmp_path, histories.ten_days(), "127.0.0.1:1") as server:
        (total,) = sent(server, "long", target, span=9 * DAY)
    assert float(total["value"][1]) == pytest.approx(12 * 60, abs=6)


def test_other_programs_under_the_same_scrape_job_are_no_exporters(prometheus: Prometheus) -> None:
    assert ask(prometheus, "steady", OVERVIEW, "Down now") == []
    (exporter,) = ask(prometheus, "steady", HEALTH, "Scrape duration")
    assert exporter["metric"] == {"instance": "one:10137"}


def test_running_jobs_are_not_known_while_their_exporter_is_away(prometheus: Prometheus) -> None:
    assert figure(prometheus, "half", "Running") is None
    assert figure(prometheus, "steady", "Running") == 1
    graph = points(ask(prometheus, "half", OVERVIEW, "Jobs running"))
    assert {graph.get(minute) for minute in (58, 70, 80)} == {2, None}
    assert graph[58] == 2
    by_host = ask(prometheus, "half", WORKLOAD, "Jobs running")
    assert {series["metric"]["host"] for series in by_host} == {"node-a", "node-b"}
    assert max(points([each for each in by_host if each["metric"]["host"] == "node-b"])) < 66


@pytest.mark.parametrize("board", FILES)
def test_all_graphs_of_a_board_have_the_same_stamps(board: str) -> None:
    graphs = [each.panel for each in ALL if each.board == board and not each.query.get("instant")]
    for seconds in (15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 30 * 24 * HOUR):
        assert len({step_of(panel, seconds) for panel in graphs}) == 1
    # A bar of a minute up to two and a half hours, of a quarter of one in a day.
    steps = [step_of(graphs[0], seconds) for seconds in (HOUR, 2 * HOUR, 3 * HOUR, 24 * HOUR)]
    assert steps == [MINUTE, MINUTE, 2 * MINUTE, 15 * MINUTE]
