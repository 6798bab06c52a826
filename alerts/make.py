"""Write the rules and the table of the README; ``--check`` only lists files that are out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent, wrap
from typing import Any

import yaml

from alerts import alerting, recordings
from alerts.alerting import Alert
from alerts.recordings import Recording
from alerts.thresholds import Links, Thresholds, load
from exporter.config.yaml_document import DocumentError

HERE = Path(__file__).parent
RULES = HERE / "exit-exporter.rules.yml"
README = HERE / "README.md"
BEGIN, END = "<!-- made by `make alerts` -->", "<!-- end of what `make alerts` made -->"
WIDTH = 100

Recordings = Callable[[Thresholds], Iterator[Recording]]
Alerts = Callable[[Thresholds], Iterator[Alert]]
# A rule is in the same group as the rules that it uses: the rules of one group are evaluated in order and at
# the same time, those of different groups independently.
GROUPS: dict[str, tuple[tuple[Recordings, ...], tuple[Alerts, ...]]] = {
    "exit-exporter-jobs": (
        (
            recordings.coverage,
            recordings.instance_level,
            recordings.workload_level,
            recordings.unhealthy_ends,
            recordings.restarts,
            recordings.host_level,
            recordings.oom_spikes,
            recordings.host_oom_spikes,
            recordings.fleet_oom_spikes,
        ),
        (alerting.oom_alerts, alerting.failure_alerts, alerting.health_alerts, alerting.restart_alerts),
    ),
    "exit-exporter-deadlines": ((recordings.deadlines,), (alerting.deadline_alerts,)),
    "exit-exporter-self": (
        (recordings.exporter_level,),
        (alerting.availability_alerts, alerting.data_loss_alerts, alerting.otlp_alerts),
    ),
}


def all_alerts(thresholds: Thresholds) -> list[Alert]:
    """Return all alerts, in the order of the rules."""
    return [alert for _, parts in GROUPS.values() for part in parts for alert in part(thresholds)]


def rules(thresholds: Thresholds) -> str:
    """Return the text of the rules file."""
    lines = ["# Made from alerts/thresholds.yaml by `make alerts`; do not edit.", "groups:"]
    for group, (recording_parts, alerting_parts) in GROUPS.items():
        lines += [f"  - name: {group}", f"    interval: {thresholds.increases.interval}", "    rules:"]
        lines += [_recording(rule) for part in recording_parts for rule in part(thresholds)]
        lines += [_alert(rule, thresholds.links) for part in alerting_parts for rule in part(thresholds)]
    return "\n".join([*lines, ""])


def readme(thresholds: Thresholds) -> str:
    """Return the text of the README, with a current table of alerts."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{_table(thresholds)}\n\n{END}{after}"


FILES: dict[Path, Callable[[Thresholds], str]] = {RULES: rules, README: readme}


def stale(thresholds: Thresholds) -> list[Path]:
    """Return the files that differ from what the thresholds give."""
    return [
        file
        for file, text in FILES.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text(thresholds)
    ]


def main() -> int:
    """Write or check the files, and return the exit code."""
    try:
        thresholds = load()
    except DocumentError as error:
        print(error, file=sys.stderr)
        return 1
    old = stale(thresholds)
    if "--check" in sys.argv[1:]:
        for file in old:
            print(f"alerts/{file.name} is out of date; run 'make alerts'", file=sys.stderr)
        return 1 if old else 0
    for file in old:
        file.write_text(FILES[file](thresholds), encoding="utf-8")
        print(f"alerts/{file.name} written")
    return 0


def _recording(recording: Recording) -> str:
    rule: dict[str, Any] = {"record": recording.name, "expr": recording.expression}
    if recording.labels:
        rule["labels"] = recording.labels
    why = "\n".join(f"# {line}" for line in wrap(recording.why, WIDTH - 8))
    return indent(f"{why}\n{_dumped(rule)}", " " * 6)


def _alert(alert: Alert, links: Links) -> str:
    rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expression}
    if alert.for_:
        rule["for"] = alert.for_
    rule["labels"] = {"severity": alert.severity.value}
    rule["annotations"] = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": alert.runbook_url(links),
        "dashboard": alert.dashboard(links),
    }
    return indent(_dumped(rule), " " * 6)


def _table(thresholds: Thresholds) -> str:
    rows = [
        f"| [{alert.name}](runbooks/{alert.name}.md) | {alert.severity} | {alert.for_} | {alert.summary} |"
        for alert in all_alerts(thresholds)
    ]
    return "\n".join(["| Alert | Severity | After | What |", "|---|---|---|---|", *rows])


class _Dumper(yaml.SafeDumper):
    """YAML dumper that writes texts of several lines as literal blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _dumped(rule: dict[str, Any]) -> str:
    return yaml.dump([rule], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000).rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
