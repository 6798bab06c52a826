"""Recorded messages of a real engine about a job: loaded, copied to other jobs, and played."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from tests.scripted.engine import ScriptedEngine
from tests.scripted.scenarios import PLAYED
from tests.scripted.times import NEVER, RFC3339, SECOND, format_rfc3339, parse_rfc3339

CORPUS = Path(__file__).parents[1] / "corpus"
DIRECTORY = CORPUS / "docker-20.10"
NAME_KEYS = {"name", "oldName", "Name"}

Table: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Inspection:
    """Answer to an inspect right after an event of this action; None for 404."""

    after: str
    answer: Table | None


@dataclass(frozen=True)
class Step:
    """Event, and the inspect that followed it, if any."""

    event: Table
    inspection: Inspection | None = None


@dataclass(frozen=True)
class Recording:
    """Events and inspects of one job, in the order in which they were received."""

    container_id: str
    name: str
    steps: tuple[Step, ...]

    @property
    def events(self) -> tuple[Table, ...]:
        """Events."""
        return tuple(step.event for step in self.steps)

    @property
    def inspects(self) -> tuple[Inspection, ...]:
        """Inspect answers."""
        return tuple(step.inspection for step in self.steps if step.inspection is not None)

    def renamed(self, container_id: str, name: str, offset_ns: int) -> "Recording":
        """Return the same recording for another container, with all times moved."""
        change = Change(self.container_id, container_id, self.name, name, offset_ns)
        return Recording(container_id, name, tuple(change.of_step(step) for step in self.steps))


@dataclass(frozen=True)
class Change:
    """Replacement of id, name and times of a recording."""

    old_id: str
    new_id: str
    old_name: str
    new_name: str
    offset: int

    def of_step(self, step: Step) -> Step:
        """Return a changed event and inspect answer."""
        event = {key: self.of(value, key) for key, value in step.event.items()}
        event["time"] = event["timeNano"] // SECOND
        inspection = step.inspection
        if inspection is not None:
            inspection = replace(inspection, answer=self.of(inspection.answer))
        return Step(event, inspection)

    def of(self, value: Any, key: str = "") -> Any:
        """Return a changed value, with all values in it changed."""
        match value:
            case dict():
                return {each: self.of(inner, each) for each, inner in value.items()}
            case list():
                return [self.of(inner) for inner in value]
            case str():
                return self.of_text(value, key)
            case int() if key == "timeNano":
                return value + self.offset
            case _:
                return value

    def of_text(self, text: str, key: str) -> str:
        """Return a changed name, time or id."""
        if key in NAME_KEYS:
            return self.of_name(text)
        if text != NEVER and RFC3339.fullmatch(text):
            return format_rfc3339(parse_rfc3339(text) + self.offset)
        return self.new_id if text == self.old_id else text

    def of_name(self, text: str) -> str:
        """Return the new name, also with a slash before it or a suffix after it."""
        slash = "/" if text.startswith("/") else ""
        name = text.removeprefix("/")
        if name == self.old_name or name.startswith(f"{self.old_name}-"):
            return slash + self.new_name + name.removeprefix(self.old_name)
        return text


def names() -> list[str]:
    """Return the names of the recordings of one job each, without facts of the kernel."""
    return sorted(PLAYED)


@cache
def load(name: str) -> Recording:
    """Return a recording."""
    lines = (DIRECTORY / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    steps = as_steps([json.loads(line) for line in lines])
    created = steps[0].event["Actor"]
    return Recording(created["ID"], created["Attributes"]["name"], steps)


def as_steps(lines: list[Table]) -> tuple[Step, ...]:
    """Join each event with the inspect after it; lines of the kernel may be in between."""
    engines = [line for line in lines if "event" in line or "inspect" in line]
    following = [*engines[1:], {}]
    return tuple(
        Step(line["event"], as_inspection(after))
        for line, after in zip(engines, following, strict=True)
        if "event" in line
    )


def as_inspection(line: Table) -> Inspection | None:
    """Return the inspect of a line, None for another line."""
    return Inspection(line["after"], line["inspect"]) if "inspect" in line else None


def perform(engine: ScriptedEngine, step: Step) -> None:
    """Play one step: set the container to its recorded state, then emit the event."""
    if step.inspection is not None:
        set_state(engine, step)
    engine.emit(step.event)


def set_state(engine: ScriptedEngine, step: Step) -> None:
    """Set the container to the state in the step's inspect."""
    answer = step.inspection.answer if step.inspection is not None else None
    if answer is None:
        engine.remove_container(container_of(step.event))
    else:
        engine.set_container(answer)


def container_of(event: Table) -> str:
    """Return the id of the event's container, empty if there is none."""
    actor = event["Actor"]
    return str(actor["ID"] if event["Type"] == "container" else actor["Attributes"].get("container", ""))
