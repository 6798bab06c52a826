"""Recording for the engine: thousands of overlapping containers made of recorded jobs, as two files."""

import hashlib
import json
import random
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.scenario import JobKind, hundred_containers
from exporter.labels import WORKLOAD
from exporter.model import SECOND_NS
from tests.scripted.recording import Recording, load

SPACING_NS = SECOND_NS // 20
# Long ago, so that an OOM kill elsewhere on this machine does not explain an exit of the recording.
AGE_NS = 3600 * SECOND_NS
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Container:
    """Container of a recording: its kind, and its own copy of the recorded job."""

    id: str
    kind: JobKind
    job: Recording


@dataclass(frozen=True, slots=True)
class EngineRecording:
    """Files that the engine plays, with their containers and number of events.

    ``ends`` are the positions of the events that end a run.
    """

    events: Path
    inspects: Path
    containers: tuple[Container, ...]
    event_count: int
    ends: tuple[int, ...]

    @property
    def exits(self) -> int:
        """Number of exits."""
        return len(self.ends)

    def exits_within(self, events: int) -> int:
        """Return the number of exits within the first events."""
        return bisect_left(self.ends, events)


class _Event(NamedTuple):
    """Event: its time, its JSON, and whether it ends a run."""

    at_ns: int
    line: str
    is_end: bool


def make_recording(
    directory: Path,
    scenario: tuple[JobKind, ...],
    containers: int,
    workloads: int,
    *,
    spacing_ns: int = SPACING_NS,
) -> EngineRecording:
    """Create a recording with a number of containers and workloads, always the same except for its time.

    A container starts every ``spacing_ns``; by default about twenty of them run at any time.
    """
    made = tuple(_containers(scenario, containers, workloads, spacing_ns))
    events = sorted((event for container in made for event in _events(container)), key=lambda one: one.at_ns)
    ends = tuple(position for position, event in enumerate(events) if event.is_end)
    recording = EngineRecording(
        directory / "events.jsonl", directory / "inspects.jsonl", made, len(events), ends
    )
    recording.events.write_text("".join(event.line for event in events), encoding="utf-8")
    recording.inspects.write_text("".join(map(_last_inspect, made)), encoding="utf-8")
    return recording


def _containers(
    scenario: tuple[JobKind, ...], count: int, workloads: int, spacing_ns: int
) -> Iterator[Container]:
    """Yield containers with the shares of the scenario in each hundred, always in the same shuffled order."""
    shuffle = random.Random(SEED).shuffle  # noqa: S311  # not a secret
    begin_ns = time.time_ns() - AGE_NS
    kinds: list[JobKind] = []
    for number in range(count):
        if not kinds:
            kinds = hundred_containers(scenario)
            shuffle(kinds)
        kind = kinds.pop()
        yield _container(kind, number, begin_ns + number * spacing_ns, number % workloads)


def _container(kind: JobKind, number: int, begin_ns: int, workload: int) -> Container:
    source = load(kind.job)
    container_id = hashlib.sha256(f"bench {number}".encode()).hexdigest()
    offset_ns = begin_ns - int(source.events[0]["timeNano"])
    renamed = source.renamed(container_id, f"{kind.job.replace('_', '-')}-{number}", offset_ns)
    for labels in _label_tables(renamed):
        labels[WORKLOAD] = f"team-{workload % 7}/stage-{workload}"
    return Container(container_id, kind, renamed)


def _label_tables(job: Recording) -> Iterator[dict[str, Any]]:
    """Yield all places with the labels of a container: attributes of events, and inspects."""
    for event in job.events:
        if event["Type"] == "container":
            yield event["Actor"]["Attributes"]
    for inspection in job.inspects:
        if inspection.answer is not None:
            yield inspection.answer["Config"]["Labels"]


def _events(container: Container) -> Iterator[_Event]:
    """Yield the events of a container, with times in the order in which the engine sent them."""
    latest, tried = 0, False
    for event in container.job.events:
        latest = max(latest, int(event["timeNano"]))
        action = event["Action"]
        # A failed start has no other event than this pair without a start in between.
        is_end = action == "die" or (action == "disconnect" and tried)
        tried = action == "connect" or (tried and action != "start")
        yield _Event(latest, _line(event), is_end)


def _last_inspect(container: Container) -> str:
    """Return the last inspect of a container."""
    answers = [inspection.answer for inspection in container.job.inspects if inspection.answer]
    return _line(answers[-1])


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
