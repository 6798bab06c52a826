"""Query of `/events`: times and filters, parsed and rejected as engines do."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

from tests.scripted.dialect import FIRST_WITH_JSON_LINES
from tests.scripted.times import parse_seconds

Event: TypeAlias = Mapping[str, Any]
Parsed = TypeVar("Parsed")
Rejection: TypeAlias = Callable[[str, str, ValueError], tuple[int, str]]
"""Returns status and message for a parameter, its text, and the reason why it cannot be parsed."""

FUZZY_ACTIONS = {"health_status", "exec_create", "exec_start"}
"""Actions that are followed by a colon and a text: with one of them in a filter, all match by prefix."""


class RefusedQueryError(Exception):
    """The engine rejects this query."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class EventQuery:
    """Query for events; times are nanoseconds since 1970, None if not given."""

    since: int | None = None
    until: int | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def wants_replay(self) -> bool:
        """True if kept events are replayed: an engine does so only if a time is given."""
        return self.since is not None or self.until is not None

    def admits(self, event: Event | None) -> bool:
        """Return whether the filters match the event; a line that is no event always matches."""
        if event is None:
            return True
        asked = ((MATCHES[key], wanted) for key, wanted in self.filters.items() if key in MATCHES)
        return all(matches(event, wanted) for matches, wanted in asked)


def parse_query(query: Mapping[str, str], rejection: Rejection) -> EventQuery:
    """Parse the query. Raises RefusedQueryError with the engine's own text."""
    since = parsed(query, "since", parse_seconds, rejection)
    until = parsed(query, "until", parse_seconds, rejection)
    filters = parsed(query, "filters", parse_filters, rejection) or {}
    if until is not None and until < (since or 0):
        message = f"`since` time ({query['since']}) cannot be after `until` time ({query['until']})"
        raise RefusedQueryError(HTTPStatus.BAD_REQUEST, message)
    return EventQuery(since, until, filters)


def parsed(
    query: Mapping[str, str], key: str, parse: Callable[[str], Parsed], rejection: Rejection
) -> Parsed | None:
    """Parse a parameter, None if it is not given."""
    text = query.get(key, "")
    try:
        return parse(text) if text else None
    except ValueError as cause:
        raise RefusedQueryError(*rejection(key, text, cause)) from cause


def rejection_of(version: tuple[int, ...]) -> Rejection:
    """Return the function that rejects a parameter in this version."""
    return new_rejection if version >= FIRST_WITH_JSON_LINES else old_rejection


def old_rejection(_key: str, _text: str, cause: ValueError) -> tuple[int, str]:
    """Return a server error with Go's own text."""
    return HTTPStatus.INTERNAL_SERVER_ERROR, str(cause)


def new_rejection(key: str, text: str, _cause: ValueError) -> tuple[int, str]:
    """Return a client error that names the parameter."""
    if key == "filters":
        return HTTPStatus.BAD_REQUEST, "invalid filter"
    seconds, _, fraction = text.partition(".")
    where = f'invalid seconds "{seconds}": invalid syntax'
    if seconds.isdigit():
        place, wrong = next((place, each) for place, each in enumerate(fraction) if not each.isdigit())
        where = f"invalid nanoseconds: invalid character '{wrong}' at position {place}"
    return HTTPStatus.BAD_REQUEST, f"invalid value for '{key}': invalid timestamp \"{text}\": {where}"


def parse_filters(text: str) -> dict[str, tuple[str, ...]]:
    """Parse filters in both forms that engines accept: lists, and objects with true."""
    filters: Mapping[str, Iterable[str]] = parse_json(text)
    if not isinstance(filters, dict):
        message = "filters are no object"
        raise ValueError(message)  # noqa: TRY004 - refused like any other value that cannot be read
    return {key: tuple(wanted) for key, wanted in filters.items()}


def parse_json(text: str) -> Any:
    """Parse JSON. Raises ValueError with Go's own text if the first character is wrong."""
    try:
        return json.loads(text)
    except ValueError as cause:
        message = f"invalid character '{text[0]}' looking for beginning of value"
        raise ValueError(message) from cause


def type_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Return whether the event has a wanted type."""
    return event.get("Type") in wanted


def action_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Return whether the event's action is a wanted one, or begins like one if prefixes match."""
    action = str(event.get("Action"))
    return action.startswith(wanted) if FUZZY_ACTIONS & set(wanted) else action in wanted


def container_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Return whether the actor's id or name begins as wanted."""
    actor = table_in(event, "Actor")
    names = (str(actor.get("ID", "")), str(table_in(actor, "Attributes").get("name", "")))
    return any(name.startswith(wanted) for name in names)


def label_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Return whether the actor has every wanted label, with its value if one is given."""
    attributes = table_in(table_in(event, "Actor"), "Attributes")
    pairs = {f"{key}={value}" for key, value in attributes.items()}
    return all(label in pairs or label in attributes for label in wanted)


def table_in(value: Event, key: str) -> Event:
    """Return the object under a key, an empty one if there is none: a test may emit any shape."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


MATCHES: Mapping[str, Callable[[Event, tuple[str, ...]], bool]] = {
    "type": type_matches,
    "event": action_matches,
    "container": container_matches,
    "label": label_matches,
}
"""Filters of the scripted engine; any other is ignored, as an unknown one on a real engine."""
