"""A tape: recorded jobs made into thousands of containers that overlap, as two files for the engine."""

import hashlib
import json
import random
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.mix import Kind, hundred
from exporter.labels import WORKLOAD
from tests.scripted.recording import Recording, load

SECOND_NS = 10**9
SPACING_NS = SECOND_NS // 20
# Long before now: an OOM kill elsewhere on this machine must not explain an exit of the tape.
AGE_NS = 3600 * SECOND_NS
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the tape: what it is, and what it does."""

    id: str
    kind: Kind
    recording: Recording


@dataclass(frozen=True, slots=True)
class Tape:
    """The files that the engine plays, the containers in them, and how many events they make.

    ``ends`` are the positions of those events with which a run is over.
    """

    events: Path
    inspects: Path
    containers: tuple[Container, ...]
    event_count: int
    ends: tuple[int, ...]

    @property
    def exits(self) -> int:
        """How many exits there are in it."""
        return len(self.ends)

    def exits_within(self, events: int) -> int:
        """How many exits there are in the first so many events."""
        return bisect_left(self.ends, events)


class _Telling(NamedTuple):
    """One event: when the engine told it, what it said, and whether a run is over with it."""

    at_ns: int
    line: str
    is_end: bool


def record(
    directory: Path, mix: tuple[Kind, ...], containers: int, workloads: int, *, spacing_ns: int = SPACING_NS
) -> Tape:
    """A tape of so many containers of so many workloads, always the same save for its time.

    One begins every ``spacing_ns``: with the default some twenty of them run at any time.
    """
    cast = tuple(_cast(mix, containers, workloads, spacing_ns))
    told = sorted((telling for container in cast for telling in _told(container)), key=lambda one: one.at_ns)
    ends = tuple(position for position, telling in enumerate(told) if telling.is_end)
    tape = Tape(directory / "events.jsonl", directory / "inspects.jsonl", cast, len(told), ends)
    tape.events.write_text("".join(telling.line for telling in told), encoding="utf-8")
    tape.inspects.write_text("".join(map(_last_inspect, cast)), encoding="utf-8")
    return tape


def _cast(mix: tuple[Kind, ...], count: int, workloads: int, spacing_ns: int) -> Iterator[Container]:
    """Every kind in each hundred, in an order that is shuffled but always the same."""
    shuffle = random.Random(SEED).shuffle  # noqa: S311  # not a secret
    begin_ns = time.time_ns() - AGE_NS
    kinds: list[Kind] = []
    for number in range(count):
        if not kinds:
            kinds = hundred(mix)
            shuffle(kinds)
        kind = kinds.pop()
        yield _container(kind, number, begin_ns + number * spacing_ns, number % workloads)


def _container(kind: Kind, number: int, begin_ns: int, workload: int) -> Container:
    source = load(kind.recording)
    container_id = hashlib.sha256(f"bench {number}".encode()).hexdigest()
    offset_ns = begin_ns - int(source.events[0]["timeNano"])
    renamed = source.renamed(container_id, f"{kind.recording.replace('_', '-')}-{number}", offset_ns)
    for labels in _label_tables(renamed):
        labels[WORKLOAD] = f"team-{workload % 7}/stage-{workload}"
    return Container(container_id, kind, renamed)


def _label_tables(recording: Recording) -> Iterator[dict[str, Any]]:
    """Wherever an engine shows a container's labels: in its events' attributes, and in its inspects."""
    for event in recording.events:
        if event["Type"] == "container":
            yield event["Actor"]["Attributes"]
    for inspection in recording.inspects:
        if inspection.answer is not None:
            yield inspection.answer["Config"]["Labels"]


def _told(container: Container) -> Iterator[_Telling]:
    """Its events, with times that never step back, since the engine told them in this order."""
    latest, tried = 0, False
    for event in container.recording.events:
        latest = max(latest, int(event["timeNano"]))
        action = event["Action"]
        # A try to start that ends with no start in between has failed: there is no other event of it.
        is_end = action == "die" or (action == "disconnect" and tried)
        tried = action == "connect" or (tried and action != "start")
        yield _Telling(latest, _line(event), is_end)


def _last_inspect(container: Container) -> str:
    """How the container stood when it was last found."""
    answers = [inspection.answer for inspection in container.recording.inspects if inspection.answer]
    return _line(answers[-1])


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
