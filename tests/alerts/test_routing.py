"""Routes and inhibitions of the example for Alertmanager."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from alerts import make
from alerts.alerting import Alert, Subject
from alerts.thresholds import load, seconds
from tests.lab.alertmanager import AlertmanagerProcess
from tests.lab.install import program
from tests.lab.wait import wait_until

EXAMPLE = make.HERE / "alertmanager.example.yml"
SETTINGS: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
ALERTS = make.all_alerts(load())
RECEIVERS = {"critical": "on-call", "warning": "team", "info": "digest"}
SECONDS = 30


def amtool(*arguments: str) -> str:
    """Run amtool and return its output."""
    done = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_amtool_accepts_the_example() -> None:
    assert "SUCCESS" in amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_goes_to_the_receiver_of_its_severity(alert: Alert) -> None:
    labels = [f"alertname={alert.name}", f"severity={alert.severity}", "host=h", "workload=w"]
    where = ["--config.file", str(EXAMPLE), f"--verify.receivers={RECEIVERS[alert.severity]}"]
    assert amtool("config", "routes", "test", *where, *labels).strip() == RECEIVERS[alert.severity]


@dataclass(frozen=True, slots=True)
class Inhibition:
    """Labels of two firing alerts, and whether the first inhibits the second."""

    source: dict[str, str]
    target: dict[str, str]
    is_inhibited: bool = True


def _labels(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, **labels}


WORKLOAD = {"host": "h", "workload": "w"}
TARGET = {"job": "e", "instance": "a"}
SPIKE = _labels("JobOOMKilledSpike", **WORKLOAD)
FLEET = _labels("FleetOOMKilledSpike", workload="w")
DOWN = _labels("ExitExporterDown", **TARGET)
ABOUT_EXPORTERS = sorted(
    {alert.name for alert in ALERTS if alert.subject is Subject.EXPORTER} - {"ExitExporterDown"}
)
PAIRS = [
    *(Inhibition(DOWN, _labels(name, **TARGET)) for name in ABOUT_EXPORTERS),
    Inhibition(DOWN, _labels(ABOUT_EXPORTERS[0], job="e", instance="b"), is_inhibited=False),
    Inhibition(DOWN, _labels("JobOOMKilled", **WORKLOAD), is_inhibited=False),
    Inhibition(_labels("ExitExporterAbsent"), DOWN),
    Inhibition(_labels("ExitExporterAbsent"), _labels("JobNotSucceeded", workload="w")),
    Inhibition(SPIKE, _labels("JobOOMKilled", **WORKLOAD)),
    Inhibition(SPIKE, _labels("JobCrashLooping", **WORKLOAD)),
    Inhibition(SPIKE, _labels("JobOOMKilled", host="h", workload="other"), is_inhibited=False),
    Inhibition(SPIKE, _labels("JobOOMKilled", host="other", workload="w"), is_inhibited=False),
    Inhibition(SPIKE, _labels("JobOOMKillsSurvived", **WORKLOAD), is_inhibited=False),
    Inhibition(FLEET, SPIKE),
    Inhibition(FLEET, _labels("JobOOMKilled", **WORKLOAD)),
    Inhibition(FLEET, _labels("JobCrashLooping", **WORKLOAD), is_inhibited=False),
    Inhibition(FLEET, _labels("JobOOMKilledSpike", host="h", workload="other"), is_inhibited=False),
    Inhibition(FLEET, _labels("HostOOMKilledSpike", host="h"), is_inhibited=False),
    Inhibition(_labels("HostOOMKilledSpike", host="h"), FLEET, is_inhibited=False),
    Inhibition(_labels("HostOOMKilledSpike", host="h"), SPIKE, is_inhibited=False),
    Inhibition(_labels("HostOOMKilledSpike", host="h"), _labels("JobOOMKilled", **WORKLOAD)),
    Inhibition(
        _labels("HostOOMKilledSpike", host="other"), _labels("JobOOMKilled", **WORKLOAD), is_inhibited=False
    ),
    Inhibition(_labels("JobCannotStart", **WORKLOAD), _labels("JobCrashLooping", **WORKLOAD)),
    Inhibition(_labels("JobUnhealthy", **WORKLOAD), _labels("JobCrashLooping", **WORKLOAD)),
    Inhibition(
        _labels("JobUnhealthy", **WORKLOAD), _labels("JobRestartLooping", **WORKLOAD), is_inhibited=False
    ),
    Inhibition(_labels("JobCrashLooping", **WORKLOAD), _labels("JobFailureRatioHigh", **WORKLOAD)),
    Inhibition(_labels("ExitExporterExitsPending", **TARGET), _labels("ExitExporterStoreErrors", **TARGET)),
]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerProcess]:
    """Start Alertmanager with the example; its receivers are unreachable."""
    with AlertmanagerProcess(tmp_path_factory.mktemp("routing"), EXAMPLE) as alertmanager:
        yield alertmanager


@pytest.mark.parametrize("other_cluster", [False, True], ids=["here", "in another cluster"])
@pytest.mark.parametrize(
    "pair",
    PAIRS,
    ids=lambda pair: f"{pair.source['alertname']} {sorted(pair.target.values())} {pair.is_inhibited}",
)
def test_an_alert_inhibits_only_what_it_explains(
    alertmanager: AlertmanagerProcess,
    request: pytest.FixtureRequest,
    pair: Inhibition,
    other_cluster: bool,  # noqa: FBT001  # a case of the table
) -> None:
    # All cases share one Alertmanager, so each has a cluster of its own.
    here = request.node.name
    there = f"not {here}" if other_cluster else here
    alertmanager.tell({**pair.source, "cluster": here}, {**pair.target, "cluster": there})

    def states() -> dict[str, str]:
        alerts = [alert for alert in alertmanager.alerts() if alert["labels"]["cluster"] in {here, there}]
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts}

    wanted = "suppressed" if pair.is_inhibited and not other_cluster else "active"
    expected = {pair.source["alertname"]: "active", pair.target["alertname"]: wanted}
    assert wait_until(lambda: states() == expected, SECONDS), states()


def test_every_alert_is_sent_before_it_can_be_over() -> None:
    window = seconds(load().increases.window)
    routes = [SETTINGS["route"], *SETTINGS["route"]["routes"]]
    waits = [route.get(key, "0s") for route in routes for key in ("group_wait", "group_interval")]
    assert max(seconds(wait) for wait in waits if wait != "0s") < window
