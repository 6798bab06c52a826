"""The corpus: each way to die as a file of what was told of it, and of what is true of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from tests.scripted.recording import container_of

DIRECTORY = Path(__file__).parent

Table: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class End:
    """How one run truly ended; what is None or empty is not stated, but for the code: unknown.

    ``evidence`` are words that must stand in the notes, ``evidence_without`` such as must not, ``causes``
    and ``start_error`` likewise words of theirs.
    """

    status: str
    termination: str
    code: int | None
    reason: str
    oom_kills: int
    recovery: str
    limit: str | None = None
    memory_limit_bytes: int | None = None
    ran_seconds: float | None = None
    start_error: str = ""
    evidence: tuple[str, ...] = ()
    evidence_without: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: Table) -> End:
        """An end as a file has it; a key that there is not is a TypeError."""
        facts: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        return cls(**facts)


@dataclass(frozen=True)
class Case:
    """One file: ``head`` is its first line, ``lines`` the rest, in the order in which they were seen."""

    name: str
    head: Table
    lines: tuple[Table, ...]

    @cached_property
    def truth(self) -> dict[str, list[End]]:
        """By the name of its container, how each of its runs ended."""
        return {name: [End.of(end) for end in ends] for name, ends in self.head["truth"].items()}

    @property
    def booted_ns(self) -> int:
        """When the host was booted: the kernel's log counts from then on."""
        return int(self.head.get("booted_ns", 0))

    @property
    def is_counted(self) -> bool:
        """Whether the kernel's counter could be read."""
        return any("counted" in line for line in self.lines)

    @cached_property
    def names(self) -> dict[str, str]:
        """What each container was called at first, by its id."""
        names: dict[str, str] = {}
        for line in self.lines:
            actor = line.get("event", {}).get("Actor", {})
            if "name" in actor.get("Attributes", {}) and line["event"]["Type"] == "container":
                names.setdefault(actor["ID"], actor["Attributes"]["name"])
        return names

    def id_of(self, name: str) -> str:
        """The id of the container that was called so at first."""
        (found,) = (each for each, called in self.names.items() if called == name)
        return found

    def answer_to(self, place: int, container_id: str) -> Table | None:
        """What the engine answers about a container at a line: while it is busy, only when it is done."""
        later = (answer for at, about, answer in self._answers if at > place and about == container_id)
        return next(later, None)

    @cached_property
    def _answers(self) -> list[tuple[int, str, Table | None]]:
        """Each answer with its line, and the container that it is about: that of the event before it."""
        found, about = [], ""
        for place, line in enumerate(self.lines):
            about = container_of(line["event"]) if "event" in line else about
            if "inspect" in line:
                found.append((place, about, line["inspect"]))
        return found


def names() -> list[str]:
    """All there are, by folder and file."""
    return sorted(str(path.relative_to(DIRECTORY).with_suffix("")) for path in DIRECTORY.glob("*/*.jsonl"))


def load(name: str) -> Case:
    """Read one."""
    head, *lines = _read(DIRECTORY / f"{name}.jsonl")
    return Case(name, head, tuple(lines))


def _read(path: Path) -> Iterator[Table]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
