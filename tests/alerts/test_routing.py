"""The example for Alertmanager: it is taken, and every alert goes where it should."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from alerts import make
from alerts.alerting import Alert
from alerts.thresholds import load
from tests.lab.install import program

EXAMPLE = make.HERE / "alertmanager.example.yml"
SETTINGS: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
ALERTS = make.all_alerts(load())
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "digest"}
_MATCHER = re.compile(r'(\w+)(=~|!~|=)"([^"]*)"')


def amtool(*arguments: str) -> str:
    """What the real amtool says."""
    done = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_amtool_takes_the_example() -> None:
    assert "SUCCESS" in amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_goes_to_the_receiver_of_its_severity(alert: Alert) -> None:
    labels = [f"alertname={alert.name}", f"severity={alert.severity}", "host=h", "workload=w"]
    where = ["--config.file", str(EXAMPLE), f"--verify.receivers={RECEIVERS[alert.severity]}"]
    assert amtool("config", "routes", "test", *where, *labels).strip() == RECEIVERS[alert.severity]


def _matched(matchers: list[str], names: list[str]) -> set[str]:
    """The alerts whose names all matchers take."""
    for matcher in matchers:
        found = _MATCHER.fullmatch(matcher)
        assert found, matcher
        label, operator, value = found.groups()
        assert label == "alertname"
        takes = {name for name in names if re.fullmatch(value, name)}
        names = [name for name in names if (name in takes) is (operator != "!~")]
    return set(names)


@pytest.mark.parametrize("rule", SETTINGS["inhibit_rules"], ids=lambda rule: str(rule["source_matchers"][0]))
def test_what_silences_and_what_is_silenced_are_alerts_and_none_silences_itself(rule: dict[str, Any]) -> None:
    names = [alert.name for alert in ALERTS]
    source, target = (_matched(rule[f"{which}_matchers"], names) for which in ("source", "target"))
    assert len(source) == 1
    assert target
    assert not source & target
    assert set(rule.get("equal", ())) <= {"host", "workload", "job", "instance"}


def test_an_exporter_that_is_down_silences_all_that_it_last_said_of_itself() -> None:
    names = [alert.name for alert in ALERTS]
    (rule,) = (
        rule
        for rule in SETTINGS["inhibit_rules"]
        if rule["source_matchers"] == ['alertname="ExitExporterDown"']
    )
    derivatives = {name for name in names if name.startswith("ExitExporter")}
    assert _matched(rule["target_matchers"], names) == derivatives - {
        "ExitExporterDown",
        "ExitExporterAbsent",
    }
