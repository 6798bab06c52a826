"""From an OOM kill to a notification, with real parts and the shipped rules and routing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from alerts.make import RULES
from alerts.thresholds import load
from tests.alerts.webhook import Message, Webhook
from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.lab.alertmanager import AlertmanagerProcess
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.install import ensure_dockerd
from tests.lab.jobs import UNTIL_TOLD, await_ready
from tests.lab.prometheus import PrometheusProcess
from tests.lab.wait import wait_until

ROUTING = RULES.with_name("alertmanager.example.yml")
RECEIVERS = "http://127.0.0.1:9/"
JOB, HOST = "exit-exporter", "test-host"
MANY = load().oom_spike.floor
AT_ONCE = 3
SECONDS = 240
"""More than the longest interval between two evaluations of a group."""


@dataclass(frozen=True)
class AlertingSystem:
    """All parts between a container and a notification."""

    client: docker.DockerClient
    prometheus: PrometheusProcess
    alertmanager: AlertmanagerProcess
    webhook: Webhook


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertingSystem]:
    """Start all parts, all of them new: the first kills of a new target are told as well."""
    ensure_dockerd()
    directory: Path = tmp_path_factory.mktemp("alerts")
    routing = directory / "alertmanager.yml"
    with PrivateEngine() as engine, Webhook() as webhook:
        routing.write_text(ROUTING.read_text().replace(RECEIVERS, f"{webhook.url}/"))
        client = engine.client()
        import_busybox(client)
        named = ["--instance.name", HOST]
        with (
            ExporterProcess(engine.url, directory, arguments=named) as exporter,
            AlertmanagerProcess(directory, routing) as alertmanager,
        ):
            address = exporter.url.removeprefix("http://")
            watching = PrometheusProcess(
                directory,
                targets={JOB: address},
                rule_files=[RULES],
                alertmanager=alertmanager.address,
            )
            with watching as prometheus:
                yield AlertingSystem(client, prometheus, alertmanager, webhook)


@pytest.fixture(scope="module")
def spike(system: AlertingSystem) -> tuple[Message, dict[str, Any]]:
    """Cause a spike of OOM kills; give its first notification, and the alert in it."""
    run_many(system, "hungry", HUNGRY)
    if not wait_until(lambda: bool(system.webhook.notifications("JobOOMKilledSpike")), SECONDS):
        pytest.fail(f"there was no notification: {system.prometheus.alerts()}")
    return system.webhook.notifications("JobOOMKilledSpike")[0]


def run(system: AlertingSystem, workload: str, command: str, number: int) -> None:
    """Run a job with little memory, and kill it when it is ready if it reports that."""
    container = system.client.containers.run(
        BUSYBOX,
        ["sh", "-c", command],
        name=f"{workload}-{number}",
        labels={"exit-exporter.workload": workload},
        mem_limit=20 * MEBIBYTE,
        memswap_limit=20 * MEBIBYTE,
        network_mode="none",
        detach=True,
    )
    if command == UNTIL_TOLD:
        await_ready(container)
        container.kill()


def run_many(system: AlertingSystem, workload: str, command: str) -> None:
    """Run as many jobs as are a spike if they are OOM-killed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: run(system, workload, command, number), range(MANY)))


def test_all_shipped_rules_are_evaluated_without_an_error(system: AlertingSystem) -> None:
    began = time.time()
    assert wait_until(lambda: system.prometheus.judged_since(began), SECONDS)
    rules = system.prometheus.rules()
    assert len(rules) == RULES.read_text().count("expr:")
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_oom_kills_cause_a_spike_that_pages_the_person_on_call(
    spike: tuple[Message, dict[str, Any]],
) -> None:
    message, alert = spike
    assert (message.receiver, message.path, alert["status"]) == ("on-call", "/on-call", "firing")
    assert alert["labels"] == {
        "alertname": "JobOOMKilledSpike",
        "severity": "critical",
        "host": HOST,
        "workload": "hungry",
    }
    assert alert["annotations"] == {
        "summary": "Far more jobs of a workload are OOM-killed than usual.",
        "description": f"{MANY} jobs of workload hungry on {HOST} were OOM-killed within 10m: at least"
        f" {MANY}, and more than 5 times what is usual there.",
        "runbook_url": "https://exit-exporter.example/alerts/runbooks/JobOOMKilledSpike.md",
        "dashboard": f"http://localhost:3000/d/exit-exporter-workload?var-host={HOST}&var-workload=hungry",
    }


@pytest.mark.usefixtures("spike")
def test_the_spike_inhibits_the_alerts_about_single_kills(system: AlertingSystem) -> None:
    by_name = {alert["labels"]["alertname"]: alert["status"] for alert in system.alertmanager.alerts()}
    assert by_name["JobOOMKilledSpike"]["state"] == "active"
    assert (by_name["JobOOMKilled"]["state"], len(by_name["JobOOMKilled"]["inhibitedBy"])) == (
        "suppressed",
        1,
    )
    assert system.webhook.notifications("JobOOMKilled") == []


def test_as_many_jobs_that_a_user_killed_cause_no_alert(system: AlertingSystem) -> None:
    run_many(system, "stopped", UNTIL_TOLD)
    seen = 'sum(container_exits_total{workload="stopped", status="terminated", code="137"})'
    assert wait_until(lambda: system.prometheus.value(seen) == MANY, SECONDS)
    judged = time.time()
    assert wait_until(lambda: system.prometheus.judged_since(judged), SECONDS)
    assert system.prometheus.query('last_over_time(ALERTS{workload!="hungry"}[1h])') == []
    notifications = [alert["labels"] for message in system.webhook.messages for alert in message.alerts]
    assert [labels for labels in notifications if labels.get("workload") != "hungry"] == []
