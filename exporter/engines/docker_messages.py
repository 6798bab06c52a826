"""What a Docker Engine's messages mean: JSON in, the port's values out. Pure.

Source: the Engine API and what engines were seen to send. Values from labels are cleaned at this
door: a lone surrogate or a megabyte of text must not reach a metric or the store.
"""

from __future__ import annotations

import json
import re
import signal as signals
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from exporter.engines.port import EngineInfo, Event, Happening, Shadowed, Snapshot
from exporter.workload import LABELS

MAX_TEXT = 512
_CODE_ATTRIBUTES = ("exitCode", "containerExitCode")
# Engines merge a container's labels over their own attributes of an event. Where one of these
# stands in an event to which it does not belong, it is a label, and hides the engine's own.
_SHADOWS = {
    "exitCode": (Happening.DIE, Shadowed.CODE),
    "containerExitCode": (Happening.DIE, Shadowed.CODE),
    "signal": (Happening.KILL, Shadowed.SIGNAL),
}
_ERASE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_CONTAINER_ACTIONS = {
    "create": Happening.CREATE,
    "start": Happening.START,
    "oom": Happening.OOM,
    "kill": Happening.KILL,
    "die": Happening.DIE,
    "died": Happening.DIE,
    "rename": Happening.RENAME,
    "destroy": Happening.DESTROY,
    "remove": Happening.DESTROY,
}
_NETWORK_ACTIONS = {
    "connect": Happening.START_ATTEMPT,
    "disconnect": Happening.START_ATTEMPT_OVER,
}
ACTIONS = (*_CONTAINER_ACTIONS, *_NETWORK_ACTIONS)
MALFORMED = Event(Happening.MALFORMED)
OTHER = Event(Happening.OTHER)


def event(line: bytes) -> Event:
    """One line of the stream; what cannot be read is MALFORMED, what is not ours OTHER."""
    try:
        message = json.loads(line)
        kind = message["Type"]
        if kind == "container":
            return _container_event(message)
        if kind == "network":
            return _network_event(message)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return MALFORMED
    return OTHER


def snapshot(message: Mapping[str, Any]) -> Snapshot:
    """The answer to an inspect. Raises KeyError, TypeError or ValueError where it is none."""
    state, config, host = message["State"], message["Config"], message.get("HostConfig") or {}
    started = nanoseconds(state["StartedAt"])
    running = bool(state.get("Running")) and not state.get("Restarting")
    code = None if running else _code(state.get("ExitCode"))
    return Snapshot(
        container_id=str(message["Id"]),
        name=clean(message["Name"]).lstrip("/"),
        image=clean(config.get("Image") or message.get("Image") or ""),
        labels=_labels(config.get("Labels") or {}),
        running=running,
        created_ns=nanoseconds(message["Created"]) or 0,
        started_ns=started,
        finished_ns=None if running else nanoseconds(state["FinishedAt"]),
        code=code,
        oom_killed=bool(state.get("OOMKilled")),
        # While --rm removes a container that could not start, its error is gone before its code.
        start_error=not running and (bool(state.get("Error")) or bool(started is None and code)),
        memory_limit_bytes=int(host.get("Memory") or 0) or None,
        restart_count=int(message.get("RestartCount") or 0),
        stop_signal=signal_number(config.get("StopSignal") or "SIGTERM") or signals.SIGTERM,
    )


def info(message: Mapping[str, Any]) -> EngineInfo:
    """The answer to ``/info``."""
    return EngineInfo(
        host=clean(message.get("Name") or "unknown"),
        version=clean(message.get("ServerVersion") or "unknown"),
        kernel=clean(message.get("KernelVersion") or ""),
        memory_bytes=int(message.get("MemTotal") or 0),
        time_ns=nanoseconds(message["SystemTime"]) or 0,
    )


def clean(value: object) -> str:
    """Text that metrics, JSON and a terminal can bear: no control characters, no surrogates."""
    return _ERASE.sub("\ufffd", str(value)[:MAX_TEXT])


def nanoseconds(text: str) -> int | None:
    """RFC 3339 with up to nine decimals as nanoseconds since 1970; None for the engine's zero time."""
    whole, dot, rest = text.partition(".")
    digits = re.match(r"\d*", rest).group() if dot else ""  # type: ignore[union-attr]
    zone = rest[len(digits) :] if dot else ""
    seconds = datetime.fromisoformat(whole + zone).timestamp()
    return None if seconds <= 0 else int(seconds) * 10**9 + int(digits.ljust(9, "0")[:9])


def signal_number(value: object) -> int | None:
    """A signal by number or by name, with or without SIG; None where it is neither."""
    text = str(value)
    if text.isdigit():
        return int(text)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    try:
        return int(signals.Signals[name])
    except KeyError:
        return None


def _container_event(message: Mapping[str, Any]) -> Event:
    # exec_* and health_status carry command lines behind a colon; they are not ours.
    happening = _CONTAINER_ACTIONS.get(message["Action"])
    if happening is None:
        return OTHER
    actor = message["Actor"]
    attributes = actor.get("Attributes") or {}
    return Event(
        happening=happening,
        container_id=_identity(actor["ID"]),
        at_ns=int(message["timeNano"]),
        name=clean(attributes.get("name", "")),
        image=clean(attributes.get("image", "")),
        labels=_labels(attributes),
        code=_event_code(attributes) if happening is Happening.DIE else None,
        signal=signal_number(attributes.get("signal", "")) if happening is Happening.KILL else None,
        shadowed=frozenset(
            shadowed
            for key, (owner, shadowed) in _SHADOWS.items()
            if key in attributes and happening is not owner
        ),
    )


def _network_event(message: Mapping[str, Any]) -> Event:
    happening = _NETWORK_ACTIONS.get(message["Action"])
    container_id = (message["Actor"].get("Attributes") or {}).get("container")
    if happening is None or not container_id:
        return OTHER
    return Event(happening, _identity(container_id), int(message["timeNano"]))


def _identity(value: object) -> str:
    identity = clean(value)
    if not identity:
        raise ValueError("an event without a container")
    return identity


def _event_code(attributes: Mapping[str, Any]) -> int | None:
    for key in _CODE_ATTRIBUTES:
        if key in attributes:
            return _code(attributes[key])
    return None


def _code(value: object) -> int | None:
    """An exit code as the engine means it: 32 bits, unsigned."""
    try:
        return int(str(value)) & 0xFFFFFFFF
    except ValueError:
        return None


def _labels(labels: Mapping[str, Any]) -> dict[str, str]:
    return {key: clean(labels[key]) for key in LABELS if labels.get(key)}
