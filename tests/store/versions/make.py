"""Write what a version leaves behind: `python -m tests.store.versions.make COMMAND FOLDER`.

COMMAND is `exit-exporter` of that version, in an environment of its own. FOLDER has that version's
`settings.yaml` and `catalogue.yaml`; the other files in it are written. It takes half a minute.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.contract.engines import container, event, identity, moment, on_other_host
from tests.lab.errors import LabError
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import OK, status
from tests.scripted.times import format_rfc3339
from tests.store.versions.version import Version, answers

WAIT_SECONDS = 30.0
SIGNALS = 2
"""Spans and log records: of each job there is one entry in the outbox for each."""

LIMIT = 6
"""Of jobs in the outbox, as `settings.yaml` has it."""

ENDS = 8
"""How many ends `end_in_every_way` makes, more than the outbox takes."""

AWAY = status(503)

STAYS, VANISHES, ENDS_UNSEEN = 20, 21, 22
"""Jobs that run when the daemon is killed; the first one runs to the end."""


class OtherExporter(ExporterProcess):
    """`exit-exporter serve` of another version, whose command is given."""

    def __init__(self, command: Path, engine: ScriptedEngine, directory: Path, version: Version) -> None:
        """Choose what to start."""
        super().__init__(engine.url, directory, arguments=version.arguments)
        self._other = command

    def send_to(self, receiver: Receiver) -> None:
        """Name the collector, for the next start."""
        self._environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url

    def count(self, table: str, condition: str = "TRUE") -> int:
        """Count rows of its database."""
        with closing(sqlite3.connect(self.database)) as connection:
            query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - the words are our own
            number: int = connection.execute(query).fetchone()[0]
            return number

    def _command(self) -> list[str | Path]:
        ours = super()._command()
        return [self._other, *ours[ours.index("serve") :]]


class Host:
    """An engine and its containers; what it still knows is kept."""

    def __init__(self, engine: ScriptedEngine) -> None:
        """Begin with no container."""
        self.engine = engine
        self._containers: dict[str, dict[str, Any]] = {}
        self._events: list[Mapping[str, Any]] = []

    @property
    def known(self) -> dict[str, Any]:
        """What it answers now: its containers, and the events in its buffer."""
        return {"containers": list(self._containers.values()), "events": self._events}

    def start(  # noqa: PLR0913 - each is a thing of its own
        self,
        number: int,
        *,
        after: float = 0,
        image: str = "job:1",
        memory: int = 0,
        restarts: int = 0,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Start a container in the second of its number, or so long after."""
        state = {"Running": True, "StartedAt": rfc3339(number + after)}
        inspected = dict(container(number, labels=labels, **state))
        inspected["Config"] = {"Image": image, "Labels": dict(labels or {})}
        policy = {"Name": "on-failure" if restarts else "no", "MaximumRetryCount": restarts}
        inspected["HostConfig"] = {"Memory": memory, "RestartPolicy": policy}
        inspected["RestartCount"] = restarts
        self._set(inspected)
        self.emit("start", number, after)

    def emit(self, action: str, number: int, after: float = 0, **attributes: str) -> None:
        """Tell of an event of a container, so long after its first start."""
        config = self._containers[identity(number)]["Config"]
        line = event(action, number + after, number, image=config["Image"], **config["Labels"], **attributes)
        self._events.append(line)
        self.engine.emit(line)

    def end(self, number: int, code: int, *, after: float = 0.5, oom: bool = False) -> None:
        """End a container, so long after its first start."""
        inspected = self._containers[identity(number)]
        inspected["State"] |= {"Running": False, "Status": "exited", "ExitCode": code, "OOMKilled": oom}
        inspected["State"]["FinishedAt"] = rfc3339(number + after)
        self._set(inspected)
        self.emit("die", number, after, exitCode=str(code))

    def restart_engine(self, without: int) -> None:
        """Restart the engine: its buffer is empty then, and a container is gone."""
        self.engine.stop()
        self.engine.remove_container(identity(without))
        del self._containers[identity(without)]
        self._events.clear()
        self.engine.start()

    def _set(self, inspected: dict[str, Any]) -> None:
        self._containers[inspected["Id"]] = inspected
        self.engine.set_container(inspected)


def rfc3339(seconds: float) -> str:
    """Return a moment as an engine writes it."""
    return format_rfc3339(moment(seconds))


def record(host: Host, exporter: OtherExporter, receiver: Receiver) -> None:
    """Let jobs end in every way, while the collector, the database and the daemon come and go."""
    receiver.otherwise(AWAY)
    with exporter:
        end_in_every_way(host)
        wait(lambda: exporter.count("jobs") == ENDS and exporter.count("outbox") == SIGNALS * LIMIT)
        receiver.otherwise(OK)
        wait(lambda: exporter.count("outbox") == 0)
        receiver.otherwise(status(400))
        host.start(8, labels={"exit-exporter.traceparent": "not one"})
        host.end(8, 3)
        wait(lambda: exporter.count("outbox", "aside") == SIGNALS)
        receiver.otherwise(AWAY)
        end_while_locked(host, exporter)
        for number in (STAYS, VANISHES, ENDS_UNSEEN):
            host.start(number, image="trainer:2", memory=128 << 20)
        wait(lambda: exporter.count("jobs", "status = 'running'") == 3)
        exporter.kill()
        host.restart_engine(without=VANISHES)
        host.end(ENDS_UNSEEN, 0)
        exporter.start()
        exporter.await_ready()
        wait(lambda: exporter.count("jobs", "status = 'running'") == 1)
        host.engine.cut()
        reconnected = f'exit_exporter_engine_reconnects_total{{engine="{host.engine.url}"}} 1.0'
        wait(lambda: reconnected in exporter.get("/metrics").text)


def end_in_every_way(host: Host) -> None:
    """End jobs by themselves, by OOM kills, by a stop, by codes of the catalogue, and before a restart."""
    host.start(1)
    host.end(1, 0)
    host.start(2, image="resize:1", memory=64 << 20, labels={"exit-exporter.workload": "nightly"})
    host.emit("oom", 2, 0.4)
    host.end(2, 137, oom=True)
    host.start(3)
    host.emit("oom", 3, 0.3)
    host.end(3, 0, oom=True)
    host.start(4)
    host.emit("kill", 4, 0.4, signal="15")
    host.end(4, 143)
    host.start(5, image="trainer:1")
    host.end(5, 42)
    host.start(6, image="registry.example/tools/convert:3")
    host.end(6, 42)
    host.start(7)
    host.end(7, 1)
    host.start(7, after=0.6, restarts=1)
    host.end(7, 1, after=0.9)


def end_while_locked(host: Host, exporter: OtherExporter) -> None:
    """Let a job end while another process writes to the database for longer than the daemon waits."""
    with closing(sqlite3.connect(exporter.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        host.start(9)
        host.end(9, 2)
        wait(lambda: "exit_exporter_store_errors_total 0.0" not in exporter.get("/metrics").text)
    wait(lambda: exporter.count("jobs", "code = 2") == 1)


def wait(happened: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    if not wait_until(happened, WAIT_SECONDS):
        raise LabError("what had to come did not come")


def make(command: Path, version: Version, directory: Path) -> None:
    """Write the files of a version."""
    with on_other_host(ScriptedEngine(directory)) as engine, Receiver() as receiver:
        host, exporter = Host(engine), OtherExporter(command, engine, directory, version)
        exporter.send_to(receiver)
        record(host, exporter, receiver)
        # Asked of a daemon that has all from the database, as the one of today will have.
        with exporter:
            version.write("answers.json", answers(exporter), engine.url)
        version.write("engine.json", host.known, engine.url)
        version.dump(exporter.database, engine.url)


def main() -> int:
    """Read the command line, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.store.versions.make", description=__doc__)
    parser.add_argument("command", type=Path, metavar="COMMAND")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        make(chosen.command.absolute(), Version(chosen.folder.absolute()), Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
