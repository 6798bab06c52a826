"""What a job is an instance of: a name with few values, out of labels and the image. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from exporter import labels
from exporter.model import Workload

UNNAMED = "unnamed"
MAX_LENGTH = 200

# A tag stands behind the last colon, unless that colon belongs to a registry's port.
_TAG = re.compile(r":[^:/]+$")
_IMAGE_ID = re.compile(r"^(sha256:)?[0-9a-f]{12,64}$")


class Source(StrEnum):
    """Where a workload's name may come from."""

    LABEL = "label"
    SWARM = "swarm"
    COMPOSE = "compose"
    IMAGE = "image"


DEFAULT_ORDER = (Source.LABEL, Source.SWARM, Source.COMPOSE, Source.IMAGE)


def repository(image: str) -> str:
    """The image's repository without tag or digest; an image known by its id alone is unnamed."""
    if not image or _IMAGE_ID.match(image):
        return UNNAMED
    return _TAG.sub("", image.partition("@")[0])[:MAX_LENGTH] or UNNAMED


def tag(image: str) -> str | None:
    """The image's tag; None where it is not said."""
    found = None if _IMAGE_ID.match(image) else _TAG.search(image.partition("@")[0])
    return found.group()[1:] if found else None


def workload_of(given: Mapping[str, str], image: str, order: Iterable[Source] = DEFAULT_ORDER) -> Workload:
    """The workload by the first source of ``order`` that names one; ``given`` are the labels."""
    short = repository(image)
    for source in order:
        name = _SOURCES[source](given, short)
        if name:
            return Workload(name[:MAX_LENGTH], short)
    return Workload(short, short)


def _compose(given: Mapping[str, str], _image: str) -> str:
    project, service = given.get(labels.COMPOSE_PROJECT, ""), given.get(labels.COMPOSE_SERVICE, "")
    return f"{project}/{service}" if project and service else ""


_SOURCES: Mapping[Source, Callable[[Mapping[str, str], str], str]] = {
    Source.LABEL: lambda given, _image: given.get(labels.WORKLOAD, ""),
    Source.SWARM: lambda given, _image: given.get(labels.SWARM_SERVICE, ""),
    Source.COMPOSE: _compose,
    Source.IMAGE: lambda _given, image: image,
}
