"""What the exporter says on each of its faces, in one form, so that they can be held together."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.command import invoke
from tests.lab.exporter import ExporterProcess, clean_environment

Exits = dict[tuple[str, ...], float]
_LABELS = ("workload", "status", "code", "reason")


def command(exporter: ExporterProcess, *arguments: str) -> str:
    """What a command of the exporter prints, piped, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *arguments, "--url", exporter.url],
        check=True,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    return done.stdout


def printed(exporter: ExporterProcess, *arguments: str) -> str:
    """What a command prints, piped; in this process, since there are many."""
    done = invoke(*arguments, "--url", exporter.url)
    assert done.code == 0, done
    return done.out


def sheet(exporter: ExporterProcess, job: str) -> str:
    """What ``show`` prints of a job, piped; nothing of one that is not known yet."""
    return invoke("show", job, "--url", exporter.url).out


def rows(table: str) -> dict[str, dict[str, str]]:
    """The rows of a printed table, by the name in their first column."""
    header, *lines = table.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", header)]
    titles = header.split()
    bounds = list(zip(starts, [*starts[1:], None], strict=True))
    cells = [[line[begin:end].strip() for begin, end in bounds] for line in lines]
    return {row[0]: dict(zip(titles, row, strict=True)) for row in cells}


def error_cell(status: str, error: str | None, oom_kills: int) -> str:
    """The cell ERROR of a table: also what a job that is done survived."""
    survived = f"({oom_kills} OOM kill{'s' if oom_kills > 1 else ''})"
    return error or (survived if status == "done" and oom_kills else "")


def samples(exporter: ExporterProcess, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples of one name, by their sorted labels, of one scrape."""
    # Tests ask over and over, and to parse all would take longer than to send it.
    lines = [line for line in exporter.get("/metrics").text.split("\n") if line.startswith(name)]
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families("\n".join(lines))
        for sample in family.samples
        if sample.name == name
    }


def exits(exporter: ExporterProcess, workload: str) -> Exits:
    """The exits counted for a workload, those that happened, by (status, code, reason)."""
    counted: Exits = {}
    for labels, value in samples(exporter, "container_exits_total").items():
        table = dict(labels)
        if table["workload"] == workload and value:
            counted[tuple(table[label] for label in _LABELS[1:])] = value
    return counted


def counters(exporter: ExporterProcess) -> dict[str, Any]:
    """Every sample that concerns jobs, of one scrape."""
    text = exporter.get("/metrics").text
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("container_")
    }
