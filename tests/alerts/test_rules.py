"""The rules: each case of ``alerts/tests`` by promtool, and what is true for all rules."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from alerts import make
from alerts.thresholds import FILE, Thresholds, load
from exporter.metrics.definitions import BY_NAME, METRICS, MetricType
from exporter.model import Status
from exporter.verdict import catalog
from exporter.verdict.catalog_file import builtin_catalog
from tests.lab.install import program
from tests.lab.prometheus_kinds import KINDS, programs_of
from tests.lab.promql import grouping_labels, selectors

ALERTS = make.HERE
RUNBOOKS = ALERTS / "runbooks"
SOURCES = ALERTS.parent / "exporter"
SETTINGS = ALERTS.parent / "docs" / "settings.md"
FILES = sorted((ALERTS / "tests").glob("*.test.yml"))
GROUPS: list[dict[str, Any]] = yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTING = [rule for rule in RULES if "alert" in rule]
NAMES = [rule["alert"] for rule in ALERTING]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
# Made only for workloads that the thresholds list, or by a rule of the user.
DEADLINE = "workload:container_success_deadline:seconds"
MOST_RECORDINGS = 10
ASKED_ALERTS = re.compile(r'\bALERTS\b(?:\{[^}]*alertname=~?"([^"]+)")?')
"""An expression's question for alerts, with the pattern of their names if it has one."""
SECTIONS = ["What it means", "What to look at first", "How to fix it", "How to silence it"]


@cache
def all_cases() -> list[dict[str, Any]]:
    """Return the cases of all files: not as the tests are collected, which each process does."""
    return [case for file in FILES for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]


@pytest.fixture(scope="module", params=KINDS)
def programs(request: pytest.FixtureRequest) -> Path | None:
    """Return the folder of a version of Prometheus, None for Debian's."""
    return programs_of(request.param)


def promtool(programs: Path | None, *arguments: str | Path) -> str:
    """Run promtool and return its output; fails if promtool does."""
    command = [program("promtool", programs), *arguments]
    # Memory is cheap here, and its collection is not.
    environment = os.environ | {"GOGC": "400"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_cases(programs: Path | None, cases: dict[str, Any], directory: Path, rules: Path = make.RULES) -> str:
    """Let promtool test the cases of a file."""
    file = directory / "cases.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", **cases, "rule_files": [str(rules)]}))
    return promtool(programs, "test", "rules", file)


def groups_for(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules on which an expectation of a case can depend: all of them take minutes."""
    expressions = " ".join(test["expr"] for test in case.get("promql_expr_test", ()))
    patterns = [test["alertname"] for test in case.get("alert_rule_test", ())]
    patterns += [pattern or ".*" for pattern in ASKED_ALERTS.findall(expressions)]
    used = {name for name in NAMES if any(re.fullmatch(pattern, name) for pattern in patterns)}
    used.update(names_in(expressions))
    # A rule uses only those before it, and itself.
    for rule in reversed(RULES):
        if name_of(rule) in used:
            used.update(names_in(rule["expr"]))
    chosen = [
        {**group, "rules": [each for each in group["rules"] if name_of(each) in used]} for group in GROUPS
    ]
    return [group for group in chosen if group["rules"]]


def name_of(rule: dict[str, Any]) -> str:
    """Return the name of an alert or of a recorded series."""
    return str(rule.get("alert") or rule["record"])


def names_in(expression: str) -> set[str]:
    """Return all names in an expression: of series, labels and functions."""
    return set(re.findall(r"[A-Za-z_:][\w:]*", expression))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.yml"))
def test_the_cases_hold(programs: Path | None, file: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    for number, case in enumerate(document["tests"]):
        rules = f"{number}.rules.yml"
        (tmp_path / rules).write_text(json.dumps({"groups": groups_for(case)}))
        (tmp_path / f"{number}.yml").write_text(
            json.dumps({**document, "rule_files": [rules], "tests": [case]})
        )
    files = [tmp_path / f"{number}.yml" for number in range(len(document["tests"]))]
    assert promtool(programs, "test", "rules", *files).count("SUCCESS") == len(files)


def test_promtool_fails_for_a_wrong_case(programs: Path | None, tmp_path: Path) -> None:
    expected = {"expr": "up", "eval_time": "0m", "exp_samples": [{"labels": "up", "value": 1}]}
    cases = {"tests": [{"interval": "1m", "promql_expr_test": [expected]}]}
    with pytest.raises(AssertionError, match="FAILED"):
        run_cases(programs, cases, tmp_path)


def test_promtool_accepts_the_rules(programs: Path | None) -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool(programs, "check", "rules", make.RULES)


def test_the_names_of_cases_are_unique() -> None:
    assert [name for name, times in Counter(case["name"] for case in all_cases()).items() if times > 1] == []


def test_every_alert_has_cases_in_which_it_fires_and_does_not() -> None:
    tested = [
        (test["alertname"], bool(test["exp_alerts"]))
        for case in all_cases()
        for test in case.get("alert_rule_test", ())
    ]
    assert set(tested) == {(name, fires) for name in NAMES for fires in (True, False)}


# --- generated files


def test_the_committed_files_are_up_to_date() -> None:
    assert make.stale(load()) == []


def test_files_that_are_out_of_date_are_listed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / make.RULES.name
    rules.write_text("groups: []\n")
    monkeypatch.setattr(make, "FILES", {rules: make.rules})
    monkeypatch.setattr("sys.argv", ["make", "--check"])
    assert make.main() == 1
    assert "exit-exporter.rules.yml is out of date; run 'make alerts'" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["make"])
    assert make.main() == 0
    assert rules.read_text() == make.RULES.read_text()
    monkeypatch.setattr("sys.argv", ["make", "--check"])
    assert make.main() == 0


def changed(**sections: dict[str, Any]) -> Thresholds:
    """Return the thresholds with other values in some sections."""
    values = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for section, other in sections.items():
        values[section] |= other
    return Thresholds.model_validate(values)


@pytest.mark.parametrize(
    ("section", "values", "cause"),
    [
        ("increases", {"windwo": "5m"}, "increases.windwo"),
        ("increases", {"window": "5 minutes"}, "increases.window"),
        ("oom_spike", {"floor": 0}, "oom_spike.floor"),
        ("failure_ratio", {"above": 1.5}, "failure_ratio.above"),
        ("increases", {"long_window": "10m"}, "long_window must be longer than window"),
        ("increases", {"interval": "10m"}, "window must be longer than interval"),
        ("increases", {"replica_window": "9m"}, "replica_window must be longer than window"),
        ("oom_spike", {"after_outage": "10m"}, "oom_spike.after_outage must be longer than increases.window"),
        ("oom_spike", {"baseline": "30m"}, "baseline must be longer than recent"),
        ("oom_spike", {"recent": "6m"}, "oom_spike.recent must not be shorter than increases.window"),
        ("not_started", {"also": ['"']}, "not_started.also"),
        ("labels", {"replica": ["a b"]}, "labels.replica"),
        ("crash_loop", {"for": "15m"}, "crash_loop.for must be longer than crash_loop.last"),
        ("restart_loop", {"for": "10m"}, "restart_loop.for must be longer than increases.window"),
        ("exporter", {"store_for": "1m"}, "exporter.store_for must be longer"),
        ("links", {"runbooks": "https://a/"}, "links.runbooks"),
    ],
)
def test_bad_thresholds_are_rejected_by_name(section: str, values: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValidationError) as refused:
        changed(**{section: values})
    assert cause in str(refused.value)


def test_a_problem_of_the_thresholds_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "thresholds.yaml"
    file.write_text(FILE.read_text(encoding="utf-8").replace("hold: 5m", "hold: 26 hours"))
    line = file.read_text().splitlines().index("  hold: 26 hours") + 1
    monkeypatch.setattr(make, "load", lambda: load(file))
    monkeypatch.setattr("sys.argv", ["make"])
    assert make.main() == 1
    assert capsys.readouterr().err.startswith(f"{file}:{line}: oom_spike.hold: ")


def test_a_listed_workload_must_succeed_in_time(programs: Path | None, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(make.rules(changed(not_succeeded={"workloads": {"night/report": "2h", "other": "3h"}})))
    series = "container_last_exit_timestamp_seconds"
    labels = 'ALERTS{alertname="JobNotSucceeded", alertstate="firing", severity="warning", workload="%s"}'
    case = {
        "interval": "1m",
        "input_series": [
            {"series": f'{series}{{host="h", workload="{name}", status="done"}}', "values": "0x300"}
            for name in ("night/report", "other", "nobody/asked")
        ],
        "promql_expr_test": [
            {
                "expr": 'ALERTS{alertname="JobNotSucceeded"}',
                "eval_time": time,
                "exp_samples": [{"labels": labels % name, "value": 1} for name in late],
            }
            for time, late in (("120m", []), ("121m", ["night/report"]), ("181m", ["night/report", "other"]))
        ],
    }
    assert "SUCCESS" in run_cases(programs, {"tests": [case]}, tmp_path, rules)


def test_exporters_of_a_pair_can_differ_in_more_labels(programs: Path | None, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(make.rules(changed(labels={"replica": ["instance", "job", "pod"]})))
    source = "exit_exporter_exits_recovered_total"
    own = 'host="h", workload="w", image="i", status="failed", code="137", reason="OOMKilled"'
    recorded = "workload:container_exits_oomkilled:increase10m"
    case = {
        "interval": "1m",
        "input_series": [
            series
            for pod in ("p1", "p2")
            for series in (
                {"series": f'{source}{{pod="{pod}", host="h"}}', "values": "0x70"},
                {"series": f'container_exits_total{{pod="{pod}", {own}}}', "values": "0x60 3x9"},
            )
        ],
        "promql_expr_test": [
            {
                "expr": recorded,
                "eval_time": "61m",
                "exp_samples": [{"labels": f'{recorded}{{host="h", workload="w"}}', "value": 3}],
            }
        ],
    }
    assert "SUCCESS" in run_cases(programs, {"tests": [case]}, tmp_path, rules)


# --- annotations and runbooks


def test_every_alert_has_the_same_labels_and_annotations() -> None:
    for rule in ALERTING:
        notes = rule["annotations"]
        assert list(rule["labels"]) == ["severity"]
        assert list(notes) == ["summary", "description", "runbook_url", "dashboard"]
        assert "{{" not in notes["summary"]
        assert notes["runbook_url"] == f"{load().links.runbooks}/{rule['alert']}.md"
        assert all(notes[text].endswith(".") for text in ("summary", "description"))


def test_only_spikes_are_critical() -> None:
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in ALERTING}
    assert {name for name, severity in severities.items() if severity == "critical"} == {
        "JobOOMKilledSpike",
        "HostOOMKilledSpike",
        "FleetOOMKilledSpike",
    }
    assert set(severities.values()) == {"critical", "warning", "info"}


def test_every_alert_has_a_runbook_and_the_other_way_round() -> None:
    assert sorted(file.stem for file in RUNBOOKS.glob("*")) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES)


def test_every_runbook_has_the_same_sections() -> None:
    for rule in ALERTING:
        text = (RUNBOOKS / f"{rule['alert']}.md").read_text(encoding="utf-8")
        lines = text.splitlines()
        assert lines[0] == f"# {rule['alert']}"
        assert rule["labels"]["severity"] in lines[2]
        assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
        assert f"amtool silence add alertname={rule['alert']}" in text


ALL_RUNBOOKS = "\n".join(file.read_text(encoding="utf-8") for file in sorted(RUNBOOKS.glob("*.md")))


def test_runbooks_name_only_commands_and_metrics_that_exist() -> None:
    commands = set(re.findall(r"^exit-exporter (\w+)", ALL_RUNBOOKS, re.MULTILINE))
    assert commands <= {"ps", "show", "explain", "check"}
    metrics = set(re.findall(r"\b(?:container|exit_exporter)_[a-z_]+\b", ALL_RUNBOOKS))
    assert metrics <= BY_NAME.keys()


def test_runbooks_quote_log_lines_that_exist() -> None:
    quoted = re.findall(r"\blog says `([^`]+)`", ALL_RUNBOOKS)
    sources = "\n".join(file.read_text(encoding="utf-8") for file in sorted(SOURCES.rglob("*.py")))
    assert quoted
    assert [line for line in quoted if f'"{line}' not in sources] == []


def test_runbooks_name_only_settings_that_exist() -> None:
    named, settings = (
        set(re.findall(r"--[a-z]+\.[a-z-]+", text))
        for text in (ALL_RUNBOOKS, SETTINGS.read_text(encoding="utf-8"))
    )
    assert named - settings == {"--alertmanager.url"}, "this one is amtool's"


def test_the_runbook_of_failed_starts_lists_all_their_reasons() -> None:
    lines = (RUNBOOKS / "JobCannotStart.md").read_text(encoding="utf-8").splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert sorted(listed) == sorted(catalog.FAILED_STARTS)


def test_a_reason_can_be_added_to_those_of_failed_starts() -> None:
    rules = make.rules(changed(not_started={"also": ["NoLicence"]}))
    assert f'"{"|".join(catalog.FAILED_STARTS)}|NoLicence"' in rules


# --- expressions

READ = [(rule.get("alert") or rule["record"], each) for rule in RULES for each in selectors(rule["expr"])]


def test_rules_read_existing_metrics_in_the_right_way() -> None:
    bad = []
    for rule, each in READ:
        if each.name in {*RECORDED, DEADLINE, "up"}:
            continue
        metric = BY_NAME[each.name]
        by_type = {
            MetricType.GAUGE: True,
            MetricType.COUNTER: each.function in {"increase", "last_over_time", "min_over_time"},
        }
        if not by_type.get(metric.type) or not each.matchers.keys() <= set(metric.labels):
            bad.append((rule, each))
    assert bad == []


def test_a_line_above_each_alert_says_what_it_compares() -> None:
    lines = make.RULES.read_text(encoding="utf-8").splitlines()
    at = [number for number, line in enumerate(lines) if line.startswith("      - alert: ")]
    above = [[lines[number - back].startswith("      # ") for back in (1, 2)] for number in at]
    assert above == [[True, False]] * len(NAMES)


def test_there_are_few_recordings() -> None:
    assert len(RECORDED) <= MOST_RECORDINGS


def test_rules_match_values_that_exist() -> None:
    values = {"status": {*Status}, "reason": set(builtin_catalog().reasons)}
    bad = {
        (rule, label, value)
        for rule, each in READ
        for label, matcher in each.matchers.items()
        for value in matcher.split("|")
        if value not in values[label]
    }
    assert bad == set()


def test_rules_group_by_labels_that_exist() -> None:
    labels = {"job", "instance", *(label for metric in METRICS for label in metric.labels)}
    assert set().union(*(grouping_labels(rule["expr"]) for rule in RULES)) <= labels


def test_jobs_that_were_asked_to_stop_are_in_no_rule() -> None:
    read = [each.matchers for _, each in READ if each.name == "container_exits_total"]
    assert read
    finished = f"{Status.DONE}|{Status.FAILED}"
    assert {matchers["status"] for matchers in read} == {finished, Status.DONE, Status.FAILED}


def test_a_recording_is_named_well_and_made_before_it_is_read() -> None:
    for group in GROUPS:
        # A group is evaluated at a time of its own, so it reads no recording of another.
        made: set[str] = {DEADLINE}
        for rule in group["rules"]:
            own = rule.get("record")
            read = {each.name for each in selectors(rule["expr"]) if ":" in each.name}
            assert read <= {*made, own}, rule
            if own:
                assert re.fullmatch(r"(instance|workload|host|fleet):[a-z_]+:[a-z0-9]+", own)
                made.add(own)
