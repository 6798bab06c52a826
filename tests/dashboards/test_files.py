"""Generated files, links and provisioning of the dashboards."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.thresholds import load as load_thresholds
from dashboards import colours, make
from dashboards.layout import EXPORTER_ALERTS, JOB_ALERTS
from exporter.verdict.catalog_file import builtin_catalog
from tests.dashboards.boards import ALL_FILES, FILES, HERE, READABLE, load, panels, queried, variables

ROOT = HERE.parent
PROVIDER = HERE / "provisioning" / "dashboards" / "exit-exporter.yaml"
DATASOURCES = ROOT / "compose" / "grafana" / "datasources.yaml"
PANEL_IDS = {
    "exits-overview.json": {
        "Failures": 101,
        "OOMKilled": 102,
        "Success ratio": 103,
        "Running": 104,
        "Down now": 106,
        "Minutes not watched": 107,
        "Firing alerts": 108,
        "Failures over time": 109,
        "Ends by reason": 201,
        "Ends by status": 202,
        "Last failures by workload": 301,
        "Failing workloads": 302,
        "OOM spikes": 401,
        "Jobs OOMKilled": 402,
        "Run durations": 501,
        "Jobs running": 503,
        "Newest failed runs": 601,
        "Success ratio over time": 701,
        "Failures by host": 702,
    },
    "workload.json": {
        "Attempts": 101,
        "Failures": 102,
        "Success ratio": 103,
        "Running": 104,
        "Last success": 105,
        "Last failure": 106,
        "Ends by reason": 201,
        "Codes and reasons": 203,
        "Success ratio over time": 204,
        "Firing alerts": 205,
        "OOM kills": 301,
        "Jobs OOMKilled": 302,
        "Kills beyond one per job": 303,
        "Memory limit": 304,
        "Memory limits": 305,
        "Run durations": 402,
        "Jobs running": 403,
        "Time since the last end": 404,
        "Runs begun by the restart policy": 405,
    },
    "exporter-health.json": {
        "Down now": 101,
        "Minutes not watched": 102,
        "Exits pending": 304,
        "OTLP jobs pending": 401,
        "Exits unobserved": 105,
        "Catalogue": 106,
        "Engines watched": 201,
        "Events read": 202,
        "Reconnects and gaps": 203,
        "Exits found afterwards": 204,
        "Not watched": 205,
        "Firing alerts": 206,
        "Commit latency": 301,
        "Store errors": 303,
        "OTLP jobs exported, rejected, dropped": 402,
        "Traceparents ignored": 403,
        "Jobs over the workload limit": 501,
        "Age of the catalogue": 502,
        "Scrape duration": 503,
        "Builds": 504,
        "Log lines dropped": 505,
    },
    "reasons.json": {
        "Give it more memory": 101,
        "Change how it is started": 102,
        "Change the program": 103,
        "Run it again": 104,
        "Run it again later": 105,
        "Nothing, or it is not known what would help": 106,
    },
}
UIDS = ["exit-exporter-overview", "exit-exporter-workload", "exit-exporter-health", "exit-exporter-reasons"]
LABELS = {
    "datasource": "Data source",
    "job": "Scrape job",
    "instance": "Exporter",
    "host": "Host",
    "workload": "Workload",
    "reason": "Reason",
    "traces": "Traces",
}
KEPT = {"job", "instance", "host", "workload", "reason"}
"""What a link keeps, where both dashboards have it."""

every_board = pytest.mark.parametrize("name", ALL_FILES)


def test_the_committed_files_are_up_to_date() -> None:
    assert make.files() == {name: (HERE / name).read_text(encoding="utf-8") for name in ALL_FILES}


def test_a_file_that_was_edited_is_listed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ALL_FILES:
        (tmp_path / name).write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(make, "HERE", tmp_path)
    monkeypatch.setattr("sys.argv", ["make.py", "--check"])
    assert make.main() == 0
    (tmp_path / "workload.json").write_text("{}", encoding="utf-8")
    assert make.main() == 1
    assert capsys.readouterr().err == "dashboards/workload.json is out of date; run 'make dashboards'\n"
    monkeypatch.setattr("sys.argv", ["make.py"])
    assert make.main() == 0
    assert (tmp_path / "workload.json").read_text(encoding="utf-8") == make.encoded("workload.json")


def test_the_json_has_the_schema_that_every_grafana_loads() -> None:
    assert {load(name)["schemaVersion"] for name in ALL_FILES} == {42}


def test_uids_and_panel_ids_never_change() -> None:
    assert [load(name)["uid"] for name in ALL_FILES] == UIDS
    assert {
        name: {panel["title"]: panel["id"] for panel in panels(load(name))} for name in ALL_FILES
    } == PANEL_IDS


@every_board
def test_a_dashboard_is_read_only_and_uses_the_chosen_datasource(name: str) -> None:
    board = load(name)
    assert (board["editable"], board["timezone"], board["tags"]) == (False, "browser", ["exit-exporter"])
    # The folder has the project's name already.
    assert "/" not in board["title"]
    parts = [part for panel in queried(board) for part in (panel, *panel["targets"])]
    chosen = [variable for variable in variables(board).values() if variable["type"] == "query"]
    assert {part["datasource"]["uid"] for part in (*parts, *chosen)} == {"${datasource}"}
    assert {variable["refresh"] for variable in chosen} == {2}
    assert {(each["multi"], each["includeAll"], each["allValue"]) for each in chosen} == {(True, True, ".+")}


@every_board
def test_variables_have_the_words_of_the_project_and_a_default(name: str) -> None:
    found = variables(load(name))
    assert {each: variable["label"] for each, variable in found.items()}.items() <= LABELS.items()
    assert found["datasource"]["current"]["value"] == "default"


@every_board
def test_each_dashboard_links_to_all_others_and_nowhere_else(name: str) -> None:
    board = load(name)
    others = {load(other)["uid"] for other in ALL_FILES} - {board["uid"]}
    urls = [link["url"] for link in board["links"]]
    assert {re.split(r"[?]", url.removeprefix("/d/"))[0] for url in urls} == others
    # The only address that somebody has to set is that of the runbooks.
    outside = re.findall(r'"url": "(http[^"]+)"', json.dumps(board))
    assert {url.rpartition("/")[0] for url in outside} <= {load_thresholds().links.runbooks}


@every_board
def test_a_link_keeps_what_both_dashboards_can_choose(name: str) -> None:
    boards = {board["uid"]: variables(board) for board in map(load, ALL_FILES)}
    for url in re.findall(r'"(/d/[^"]+)"', json.dumps(load(name))):
        there = boards[url.removeprefix("/d/").split("?")[0]]
        passed = set(re.findall(r"\$\{(\w+):queryparam\}", url))
        named = set(re.findall(r"var-(\w+)=", url))
        both = set(variables(load(name))) & set(there)
        assert passed <= both
        assert named <= set(there)
        if "exit-exporter-reasons" not in url:
            assert both & KEPT <= passed | named, url


def test_a_reason_leads_to_what_to_do_about_it() -> None:
    for board, title in (
        ("exits-overview.json", "Last failures by workload"),
        ("workload.json", "Codes and reasons"),
    ):
        (table,) = [panel for panel in panels(load(board)) if panel["title"] == title]
        columns = {
            each["matcher"]["options"]: each["properties"] for each in table["fieldConfig"]["overrides"]
        }
        (links,) = [each["value"] for each in columns["Reason"] if each["id"] == "links"]
        assert links[0]["url"].startswith("/d/exit-exporter-reasons")
    told = "\n".join(panel["options"]["content"] for panel in panels(load("reasons.json")))
    catalog = builtin_catalog().reasons
    assert sorted(re.findall(r"^- \*\*(\w+)\*\*", told, re.MULTILINE)) == sorted(catalog)
    assert all(cause in told for reason in catalog.values() for cause in reason.all_causes)


@pytest.mark.parametrize("path", [DATASOURCES, PROVIDER], ids=lambda path: path.name)
def test_provisioning_has_version_1(path: Path) -> None:
    assert _yaml(path)["apiVersion"] == 1


def test_no_data_source_of_somebody_else_is_taken_over() -> None:
    # Whoever copies the folder beside the dashboards gets none.
    assert [path.name for path in HERE.rglob("*.yaml")] == [PROVIDER.name]
    sources = _yaml(DATASOURCES)["datasources"]
    assert all(each["name"].startswith("exit-exporter ") for each in sources)
    assert len({each["uid"] for each in sources}) == len(sources)
    assert [each.get("isDefault", False) for each in sources] == [True, False]


def test_an_exemplar_links_to_its_trace() -> None:
    prometheus, traces = _yaml(DATASOURCES)["datasources"]
    assert (prometheus["type"], traces["type"]) == ("prometheus", "jaeger")
    (link,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert link.keys() == {"name", "url", "urlDisplayLabel"}
    assert link["name"] == "trace_id"
    # Grafana reads `$$` as `$`, and a single `$` as an environment variable.
    assert link["url"].count("$") == 2
    assert link["url"].endswith("/trace/$${__value.raw}")


def test_provisioned_dashboards_cannot_be_overwritten() -> None:
    (provider,) = _yaml(PROVIDER)["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)


def test_every_alert_is_marked_on_the_right_dashboards() -> None:
    rules = [text.read_text(encoding="utf-8") for text in (ROOT / "alerts").glob("*.rules.yml")]
    alerts = {name for text in rules for name in re.findall(r"alert: (\w+)", text)}
    jobs, exporters = set(JOB_ALERTS), set(EXPORTER_ALERTS)
    assert alerts == jobs | exporters
    assert {name for name in alerts if name.startswith(("Job", "Host", "Fleet"))} == jobs
    assert [_annotated(name) for name in FILES] == [alerts, jobs, exporters]


@pytest.mark.parametrize("name", FILES)
def test_an_alert_is_one_mark_where_it_begins(name: str) -> None:
    (annotation,) = load(name)["annotations"]["list"]
    labels = re.findall(r"\{\{(\w+)\}\}", annotation["titleFormat"] + annotation["textFormat"])
    assert labels == ["alertname", "severity"]
    # All points of an alert have its beginning as their time, so Grafana makes no region of them.
    assert annotation["useValueForTime"]
    assert "max by (alertname, severity, workload, host, instance)" in annotation["expr"]
    chosen = {"workload", "host", "instance"} & set(variables(load(name)))
    narrowed = set(re.findall(r'(\w+)=~"\$\w+\|"', annotation["expr"]))
    assert narrowed == chosen - ({"instance"} if name == "workload.json" else set())


def test_reasons_with_a_colour_are_in_the_catalog() -> None:
    assert colours.REASONS.keys() - builtin_catalog().reasons.keys() == set()


def test_a_colour_has_one_meaning() -> None:
    meanings = {
        colours.DONE: {"Completed"},
        colours.OOM: {"OOMKilled"},
        colours.FAILED: {"Error"},
        colours.STOPPED: {"Terminated"},
        colours.UNKNOWN: {"Unknown"},
        colours.COULD_NOT_START: {"CommandNotFound", "CommandNotExecutable", "ContainerCannotRun"},
    }
    assert {
        colour: {reason for reason, used in colours.REASONS.items() if used == colour} for colour in meanings
    } == meanings
    assert colours.STATUSES == {
        "done": colours.DONE,
        "failed": colours.FAILED,
        "terminated": colours.STOPPED,
        "unknown": colours.UNKNOWN,
    }
    assert {*colours.REASONS.values(), colours.ALERT} <= READABLE
    # A failure without a colour of its own is not done, not stopped and not an OOM kill.
    for board in FILES[:2]:
        (graph,) = [panel for panel in panels(load(board)) if panel["title"] == "Ends by reason"]
        assert graph["fieldConfig"]["defaults"]["color"] == {"mode": "fixed", "fixedColor": colours.FAILED}


def _annotated(name: str) -> set[str]:
    (annotation,) = load(name)["annotations"]["list"]
    return {
        alert
        for names in re.findall(r'alertname=~"([^"]+)"', annotation["expr"])
        for alert in names.split("|")
    }


def _yaml(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read
