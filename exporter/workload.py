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
_IMAGE_ID = re.compile(r"^(sha256:[0-9a-f]{1,64}|[0-9a-f]{12,64})$")
# An engine takes any beginning of an id; but a name may be written so, too.
_MAYBE_ID = re.compile(r"^[0-9a-f]{1,11}$")


class Source(StrEnum):
    """Where a workload's name may come from."""

    LABEL = "label"
    SWARM = "swarm"
    COMPOSE = "compose"
    IMAGE = "image"


DEFAULT_ORDER: tuple[str, ...] = (Source.LABEL, Source.SWARM, Source.COMPOSE, Source.IMAGE)
# In front of the name of any label, which is a source too.
ANY_LABEL = "label:"
_ONE_OFF = " (run)"
# What stands for a character that is not seen.
_REPLACEMENT = "\ufffd"


def source(text: str) -> str:
    """A source of names as it is written in an order. Raises ValueError where it is none."""
    if text in [*Source]:
        return text
    if not text.startswith(ANY_LABEL):
        raise ValueError(f"{text!r} is none of {', '.join(Source)} and {ANY_LABEL}NAME")
    label = text.removeprefix(ANY_LABEL)
    if not label or label != label.strip():
        raise ValueError(f"{text!r} names no label; write {ANY_LABEL}com.example.job")
    if label in labels.ENGINES_OWN:
        raise ValueError(f"{text!r}: engines have an attribute of that name; choose another label")
    return text


def labels_kept(order: Iterable[str]) -> tuple[str, ...]:
    """The labels that are kept of a container: those that mean something always, and those of ``order``."""
    named = (source.removeprefix(ANY_LABEL) for source in order if source.startswith(ANY_LABEL))
    return tuple(dict.fromkeys([*labels.KEPT, *named]))


def repository(image: str) -> str:
    """The image's repository without tag or digest; what may be the beginning of an id is unnamed."""
    if not image or _IMAGE_ID.match(image) or may_be_id(image):
        return UNNAMED
    return _TAG.sub("", image.partition("@")[0])[:MAX_LENGTH] or UNNAMED


def may_be_id(image: str) -> bool:
    """Whether this is the beginning of an id, or a name that looks like one (``cafe``)."""
    return bool(_MAYBE_ID.match(image))


def tag(image: str) -> str | None:
    """The image's tag; None where it is not said."""
    found = None if _IMAGE_ID.match(image) else _TAG.search(image.partition("@")[0])
    return found.group()[1:] if found else None


def workload_of(
    given: Mapping[str, str], image: str, order: Iterable[str] = DEFAULT_ORDER, *, known_as: str = ""
) -> Workload:
    """The workload by the first source of ``order`` that names one; ``given`` are the labels.

    ``known_as`` is the image's repository, where the engine has told it.
    """
    short = known_as or repository(image)
    for source in order:
        name = _name(source, given, short)
        if name:
            return Workload(name[:MAX_LENGTH], short)
    return Workload(short, short)


def _name(source: str, given: Mapping[str, str], image: str) -> str:
    if source.startswith(ANY_LABEL):
        return _value(given, source.removeprefix(ANY_LABEL))
    return _SOURCES[Source(source)](given, image)


def _value(given: Mapping[str, str], label: str) -> str:
    """A label's value without white space around it; one of nothing that is seen is none."""
    value = given.get(label, "").strip()
    return value if value.replace(_REPLACEMENT, "").strip() else ""


def _compose(given: Mapping[str, str], _image: str) -> str:
    """The service; a one-off run of it is a workload of its own: it neither hides a crash loop nor is one."""
    project, service = _value(given, labels.COMPOSE_PROJECT), _value(given, labels.COMPOSE_SERVICE)
    if not (project and service):
        return ""
    if _value(given, labels.COMPOSE_ONE_OFF).casefold() != "true":
        return f"{project}/{service}"
    return f"{project}/{service}"[: MAX_LENGTH - len(_ONE_OFF)] + _ONE_OFF


_SOURCES: Mapping[Source, Callable[[Mapping[str, str], str], str]] = {
    Source.LABEL: lambda given, _image: _value(given, labels.WORKLOAD),
    Source.SWARM: lambda given, _image: _value(given, labels.SWARM_SERVICE),
    Source.COMPOSE: _compose,
    Source.IMAGE: lambda _given, image: image,
}
