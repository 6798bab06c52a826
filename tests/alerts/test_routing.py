"""The example for Alertmanager: it is taken, and every alert goes where it should."""

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


@dataclass(frozen=True, slots=True)
class Silenced:
    """Two alerts that fire, by their labels, and whether the first silences the second."""

    source: dict[str, str]
    target: dict[str, str]
    so: bool = True


def _one(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, **labels}


WORKLOAD = {"host": "h", "workload": "w"}
TARGET = {"job": "e", "instance": "a"}
SPIKES = _one("JobOOMKilledSpike", **WORKLOAD)
FLEET = _one("FleetOOMKilledSpike", workload="w")
DOWN = _one("ExitExporterDown", **TARGET)
OF_ITSELF = sorted(
    {alert.name for alert in ALERTS if alert.subject is Subject.EXPORTER} - {"ExitExporterDown"}
)
PAIRS = [
    *(Silenced(DOWN, _one(name, **TARGET)) for name in OF_ITSELF),
    Silenced(DOWN, _one(OF_ITSELF[0], job="e", instance="b"), so=False),
    Silenced(DOWN, _one("JobOOMKilled", **WORKLOAD), so=False),
    Silenced(_one("ExitExporterAbsent"), DOWN),
    Silenced(_one("ExitExporterAbsent"), _one("JobNotSucceeded", workload="w")),
    Silenced(SPIKES, _one("JobOOMKilled", **WORKLOAD)),
    Silenced(SPIKES, _one("JobCrashLooping", **WORKLOAD)),
    Silenced(SPIKES, _one("JobOOMKilled", host="h", workload="other"), so=False),
    Silenced(SPIKES, _one("JobOOMKilled", host="other", workload="w"), so=False),
    Silenced(SPIKES, _one("JobOOMKillsSurvived", **WORKLOAD), so=False),
    Silenced(FLEET, SPIKES),
    Silenced(FLEET, _one("JobOOMKilled", **WORKLOAD)),
    Silenced(FLEET, _one("JobCrashLooping", **WORKLOAD), so=False),
    Silenced(FLEET, _one("JobOOMKilledSpike", host="h", workload="other"), so=False),
    Silenced(FLEET, _one("HostOOMKilledSpike", host="h"), so=False),
    Silenced(_one("HostOOMKilledSpike", host="h"), FLEET, so=False),
    Silenced(_one("HostOOMKilledSpike", host="h"), SPIKES, so=False),
    Silenced(_one("HostOOMKilledSpike", host="h"), _one("JobOOMKilled", **WORKLOAD)),
    Silenced(_one("HostOOMKilledSpike", host="other"), _one("JobOOMKilled", **WORKLOAD), so=False),
    Silenced(_one("JobCannotStart", **WORKLOAD), _one("JobCrashLooping", **WORKLOAD)),
    Silenced(_one("JobUnhealthy", **WORKLOAD), _one("JobCrashLooping", **WORKLOAD)),
    Silenced(_one("JobUnhealthy", **WORKLOAD), _one("JobRestartLooping", **WORKLOAD), so=False),
    Silenced(_one("JobCrashLooping", **WORKLOAD), _one("JobFailureRatioHigh", **WORKLOAD)),
    Silenced(_one("ExitExporterExitsPending", **TARGET), _one("ExitExporterStoreErrors", **TARGET)),
]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerProcess]:
    """A real one with the example as it is; its receivers lead nowhere."""
    with AlertmanagerProcess(tmp_path_factory.mktemp("routing"), EXAMPLE) as alertmanager:
        yield alertmanager


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another cluster"])
@pytest.mark.parametrize(
    "pair", PAIRS, ids=lambda pair: f"{pair.source['alertname']} {sorted(pair.target.values())} {pair.so}"
)
def test_an_alert_silences_what_it_explains_and_nothing_else(
    alertmanager: AlertmanagerProcess,
    request: pytest.FixtureRequest,
    pair: Silenced,
    elsewhere: bool,  # noqa: FBT001  # a case of the table
) -> None:
    # All cases are in one Alertmanager at once: each is a cluster of its own.
    here = request.node.name
    there = f"not {here}" if elsewhere else here
    alertmanager.tell({**pair.source, "cluster": here}, {**pair.target, "cluster": there})

    def states() -> dict[str, str]:
        alerts = [alert for alert in alertmanager.alerts() if alert["labels"]["cluster"] in {here, there}]
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in alerts}

    wanted = "suppressed" if pair.so and not elsewhere else "active"
    expected = {pair.source["alertname"]: "active", pair.target["alertname"]: wanted}
    assert wait_until(lambda: states() == expected, SECONDS), states()


def test_every_alert_is_told_before_it_may_be_over() -> None:
    window = seconds(load().increases.window)
    routes = [SETTINGS["route"], *SETTINGS["route"]["routes"]]
    waits = [route.get(key, "0s") for route in routes for key in ("group_wait", "group_interval")]
    assert max(seconds(wait) for wait in waits if wait != "0s") < window
