"""What the exporter says while it is tortured: its counters, its jobs, its health, its memory."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from requests.exceptions import RequestException

from bench.torture.exporter import TorturedExporter

INTERVAL_SECONDS = 2.0
_EXIT = re.compile(r"^container_exits_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ABOUT_ITSELF = re.compile(r"^exit_exporter_(\w+)_total(?:\{.*\})? (\S+)$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)

Exits = dict[str, Counter[tuple[str, str]]]
"""How many exits were counted with each code and reason, by workload."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a time: ``ready`` is whether it said that it is, ``gaps`` how many it has counted."""

    at: float
    healthy: bool
    ready: bool
    counted: frozenset[str]
    gaps: float


@dataclass(slots=True)
class Seen:
    """All looks, the identifiers of ended jobs by name with their codes, and the most memory in MiB."""

    looks: list[Look] = field(default_factory=list)
    jobs: dict[str, dict[str, int | None]] = field(default_factory=lambda: defaultdict(dict))
    peak_mib: float = 0.0
    unread: int = 0


class Watching:
    """Thread that looks every two seconds."""

    def __init__(self, exporter: TorturedExporter) -> None:
        self._exporter = exporter
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)
        self.seen = Seen()

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        with suppress(OSError):
            self.seen.peak_mib = max(self.seen.peak_mib, peak_mib(self._exporter.process.pid))
        try:
            healthy, ready = self._exporter.get("/-/healthy").ok, self._exporter.get("/-/ready").ok
            text = self._exporter.get("/metrics").text
            counted = frozenset(read_exits(text))
            gaps = read_about_itself(text)["event_gaps"]
            self.seen.looks.append(Look(time.time(), healthy, ready, counted, gaps))
            for job in self._exporter.json("/api/v1/jobs", limit=100)["jobs"]:
                if job["status"] != "running":
                    self.seen.jobs[job["name"]][job["id"]] = job["container_exit_code"]
        except RequestException:
            self.seen.unread += 1


def read_exits(text: str) -> Exits:
    """Return the exits of a scrape."""
    exits: Exits = defaultdict(Counter)
    for labels_text, value in _EXIT.findall(text):
        labels = dict(_LABEL.findall(labels_text))
        if float(value):
            exits[labels["workload"]][labels["code"], labels["reason"]] += int(float(value))
    return exits


def read_about_itself(text: str) -> dict[str, float]:
    """Return the counters of a scrape that are about the exporter itself, over all labels."""
    sums: dict[str, float] = defaultdict(float)
    for name, value in _ABOUT_ITSELF.findall(text):
        sums[name] += float(value)
    return sums


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had. Raises OSError if it is gone."""
    found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
