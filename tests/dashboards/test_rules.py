"""The dashboards keep the rules, and each rule sees what it is there for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from dashboards.queries import gained
from tests.dashboards.boards import FILES, Board, load, panels, variables
from tests.dashboards.rules import RULES


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", FILES)
def test_a_dashboard_keeps_a_rule(name: str, rule: str) -> None:
    assert list(RULES[rule](load(name))) == []


def _first(board: Board) -> Any:
    return next(panels(board))


def _titled(board: Board, title: str) -> Any:
    return next(panel for panel in panels(board) if panel["title"] == title)


def _ask(board: Board, query: str) -> None:
    _first(board)["targets"][0]["expr"] = query


def _graph(board: Board, query: str) -> None:
    _titled(board, "Ends by reason")["targets"][0]["expr"] = query


MINE = 'job=~"$job", instance=~"$instance"'
SPOILED: list[tuple[str, Callable[[Board], object], str]] = [
    (
        "has_the_variables",
        lambda board: variables(board)["job"].update(multi=False),
        "the variable job is not for any number of them",
    ),
    (
        "has_the_variables",
        lambda board: variables(board)["datasource"].update(query="loki"),
        "the variable datasource is not for a Prometheus",
    ),
    (
        "has_the_variables",
        lambda board: variables(board)["instance"].update(label="Where"),
        "no variable instance with the label Instance",
    ),
    (
        "variables_are_fresh",
        lambda board: variables(board)["host"].update(refresh=1),
        "host is not read again when the time changes",
    ),
    (
        "variables_are_fresh",
        lambda board: variables(board)["host"].update(datasource={"uid": "mine"}),
        "host is not asked of the chosen datasource",
    ),
    ("cannot_be_edited", lambda board: board.update(editable=True), "can be edited"),
    ("says_its_time_zone", lambda board: board.update(timezone=""), "has the time zone "),
    ("says_what_it_is", lambda board: board.update(uid=None), "has no uid"),
    ("says_what_it_is", lambda board: board.update(tags=[]), "has not the tag"),
    (
        "panels_have_a_datasource",
        lambda board: _first(board)["targets"][0].update(datasource={"type": "prometheus", "uid": "mine"}),
        "Failures: does not ask the chosen datasource",
    ),
    ("panels_say_what_they_are", lambda board: _first(board).update(title=""), "101: has no title"),
    (
        "panels_say_what_they_are",
        lambda board: _first(board).update(description=""),
        "Failures: has no description in sentences",
    ),
    (
        "panels_have_a_unit",
        lambda board: _first(board)["fieldConfig"]["defaults"].pop("unit"),
        "Failures: has the unit None",
    ),
    (
        "panels_have_a_unit",
        lambda board: _first(board)["fieldConfig"]["defaults"].update(unit="eps"),
        "Failures: has the unit eps",
    ),
    ("panels_have_targets", lambda board: _first(board).update(targets=[]), "Failures: its queries are []"),
    (
        "queries_are_of_the_chosen_targets",
        lambda board: _ask(board, 'sum(container_jobs_running{job=~"$job"})'),
        "Failures: container_jobs_running is of any target",
    ),
    (
        "queries_are_of_the_chosen_targets",
        lambda board: _ask(board, 'sum(container_jobs_running{job=~"$job", instance="a:10137"})'),
        "Failures: container_jobs_running is of any target",
    ),
    (
        "queries_are_of_the_chosen_targets",
        lambda board: _ask(board, "sum(up)"),
        "Failures: up has no matchers",
    ),
    (
        "metrics_exist",
        lambda board: _ask(board, f"container_exit_total{{{MINE}}}"),
        "Failures: there is no container_exit_total",
    ),
    (
        "metrics_exist",
        lambda board: _ask(board, f"container_run_duration_seconds{{{MINE}}}"),
        "Failures: there is no container_run_duration_seconds",
    ),
    (
        "metrics_exist",
        lambda board: _ask(board, f'container_jobs_running{{{MINE}, image="x"}}'),
        "Failures: container_jobs_running has no image",
    ),
    (
        "metrics_exist",
        lambda board: _ask(board, f"sum by (reason) (container_jobs_running{{{MINE}}})"),
        "Failures: nothing in its query has reason",
    ),
    (
        "counters_are_rated",
        lambda board: _ask(board, f"sum(container_exits_total{{{MINE}}})"),
        "Failures: container_exits_total is neither under rate nor under increase",
    ),
    (
        "counters_are_rated",
        lambda board: _ask(board, f"min_over_time(container_oom_kills_total{{{MINE}}}[$__range])"),
        "Failures: container_oom_kills_total is neither under rate nor under increase",
    ),
    (
        "counters_are_rated",
        lambda board: _ask(board, f"container_run_duration_seconds_count{{{MINE}}}"),
        "Failures: container_run_duration_seconds_count is neither under rate nor under increase",
    ),
    (
        "counters_are_rated",
        lambda board: _ask(board, f"rate(container_jobs_running{{{MINE}}}[$__range])"),
        "Failures: container_jobs_running is under rate and is no counter",
    ),
    (
        "counters_are_rated",
        lambda board: _ask(board, gained(f"container_exits_total{{{MINE}}}").replace(" < ", " <= ")),
        "Failures: container_exits_total is neither under rate nor under increase",
    ),
    (
        "windows_fit",
        lambda board: _ask(board, f"increase(container_exits_total{{{MINE}}}[5m])"),
        "Failures: the window 5m, not $__range",
    ),
    (
        "windows_fit",
        lambda board: _ask(board, f"container_jobs_running{{{MINE}}} offset 1h"),
        "Failures: the window 1h, not $__range",
    ),
    (
        "windows_fit",
        lambda board: _graph(board, f"increase(container_exits_total{{{MINE}}}[$__range])"),
        "Ends by reason: the window $__range, not $__rate_interval",
    ),
    (
        "windows_fit",
        lambda board: _ask(board, f"max_over_time((container_jobs_running{{{MINE}}})[1h:$__interval])"),
        "Failures: a subquery of 1h in steps of $__interval",
    ),
    (
        "windows_fit",
        lambda board: _ask(
            board, f"max_over_time((rate(container_exits_total{{{MINE}}}[$__range]))[$__range:$__interval])"
        ),
        "Failures: a subquery of $__range in steps of $__interval",
    ),
    (
        "windows_fit",
        lambda board: _ask(
            board, f"max_over_time((rate(container_exits_total{{{MINE}}}[$__rate_interval]))[$__range:])"
        ),
        "Failures: a subquery of $__range in steps of ",
    ),
    (
        "windows_fit",
        lambda board: _ask(
            board,
            f"max_over_time((rate(container_exits_total{{{MINE}}}[$__rate_interval]))[$__range:$__interval]"
            " offset 1h)",
        ),
        "Failures: a subquery of $__range in steps of $__interval",
    ),
    (
        "bars_are_of_what_happened",
        lambda board: _graph(board, f"increase(container_exits_total{{{MINE}}}[$__rate_interval])"),
        "Ends by reason: {{reason}} has bars of 0",
    ),
    (
        "bars_are_of_what_happened",
        lambda board: _titled(board, "Ends by reason")["fieldConfig"]["defaults"].update(noValue="no data"),
        "Ends by reason: does not count",
    ),
    (
        "nothing_has_no_colour",
        lambda board: _first(board)["fieldConfig"]["defaults"]["thresholds"]["steps"].pop(0),
        "Failures: is green without a value",
    ),
    ("ids_are_unique", lambda board: _first(board).update(id=100), "100: several panels have this id"),
    (
        "panels_have_room",
        lambda board: _first(board)["gridPos"].update(w=3),
        "Failures: has 3 columns at 0 and 4 rows",
    ),
    (
        "panels_have_room",
        lambda board: _first(board)["gridPos"].update(w=5),
        "Failures: lies on OOMKilled",
    ),
    (
        "tables_fit",
        lambda board: _titled(board, "Last failures by workload")["gridPos"].update(w=12),
        "Last failures by workload: -220 pixels are left for ['Workload']",
    ),
    (
        "colours_are_the_themes",
        lambda board: _first(board)["fieldConfig"]["defaults"].update(color={"fixedColor": "#fff"}),
        "Failures: the colour '#fff' is fixed",
    ),
    (
        "colours_are_the_themes",
        lambda board: _first(board)["fieldConfig"]["defaults"].update(color={"fixedColor": "black"}),
        "Failures: the colour black is none of ours",
    ),
]


@pytest.mark.parametrize(("rule", "spoil", "problem"), SPOILED, ids=[problem for _, _, problem in SPOILED])
def test_a_rule_sees_what_is_wrong(rule: str, spoil: Callable[[Board], object], problem: str) -> None:
    board = copy.deepcopy(load("exits-overview.json"))
    spoil(board)
    assert problem in list(RULES[rule](board))


def test_every_rule_is_tried() -> None:
    assert {rule for rule, _, _ in SPOILED} == set(RULES)
