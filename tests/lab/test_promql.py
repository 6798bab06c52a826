"""The reader of PromQL reads what there is, with Grafana's variables, and knows a counter's first value."""

from __future__ import annotations

import pytest

from dashboards.queries import gained
from tests.lab.promql import (
    Matcher,
    Selected,
    divides_by,
    grouping_labels,
    parse,
    selected,
    subqueries,
    windows,
    without_first_values,
    without_subqueries,
)

COUNTER = 'x{job=~"$job"}'
X = Selected("x", (Matcher("job", "=~", "$job"),))


def _names(expression: str) -> list[str]:
    return [each.name for each in selected(without_first_values(parse(expression)))]


def test_everything_is_read_with_what_is_around_it() -> None:
    expression = parse(
        'sum without (a) (last_over_time((x{l=~"m|n", k!="\\"}"}[5m] offset 1h)) and on (b, c) y)'
        " > on (d) group_left (e) z:w:v # and no comment[1m]"
    )
    assert selected(expression) == [
        Selected("x", (Matcher("l", "=~", "m|n"), Matcher("k", "!=", '"}')), "last_over_time", "5m", "1h"),
        Selected("y", ()),
        Selected("z:w:v", ()),
    ]
    assert windows(expression) == {"5m", "1h"}
    assert grouping_labels(expression) == {"a", "b", "c", "d", "e"}


def test_a_function_is_of_what_is_right_in_it() -> None:
    expression = parse(
        "rate(x[5m]) + abs(y) + sum(z) + abs(-v) + max_over_time(w[1h:1m]) + topk(scalar(u), t)"
    )
    assert {each.name: each.function for each in selected(expression)} == {
        "x": "rate",
        "y": "abs",
        "u": "scalar",
        **dict.fromkeys(("z", "v", "w", "t"), ""),
    }


@pytest.mark.parametrize("variable", ["$__range", "$__rate_interval", "$__interval"])
def test_variables_of_grafana_are_given_as_they_are_written(variable: str) -> None:
    expression = parse(f"rate(x[{variable}] offset {variable}) / {variable}_ms")
    assert windows(expression) == {variable}
    assert divides_by(expression, f"{variable}_ms")
    assert not divides_by(expression, "1000")


def test_a_number_divides_only_on_the_right_of_a_division() -> None:
    assert not divides_by(parse("$__range_ms / x * $__range_ms"), "$__range_ms")


def test_subqueries_are_read_apart() -> None:
    expression = parse(
        "max_over_time((rate(x[5m]) > 0)[$__range:$__interval] offset 1d) + avg_over_time(y[1h:]) - z"
    )
    first, second = subqueries(expression)
    assert (first.range, first.step, first.offset) == ("$__range", "$__interval", "1d")
    assert selected(first.expression) == [Selected("x", (), "rate", "5m")]
    assert (second.range, second.step, second.offset) == ("1h", "", None)
    assert selected(without_subqueries(expression)) == [Selected("z", ())]


@pytest.mark.parametrize("text", ["rate(x)", "rated(x[5m])", "sum by (a (x)", "x[$__else]", 'x{a=~"("}'])
def test_what_is_no_promql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


# --- the first value of a counter


def test_a_first_value_is_taken_for_one_as_the_dashboards_write_it() -> None:
    query = parse(gained(COUNTER))
    assert selected(query)[1:4] == [
        Selected("x", X.matchers, "min_over_time", "$__range"),
        Selected("x", X.matchers, "", None, "$__range"),
        Selected("x", X.matchers, "count_over_time", "$__range"),
    ]
    rated, scrapes = selected(without_first_values(query))
    assert (rated.name, rated.function) == ("x", "increase")
    assert (scrapes.name, scrapes.function) == ("exit_exporter_exits_unobserved_total", "count_over_time")


FORM = "(min_over_time(x[1h]) unless x offset 1h) and (count_over_time(x[1h]) < on (a) y)"


def test_what_the_scrapes_are_held_against_is_read_as_everything_is() -> None:
    assert _names(FORM) == ["y"]
    assert _names(f"{FORM} or x") == ["y", "x"]
    assert _names(FORM.replace("y", "x")) == ["x"]


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("min_over_time(x[1h])", "max_over_time(x[1h])"),
        ("min_over_time(x[1h])", "min_over_time(z[1h])"),
        ("min_over_time(x[1h])", 'min_over_time(x{a="b"}[1h])'),
        ("min_over_time(x[1h])", "min_over_time(x[2h])"),
        ("min_over_time(x[1h])", "min_over_time(x[1h] offset 1h)"),
        ("min_over_time(x[1h])", "(2 * min_over_time(x[1h]))"),
        ("min_over_time(x[1h])", "x"),
        ("unless x", "and x"),
        ("unless x", "unless on (a) x"),
        ("offset 1h", "offset 2h"),
        ("x offset 1h", "x"),
        ("x offset 1h", "(x offset 1h > 0)"),
        (") and (", ") or ("),
        (") and (", ") and on (a) ("),
        ("count_over_time(x[1h])", "sum_over_time(x[1h])"),
        ("count_over_time(x[1h])", "count_over_time(x[2h])"),
        ("count_over_time(x[1h])", "count_over_time(z[1h])"),
        ("<", "<="),
    ],
)
def test_what_is_not_quite_a_first_value_is_none(part: str, other: str) -> None:
    assert part in FORM
    spoiled = FORM.replace(part, other)
    assert without_first_values(parse(spoiled)).prettify() == parse(spoiled).prettify()
