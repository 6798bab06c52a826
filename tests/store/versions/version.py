"""A version before: the files that it left in its folder, and what it answered over them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.contract.engines import event, moment, on_other_host
from tests.lab.exporter import ExporterProcess
from tests.scripted.engine import ScriptedEngine
from tests.scripted.times import format_rfc3339

FOLDER = Path(__file__).parent
ENGINE_URL = "unix:///run/docker.sock"
"""In the files, the address of the engine, which differs from test to test."""

PREFIXES = ("container_", "exit_exporter_")


@dataclass(frozen=True)
class Version:
    """One version's folder."""

    folder: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """Flags that name its settings and its catalogue."""
        files = {"--config.file": "settings.yaml", "--catalogue.file": "catalogue.yaml"}
        return tuple(word for flag, name in files.items() for word in (flag, str(self.folder / name)))

    def dump(self, database: Path, engine_url: str) -> None:
        """Write the database as SQL."""
        with closing(sqlite3.connect(database)) as connection:
            lines = "\n".join(connection.iterdump())
        (self.folder / "exits.sql").write_text(lines.replace(engine_url, ENGINE_URL) + "\n")

    def load(self, database: Path, engine_url: str) -> None:
        """Make the database at a path that does not exist yet."""
        lines = (self.folder / "exits.sql").read_text().replace(ENGINE_URL, engine_url)
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(lines)

    def answers(self, engine: ScriptedEngine) -> Any:
        """Return what that version answered (`answers`) of jobs on this engine."""
        return self.read("answers.json", engine.url)

    def waiting(self, database: Path) -> list[str]:
        """Return the ids of the jobs whose spans wait in the outbox, the oldest first."""
        query = "SELECT job_id FROM outbox WHERE signal = 'traces' AND NOT aside ORDER BY number"
        with closing(sqlite3.connect(database)) as connection:
            return [job_id for (job_id,) in connection.execute(query)]

    def write(self, name: str, document: object, engine_url: str) -> None:
        """Write a document to one of its files."""
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)
        (self.folder / name).write_text(text.replace(engine_url, ENGINE_URL) + "\n")

    def read(self, name: str, engine_url: str) -> Any:
        """Return the document in one of its files."""
        return json.loads((self.folder / name).read_text().replace(ENGINE_URL, engine_url))

    def engine(self, directory: Path) -> ScriptedEngine:
        """Return the engine as it was when the version was stopped, not started yet."""
        engine = on_other_host(ScriptedEngine(directory))
        known = self.read("engine.json", engine.url)
        for inspected in known["containers"]:
            engine.set_container(inspected)
        return engine

    def end_running(self, engine: ScriptedEngine, code: int) -> None:
        """End the one container that runs."""
        known = self.read("engine.json", engine.url)["containers"]
        (running,) = (each for each in known if each["State"]["Running"])
        number = int(running["Id"][:12], 16)
        ended = {
            "Running": False,
            "Status": "exited",
            "ExitCode": code,
            "FinishedAt": format_rfc3339(moment(60)),
        }
        engine.set_container({**running, "State": running["State"] | ended})
        attributes = {"image": running["Config"]["Image"], "exitCode": str(code)}
        engine.emit(event("die", 60, number, **attributes))

    def replay(self, engine: ScriptedEngine) -> None:
        """Emit the events that a started engine still has in its buffer."""
        for line in self.read("engine.json", engine.url)["events"]:
            engine.emit(line)


VERSIONS = tuple(Version(path) for path in sorted(FOLDER.iterdir()) if (path / "exits.sql").exists())


def answers(exporter: ExporterProcess) -> dict[str, Any]:
    """Return what a daemon answers: all jobs of its API, and its own metrics."""
    return {"jobs": exporter.jobs(), "metrics": metrics(exporter)}


def metrics(exporter: ExporterProcess) -> dict[str, dict[str, float]]:
    """Return the samples of one scrape by name and by labels, without those of the process."""
    tables: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(exporter.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith(PREFIXES):
                tables.setdefault(sample.name, {})[labels_text(sample.labels)] = sample.value
    return tables


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as text that sorts."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
