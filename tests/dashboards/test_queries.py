"""Every query of every panel, as Grafana sends it, on a real Prometheus with the past of the scenario.

No panel may be empty: the scenario contains data for each.
"""

import re
from typing import Any

import pytest

from dashboards.shared_panels import DIAMOND, SQUARE
from exporter.model import Workload
from exporter.otlp.trace_context import span_ids_for
from tests.dashboards import scenario
from tests.dashboards.boards import (
    FILES,
    Choice,
    PanelQuery,
    everything,
    interpolated,
    load,
    narrowed,
    queried,
    step_of,
    targets,
    variables,
)
from tests.dashboards.prometheus import Prometheus, Series
from tests.dashboards.scenario import BEGIN, END, HOUR, IMPORT, MINUTE, NIGHT, SHOP
from tests.lab.wait import wait_until
from tests.store.samples import job

OVERVIEW, WORKLOAD, HEALTH = FILES
CHOSEN = {
    "job": [scenario.JOB],
    "instance": ["a:10137", "b:10137"],
    "host": ["node-1"],
    "workload": [NIGHT.name, SHOP.name, "C:\\new"],
    "reason": ["Error", "OOMKilled"],
}
ALL = targets()
WITH_EXEMPLARS = [target for target in ALL if target.query.get("exemplar")]
EXEMPLAR_SECONDS = 60.0
QUIET = {
    *(f"{name}: Down now: {query}" for name in (OVERVIEW, HEALTH) for query in "ABD"),
    *(
        f"{OVERVIEW}: {title}: B"
        for title in ("Failures by host", "OOM spikes", "Jobs OOMKilled", "Jobs running")
    ),
    *(f"{WORKLOAD}: {title}: B" for title in ("Runs begun by the restart policy", "Jobs running")),
}
"""What must have no data, since all exporters are up and there are few workloads; `test_history` has it."""
ALERT_LABELS = {"workload", "where"}


def selected(board: str, workload: str = SHOP.name) -> dict[str, Choice]:
    """Return the values of the variables with everything selected, on the workload's board one workload."""
    return narrowed(load(board), workload=[workload]) if board == WORKLOAD else everything(load(board))


def ask(prometheus: Prometheus, target: PanelQuery, values: dict[str, Choice]) -> list[Series]:
    """Send a query as its panel does."""
    step = step_of(target.panel, HOUR)
    query = interpolated(target.expression, values, range_seconds=HOUR, step=step)
    return (
        prometheus.at(query, END) if target.query.get("instant") else prometheus.over(query, BEGIN, END, step)
    )


def shown(prometheus: Prometheus, board: str, title: str, workload: str = SHOP.name) -> list[Series]:
    """Send the first query of a panel with everything selected, and one workload if the board needs it."""
    target = next(each for each in ALL if (each.board, each.panel["title"]) == (board, title))
    return ask(prometheus, target, selected(board, workload))


def number(prometheus: Prometheus, board: str, title: str, workload: str = SHOP.name) -> float:
    """Return the number in a panel."""
    (series,) = shown(prometheus, board, title, workload)
    return float(series["value"][1])


def counts(found: list[Series], *labels: str) -> dict[Any, int]:
    """Return the values of an instant query by labels, as integers."""
    return {
        tuple(series["metric"].get(label) for label in labels): round(float(series["value"][1]))
        for series in found
    }


def most(found: list[Series], label: str) -> dict[str, float]:
    """Return the highest value of each series."""
    return {
        series["metric"].get(label, ""): max(float(value) for _, value in series["values"] if value != "NaN")
        for series in found
    }


@pytest.mark.parametrize("target", [each for each in ALL if str(each) not in QUIET], ids=str)
def test_a_query_has_data(prometheus: Prometheus, target: PanelQuery) -> None:
    found = ask(prometheus, target, selected(target.board))
    points = [
        value for series in found for value in (*series.get("values", ()), series.get("value")) if value
    ]
    assert [value for _, value in points if value != "NaN"]


@pytest.mark.parametrize("target", ALL, ids=str)
def test_a_query_is_valid_with_any_selection(prometheus: Prometheus, target: PanelQuery) -> None:
    ask(prometheus, target, narrowed(load(target.board), **CHOSEN))


def test_only_the_selection_is_shown(prometheus: Prometheus) -> None:
    (target,) = [each for each in ALL if each.panel["title"] == "Last failures by workload"][:1]
    found = ask(prometheus, target, narrowed(load(OVERVIEW), **CHOSEN))
    assert counts(found, "workload", "reason", "code") == {
        (NIGHT.name, "Error", scenario.NIGHT_CODE): 1,
        (NIGHT.name, "Error", "1"): 1,
        (SHOP.name, "OOMKilled", "137"): 3,
    }


@pytest.mark.parametrize("target", ALL, ids=str)
def test_legends_name_labels_that_exist(prometheus: Prometheus, target: PanelQuery) -> None:
    named = set(re.findall(r"\{\{(\w+)\}\}", target.query.get("legendFormat", "")))
    found = ask(prometheus, target, selected(target.board))
    assert all(named <= series["metric"].keys() for series in found)


@pytest.mark.parametrize("target", [each for each in ALL if each.panel["type"] != "table"], ids=str)
def test_no_two_series_have_the_same_legend(prometheus: Prometheus, target: PanelQuery) -> None:
    found = ask(prometheus, target, selected(target.board))
    named = re.findall(r"\{\{(\w+)\}\}", target.query.get("legendFormat", ""))
    names = [tuple(series["metric"].get(label) for label in named) for series in found]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", FILES)
def test_a_table_has_exactly_one_column_for_each_field(prometheus: Prometheus, name: str) -> None:
    for panel in queried(load(name)):
        if panel["type"] == "table":
            found = [
                ask(prometheus, PanelQuery(name, panel, query), selected(name)) for query in panel["targets"]
            ]
            values = (
                {f"Value #{query['refId']}" for query in panel["targets"]} if len(found) > 1 else {"Value"}
            )
            labels = {label for series in found[0] for label in series["metric"]}
            copies = {
                each["options"]["alias"]
                for each in panel["transformations"]
                if each["id"] == "calculateField"
            }
            (order,) = [each["options"] for each in panel["transformations"] if each["id"] == "organize"]
            # An alert has not all of its columns.
            assert order["renameByName"].keys() - ALERT_LABELS == (labels | values | copies) - ALERT_LABELS


@pytest.mark.parametrize("name", FILES)
def test_every_variable_has_values(prometheus: Prometheus, name: str) -> None:
    board = load(name)
    for variable in variables(board).values():
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert asked is not None
            series = interpolated(asked[1], everything(board), range_seconds=HOUR, step=MINUTE)
            assert prometheus.values(asked[2], series, BEGIN, END)


@pytest.mark.parametrize("step", [MINUTE, 10 * MINUTE])
@pytest.mark.parametrize(
    ("board", "chosen", "alerts"),
    [
        (OVERVIEW, {}, {"JobOOMKilledSpike", "JobCannotStart", "HostLost", "ExitExporterEngineDisconnected"}),
        (
            OVERVIEW,
            {"workload": [SHOP.name], "host": ["node-1"]},
            {"JobOOMKilledSpike", "ExitExporterEngineDisconnected"},
        ),
        (WORKLOAD, {"workload": [SHOP.name]}, {"JobOOMKilledSpike", "HostLost"}),
        (HEALTH, {}, {"ExitExporterEngineDisconnected"}),
    ],
)
def test_a_short_alert_that_is_chosen_is_marked_once_where_it_began(
    prometheus: Prometheus, board: str, chosen: dict[str, list[str]], alerts: set[str], step: int
) -> None:
    (annotation,) = load(board)["annotations"]["list"]
    assert annotation["useValueForTime"]
    values = narrowed(load(board), **chosen)
    query = interpolated(annotation["expr"], values, range_seconds=HOUR, step=step)
    found = prometheus.over(query, BEGIN, END, step)
    marks = [(alert["metric"]["alertname"], {value for _, value in alert["values"]}) for alert in found]
    assert sorted(name for name, _ in marks) == sorted(alerts)
    assert all(times == {str(1000 * scenario.ALERTS_BEGAN)} for _, times in marks)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Failures", scenario.FAILURES),
        ("OOMKilled", scenario.OOM_KILLED),
        ("Running", scenario.RUNNING),
    ],
)
def test_the_numbers_in_the_top_row_are_right(prometheus: Prometheus, title: str, expected: int) -> None:
    assert round(number(prometheus, OVERVIEW, title)) == expected


def test_the_minutes_not_watched_are_those_of_the_lost_engine(prometheus: Prometheus) -> None:
    # To the minute: whether a sample at the first moment of a range counts depends on Prometheus' version.
    assert number(prometheus, OVERVIEW, "Minutes not watched") == pytest.approx(3, abs=1)


def test_the_success_ratio_is_right(prometheus: Prometheus) -> None:
    expected = scenario.DONE / (scenario.DONE + scenario.FAILURES)
    assert number(prometheus, OVERVIEW, "Success ratio") == pytest.approx(expected, abs=0.01)


def test_failures_are_listed_by_workload_host_reason_and_code(
    prometheus: Prometheus,
) -> None:
    found = shown(prometheus, OVERVIEW, "Last failures by workload")
    assert counts(found, "workload", "host", "reason", "code") == {
        (SHOP.name, "node-1", "OOMKilled", "137"): 3,
        (NIGHT.name, "node-1", "Error", scenario.NIGHT_CODE): 1,
        (NIGHT.name, "node-1", "Error", "1"): 1,
        (IMPORT.name, "node-2", "CommandNotFound", "127"): 1,
        (IMPORT.name, "node-2", "HostLost", "255"): 1,
        ("Other", "node-2", "Error", "1"): 1,
    }


def last_failures(prometheus: Prometheus, end: int) -> dict[tuple[str, str], float]:
    """Return the minute of each last failure, by workload and code."""
    when = next(each for each in ALL if each.panel["id"] == 301 and each.query["refId"] == "B")
    query = interpolated(when.expression, selected(OVERVIEW), range_seconds=HOUR, step=MINUTE)
    return {
        labels: (value / 1000 - scenario.START) / MINUTE
        for labels, value in counts(prometheus.at(query, end), "workload", "code").items()
    }


def test_the_newest_failure_of_a_workload_has_its_exact_time(prometheus: Prometheus) -> None:
    told = last_failures(prometheus, END)
    exact = {(SHOP.name, "137"): 52.5, (NIGHT.name, "1"): 77, (IMPORT.name, "255"): 63, ("Other", "1"): 68}
    assert {row: told[row] for row in exact} == exact
    # Each failed before the newest of its workload: the end of its step, and of the scrape that saw it first.
    others = {(NIGHT.name, scenario.NIGHT_CODE): 57, (IMPORT.name, "127"): 41}
    assert {row: told[row] for row in told.keys() - exact.keys()} == others


def test_a_failure_in_the_current_step_has_its_exact_time_too(prometheus: Prometheus) -> None:
    told = last_failures(prometheus, scenario.START + round(52.75 * MINUTE))
    assert told[SHOP.name, "137"] == 52.5


def failing(prometheus: Prometheus, column: str) -> dict[str, int]:
    """Return a column of the failing workloads."""
    target = next(each for each in ALL if each.panel["id"] == 302 and each.query["refId"] == column)
    found = counts(ask(prometheus, target, selected(OVERVIEW)), "workload")
    return {workload: value for (workload,), value in found.items()}


def test_failing_workloads_are_told_with_restarts_and_the_time_before(prometheus: Prometheus) -> None:
    assert failing(prometheus, "A") == {SHOP.name: 3, NIGHT.name: 2, IMPORT.name: 2, "Other": 1}
    assert failing(prometheus, "B")[SHOP.name] == scenario.FAILURES_BEFORE
    assert failing(prometheus, "C") == {SHOP.name: scenario.OOM_KILLED + scenario.SHOP_SURVIVED}
    assert failing(prometheus, "D") == {SHOP.name: 2}


def test_a_workload_that_did_not_fail_before_is_new_since_its_first_failure(prometheus: Prometheus) -> None:
    since = {
        name: (value / 1000 - scenario.START) / MINUTE for name, value in failing(prometheus, "E").items()
    }
    assert since == {NIGHT.name: 56, IMPORT.name: 40, "Other": 68}


def summed(found: list[Series]) -> float:
    """Return the sum of all points."""
    return sum(float(value) for series in found for _, value in series["values"])


@pytest.mark.parametrize("title", ["Ends by status", "Ends by reason"])
def test_bars_count_each_end_once(prometheus: Prometheus, title: str) -> None:
    assert summed(shown(prometheus, OVERVIEW, title)) == scenario.ENDED


def test_ends_are_shown_by_status(prometheus: Prometheus) -> None:
    found = most(shown(prometheus, OVERVIEW, "Ends by status"), "status")
    assert set(found) == {"done", "failed", "terminated", "unknown"}
    assert found["unknown"] == scenario.UNKNOWN


def test_history_of_a_new_target_is_not_shown_as_events(prometheus: Prometheus) -> None:
    assert scenario.OLD.name in prometheus.values("workload", "container_exits_total", BEGIN, END)
    assert scenario.OLD.name not in failing(prometheus, "A")
    assert shown(prometheus, WORKLOAD, "Ends by reason", scenario.OLD.name) == []


def test_first_values_count_in_a_range_before_the_exporter_too(
    prometheus: Prometheus,
) -> None:
    (target,) = [each for each in ALL if (each.board, each.panel["title"]) == (OVERVIEW, "Failures")]
    values = selected(OVERVIEW)
    query = interpolated(target.expression, values, range_seconds=6 * HOUR, step=MINUTE)
    (series,) = prometheus.at(query, END)
    assert round(float(series["value"][1])) == scenario.FAILURES + scenario.FAILURES_BEFORE


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Attempts", 8),
        ("Failures", 3),
        ("Running", 1),
        ("Last success", 17 * MINUTE),
        ("Last failure", 37.5 * MINUTE),
    ],
)
def test_a_workload_has_its_own_numbers(prometheus: Prometheus, title: str, expected: int) -> None:
    assert round(number(prometheus, WORKLOAD, title)) == expected


def test_an_unknown_workload_has_no_running_jobs(prometheus: Prometheus) -> None:
    assert number(prometheus, WORKLOAD, "Running", "nobody/ever") == 0


def test_kills_that_ended_no_job_are_shown_separately(prometheus: Prometheus) -> None:
    assert round(number(prometheus, WORKLOAD, "Jobs OOMKilled")) == scenario.OOM_KILLED
    assert round(number(prometheus, WORKLOAD, "Kills beyond one per job")) == scenario.SHOP_SURVIVED


@pytest.mark.parametrize(("workload", "limit"), [(SHOP, scenario.SHOP_LIMIT), (NIGHT, 0)])
def test_the_memory_limit_is_shown(prometheus: Prometheus, workload: Workload, limit: int) -> None:
    assert number(prometheus, WORKLOAD, "Memory limit", workload.name) == limit
    found = shown(prometheus, WORKLOAD, "Memory limits", workload.name)
    assert {value for series in found for _, value in series["values"]} == ({str(limit)} if limit else set())


def test_a_workload_without_oom_kills_shows_none(prometheus: Prometheus) -> None:
    assert number(prometheus, WORKLOAD, "Jobs OOMKilled", NIGHT.name) == 0
    assert number(prometheus, WORKLOAD, "Kills beyond one per job", NIGHT.name) == 0


def test_codes_and_reasons_are_counted(prometheus: Prometheus) -> None:
    found = shown(prometheus, WORKLOAD, "Codes and reasons")
    assert counts(found, "status", "code", "reason") == {
        ("done", "0", "Completed"): 4,
        ("failed", "137", "OOMKilled"): 3,
        ("terminated", "143", "Terminated"): 1,
    }


def test_runs_of_a_restart_policy_are_shown(prometheus: Prometheus) -> None:
    assert summed(shown(prometheus, WORKLOAD, "Runs begun by the restart policy")) == 2
    assert shown(prometheus, WORKLOAD, "Runs begun by the restart policy", NIGHT.name) == []


def test_the_first_run_of_a_workload_has_a_duration(prometheus: Prometheus) -> None:
    found = shown(prometheus, WORKLOAD, "Run durations", NIGHT.name)
    ran = {float(series["metric"]["le"]): summed([series]) for series in found}
    # Of its two runs, one took a minute and one twenty.
    assert (ran[15], ran[60], ran[86400]) == (0, 1, 2)


def test_the_health_of_exporters_is_shown(prometheus: Prometheus) -> None:
    assert number(prometheus, HEALTH, "Catalogue") == 0
    assert number(prometheus, HEALTH, "OTLP jobs pending") == 3
    assert number(prometheus, HEALTH, "Exits unobserved") == scenario.UNKNOWN
    states = shown(prometheus, HEALTH, "Engines watched")
    lowest = {
        series["metric"]["instance"]: min(float(each) for _, each in series["values"]) for series in states
    }
    assert lowest == {"a:10137": 1, "b:10137": 0, "c:10137": 1}
    assert {series["metric"]["engine"] for series in states} == {"run/docker.sock", "node-2:2376"}


def test_other_targets_are_not_shown(prometheus: Prometheus) -> None:
    (nothing,) = [each for each in ALL if each.query.get("legendFormat") == "none" and each.board == HEALTH]
    assert [series["value"][1] for series in ask(prometheus, nothing, selected(HEALTH))] == ["0"]
    scraped = shown(prometheus, HEALTH, "Scrape duration")
    assert {series["metric"]["instance"] for series in scraped} == {"a:10137", "b:10137", "c:10137"}


@pytest.mark.parametrize(
    ("title", "curve"),
    [
        ("Reconnects and gaps", "reconnects"),
        ("Reconnects and gaps", "gaps"),
        ("Exits found afterwards", "recovered"),
        ("Exits found afterwards", "unobserved"),
        ("Store errors", "errors"),
        ("Store errors", "records dropped"),
        ("OTLP jobs exported, rejected, dropped", "rejected"),
        ("OTLP jobs exported, rejected, dropped", "dropped"),
        ("Traceparents ignored", "ignored"),
        ("Jobs over the workload limit", "jobs"),
        ("Log lines dropped", "lines"),
    ],
)
def test_a_single_event_of_an_exporter_is_shown(prometheus: Prometheus, title: str, curve: str) -> None:
    (target,) = [
        each
        for each in ALL
        if (each.board, each.panel["title"], each.query["legendFormat"]) == (HEALTH, title, curve)
    ]
    found = ask(prometheus, target, selected(HEALTH))
    assert max(most(found, "instance").values()) >= 1


@pytest.mark.parametrize("target", WITH_EXEMPLARS, ids=str)
def test_an_exemplar_is_the_trace_of_a_job(prometheus: Prometheus, target: PanelQuery) -> None:
    query = interpolated(
        target.expression,
        selected(target.board),
        range_seconds=HOUR,
        step=step_of(target.panel, HOUR),
    )
    found: list[dict[str, Any]] = []

    def some() -> bool:
        found[:] = prometheus.exemplars(query, BEGIN, END)
        return bool(found)

    assert wait_until(some, EXEMPLAR_SECONDS)
    assert {len(exemplar["labels"]["trace_id"]) for exemplar in found} == {len(span_ids_for(job()).trace_id)}


def test_panels_about_jobs_have_exemplars_once() -> None:
    assert [(target.board, target.panel["title"], target.query["refId"]) for target in WITH_EXEMPLARS] == [
        (OVERVIEW, "Failures over time", "A"),
        (OVERVIEW, "Ends by reason", "A"),
        (OVERVIEW, "Run durations", "A"),
        (WORKLOAD, "Ends by reason", "A"),
        (WORKLOAD, "OOM kills", "B"),
        (WORKLOAD, "Run durations", "A"),
    ]


def test_descriptions_explain_the_marks_of_exemplars() -> None:
    marks = {"timeseries": DIAMOND, "heatmap": SQUARE}
    marked = {target.board + target.panel["title"] for target in WITH_EXEMPLARS}
    for target in ALL:
        explained = {mark for mark in marks.values() if mark in target.panel["description"]}
        has = target.board + target.panel["title"] in marked
        assert explained == ({marks[target.panel["type"]]} if has else set())
