"""Recordings of a real engine, played to the daemon; the expected results are in the corpus."""

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
# --- expected results


@dataclass(frozen=True)
class Times:
    """Times of a run: its start, its end, and its OOM kills and kill requests in order."""

    started: int | None
    ended: int
    facts: tuple[int, ...]


def times(recording: Recording) -> list[Times]:
    """Return the times of each run, by the engine's answers; for a failed start, by its event."""
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
    """Return the time in the answer right after an event, or that of the event."""
    answer = step.inspection.answer if step.inspection else None
    return step.event["timeNano"] if answer is None else parse_rfc3339(answer["State"][key])


def start_error(recording: Recording) -> str:
    """Return the engine's text about a failed start."""
    errors = (each.answer["State"]["Error"] for each in recording.inspects if each.answer is not None)
    return next((" ".join(str(error).split()) for error in errors if error), "")


def notes(recording: Recording, end: End, when: Times) -> list[str]:
    """Return the expected evidence; requests and OOM kills with their distance from the end."""
    if when.started is None:
        return [f"The engine could not start it: {start_error(recording)}"]
    events = [
        f"{note} {distance(when.ended - fact)}." for note, fact in zip(end.evidence, when.facts, strict=True)
    ]
    return events + (
        [STOPPED] if recording.name in STOPPED_BY_COMMAND and end is ends_of(recording)[0] else []
    )


def distance(nanoseconds: int) -> str:
    """Return how long before or after the end something was."""
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
    emitted = replay(cases.load(f"{DIRECTORY.name}/{name}"), CannedKernel(tmp_path, monkeypatch))
    started_attempts = {each.attempt for each in emitted if isinstance(each, Job)}
    started = {attempt for attempt, when in enumerate(times(load(name)), 1) if when.started is not None}
    assert started_attempts == started


# --- through the whole daemon


class Stage:
    """Daemon that watches a scripted engine on which recordings are played."""

    def __init__(self, engine: ScriptedEngine, exporter: ExporterProcess) -> None:
        self._engine = engine
        self._exporter = exporter

    def play(self, recording: Recording) -> None:
        """Play a recording; while a container is being started, inspections of it are held back."""
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
        """Return the API's rows of a recorded container, by attempt."""
        own = (row for row in self._exporter.jobs() if row["container_id"] == recording.container_id)
        return sorted(own, key=lambda row: int(row["attempt"]))

    def await_ends(self, recording: Recording) -> None:
        """Wait until all its runs are on record as ended."""
        expected = len(ends_of(recording))
        wait_until(
            lambda: sum(bool(row["reason"]) for row in self.rows(recording)) >= expected, PATIENCE_SECONDS
        )

    def _await_answer(self, recording: Recording, step: Step) -> None:
        """Wait until the answer was used: an engine does not remove a container before it has answered."""
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
    """Return the expected ends of a recording."""
    file = recording.name.replace("-", "_")
    return cases.load(f"{DIRECTORY.name}/{file}").truth[recording.name]


def bare(time: str | None) -> str | None:
    """Return a time without trailing zeros, which recordings do not have."""
    return time and time.rstrip("Z").rstrip("0").rstrip(".")


@pytest.fixture(scope="module", params=APIS)
def shown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[dict[str, Any]]]:
    """Rows of a daemon for each recording after all were played, with the messages of each API."""
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
    """Return the engine with an id that is known here, since ids of jobs derive from it."""
    engine.info["ID"] = ENGINE_ID
    return engine


def expected_row(recording: Recording, attempt: int, end: End, when: Times) -> dict[str, Any]:
    """Return the API's expected row of one run."""
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
    """Return a row with its times as in recordings."""
    return {**row, **{stamp: bare(row[stamp]) for stamp in ("created_at", "started_at", "finished_at")}}
