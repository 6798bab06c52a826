"""What a real engine once said is understood by the whole daemon; its truth stands in the corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporter.model import Job
from exporter.sources.docker.track.job import job_key
from tests.contract.canned_kernel import CannedKernel
from tests.contract.corpus_replay import replay
from tests.contract.engines import APIS, on_other_host
from tests.corpus import cases
from tests.corpus.cases import End
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.scripted.recording import DIRECTORY, Recording, Step, load, names, perform
from tests.scripted.times import SECOND, format_rfc3339, parse_rfc3339

PATIENCE_SECONDS = 20.0
ENGINE_ID = "SCRI:PTED"
# --- the truth of a recording


@dataclass(frozen=True)
class Times:
    """When an attempt started and ended, and when OOM kills and requests came in it, in order."""

    started: int | None
    ended: int
    facts: tuple[int, ...]


def times(recording: Recording) -> list[Times]:
    """The times of each attempt, by the engine's own answers; of one that never started, of its event."""
    found: list[Times] = []
    started: int | None = None
    facts: list[int] = []
    for step in recording.steps:
        match step.event["Action"]:
            case "start":
                started, facts = state_time(step, "StartedAt"), []
            case "oom" | "kill":
                facts.append(step.event["timeNano"])
            case "die":
                found.append(Times(started, state_time(step, "FinishedAt"), tuple(facts)))
            case "disconnect" if started is None:
                found.append(Times(None, step.event["timeNano"], ()))
    return found


def state_time(step: Step, key: str) -> int:
    """When it happened, as the engine answered right after; by its event where it did not."""
    answer = step.inspection.answer if step.inspection else None
    return step.event["timeNano"] if answer is None else parse_rfc3339(answer["State"][key])


def start_error(recording: Recording) -> str:
    """The engine's own text about a start that failed."""
    errors = (each.answer["State"]["Error"] for each in recording.inspects if each.answer is not None)
    return next((" ".join(str(error).split()) for error in errors if error), "")


def notes(recording: Recording, end: End, when: Times) -> list[str]:
    """The sentences that show why; a request or an OOM kill with how far from the end it was."""
    if when.started is None:
        return [f"The engine could not start it: {start_error(recording)}"]
    said = [
        f"{note} {distance(when.ended - fact)}." for note, fact in zip(end.evidence, when.facts, strict=True)
    ]
    return said + ([STOPPED] if recording.name in STOPPED_BY_COMMAND and end is ends_of(recording)[0] else [])


def distance(nanoseconds: int) -> str:
    """How far before or after the end something was."""
    if -SECOND // 100 < nanoseconds < 0:
        return "at the end"
    return f"{abs(nanoseconds) / SECOND:.3f} s {'before' if nanoseconds >= 0 else 'after'} the end"


STOPPED = "The engine's stop command saw it end."
STOPPED_BY_COMMAND = {"docker-stop-obeyed", "docker-stop-timed-out", "docker-restart"}


# --- through the parser and the tracker


@pytest.mark.parametrize("name", names())
def test_the_tracker_reports_each_start_of_a_recording_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told = replay(cases.load(f"{DIRECTORY.name}/{name}"), CannedKernel(tmp_path, monkeypatch))
    begun = {each.attempt for each in told if isinstance(each, Job)}
    started = {attempt for attempt, when in enumerate(times(load(name)), 1) if when.started is not None}
    assert begun == started


# --- through the whole daemon


class Stage:
    """A daemon that watches a scripted engine on which recordings are played."""

    def __init__(self, engine: ScriptedEngine, exporter: ExporterProcess) -> None:
        self._engine = engine
        self._exporter = exporter

    def play(self, recording: Recording) -> None:
        """Let it happen as it did: while a container is being started, nothing is answered about it."""
        answers = f"/containers/{recording.container_id}/json"
        for step in recording.steps:
            if step.event["Action"] == "connect":
                self._engine.delay(answers, math.inf)
            perform(self._engine, step)
            if step.event["Action"] in {"start", "disconnect"}:
                self._engine.delay(answers, 0)
            if step.event["Action"] in {"start", "disconnect", "die"}:
                self._await_answer(recording, step)

    def rows(self, recording: Recording) -> list[dict[str, Any]]:
        """The API's rows of a recorded container, by attempt."""
        own = (row for row in self._exporter.jobs() if row["container_id"] == recording.container_id)
        return sorted(own, key=lambda row: int(row["attempt"]))

    def await_ends(self, recording: Recording) -> None:
        """Wait until all its attempts are on record as ended."""
        expected = len(ends_of(recording))
        wait_until(
            lambda: sum(bool(row["reason"]) for row in self.rows(recording)) >= expected, PATIENCE_SECONDS
        )

    def _await_answer(self, recording: Recording, step: Step) -> None:
        """An engine does not remove a container in the middle of an answer."""
        if step.event["Action"] == "start":
            started = bare(format_rfc3339(state_time(step, "StartedAt")))
            wait_until(
                lambda: started in [bare(row["started_at"]) for row in self.rows(recording)], PATIENCE_SECONDS
            )
        elif step.event["Action"] == "die":
            finished = bare(format_rfc3339(state_time(step, "FinishedAt")))
            wait_until(
                lambda: finished in [bare(row["finished_at"]) for row in self.rows(recording)],
                PATIENCE_SECONDS,
            )
        elif ends_of(recording)[0].termination == "CREATING_CONTAINER_ERROR":
            self.await_ends(recording)


def ends_of(recording: Recording) -> list[End]:
    """What is expected of a recording."""
    file = recording.name.replace("-", "_")
    return cases.load(f"{DIRECTORY.name}/{file}").truth[recording.name]


def bare(time: str | None) -> str | None:
    """A time without the zeros at its end, which recordings do not write."""
    return time and time.rstrip("Z").rstrip("0").rstrip(".")


@pytest.fixture(scope="module", params=APIS)
def shown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[dict[str, Any]]]:
    """What a daemon shows of each recording after all were played to it, in the form of each API."""
    directory = tmp_path_factory.mktemp("recordings")
    # Recordings are as old as they are: nothing is forgotten.
    keeping = ("--storage.retention", "0")
    with (
        known(on_other_host(ScriptedEngine(directory, api=request.param))) as engine,
        ExporterProcess(engine.url, directory, arguments=keeping) as exporter,
    ):
        stage = Stage(engine, exporter)
        for name in names():
            stage.play(load(name))
        for name in names():
            stage.await_ends(load(name))
        return {name: stage.rows(load(name)) for name in names()}


def known(engine: ScriptedEngine) -> ScriptedEngine:
    """The engine with an id of which the ids of jobs can be made here."""
    engine.info["ID"] = ENGINE_ID
    return engine


def expected_row(recording: Recording, attempt: int, end: End, when: Times) -> dict[str, Any]:
    """The API's row of one attempt."""
    (created,) = {str(each.answer["Created"]) for each in recording.inspects if each.answer is not None}
    named = recording.name + ("-renamed" if recording.name == "rename-while-running" else "")
    text = f"JOB_{end.status.upper()} ({end.termination}, exit code: {end.code} - {end.reason})"
    key = job_key(f"scripted-host {ENGINE_ID}", recording.container_id, when.started or attempt)
    return {
        "id": f"{recording.container_id[:12]}-{key}",
        "name": named,
        "container_id": recording.container_id,
        "instance": "scripted-host",
        "workload": "scripted-job",
        "image": "scripted-job:1",
        "status": end.status,
        "container_exit_code": end.code,
        "reason": end.reason,
        "termination": end.termination,
        "error": None if end.status == "done" else text,
        "recovery": end.recovery,
        "evidence": notes(recording, end, when),
        "start_error": start_error(recording) or None,
        "attempt": attempt,
        "oom_kills": end.oom_kills,
        "memory_limit_bytes": end.memory_limit_bytes,
        "created_at": created,
        "started_at": None if when.started is None else format_rfc3339(when.started),
        "finished_at": format_rfc3339(when.ended),
        "duration_seconds": None if when.started is None else (when.ended - when.started) / SECOND,
        "log_tail": None,
        "trace_id": None,
        "span_id": None,
    }


@pytest.mark.parametrize("name", names())
def test_the_daemon_shows_exactly_the_ends_of_a_recording(
    shown: Mapping[str, list[dict[str, Any]]], name: str
) -> None:
    recording = load(name)
    ends = zip(ends_of(recording), times(recording), strict=True)
    expected = [expected_row(recording, attempt, *end) for attempt, end in enumerate(ends, 1)]
    found = [{fact: row[fact] for fact in expected[0]} for row in shown[name]]
    assert [with_bare_times(row) for row in found] == [with_bare_times(row) for row in expected]


def with_bare_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times as recordings write them."""
    return {**row, **{stamp: bare(row[stamp]) for stamp in ("created_at", "started_at", "finished_at")}}
