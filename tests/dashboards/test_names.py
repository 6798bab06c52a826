"""Names with characters that PromQL, a regular expression or an address could take for its own."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.dashboards import histories
from tests.dashboards.boards import ALL_FILES, FILES, Choice, interpolated, load, narrowed, targets, variables
from tests.dashboards.histories import ALERT
from tests.dashboards.prometheus import Prometheus, Series, running
from tests.dashboards.scenario import BEGIN, END, HOUR, MINUTE
from tests.lab.prometheus_kinds import KINDS, programs_of

OVERVIEW = FILES[0]
NAMES = ("C:\\new\\jobs", "it's", "a.b+c(d)", "axb+c(d)", "[a]{2}|^$*?", "größe/✓, 50% & #1")
"""The third one would also select the fourth, if it were not escaped."""

each_name = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module", params=KINDS)
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Start a Prometheus of each kind with a host, a workload, a reason and an alert of each name."""
    directory, programs = tmp_path_factory.mktemp("prometheus"), programs_of(request.param)
    with running(directory, histories.of_names(NAMES), "127.0.0.1:1", programs) as server:
        yield server


def chosen(*names: str) -> dict[str, Choice]:
    """Return the variables of the overview with these names selected, wherever there are some."""
    return narrowed(load(OVERVIEW), host=names, workload=names, reason=names)


def ends(prometheus: Prometheus, choices: dict[str, Choice]) -> list[tuple[str, ...]]:
    """Return host, workload and reason of the rows of a table."""
    of_table = [each for each in targets([OVERVIEW]) if each.panel["title"] == "Last failures by workload"]
    query = interpolated(of_table[0].expression, choices, range_seconds=HOUR, step=MINUTE)
    return named(prometheus.at(query, END), "host", "workload", "reason")


def named(found: list[Series], *labels: str) -> list[tuple[str, ...]]:
    """Return the labels of series, sorted."""
    return sorted(tuple(series["metric"][label] for label in labels) for series in found)


@each_name
def test_a_name_selects_its_own_series_and_no_other(prometheus: Prometheus, name: str) -> None:
    assert ends(prometheus, chosen(name)) == [(name, name, name)]


def test_several_names_all_and_none_can_be_selected(prometheus: Prometheus) -> None:
    every = sorted((name, name, name) for name in NAMES)
    assert ends(prometheus, chosen(*NAMES[:3])) == sorted((name, name, name) for name in NAMES[:3])
    assert ends(prometheus, chosen(*NAMES)) == ends(prometheus, narrowed(load(OVERVIEW))) == every
    assert ends(prometheus, chosen("")) == []


@each_name
def test_the_values_of_a_variable_depend_on_a_name_that_is_selected(
    prometheus: Prometheus, name: str
) -> None:
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variables(load(OVERVIEW))["reason"]["query"])
    assert asked is not None
    series = interpolated(asked[1], chosen(name), range_seconds=HOUR, step=MINUTE)
    assert prometheus.values(asked[2], series, BEGIN, END) == [name]


@each_name
def test_an_alert_of_a_name_that_is_selected_is_marked(prometheus: Prometheus, name: str) -> None:
    (annotation,) = load(OVERVIEW)["annotations"]["list"]
    query = interpolated(annotation["expr"], chosen(name), range_seconds=HOUR, step=MINUTE)
    found = prometheus.over(query, BEGIN, END, MINUTE)
    assert named(found, "alertname", "workload") == [(ALERT, name)]


@pytest.mark.parametrize("board", ALL_FILES)
def test_a_link_encodes_the_name_that_it_passes_on(board: str) -> None:
    values = re.findall(r'var-\w+=([^&"]*)', json.dumps(load(board)))
    encoded = re.compile(r"\$\{__(data\.fields|field\.labels)\.\w+:percentencode\}")
    assert [value for value in values if not encoded.fullmatch(value)] == []
