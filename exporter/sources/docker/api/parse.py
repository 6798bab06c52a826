"""What a Docker Engine's messages mean: JSON in, the port's values out. Pure.

Source: the Engine API and what engines were seen to send. Values from labels are cleaned at this
door: a lone surrogate or a megabyte of text must not reach a metric or the store.
"""

from __future__ import annotations

import json
import re
import signal as signals
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from exporter.labels import KEPT
from exporter.model import SECOND_NS
from exporter.sources.docker.engine import EngineInfo, Event, EventType, Inspection, MaskedField, RawLogTail
from exporter.text import clean, clean_error

_CODE_ATTRIBUTES = ("exitCode", "containerExitCode")
# Engines merge a container's labels over their own attributes of an event. Where one of these
# stands in an event to which it does not belong, it is a label, and hides the engine's own. (Not so
# containerExitCode: Podman up to 4 writes it into every event by itself.)
_SHADOWS = {
    "exitCode": (EventType.DIE, MaskedField.CODE),
    "signal": (EventType.KILL, MaskedField.SIGNAL),
}
_REAL_TIME = re.compile(r"(?:SIG)?(?:RTMIN(?:\+(\d{1,2}))?|RTMAX(?:-(\d{1,2}))?)")
_RTMIN, _RTMAX, _MAX_REAL_TIME_STEP = 34, 64, 30
_MAX_SIGNAL_DIGITS = 3
_CONTAINER_ACTIONS = {
    "create": EventType.CREATE,
    "start": EventType.START,
    "oom": EventType.OOM,
    "kill": EventType.KILL,
    "die": EventType.DIE,
    "died": EventType.DIE,
    "stop": EventType.STOP,
    "update": EventType.UPDATE,
    # Whole: an engine matches what it is asked for by whole actions.
    "health_status: healthy": EventType.HEALTH,
    "health_status: unhealthy": EventType.HEALTH,
    "rename": EventType.RENAME,
    "destroy": EventType.DESTROY,
    "remove": EventType.DESTROY,
}
_NETWORK_ACTIONS = {
    "connect": EventType.START_ATTEMPT,
    "disconnect": EventType.START_ATTEMPT_OVER,
}
_HEALTH = {"healthy": True, "unhealthy": False}
_IMAGE_ID = re.compile("(sha256:)?[0-9a-f]{64}")
# Engines up to 24 say so of what has no tag.
_NAMELESS = "<none>"
_FIRST_TO_JOIN_LATE = 28
_FOR_EVER_SECONDS = 10 * 365 * 86_400
_FRAME_HEADER, _FRAME_SIZE = 8, 4
# An engine keeps longer lines in pieces.
_PIECE_BYTES = 16 << 10
_STREAMS = (b"\x00\0\0\0", b"\x01\0\0\0", b"\x02\0\0\0")
ACTIONS = (*_CONTAINER_ACTIONS, *_NETWORK_ACTIONS)
MALFORMED = Event(EventType.MALFORMED)
OTHER = Event(EventType.OTHER)


def event(line: bytes, kept: Iterable[str] = KEPT) -> Event:
    """One line of the stream; what cannot be read is MALFORMED, what is not ours OTHER.

    ``kept`` are the labels that are wanted, here and of a snapshot.
    """
    try:
        message = json.loads(line)
        kind = message["Type"]
        if kind == "container":
            return _container_event(message, kept)
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


def inspection(message: Mapping[str, Any], kept: Iterable[str] = KEPT) -> Inspection:
    """The answer to an inspect. Raises KeyError, TypeError or ValueError where it is none."""
    state, config, host = (_table(message[part]) for part in ("State", "Config", "HostConfig"))
    started, finished = nanoseconds(state["StartedAt"]), nanoseconds(state["FinishedAt"])
    running = bool(state.get("Running")) and not state.get("Restarting")
    code = None if running else _code(state.get("ExitCode"))
    error = "" if running else clean_error(_line(state.get("Error")))
    healthy, health_output = _health(_table(state.get("Health")))
    return Inspection(
        container_id=_identity(message["Id"]),
        name=clean(message["Name"]).lstrip("/"),
        image=clean(config.get("Image") or message.get("Image") or ""),
        labels=_labels(_table(config.get("Labels")), kept),
        running=running,
        created_ns=nanoseconds(message["Created"]) or 0,
        started_ns=started,
        finished_ns=None if running else finished,
        previous_finished_ns=finished if running else None,
        code=code,
        oom_killed=bool(state.get("OOMKilled")),
        # While --rm removes a container that could not start, its error is gone before its code.
        start_failed=bool(error) or bool(started is None and code),
        error=error,
        memory_limit_bytes=_int64(host.get("Memory") or 0) or None,
        cgroup_parent=clean(host.get("CgroupParent") or ""),
        oom_kill_disabled=bool(host.get("OomKillDisable")),
        pids_limit=_limit(host.get("PidsLimit")),
        restarts=_restarts(_int64(message.get("RestartCount") or 0), state, host),
        stop_signal=signal_number(config.get("StopSignal") or "SIGTERM") or signals.SIGTERM,
        stop_seconds=_stop_seconds(config.get("StopTimeout")),
        pid=_limit(state.get("Pid")) if running else None,
        healthy=healthy,
        health_output=health_output,
    )


def _health(health: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether its health check succeeds, and what the last one that failed printed."""
    log = health.get("Log") or ()
    failed = [probe for probe in log if isinstance(probe, dict) and probe.get("ExitCode")]
    return _HEALTH.get(str(health.get("Status"))), clean(_line(failed[-1].get("Output"))) if failed else ""


def _line(text: object) -> str:
    """Text of several lines as one."""
    return " ".join(str(text or "").split())


def _stop_seconds(value: object) -> int | None:
    """How long it is given to stop; None for the engine's default. -1 is for ever."""
    if value is None:
        return None
    number = _int64(value)
    return number if number >= 0 else _FOR_EVER_SECONDS


def _limit(value: object) -> int | None:
    """A number above 0; None where there is none, or it means that there is no limit."""
    number = _int64(value or 0)  # -1 of a limit is none
    return number if number > 0 else None


def image_asked(message: Mapping[str, Any]) -> str:
    """By which id to ask for the image of an inspected container; empty where that was started by a name.

    Started by an id, or by the beginning of one, a container knows its image by nothing else.
    """
    image_id, given = _image(message)
    return image_id if image_id.removeprefix("sha256:").startswith(given.removeprefix("sha256:")) else ""


def image_called(message: Mapping[str, Any]) -> str:
    """The name by which an inspected container was started; empty where that is, or may be, an id."""
    image_id, given = _image(message)
    return clean(given) if image_id and not image_asked(message) else ""


def _image(message: Mapping[str, Any]) -> tuple[str, str]:
    """The image's id, empty where it is none, and what was given for it."""
    image_id, given = str(message.get("Image") or ""), str(_table(message["Config"]).get("Image") or "")
    return image_id if _IMAGE_ID.fullmatch(image_id) else "", given


def image_name(message: Mapping[str, Any]) -> str:
    """The answer about an image: its first tag, else its first digest; empty where it has neither."""
    for names in ("RepoTags", "RepoDigests"):
        named = [str(name) for name in message.get(names) or () if not str(name).startswith(_NAMELESS)]
        if named:
            return clean(min(named))
    return ""


def info(message: Mapping[str, Any]) -> EngineInfo:
    """The answer to ``/info``."""
    return EngineInfo(
        host=clean(message.get("Name") or "unknown"),
        version=clean(message.get("ServerVersion") or "unknown"),
        kernel=clean(message.get("KernelVersion") or ""),
        memory_bytes=_int64(message.get("MemTotal") or 0),
        time_ns=nanoseconds(message["SystemTime"]) or 0,
        id=clean(message.get("ID") or ""),
        late_network_connect=_late_network_connect(str(message.get("ServerVersion") or "")),
    )


def _late_network_connect(version: str) -> bool:
    """Docker since 28.0; what has no number is a build of something newer."""
    major = version.partition(".")[0]
    return not major.isdecimal() or int(major) >= _FIRST_TO_JOIN_LATE


def log_end(body: bytes, asked: int) -> RawLogTail:
    """A log as it was written, out of its frames where it has any; it has ``asked`` pieces at most."""
    frames = _frames(body)
    # A terminal's log has no frames: there are at most as many pieces as lines, and long ones have more.
    pieces = body.count(b"\n") + len(body) // _PIECE_BYTES if frames is None else len(frames)
    text = body if frames is None else b"".join(frames)
    return RawLogTail(text.decode(errors="replace"), is_whole=pieces < asked)


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
    return None if seconds <= 0 else _int64(int(seconds) * SECOND_NS + int(digits.ljust(9, "0")[:9]))


def seconds(at_ns: int) -> str:
    """Nanoseconds since 1970 as the engine's questions have them."""
    return f"{at_ns // SECOND_NS}.{at_ns % SECOND_NS:09d}"


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


def _container_event(message: Mapping[str, Any], kept: Iterable[str]) -> Event:
    # exec_* carry command lines behind a colon; they are not ours.
    action = message["Action"]
    event_type = _CONTAINER_ACTIONS.get(action)
    if event_type is None:
        return OTHER
    actor = message["Actor"]
    attributes = _table(actor.get("Attributes"))
    return Event(
        type=event_type,
        container_id=_identity(actor["ID"]),
        at_ns=_int64(message["timeNano"]),
        name=clean(attributes.get("name", "")),
        image=clean(attributes.get("image", "")),
        labels=_labels(attributes, kept),
        code=_event_code(attributes) if event_type is EventType.DIE else None,
        signal=signal_number(attributes.get("signal", "")) if event_type is EventType.KILL else None,
        healthy=_HEALTH.get(action.rpartition(" ")[2]),
        masked_fields=frozenset(
            masked_fields
            for key, (owner, masked_fields) in _SHADOWS.items()
            if key in attributes and event_type is not owner
        ),
    )


def _restarts(counted: int, state: Mapping[str, Any], host: Mapping[str, Any]) -> int:
    """How many restarts came before the run that is shown.

    The engine counts one as soon as it decides on it, before the run's end is told. What stands still and
    was not left so by its policy was stopped: in a run, or in the pause after it, when it is counted.
    """
    policy = _table(host.get("RestartPolicy"))
    is_restarting = bool(state.get("Restarting"))
    left_alone = policy.get("Name") == "on-failure" and (
        not state.get("ExitCode") or counted == policy.get("MaximumRetryCount")
    )
    sure = not is_restarting and (state.get("Running") or left_alone)
    return counted if sure else max(0, counted - 1)


def _network_event(message: Mapping[str, Any]) -> Event:
    event_type = _NETWORK_ACTIONS.get(message["Action"])
    actor = message["Actor"]
    container_id = _table(actor.get("Attributes")).get("container")
    if event_type is None or not container_id:
        return OTHER
    at_ns, network = _int64(message["timeNano"]), clean(actor.get("ID") or "")
    return Event(event_type, _identity(container_id), at_ns, network=network)


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


def _labels(labels: Mapping[str, Any], kept: Iterable[str]) -> dict[str, str]:
    given = {key: str(labels.get(key) or "").strip() for key in kept}
    return {key: clean(value) for key, value in given.items() if value}
