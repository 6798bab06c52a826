"""Write the rules and the table of the README; ``--check`` only lists files that are out of date."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated in order and at the same time; they use no recording of another group."""

    recordings: tuple[Recordings, ...]
    alerts: tuple[Alerts, ...]
    is_slow: bool = False

    def interval(self, thresholds: Thresholds) -> str:
        """Return the interval between two evaluations."""
        return thresholds.increases.long_interval if self.is_slow else thresholds.increases.interval


GROUPS: dict[str, Group] = {
    "exit-exporter-jobs": Group(
        (recordings.job_recordings,),
        (alerting.spike_alerts, alerting.oom_alerts, alerting.failure_alerts),
    ),
    "exit-exporter-loops": Group(
        (recordings.loop_recordings,), (alerting.loop_alerts, alerting.restart_alerts), is_slow=True
    ),
    "exit-exporter-deadlines": Group((recordings.deadline_recordings,), (alerting.deadline_alerts,)),
    "exit-exporter-self": Group(
        (recordings.exporter_recordings,),
        (alerting.availability_alerts, alerting.data_loss_alerts, alerting.otlp_alerts),
    ),
}


def all_alerts(thresholds: Thresholds) -> list[Alert]:
    """Return all alerts, in the order of the rules."""
    return [alert for group in GROUPS.values() for part in group.alerts for alert in part(thresholds)]


def rules(thresholds: Thresholds) -> str:
    """Return the text of the rules file."""
    lines = ["# Made from alerts/thresholds.yaml by `make alerts`; do not edit.", "groups:"]
    for name, group in GROUPS.items():
        lines += [f"  - name: {name}", f"    interval: {group.interval(thresholds)}", "    rules:"]
        lines += [_recording(rule) for part in group.recordings for rule in part(thresholds)]
        lines += [_alert(rule, thresholds.links) for part in group.alerts for rule in part(thresholds)]
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
    return _commented(recording.why, rule)


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
    return _commented(alert.compares, rule)


def _commented(comment: str, rule: dict[str, Any]) -> str:
    lines = "\n".join(f"# {line}" for line in wrap(comment, WIDTH - 8))
    return indent(f"{lines}\n{_dumped(rule)}", " " * 6)


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
