"""What a real engine once said is understood: by the tracker alone, and by the whole daemon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from exporter.engines import docker_messages as messages
from exporter.model import Evidence, Exit, Job
from exporter.track import Rules, Tracker
from exporter.watch.inspecting import Curiosity
from tests.contract.engines import elsewhere
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.scripted.recording import Recording, Step, load, names, perform
from tests.scripted.times import SECOND, format_rfc3339
from tests.scripted.wire import encoded

PATIENCE_SECONDS = 20.0
FAILED = ("failed", "CONTAINER_EXITED_WITH_ERROR")
UNSTARTED = ("failed", "CREATING_CONTAINER_ERROR")
STOPPED = ("terminated", "TERMINATED_BY_USER")
DONE = ("done", "DONE")
OOM = "The engine reported an OOM kill"
SENT = "The engine was asked to send"
REFUSED = "The engine could not start it."


@dataclass(frozen=True)
class End:
    """How one attempt of a recorded job ended; each note is followed by how long before the end it was."""

    code: int
    standing: tuple[str, str]
    reason: str
    recovery: str
    notes: tuple[str, ...] = ()
    oom_killed: bool = False


ENDS: Mapping[str, tuple[End, ...]] = {
    "command_not_executable": (End(126, UNSTARTED, "CommandNotExecutable", "fix-command", (REFUSED,)),),
    "command_not_found": (End(127, UNSTARTED, "CommandNotFound", "fix-command", (REFUSED,)),),
    "command_not_found_removed": (End(127, UNSTARTED, "CommandNotFound", "fix-command", (REFUSED,)),),
    "completed": (End(0, DONE, "Completed", "none"),),
    "completed_removed": (End(0, DONE, "Completed", "none"),),
    "docker_kill": (End(137, STOPPED, "Killed", "none", (f"{SENT} SIGKILL",)),),
    "docker_remove_force": (End(137, STOPPED, "Killed", "none", (f"{SENT} SIGKILL",)),),
    "docker_restart": (
        End(137, STOPPED, "Killed", "none", (f"{SENT} SIGTERM", f"{SENT} SIGKILL")),
        End(137, STOPPED, "Killed", "none", (f"{SENT} SIGKILL",)),
    ),
    "docker_stop_obeyed": (End(143, STOPPED, "Terminated", "none", (f"{SENT} SIGTERM",)),),
    "docker_stop_timed_out": (End(137, STOPPED, "Killed", "none", (f"{SENT} SIGTERM", f"{SENT} SIGKILL")),),
    "error_exit": (End(1, FAILED, "Error", "fix-code"),),
    "hup_then_error": (End(3, FAILED, "Error", "fix-code", (f"{SENT} SIGHUP",)),),
    "kill_from_outside": (End(137, FAILED, "SIGKILL", "retry"),),
    "label_exit_code": (End(77, FAILED, "NoPermission", "fix-command"),),
    "oom_child_completed": (End(0, DONE, "Completed", "none", (OOM,), oom_killed=True),),
    "oom_child_error": (End(1, FAILED, "OOMKilled", "more-memory", (OOM,), oom_killed=True),),
    "oom_killed": (End(137, FAILED, "OOMKilled", "more-memory", (OOM,), oom_killed=True),),
    "oom_killed_removed": (End(137, FAILED, "OOMKilled", "more-memory", (OOM,), oom_killed=True),),
    "rename_while_running": (End(0, DONE, "Completed", "none"),),
    "restart_on_failure": (End(1, FAILED, "Error", "fix-code"),) * 4,
    "segfault": (End(139, FAILED, "SegmentationFault", "fix-code"),),
}
LIMITED = {"oom_child_completed", "oom_child_error", "oom_killed", "oom_killed_removed"}
LIMIT_BYTES = 16 << 20


def test_every_recording_has_its_ends_here() -> None:
    assert sorted(ENDS) == names()


# --- the truth of a recording


@dataclass(frozen=True)
class Times:
    """When an attempt started and ended, and when OOM kills and requests came in it, in order."""

    started: int | None
    ended: int
    facts: tuple[int, ...]


def times(recording: Recording) -> list[Times]:
    """The times of each attempt: from its start to its die, or when it left its network unstarted."""
    found: list[Times] = []
    started: int | None = None
    facts: list[int] = []
    for event in recording.events:
        match event["Action"]:
            case "start":
                started, facts = event["timeNano"], []
            case "oom" | "kill":
                facts.append(event["timeNano"])
            case "die":
                found.append(Times(started, event["timeNano"], tuple(facts)))
            case "disconnect" if started is None:
                found.append(Times(None, event["timeNano"], ()))
    return found


def notes(end: End, when: Times) -> list[str]:
    """The sentences that show why."""
    if end.notes == (REFUSED,):
        return [REFUSED]
    return [
        f"{note} {(when.ended - fact) / SECOND:.3f} s before the end."
        for note, fact in zip(end.notes, when.facts, strict=True)
    ]


def evidence(end: End, when: Times) -> Evidence:
    """What is known beside the code."""
    return Evidence(
        never_started=end.standing == UNSTARTED,
        oom_killed=end.oom_killed,
        asked_to_stop=end.standing == STOPPED,
        notes=tuple(notes(end, when)),
    )


# --- through the parser and the tracker


def answer_to(recording: Recording, place: int) -> Mapping[str, Any] | None:
    """What the engine answers when asked at a step: while it is busy starting, only when it is done."""
    later = (step.inspection for step in recording.steps[place:])
    return next(inspection.answer for inspection in later if inspection is not None)


def track(recording: Recording) -> list[Job | Exit]:
    """What the tracker makes of a recording, asking where the watch would."""
    tracker, curiosity, now = Tracker(Rules("host"), lambda _: None), Curiosity(), 0.0
    for place, step in enumerate(recording.steps):
        event = messages.event(encoded(step.event))
        inspecting = curiosity.wants(event, 0)
        now = (step.event["timeNano"] - recording.steps[0].event["timeNano"]) / SECOND
        tracker.event(event, now, inspecting=inspecting)
        if inspecting:
            answer = answer_to(recording, place)
            snapshot = None if answer is None else messages.snapshot(answer)
            tracker.inspected(recording.container_id, snapshot, event.at_ns)
    tracker.due(now + PATIENCE_SECONDS)
    return tracker.take()


@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_tracker_finds_exactly_the_ends_of_a_recording(name: str) -> None:
    recording = load(name)
    found = [
        (end.job.attempt, end.code, end.evidence, end.oom_kills, end.recovered)
        for end in track(recording)
        if isinstance(end, Exit)
    ]
    assert found == [
        (attempt, end.code, evidence(end, when), int(end.oom_killed), False)
        for attempt, (end, when) in enumerate(zip(ENDS[name], times(recording), strict=True), 1)
    ]


@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_tracker_tells_of_every_start_in_a_recording_and_of_no_other(name: str) -> None:
    begun = {each.attempt for each in track(load(name)) if isinstance(each, Job)}
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
            started = bare(format_rfc3339(step.event["timeNano"]))
            wait_until(
                lambda: started in [bare(row["started_at"]) for row in self.rows(recording)], PATIENCE_SECONDS
            )
        elif ends_of(recording)[0].standing == UNSTARTED:
            self.await_ends(recording)


def ends_of(recording: Recording) -> tuple[End, ...]:
    """What is expected of a recording."""
    return ENDS[recording.name.replace("-", "_")]


def bare(time: str | None) -> str | None:
    """A time without the zeros at its end, which recordings do not write."""
    return time and time.rstrip("Z").rstrip("0").rstrip(".")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[dict[str, Any]]]:
    """What a daemon shows of each recording after all were played to it."""
    directory = tmp_path_factory.mktemp("recordings")
    # Recordings are as old as they are: nothing is forgotten.
    keeping = ("--storage.retention", "0")
    with (
        elsewhere(ScriptedEngine(directory)) as engine,
        ExporterProcess(engine.url, directory, arguments=keeping) as exporter,
    ):
        stage = Stage(engine, exporter)
        for name in names():
            stage.play(load(name))
        for name in names():
            stage.await_ends(load(name))
        return {name: stage.rows(load(name)) for name in names()}


def expected_row(recording: Recording, attempt: int, end: End, when: Times) -> dict[str, Any]:
    """The API's row of one attempt."""
    (created,) = {str(each.answer["Created"]) for each in recording.inspects if each.answer is not None}
    status, termination = end.standing
    named = recording.name + ("-renamed" if recording.name == "rename-while-running" else "")
    text = f"JOB_{status.upper()} ({termination}, exit code: {end.code} - {end.reason})"
    return {
        "id": f"{recording.container_id[:12]}-{attempt}",
        "name": named,
        "container_id": recording.container_id,
        "instance": "scripted-host",
        "workload": "scripted-job",
        "image": "scripted-job:1",
        "status": status,
        "container_exit_code": end.code,
        "reason": end.reason,
        "termination": termination,
        "error": None if status == "done" else text,
        "recovery": end.recovery,
        "evidence": notes(end, when),
        "attempt": attempt,
        "oom_kills": int(end.oom_killed),
        "memory_limit_bytes": LIMIT_BYTES if recording.name.replace("-", "_") in LIMITED else None,
        "created_at": created,
        "started_at": None if when.started is None else format_rfc3339(when.started),
        "finished_at": format_rfc3339(when.ended),
        "duration_seconds": None if when.started is None else (when.ended - when.started) / SECOND,
        "log_tail": None,
        "trace_id": None,
        "span_id": None,
    }


@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_daemon_shows_exactly_the_ends_of_a_recording(
    shown: Mapping[str, list[dict[str, Any]]], name: str
) -> None:
    recording = load(name)
    ends = zip(ends_of(recording), times(recording), strict=True)
    expected = [expected_row(recording, attempt, *end) for attempt, end in enumerate(ends, 1)]
    assert [with_bare_times(row) for row in shown[name]] == [with_bare_times(row) for row in expected]


def with_bare_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times as recordings write them."""
    return {**row, **{stamp: bare(row[stamp]) for stamp in ("created_at", "started_at", "finished_at")}}
