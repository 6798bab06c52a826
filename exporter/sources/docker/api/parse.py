"""Messages of a Docker Engine: JSON in, values of ``engine`` out. Pure.

Source: the Engine API, and what engines were seen to send. Text from labels is sanitized here: a lone
surrogate or a megabyte of text must not reach a metric or the store.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from exporter.labels import KEPT
from exporter.sources.docker.api import fields
from exporter.sources.docker.api.scalars import (
    exit_code,
    int64,
    mapping,
    parse_time,
    positive,
    shared,
    signal_number,
    single_line,
)
from exporter.sources.docker.engine import EngineInfo, Event, EventType, Inspection, MaskedField
from exporter.text import sanitize, sanitize_error

# Engines merge a container's labels over their own attributes of an event. In an event to which one of these
# attributes does not belong, it is a label, which also overwrites the engine's own attribute in the events to
# which it does belong. (Except containerExitCode: Podman up to 4 writes it into every event.)
_MASKABLE = {
    "exitCode": (EventType.DIE, MaskedField.CODE),
    "signal": (EventType.KILL, MaskedField.SIGNAL),
}
_NO_FIELDS: frozenset[MaskedField] = frozenset()
_CONTAINER_ACTIONS = {
    "create": EventType.CREATE,
    "start": EventType.START,
    "oom": EventType.OOM,
    "kill": EventType.KILL,
    "die": EventType.DIE,
    "died": EventType.DIE,
    "stop": EventType.STOP,
    "update": EventType.UPDATE,
    # In full: the engine's event filter compares whole actions.
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
_HEALTH_ACTIONS = {f"health_status: {status}": healthy for status, healthy in _HEALTH.items()}
_IMAGE_ID = re.compile("(sha256:)?[0-9a-f]{64}")
_DIGEST = re.compile("[^@<>]+@sha256:[0-9a-f]{64}")
_MAX_DIGESTS = 10
# Engines up to 24 send "<none>:<none>" for an image without a tag.
_NO_TAG = "<none>"
_FIRST_WITH_LATE_NETWORK_CONNECT = 28
# Stop timeout -1 means no timeout.
_NO_TIMEOUT_SECONDS = 10 * 365 * 86_400
ACTIONS = (*_CONTAINER_ACTIONS, *_NETWORK_ACTIONS)
MALFORMED = Event(EventType.MALFORMED)
OTHER = Event(EventType.OTHER)


def event(line: bytes, labels: Iterable[str] = KEPT) -> Event:
    """Return one line of the event stream: MALFORMED if unreadable, OTHER if it does not concern exits.

    ``labels`` are the names of the labels to keep.
    """
    try:
        message = fields.event(line)
        kind = message["Type"]
        if kind == "container":
            return _container_event(message, labels)
        if kind == "network":
            return _network_event(message)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return MALFORMED
    return OTHER


def event_time_ns(line: bytes) -> int:
    """Return the time of an event of any type; 0 if unreadable."""
    try:
        return int64(fields.event_time(line)["timeNano"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def inspection(message: Mapping[str, Any], labels: Iterable[str] = KEPT) -> Inspection:
    """Return the state of a container. Raises KeyError, TypeError or ValueError if unreadable."""
    state, config = mapping(message["State"]), mapping(message["Config"])
    host = mapping(message["HostConfig"])
    started, finished = parse_time(state["StartedAt"]), parse_time(state["FinishedAt"])
    running = bool(state.get("Running")) and not state.get("Restarting")
    code = None if running else exit_code(state.get("ExitCode"))
    error = "" if running else sanitize_error(single_line(state.get("Error")))
    healthy, health_output = _health(mapping(state.get("Health")))
    return Inspection(
        container_id=_container_id(message["Id"]),
        name=sanitize(message["Name"]).lstrip("/"),
        image=shared(sanitize(config.get("Image") or message.get("Image") or "")),
        labels=_labels(mapping(config.get("Labels")), labels),
        running=running,
        created_ns=parse_time(message["Created"]) or 0,
        started_ns=started,
        finished_ns=None if running else finished,
        previous_finished_ns=finished if running else None,
        code=code,
        oom_killed=bool(state.get("OOMKilled")),
        # While --rm removes a container that could not start, its error disappears before its code.
        start_failed=bool(error) or bool(started is None and code),
        error=error,
        memory_limit_bytes=int64(host.get("Memory") or 0) or None,
        cgroup_parent=sanitize(host.get("CgroupParent") or ""),
        oom_kill_disabled=bool(host.get("OomKillDisable")),
        pids_limit=positive(host.get("PidsLimit")),
        restarts=_restarts(int64(message.get("RestartCount") or 0), state, host),
        stop_signal=signal_number(config.get("StopSignal") or "SIGTERM") or signal.SIGTERM,
        stop_seconds=_stop_seconds(config.get("StopTimeout")),
        pid=positive(state.get("Pid")) if running else None,
        healthy=healthy,
        health_output=health_output,
        image_id=shared(_image_id(message)),
    )


def image_name(message: Mapping[str, Any]) -> str:
    """Return the first tag of an inspected image, else its first digest, else an empty text."""
    for names in ("RepoTags", "RepoDigests"):
        named = [str(name) for name in message.get(names) or () if not str(name).startswith(_NO_TAG)]
        if named:
            return sanitize(min(named))
    return ""


def image_digests(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the digests of an inspected image, each with its repository, sorted; a local image has none."""
    given = [str(digest) for digest in message.get("RepoDigests") or ()]
    return tuple(sanitize(digest) for digest in sorted(given) if is_digest(digest))[:_MAX_DIGESTS]


def is_digest(name: str) -> bool:
    """Return whether a name of an image is its digest with a repository."""
    return _DIGEST.fullmatch(name) is not None


def is_id_prefix(name: str, image_id: str) -> bool:
    """Return whether a container's image was given by its id, or by the beginning of that."""
    return image_id.removeprefix("sha256:").startswith(name.removeprefix("sha256:"))


def info(message: Mapping[str, Any]) -> EngineInfo:
    """Return the identity of an engine. Raises KeyError, TypeError or ValueError if unreadable."""
    version = str(message.get("ServerVersion") or "")
    return EngineInfo(
        host=sanitize(message.get("Name") or "unknown"),
        version=sanitize(version or "unknown"),
        kernel=sanitize(message.get("KernelVersion") or ""),
        memory_bytes=int64(message.get("MemTotal") or 0),
        time_ns=parse_time(message["SystemTime"]) or 0,
        id=sanitize(message.get("ID") or ""),
        late_network_connect=_has_late_network_connect(version),
    )


def _has_late_network_connect(version: str) -> bool:
    """Return true for Docker 28.0 and newer; a version without a number is a build of something newer."""
    major = version.partition(".")[0]
    return not major.isdecimal() or int(major) >= _FIRST_WITH_LATE_NETWORK_CONNECT


def _image_id(message: Mapping[str, Any]) -> str:
    given = str(message.get("Image") or "")
    return given if _IMAGE_ID.fullmatch(given) else ""


def _health(health: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Return the health of a container, and the output of its latest failed check."""
    log = health.get("Log") or ()
    failed = [probe for probe in log if isinstance(probe, dict) and probe.get("ExitCode")]
    output = sanitize(single_line(failed[-1].get("Output"))) if failed else ""
    return _HEALTH.get(str(health.get("Status"))), output


def _stop_seconds(value: object) -> int | None:
    if value is None:
        return None
    number = int64(value)
    return number if number >= 0 else _NO_TIMEOUT_SECONDS


def _restarts(counted: int, state: Mapping[str, Any], host: Mapping[str, Any]) -> int:
    """Return the number of restarts before the run that the inspection shows.

    The engine counts a restart when it decides on it, before the end of the run is reported. A container that
    neither runs nor was left alone by its restart policy was stopped by hand: during a run, or during the
    pause after it, when the next restart is already counted.
    """
    policy = mapping(host.get("RestartPolicy"))
    is_restarting = bool(state.get("Restarting"))
    left_alone = policy.get("Name") == "on-failure" and (
        not state.get("ExitCode") or counted == policy.get("MaximumRetryCount")
    )
    is_exact = not is_restarting and (state.get("Running") or left_alone)
    return counted if is_exact else max(0, counted - 1)


def _container_event(message: Mapping[str, Any], wanted: Iterable[str]) -> Event:
    # The actions exec_* have a command line after a colon; they are not in the table.
    action = message["Action"]
    event_type = _CONTAINER_ACTIONS.get(action)
    if event_type is None:
        return OTHER
    actor = message["Actor"]
    attributes = mapping(actor.get("Attributes"))
    return Event(
        type=event_type,
        container_id=_container_id(actor["ID"]),
        at_ns=int64(message["timeNano"]),
        name=sanitize(attributes.get("name", "")),
        image=shared(sanitize(attributes.get("image", ""))),
        labels=_labels(attributes, wanted),
        code=_event_code(attributes) if event_type is EventType.DIE else None,
        signal=signal_number(attributes.get("signal", "")) if event_type is EventType.KILL else None,
        healthy=_HEALTH_ACTIONS.get(action),
        masked_fields=_masked_fields(attributes, event_type),
    )


def _masked_fields(attributes: Mapping[str, Any], event_type: EventType) -> frozenset[MaskedField]:
    masked = _NO_FIELDS
    for key, (owner, field) in _MASKABLE.items():
        if key in attributes and event_type is not owner:
            masked |= {field}
    return masked


def _network_event(message: Mapping[str, Any]) -> Event:
    event_type = _NETWORK_ACTIONS.get(message["Action"])
    actor = message["Actor"]
    container_id = mapping(actor.get("Attributes")).get("container")
    if event_type is None or not container_id:
        return OTHER
    at_ns, network = int64(message["timeNano"]), sanitize(actor.get("ID") or "")
    return Event(event_type, _container_id(container_id), at_ns, network=network)


def _container_id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a container without an id")
    return sanitize(value)


def _event_code(attributes: Mapping[str, Any]) -> int | None:
    return exit_code(attributes.get("exitCode", attributes.get("containerExitCode")))


def _labels(labels: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, str]:
    kept = {}
    for key in wanted:
        if key in labels and (value := str(labels[key] or "").strip()):
            kept[key] = shared(sanitize(value))
    return kept
