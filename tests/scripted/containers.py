"""Containers of the scripted engine: their inspect answers and their rows in the list."""

import json
from collections.abc import Mapping
from threading import Lock
from typing import Any, TypeAlias

from tests.scripted.times import SECOND, parse_rfc3339

Inspect: TypeAlias = Mapping[str, Any]

LISTED_WITHOUT_ALL = {"running", "paused", "restarting"}
STATUS_TEXTS = {
    "created": "Created",
    "exited": "Exited ({code}) 1 second ago",
    "removing": "Removal In Progress",
    "restarting": "Restarting ({code}) 1 second ago",
    "dead": "Dead",
}
"""Column `Status` of the list; a running container has `Up 1 second`."""


class Containers:
    """Inspect answers by id. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[str, Inspect] = {}

    def set(self, answer: Inspect) -> None:
        """Add or replace a container; the value is copied."""
        own: Inspect = json.loads(json.dumps(answer))
        with self._lock:
            self._answers[own["Id"]] = own

    def remove(self, container: str) -> None:
        """Remove a container, if it exists."""
        with self._lock:
            self._answers.pop(container, None)

    def find(self, reference: str) -> Inspect | None:
        """Return the answer for an id, a name, or the beginning of an id."""
        with self._lock:
            if reference in self._answers:
                return self._answers[reference]
            found = (answer for answer in self._answers.values() if is_named(answer, reference))
            return next(found, None)

    def listing(self, *, all_states: bool) -> list[dict[str, Any]]:
        """Return the rows of the list, the newest first; unless `all_states`, only of running containers."""
        with self._lock:
            answers = list(self._answers.values())
        rows = [summary(answer) for answer in answers if all_states or is_alive(answer)]
        return sorted(rows, key=created, reverse=True)


def is_named(answer: Inspect, reference: str) -> bool:
    """Return whether the reference means this container."""
    names = {answer.get("Name"), str(answer.get("Name")).removeprefix("/")}
    return reference in names or str(answer["Id"]).startswith(reference)


def is_alive(answer: Inspect) -> bool:
    """Return whether the container is in the list without `all`."""
    return status_of(answer) in LISTED_WITHOUT_ALL


def status_of(answer: Inspect) -> str:
    """Return its state."""
    return str(answer.get("State", {}).get("Status", "created"))


def created(row: Mapping[str, Any]) -> int:
    """Return its creation time in seconds."""
    return int(row["Created"])


def summary(answer: Inspect) -> dict[str, Any]:
    """Return the container's row in the list."""
    config, state = answer.get("Config", {}), status_of(answer)
    code = answer.get("State", {}).get("ExitCode", 0)
    return {
        "Id": answer["Id"],
        "Names": [answer.get("Name", "")],
        "Image": config.get("Image", ""),
        "ImageID": answer.get("Image", ""),
        "Command": "",
        "Created": parse_rfc3339(answer["Created"]) // SECOND if "Created" in answer else 0,
        "Ports": [],
        "Labels": config.get("Labels") or {},
        "State": state,
        "Status": STATUS_TEXTS.get(state, "Up 1 second").format(code=code),
        "HostConfig": {"NetworkMode": "none"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }
