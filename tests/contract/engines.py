"""Messages of a scripted engine in these tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.scripted.engine import ScriptedEngine
from tests.scripted.times import NEVER, SECOND, format_rfc3339

APIS = ("1.41", "1.55")
"""Debian's engine, and Docker Engine 29."""

of_each_api = pytest.mark.parametrize("engine", APIS, indirect=True)
"""Runs a test with the messages of both versions of the API."""

LONG_AGO = 1_700_000_000 * SECOND
Table = Mapping[str, Any]


def on_other_host(engine: ScriptedEngine) -> ScriptedEngine:
    """Return the engine, set to run on another host, so that this host's kernel is not read."""
    engine.info["KernelVersion"] = "of another host"
    return engine


def identity(number: int) -> str:
    """Return the id of a container."""
    return f"{number:012x}".ljust(64, "0")


def moment(seconds: float) -> int:
    """Return the time after LONG_AGO, in nanoseconds since 1970."""
    return LONG_AGO + round(seconds * SECOND)


def event(action: str, seconds: float, number: int = 1, **attributes: str) -> Table:
    """Return an event of a container."""
    actor = {"ID": identity(number), "Attributes": {"image": "job:1", "name": f"job-{number}", **attributes}}
    return {"Type": "container", "Action": action, "Actor": actor, "timeNano": moment(seconds)}


def network_event(action: str, seconds: float, number: int = 1) -> Table:
    """Return an event about a container and a network."""
    actor = {"ID": "0" * 64, "Attributes": {"container": identity(number), "name": "bridge"}}
    return {"Type": "network", "Action": action, "Actor": actor, "timeNano": moment(seconds)}


def container(number: int = 1, *, labels: Mapping[str, str] | None = None, **state: object) -> Table:
    """Return the inspection of a container that was created at 0; ``state`` has the engine's own keys."""
    whole = {"Running": False, "ExitCode": 0, "Error": "", "OOMKilled": False}
    times = {"StartedAt": NEVER, "FinishedAt": NEVER}
    return {
        "Id": identity(number),
        "Name": f"/job-{number}",
        "Created": format_rfc3339(moment(0)),
        "State": {**whole, **times, **state},
        "Config": {"Image": "job:1", "Labels": dict(labels or {})},
        "HostConfig": {"Memory": 64 << 20},
        "RestartCount": 0,
    }


def running(started: float, number: int = 1, *, labels: Mapping[str, str] | None = None) -> Table:
    """Return the inspection of a running container."""
    return container(number, labels=labels, Running=True, StartedAt=format_rfc3339(moment(started)))


def exited(started: float, finished: float, code: int, number: int = 1) -> Table:
    """Return the inspection of a container that has run."""
    return container(
        number,
        ExitCode=code,
        StartedAt=format_rfc3339(moment(started)),
        FinishedAt=format_rfc3339(moment(finished)),
    )
