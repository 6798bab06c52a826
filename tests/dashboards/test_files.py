"""Generated files, links and provisioning of the dashboards."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import colours, make
from dashboards.layout import EXPORTER_ALERTS, JOB_ALERTS
from exporter.verdict.catalog_file import builtin_catalog
from tests.dashboards.boards import FILES, HERE, PALETTE, load, panels, variables

ROOT = HERE.parent
PROVISIONING = HERE / "provisioning"
PANEL_IDS = [
    {
        "Failures": 101,
        "OOMKilled": 102,
        "Success ratio": 103,
        "Running": 104,
        "Unknown ends": 105,
        "Not watched": 106,
        "Ends by reason": 201,
        "Ends by status": 202,
        "Top workloads by failures": 203,
        "Top workloads by OOM kills": 204,
        "Last failures by workload": 301,
        "OOM spikes": 401,
        "Jobs OOMKilled": 402,
        "Run durations, all jobs": 501,
        "Run duration quantiles by status": 502,
        "Jobs running": 503,
    },
    {
        "Attempts": 101,
        "Failures": 102,
        "Success ratio": 103,
        "Running": 104,
        "Last success": 105,
        "Last failure": 106,
        "Ends by reason": 201,
        "Ends by exit code": 202,
        "Codes and reasons": 203,
        "OOM kills and memory limit": 301,
        "Memory limit": 304,
        "Jobs OOMKilled": 302,
        "Kills beyond one per job": 303,
        "Run duration quantiles": 401,
        "Run durations, all jobs": 402,
        "Jobs running": 403,
        "Time since the last end": 404,
        "Runs begun by the restart policy": 405,
    },
    {
        "Exporters down": 101,
        "Engines lost": 102,
        "Exits pending": 304,
        "OTLP jobs pending": 401,
        "Exits unobserved": 105,
        "Catalogue": 106,
        "Engines watched": 201,
        "Events read": 202,
        "Reconnects and gaps": 203,
        "Exits found afterwards": 204,
        "Commit latency": 301,
        "Commits": 302,
        "Store errors": 303,
        "OTLP jobs exported, rejected, dropped": 402,
        "Traceparents ignored": 403,
        "Jobs over the workload limit": 501,
        "Age of the catalogue": 502,
        "Scrape duration": 503,
        "Builds": 504,
    },
]


def test_the_committed_files_are_up_to_date() -> None:
    assert make.files() == {name: (HERE / name).read_text(encoding="utf-8") for name in (*FILES, make.README)}


def test_a_file_that_was_edited_is_listed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*FILES, make.README):
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
    assert [load(name)["schemaVersion"] for name in FILES] == [42, 42, 42]


def test_uids_and_panel_ids_never_change() -> None:
    assert [load(name)["uid"] for name in FILES] == [
        "exit-exporter-overview",
        "exit-exporter-workload",
        "exit-exporter-health",
    ]
    assert [{panel["title"]: panel["id"] for panel in panels(load(name))} for name in FILES] == PANEL_IDS


@pytest.mark.parametrize("name", FILES)
def test_a_dashboard_is_read_only_and_uses_the_chosen_datasource(name: str) -> None:
    board = load(name)
    assert (board["editable"], board["timezone"], board["tags"]) == (False, "browser", ["exit-exporter"])
    parts = [part for panel in panels(board) for part in (panel, *panel["targets"])]
    queried = [variable for variable in variables(board).values() if variable["type"] == "query"]
    assert {part["datasource"]["uid"] for part in (*parts, *queried)} == {"${datasource}"}
    assert {variable["refresh"] for variable in queried} == {2}
    both = [variables(board)[name] for name in ("job", "instance")]
    assert [(each["multi"], each["includeAll"], each["allValue"]) for each in both] == [
        (True, True, ".+")
    ] * 2


@pytest.mark.parametrize("name", FILES)
def test_each_dashboard_links_to_the_others_and_to_the_docs(name: str) -> None:
    board = load(name)
    others = {load(other)["uid"] for other in FILES} - {board["uid"]}
    urls = [link["url"] for link in board["links"]]
    assert {url.split("/d/")[1].split("?")[0] for url in urls if url.startswith("/d/")} == others
    assert [url for url in urls if "/docs/" in url]


@pytest.mark.parametrize("name", FILES)
def test_links_to_the_docs_lead_to_existing_pages(name: str) -> None:
    pages = [link["url"].partition("/docs/")[2] for link in load(name)["links"] if "/docs/" in link["url"]]
    assert [page for page in pages if not (ROOT / "docs" / page).is_file()] == []


@pytest.mark.parametrize("name", FILES)
def test_a_link_passes_variables_that_both_dashboards_have(name: str) -> None:
    boards = {board["uid"]: board for board in map(load, FILES)}
    here = load(name)
    for url in re.findall(r'"(/d/[^"]+)"', json.dumps(here)):
        there = variables(boards[url.split("/d/")[1].split("?")[0]])
        passed = set(re.findall(r"\$\{(\w+):queryparam\}", url))
        assert passed <= set(variables(here)) & set(there)
        assert set(re.findall(r"var-(\w+)=", url)) <= set(there)


@pytest.mark.parametrize("path", sorted(PROVISIONING.rglob("*.yaml")), ids=lambda path: path.parent.name)
def test_provisioning_has_version_1(path: Path) -> None:
    assert _yaml(path)["apiVersion"] == 1


def test_an_exemplar_links_to_its_trace() -> None:
    prometheus, traces = _yaml(PROVISIONING / "datasources/exit-exporter.yaml")["datasources"]
    assert (prometheus["type"], traces["type"]) == ("prometheus", "jaeger")
    (link,) = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert link.keys() == {"name", "url", "urlDisplayLabel"}
    assert link["name"] == "trace_id"
    # Grafana reads `$$` as `$`, and a single `$` as an environment variable.
    assert link["url"].count("$") == 2
    assert link["url"].endswith("/trace/$${__value.raw}")


def test_provisioned_dashboards_cannot_be_overwritten() -> None:
    (provider,) = _yaml(PROVISIONING / "dashboards/exit-exporter.yaml")["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)


def test_every_alert_is_annotated_on_the_right_dashboards() -> None:
    rules = [text.read_text(encoding="utf-8") for text in (ROOT / "alerts").glob("*.rules.yml")]
    alerts = {name for text in rules for name in re.findall(r"alert: (\w+)", text)}
    assert alerts == JOB_ALERTS | EXPORTER_ALERTS
    assert {name for name in alerts if name.startswith(("Job", "Host", "Fleet"))} == JOB_ALERTS
    assert [_annotated(name) for name in FILES] == [alerts, JOB_ALERTS, EXPORTER_ALERTS]


@pytest.mark.parametrize("name", FILES)
def test_an_annotation_shows_only_labels_that_all_alerts_have(name: str) -> None:
    (annotation,) = load(name)["annotations"]["list"]
    labels = re.findall(r"\{\{(\w+)\}\}", annotation["titleFormat"] + annotation["textFormat"])
    assert labels == ["alertname", "severity"]


def test_reasons_with_a_colour_are_in_the_catalog() -> None:
    assert colours.REASONS.keys() - builtin_catalog().reasons.keys() == set()
    assert len(set(colours.REASONS.values())) == len(colours.REASONS)


def test_codes_have_the_colours_of_their_reasons() -> None:
    reasons = {code: builtin_catalog().codes[int(code)] for code in colours.CODES}
    assert {code: reasons[code].reason for code in ("0", "1")} == {"0": "Completed", "1": "Error"}
    assert colours.CODES["0"] == colours.REASONS["Completed"]
    assert colours.CODES["1"] == colours.REASONS["Error"]


def test_colours_are_in_the_palette() -> None:
    named = {*colours.STATUSES.values(), *colours.REASONS.values(), *colours.CODES.values()}
    assert named - {colours.NONE} <= PALETTE


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
