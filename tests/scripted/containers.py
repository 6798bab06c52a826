"""The containers that the scripted engine has: what it answers to an inspect, and how it lists them."""

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
"""What stands in the list's column for people; a running one is `Up 1 second`."""


class Containers:
    """Inspect answers by id, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[str, Inspect] = {}

    def set(self, answer: Inspect) -> None:
        """Have this container from now on, in this state; later changes of the value given change nothing."""
        own: Inspect = json.loads(json.dumps(answer))
        with self._lock:
            self._answers[own["Id"]] = own

    def remove(self, container: str) -> None:
        """Have this container no more; it need not be there."""
        with self._lock:
            self._answers.pop(container, None)

    def find(self, reference: str) -> Inspect | None:
        """Give the answer for an id, a name, or the beginning of an id."""
        with self._lock:
            if reference in self._answers:
                return self._answers[reference]
            found = (answer for answer in self._answers.values() if is_named(answer, reference))
            return next(found, None)

    def listing(self, *, all_states: bool) -> list[dict[str, Any]]:
        """List them, the newest first; without all states only those that live."""
        with self._lock:
            answers = list(self._answers.values())
        rows = [summary(answer) for answer in answers if all_states or is_alive(answer)]
        return sorted(rows, key=created, reverse=True)


def is_named(answer: Inspect, reference: str) -> bool:
    """Whether the reference means this container."""
    names = {answer.get("Name"), str(answer.get("Name")).removeprefix("/")}
    return reference in names or str(answer["Id"]).startswith(reference)


def is_alive(answer: Inspect) -> bool:
    """Whether it is listed without being asked for all."""
    return status_of(answer) in LISTED_WITHOUT_ALL


def status_of(answer: Inspect) -> str:
    """Give its state in one word."""
    return str(answer.get("State", {}).get("Status", "created"))


def created(row: Mapping[str, Any]) -> int:
    """Give the second in which it was created."""
    return int(row["Created"])


def summary(answer: Inspect) -> dict[str, Any]:
    """Give the container's row in a list, made of its inspect answer."""
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
