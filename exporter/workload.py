"""Workload of a container: a name with few values, from its labels or its image. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache

from exporter import labels
from exporter.model import Workload
from exporter.redaction import quoted

UNNAMED = "unnamed"
MAX_LENGTH = 200

# A tag follows the last colon, unless that colon belongs to the port of a registry.
_TAG = re.compile(r":[^:/]+$")
_IMAGE_ID = re.compile(r"^(sha256:[0-9a-f]{1,64}|[0-9a-f]{12,64})$")
# dstack names a run so if its user does not: two words and a number.
_GENERATED_RUN_NAME = re.compile(r"[a-z]{3,}-[a-z]{3,}-\d+")
# An engine accepts any prefix of an id, but a name can look like that, too.
_MAYBE_ID = re.compile(r"^[0-9a-f]{1,11}$")


class WorkloadSource(StrEnum):
    """Source of a workload's name."""

    LABEL = "label"
    DSTACK = "dstack"
    SWARM = "swarm"
    COMPOSE = "compose"
    IMAGE = "image"


DEFAULT_ORDER: tuple[str, ...] = (
    WorkloadSource.LABEL,
    WorkloadSource.DSTACK,
    WorkloadSource.SWARM,
    WorkloadSource.COMPOSE,
    WorkloadSource.IMAGE,
)
# Prefix of a source that is the label of that name.
ANY_LABEL = "label:"
_ONE_OFF = " (run)"
# Replacement for an invisible character.
_REPLACEMENT = "\ufffd"


def parse_source(text: str) -> str:
    """Return a source as it is written in an order. Raises ValueError if it is not one."""
    if text in [*WorkloadSource]:
        return text
    if not text.startswith(ANY_LABEL):
        raise ValueError(f"{quoted(text)} is none of {', '.join(WorkloadSource)} and {ANY_LABEL}NAME")
    label = text.removeprefix(ANY_LABEL)
    if not label or label != label.strip():
        raise ValueError(f"{text!r} names no label; write {ANY_LABEL}com.example.job")
    if label in labels.ENGINES_OWN:
        raise ValueError(f"{text!r}: engines have an attribute of that name; choose another label")
    return text


def labels_kept(order: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the labels to keep: those with a meaning, and those that ``order`` names."""
    named = (source.removeprefix(ANY_LABEL) for source in order if source.startswith(ANY_LABEL))
    return tuple(dict.fromkeys([*labels.KEPT, *named]))


@lru_cache(maxsize=256)
def repository(image: str) -> str:
    """Return the repository of an image reference, ``unnamed`` for an id or what can be the prefix of one."""
    if not image or _IMAGE_ID.match(image) or may_be_id(image):
        return UNNAMED
    return _TAG.sub("", image.partition("@")[0])[:MAX_LENGTH] or UNNAMED


def may_be_id(image: str) -> bool:
    """Return whether this is the prefix of an id, or a name that looks like one (``cafe``)."""
    return bool(_MAYBE_ID.match(image))


def tag(image: str) -> str | None:
    """Return the tag of an image reference, None without one."""
    found = None if _IMAGE_ID.match(image) else _TAG.search(image.partition("@")[0])
    return found.group()[1:] if found else None


def workload_of(
    given: Mapping[str, str],
    image: str,
    order: Iterable[str] = DEFAULT_ORDER,
    *,
    known_as: str = "",
    run: str = "",
) -> Workload:
    """Return the workload by the first source in ``order`` that has a name; ``given`` are the labels.

    ``known_as`` is the repository of the image if the engine has reported it, ``run`` the name of dstack's
    run.
    """
    return _first_named(tuple(given.items()), known_as or repository(image), tuple(order), run)


# Most jobs have the labels of an earlier one, and share its value then.
@lru_cache(maxsize=1024)
def _first_named(
    labels: tuple[tuple[str, str], ...], image: str, order: tuple[str, ...], run: str
) -> Workload:
    given = dict(labels)
    for source in order:
        name = _run_name(run) if source == WorkloadSource.DSTACK else _name(source, given, image)
        if name:
            return Workload(name[:MAX_LENGTH], image)
    return Workload(image, image)


def _name(source: str, given: Mapping[str, str], image: str) -> str:
    match source:
        case WorkloadSource.LABEL:
            return _value(given, labels.WORKLOAD)
        case WorkloadSource.SWARM:
            return _value(given, labels.SWARM_SERVICE)
        case WorkloadSource.COMPOSE:
            return _compose_service(given)
        case WorkloadSource.IMAGE:
            return image
        case _:
            return _value(given, source.removeprefix(ANY_LABEL))


def _run_name(run: str) -> str:
    """Return the name of a run, empty for one that dstack has made up.

    Such a name is new with each run: as workloads, they would fill the limit and have one exit each.
    """
    return "" if _GENERATED_RUN_NAME.fullmatch(run) else run


def _value(given: Mapping[str, str], label: str) -> str:
    """Return the stripped value of a label, empty if no character of it is visible."""
    value = given.get(label, "").strip()
    return value if value.replace(_REPLACEMENT, "").strip() else ""


def _compose_service(given: Mapping[str, str]) -> str:
    """Return project and service. One-off runs have a name of their own, as they are no restarts of it."""
    project, service = _value(given, labels.COMPOSE_PROJECT), _value(given, labels.COMPOSE_SERVICE)
    if not (project and service):
        return ""
    if _value(given, labels.COMPOSE_ONE_OFF).casefold() != "true":
        return f"{project}/{service}"
    return f"{project}/{service}"[: MAX_LENGTH - len(_ONE_OFF)] + _ONE_OFF
