"""The rules: each case of ``alerts/tests`` by the real promtool, and what holds for all rules."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
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
from tests.lab.promql import TARGET_LABELS, Matcher, Selected, grouping_labels, parse, selected

ALERTS = make.HERE
RUNBOOKS = ALERTS / "runbooks"
SOURCES = ALERTS.parent / "exporter"
SETTINGS = ALERTS.parent / "docs" / "settings.md"
FILES = sorted((ALERTS / "tests").glob("*.test.yml"))
CASES = [(file, case) for file in FILES for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
GROUPS: list[dict[str, Any]] = yaml.safe_load(make.RULES.read_text(encoding="utf-8"))["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTING = [rule for rule in RULES if "alert" in rule]
NAMES = [rule["alert"] for rule in ALERTING]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
# Whoever wants a workload watched writes it; with none in the thresholds, no rule does.
OPTED_IN = "workload:container_success_deadline:seconds"
SECTIONS = ["What it means", "What to look at first", "How to fix it", "How to silence it"]


def promtool(*arguments: str | Path) -> str:
    """What the real promtool says; a failure of the test if it refuses."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judged(cases: list[dict[str, Any]], directory: Path, rules: Path = make.RULES) -> str:
    """What promtool says of some cases."""
    file = directory / "cases.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": cases}))
    return promtool("test", "rules", file)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{file.name.removesuffix('.test.yml')}: {case['name']}") for file, case in CASES],
)
def test_promtool_says_so(case: dict[str, Any], tmp_path: Path) -> None:
    assert "SUCCESS" in judged([case], tmp_path)


def test_promtool_notices_what_is_wrong(tmp_path: Path) -> None:
    expected = {"expr": "up", "eval_time": "0m", "exp_samples": [{"labels": "up", "value": 1}]}
    with pytest.raises(AssertionError, match="FAILED"):
        judged([{"interval": "1m", "promql_expr_test": [expected]}], tmp_path)


def test_promtool_takes_the_rules() -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", make.RULES)


def test_every_case_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(case["name"] for _, case in CASES).items() if times > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_seen_firing_with_its_annotations_and_seen_silent(name: str) -> None:
    told = [
        tested["exp_alerts"]
        for _, case in CASES
        for tested in case.get("alert_rule_test", ())
        if tested["alertname"] == name
    ]
    assert [alerts for alerts in told if alerts]
    assert [] in told


# --- what is made


def test_the_committed_files_are_what_the_thresholds_make() -> None:
    assert make.stale(load()) == []


def test_what_is_out_of_date_is_said_and_written(
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
    """The thresholds with other values in some sections."""
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
        ("increases", {"steady": "10s"}, "steady must be longer than interval"),
        ("oom_spike", {"baseline": "30m"}, "baseline must be longer than recent"),
        ("oom_spike", {"recent": "6m"}, "oom_spike.recent must not be shorter than increases.window"),
        ("not_started", {"also": ['"']}, "not_started.also"),
        ("labels", {"replica": ["a b"]}, "labels.replica"),
        ("crash_loop", {"for": "10m"}, "crash_loop.for must be longer than increases.window"),
        ("restart_loop", {"for": "10m"}, "restart_loop.for must be longer than increases.window"),
        ("exporter", {"store_for": "1m"}, "exporter.store_for must be longer"),
        ("links", {"runbooks": "https://a/"}, "links.runbooks"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused_by_name(
    section: str, values: dict[str, Any], cause: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        changed(**{section: values})
    assert cause in str(refused.value)


def test_what_is_wrong_with_the_thresholds_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "thresholds.yaml"
    file.write_text(FILE.read_text(encoding="utf-8").replace("hold: 5m", "hold: 26 hours"))
    line = file.read_text().splitlines().index("  hold: 26 hours") + 1
    monkeypatch.setattr(make, "load", lambda: load(file))
    monkeypatch.setattr("sys.argv", ["make"])
    assert make.main() == 1
    assert capsys.readouterr().err.startswith(f"{file}:{line}: oom_spike.hold: ")


def test_a_workload_that_is_named_must_succeed_in_its_time(tmp_path: Path) -> None:
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
    assert "SUCCESS" in judged([case], tmp_path, rules)


def test_exporters_of_a_pair_may_differ_in_more_labels(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(make.rules(changed(labels={"replica": ["instance", "job", "pod"]})))
    source = "exit_exporter_exits_unobserved_total"
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
    assert "SUCCESS" in judged([case], tmp_path, rules)


# --- what every alert has


@pytest.mark.parametrize("rule", ALERTING, ids=NAMES)
def test_every_alert_has_the_labels_and_annotations_that_all_have(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert list(rule["labels"]) == ["severity"]
    assert list(notes) == ["summary", "description", "runbook_url", "dashboard"]
    assert "{{" not in notes["summary"]
    assert notes["runbook_url"] == f"{load().links.runbooks}/{rule['alert']}.md"
    assert all(notes[text].endswith(".") for text in ("summary", "description"))


def test_spikes_wake_somebody_and_nothing_else_does() -> None:
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in ALERTING}
    assert {name for name, severity in severities.items() if severity == "critical"} == {
        "JobOOMKilledSpike",
        "HostOOMKilledSpike",
        "FleetOOMKilledSpike",
    }
    assert set(severities.values()) == {"critical", "warning", "info"}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert sorted(file.stem for file in RUNBOOKS.glob("*")) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", ALERTING, ids=NAMES)
def test_every_runbook_has_the_same_sections(
    rule: dict[str, Any],
) -> None:
    text = (RUNBOOKS / f"{rule['alert']}.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == f"# {rule['alert']}"
    assert rule["labels"]["severity"] in lines[2]
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
    assert f"amtool silence add alertname={rule['alert']}" in text


COMMANDS = re.compile(r"^exit-exporter (\w+)", re.MULTILINE)


def test_runbooks_name_only_commands_and_metrics_that_exist() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(RUNBOOKS.glob("*.md")))
    assert set(COMMANDS.findall(text)) <= {"ps", "show", "explain", "check"}
    named = set(re.findall(r"\b(?:container|exit_exporter)_[a-z_]+\b", text))
    assert {name for name in named if name not in BY_NAME} - {"container_exit_code"} == set()


def test_what_runbooks_quote_of_the_log_is_what_it_says() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(RUNBOOKS.glob("*.md")))
    quoted = re.findall(r"\blog says `([^`]+)`", text)
    sources = "\n".join(file.read_text(encoding="utf-8") for file in sorted(SOURCES.rglob("*.py")))
    assert quoted
    assert [words for words in quoted if f'"{words}' not in sources] == []


def test_runbooks_name_only_settings_that_exist() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(RUNBOOKS.glob("*.md")))
    named = set(re.findall(r"--[a-z]+\.[a-z-]+", text))
    assert named
    settings = set(re.findall(r"--[a-z]+\.[a-z-]+", SETTINGS.read_text(encoding="utf-8")))
    assert named - settings == {"--alertmanager.url"}, "this one is amtool's"


def test_the_runbook_of_failed_starts_has_a_line_for_each_of_their_reasons() -> None:
    lines = (RUNBOOKS / "JobCannotStart.md").read_text(encoding="utf-8").splitlines()
    told = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert sorted(told) == sorted(catalog.FAILED_STARTS)


def test_a_reason_of_ones_own_may_say_that_a_job_cannot_start() -> None:
    told = make.rules(changed(not_started={"also": ["NoLicence"]}))
    assert f'reason=~"{"|".join(catalog.FAILED_STARTS)}|NoLicence"' in told


# --- what expressions name


def read_by(rule: dict[str, Any]) -> list[Selected]:
    """What the expression of a rule reads."""
    return selected(parse(rule["expr"]))


READ = [(rule.get("alert") or rule["record"], part) for rule in RULES for part in read_by(rule)]
IDS = [f"{name}-{part.name}" for name, part in READ]


@pytest.mark.parametrize("part", [part for _, part in READ], ids=IDS)
def test_every_metric_exists_and_is_read_as_what_it_is(part: Selected) -> None:
    if part.name in {*RECORDED, OPTED_IN, "up"}:
        return
    metric = BY_NAME[part.name]
    assert metric.type is not MetricType.HISTOGRAM
    # A counter's value says nothing by itself: its last in a window is held against its last before it, or
    # its first.
    assert metric.type is MetricType.GAUGE or part.function in {"last_over_time", "min_over_time"}
    assert {matcher.label for matcher in part.matchers} <= set(metric.labels)


@pytest.mark.parametrize("part", [part for _, part in READ], ids=IDS)
def test_every_matcher_has_values_that_there_are(part: Selected) -> None:
    values = {"status": {status.value for status in Status}, "reason": set(builtin_catalog().reasons)}
    for matcher in part.matchers:
        assert set(matcher.value.split("|")) <= values[matcher.label]


def test_jobs_that_were_asked_to_stop_are_in_no_recording() -> None:
    read = [part for _, part in READ if part.name == "container_exits_total"]
    assert read
    terminated = Matcher("status", "=~", f"{Status.DONE}|{Status.FAILED}")
    assert [
        part for part in read if terminated not in part.matchers and not _of_reason(part, "HostLost")
    ] == []


def _of_reason(part: Selected, reason: str) -> bool:
    return Matcher("reason", "=", reason) in part.matchers


@pytest.mark.parametrize("rule", RULES, ids=[rule.get("alert") or rule["record"] for rule in RULES])
def test_every_label_exists_that_is_grouped_by(rule: dict[str, Any]) -> None:
    labels = {label for metric in METRICS for label in metric.labels}
    assert grouping_labels(parse(rule["expr"])) <= labels | TARGET_LABELS


def test_a_recording_is_named_by_level_metric_and_operation_and_made_before_it_is_read() -> None:
    made: set[str] = {OPTED_IN}
    for group in GROUPS:
        for rule in group["rules"]:
            own = rule.get("record")
            read = {part.name for part in read_by(rule) if ":" in part.name}
            assert read <= {*made, own}, rule
            if own:
                assert re.fullmatch(r"(instance|workload|host|fleet):[a-z_]+:[a-z0-9]+", own)
                made.add(own)


def test_a_group_reads_no_recording_of_another_whose_moment_is_another() -> None:
    for group in GROUPS:
        own = {rule["record"] for rule in group["rules"] if "record" in rule}
        read = {part.name for rule in group["rules"] for part in read_by(rule) if ":" in part.name}
        assert read - own <= {OPTED_IN}
