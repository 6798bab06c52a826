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

from exporter.engines.port import EngineInfo, Event, Happening, LogEnd, Shadowed, Snapshot
from exporter.labels import KEPT

MAX_TEXT = 512
_CODE_ATTRIBUTES = ("exitCode", "containerExitCode")
# Engines merge a container's labels over their own attributes of an event. Where one of these
# stands in an event to which it does not belong, it is a label, and hides the engine's own. (Not so
# containerExitCode: Podman up to 4 writes it into every event by itself.)
_SHADOWS = {
    "exitCode": (Happening.DIE, Shadowed.CODE),
    "signal": (Happening.KILL, Shadowed.SIGNAL),
}
_ERASE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_REAL_TIME = re.compile(r"(?:SIG)?(?:RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?)")
_RTMIN, _RTMAX, _MAX_REAL_TIME_STEP = 34, 64, 30
_MAX_SIGNAL_DIGITS = 3
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
_FRAME_HEADER, _FRAME_SIZE = 8, 4
# An engine keeps longer lines in pieces.
_PIECE_BYTES = 16 << 10
_STREAMS = (b"\x00\0\0\0", b"\x01\0\0\0", b"\x02\0\0\0")
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


def time_ns(line: bytes) -> int:
    """When an event of any kind happened; 0 where that cannot be read."""
    try:
        return _int64(json.loads(line)["timeNano"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def snapshot(message: Mapping[str, Any]) -> Snapshot:
    """The answer to an inspect. Raises KeyError, TypeError or ValueError where it is none."""
    state, config, host = (_table(message[part]) for part in ("State", "Config", "HostConfig"))
    started = nanoseconds(state["StartedAt"])
    running = bool(state.get("Running")) and not state.get("Restarting")
    code = None if running else _code(state.get("ExitCode"))
    return Snapshot(
        container_id=_identity(message["Id"]),
        name=clean(message["Name"]).lstrip("/"),
        image=clean(config.get("Image") or message.get("Image") or ""),
        labels=_labels(_table(config.get("Labels"))),
        running=running,
        created_ns=nanoseconds(message["Created"]) or 0,
        started_ns=started,
        finished_ns=None if running else nanoseconds(state["FinishedAt"]),
        code=code,
        oom_killed=bool(state.get("OOMKilled")),
        # While --rm removes a container that could not start, its error is gone before its code.
        start_error=not running and (bool(state.get("Error")) or bool(started is None and code)),
        memory_limit_bytes=_int64(host.get("Memory") or 0) or None,
        restarts=_restarts(_int64(message.get("RestartCount") or 0), state, host),
        stop_signal=signal_number(config.get("StopSignal") or "SIGTERM") or signals.SIGTERM,
    )


def info(message: Mapping[str, Any]) -> EngineInfo:
    """The answer to ``/info``."""
    return EngineInfo(
        host=clean(message.get("Name") or "unknown"),
        version=clean(message.get("ServerVersion") or "unknown"),
        kernel=clean(message.get("KernelVersion") or ""),
        memory_bytes=_int64(message.get("MemTotal") or 0),
        time_ns=nanoseconds(message["SystemTime"]) or 0,
        id=clean(message.get("ID") or ""),
    )


def clean(value: object) -> str:
    """Text that metrics, JSON and a terminal can bear: no control characters, no surrogates."""
    return _ERASE.sub("\ufffd", str(value)[:MAX_TEXT])


def log_end(body: bytes, asked: int) -> LogEnd:
    """A log as it was written, out of its frames where it has any; it has ``asked`` pieces at most."""
    frames = _frames(body)
    # A terminal's log has no frames: there are at most as many pieces as lines, and long ones have more.
    pieces = body.count(b"\n") + len(body) // _PIECE_BYTES if frames is None else len(frames)
    text = body if frames is None else b"".join(frames)
    return LogEnd(text.decode(errors="replace"), is_whole=pieces < asked)


def _frames(body: bytes) -> list[bytes] | None:
    """Each piece without its header (its stream, three zeros, its length); None where these are no frames."""
    pieces, position = [], 0
    while position < len(body):
        stream, size = body[position : position + 4], body[position + 4 : position + _FRAME_HEADER]
        end = position + _FRAME_HEADER + int.from_bytes(size, "big")
        if stream not in _STREAMS or len(size) < _FRAME_SIZE or end > len(body):
            return None
        pieces.append(body[position + _FRAME_HEADER : end])
        position = end
    return pieces


def nanoseconds(text: object) -> int | None:
    """RFC 3339 with up to nine decimals as nanoseconds since 1970; None for the engine's zero time."""
    if not isinstance(text, str):
        raise TypeError("a time is written as text")
    whole, dot, rest = text.partition(".")
    digits = re.match(r"\d*", rest).group() if dot else ""  # type: ignore[union-attr]
    zone = rest[len(digits) :] if dot else ""
    seconds = datetime.fromisoformat(whole + zone).timestamp()
    return None if seconds <= 0 else _int64(int(seconds) * 10**9 + int(digits.ljust(9, "0")[:9]))


def seconds(at_ns: int) -> str:
    """Nanoseconds since 1970 as the engine's questions have them."""
    return f"{at_ns // 10**9}.{at_ns % 10**9:09d}"


def signal_number(value: object) -> int | None:
    """A signal by number or by name, with or without SIG; None where it is neither."""
    text = str(value).upper()
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= _MAX_SIGNAL_DIGITS else None
    real_time = _REAL_TIME.fullmatch(text)
    if real_time:
        return _real_time_signal(text, real_time)
    name = text if text.startswith("SIG") else f"SIG{text}"
    return int(signals.Signals[name]) if name in signals.Signals.__members__ else None


def _real_time_signal(text: str, found: re.Match[str]) -> int | None:
    """RTMIN+3 or RTMAX-14, by the numbers of Linux."""
    steps = int(found.group(1) or found.group(2) or 0)
    if steps >= _MAX_REAL_TIME_STEP + 1:
        return None
    return _RTMIN + steps if "RTMIN" in text else _RTMAX - steps


def _container_event(message: Mapping[str, Any]) -> Event:
    # exec_* and health_status carry command lines behind a colon; they are not ours.
    happening = _CONTAINER_ACTIONS.get(message["Action"])
    if happening is None:
        return OTHER
    actor = message["Actor"]
    attributes = _table(actor.get("Attributes"))
    return Event(
        happening=happening,
        container_id=_identity(actor["ID"]),
        at_ns=_int64(message["timeNano"]),
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


def _restarts(counted: int, state: Mapping[str, Any], host: Mapping[str, Any]) -> int:
    """How many restarts came before the run that is shown.

    The engine counts one as soon as it decides on it, before the run's end is told. What stands still and
    was not left so by its policy was stopped: in a run, or in the pause after it, when it is counted.
    """
    policy = _table(host.get("RestartPolicy"))
    left_alone = policy.get("Name") == "on-failure" and (
        not state.get("ExitCode") or counted == policy.get("MaximumRetryCount")
    )
    sure = (state.get("Running") and not state.get("Restarting")) or left_alone
    return counted if sure else max(0, counted - 1)


def _network_event(message: Mapping[str, Any]) -> Event:
    happening = _NETWORK_ACTIONS.get(message["Action"])
    container_id = _table(message["Actor"].get("Attributes")).get("container")
    if happening is None or not container_id:
        return OTHER
    return Event(happening, _identity(container_id), _int64(message["timeNano"]))


def _identity(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("an event without a container")
    return clean(value)


def _table(value: object) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeError("not a table of names and values")
    return value or {}


def _int64(value: Any) -> int:
    """A whole number as the database can hold it."""
    try:
        number = int(value)
    except OverflowError as error:
        raise ValueError("infinity is no number of anything") from error
    if not -(2**63) <= number < 2**63:
        raise ValueError("a number beyond 64 bits")
    return number


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
    return {key: clean(labels[key]) for key in KEPT if labels.get(key)}
