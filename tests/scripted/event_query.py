"""What a client asks of `/events`: from when, until when, of which kind; read and refused as engines do."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

from tests.scripted.dialect import FIRST_WITH_JSON_LINES
from tests.scripted.times import parse_seconds

Event: TypeAlias = Mapping[str, Any]
Parsed = TypeVar("Parsed")
Wording: TypeAlias = Callable[[str, str, ValueError], tuple[int, str]]
"""Gives status and message for a parameter, its text, and why it cannot be read."""

FUZZY_ACTIONS = {"health_status", "exec_create", "exec_start"}
"""Actions that are followed by a colon and a text: asking for one of them turns prefixes on for all."""


class RefusedQueryError(Exception):
    """The engine answers this query with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class EventQuery:
    """A query for events; times are nanoseconds since 1970, None where not given."""

    since: int | None = None
    until: int | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def wants_replay(self) -> bool:
        """Whether the ring is replayed at all: an engine does so only when asked about a time."""
        return self.since is not None or self.until is not None

    def admits(self, event: Event | None) -> bool:
        """Whether the filters let the event pass; a line that is no event always does."""
        if event is None:
            return True
        asked = ((MATCHES[key], wanted) for key, wanted in self.filters.items() if key in MATCHES)
        return all(matches(event, wanted) for matches, wanted in asked)


def parse_query(query: Mapping[str, str], wording: Wording) -> EventQuery:
    """Read the query, or raise RefusedQueryError with the engine's own words."""
    since = parsed(query, "since", parse_seconds, wording)
    until = parsed(query, "until", parse_seconds, wording)
    filters = parsed(query, "filters", parse_filters, wording) or {}
    if until is not None and until < (since or 0):
        message = f"`since` time ({query['since']}) cannot be after `until` time ({query['until']})"
        raise RefusedQueryError(HTTPStatus.BAD_REQUEST, message)
    return EventQuery(since, until, filters)


def parsed(
    query: Mapping[str, str], key: str, parse: Callable[[str], Parsed], wording: Wording
) -> Parsed | None:
    """Read a parameter, None where it was not given."""
    text = query.get(key, "")
    try:
        return parse(text) if text else None
    except ValueError as cause:
        raise RefusedQueryError(*wording(key, text, cause)) from cause


def wording_of(version: tuple[int, ...]) -> Wording:
    """Give how an engine of this version refuses a parameter."""
    return new_words if version >= FIRST_WITH_JSON_LINES else old_words


def old_words(_key: str, _text: str, cause: ValueError) -> tuple[int, str]:
    """Blame the engine, in Go's words."""
    return HTTPStatus.INTERNAL_SERVER_ERROR, str(cause)


def new_words(key: str, text: str, _cause: ValueError) -> tuple[int, str]:
    """Blame the client, and say where."""
    if key == "filters":
        return HTTPStatus.BAD_REQUEST, "invalid filter"
    seconds, _, fraction = text.partition(".")
    where = f'invalid seconds "{seconds}": invalid syntax'
    if seconds.isdigit():
        place, wrong = next((place, each) for place, each in enumerate(fraction) if not each.isdigit())
        where = f"invalid nanoseconds: invalid character '{wrong}' at position {place}"
    return HTTPStatus.BAD_REQUEST, f"invalid value for '{key}': invalid timestamp \"{text}\": {where}"


def parse_filters(text: str) -> dict[str, tuple[str, ...]]:
    """Read the filters in both of the forms that engines take: lists, and objects with true."""
    filters: Mapping[str, Iterable[str]] = parse_json(text)
    if not isinstance(filters, dict):
        message = "filters are no object"
        raise ValueError(message)  # noqa: TRY004 - refused like any other value that cannot be read
    return {key: tuple(wanted) for key, wanted in filters.items()}


def parse_json(text: str) -> Any:
    """Read JSON, and complain as Go does where even the first character is wrong."""
    try:
        return json.loads(text)
    except ValueError as cause:
        message = f"invalid character '{text[0]}' looking for beginning of value"
        raise ValueError(message) from cause


def type_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Whether the event is of a wanted type."""
    return event.get("Type") in wanted


def action_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Whether the event's action is a wanted one, or begins as one where prefixes are on."""
    action = str(event.get("Action"))
    return action.startswith(wanted) if FUZZY_ACTIONS & set(wanted) else action in wanted


def container_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Whether the actor's id or name begins as wanted."""
    actor = table_in(event, "Actor")
    names = (str(actor.get("ID", "")), str(table_in(actor, "Attributes").get("name", "")))
    return any(name.startswith(wanted) for name in names)


def label_matches(event: Event, wanted: tuple[str, ...]) -> bool:
    """Whether the actor has every wanted label, with its value where one is named."""
    attributes = table_in(table_in(event, "Actor"), "Attributes")
    pairs = {f"{key}={value}" for key, value in attributes.items()}
    return all(label in pairs or label in attributes for label in wanted)


def table_in(value: Event, key: str) -> Event:
    """Give the object under a key, an empty one where there is none: a test may emit any shape."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


MATCHES: Mapping[str, Callable[[Event, tuple[str, ...]], bool]] = {
    "type": type_matches,
    "event": action_matches,
    "container": container_matches,
    "label": label_matches,
}
"""The filters that the scripted engine knows; any other does nothing, as an unknown one on a real engine."""
