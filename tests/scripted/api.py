"""API of the scripted engine: paths, and rules for all requests."""

import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from tests.scripted import identity
from tests.scripted.containers import Containers
from tests.scripted.dialect import stream_type
from tests.scripted.event_log import EventLog, Stream
from tests.scripted.event_query import RefusedQueryError, parse_query, rejection_of
from tests.scripted.times import format_rfc3339
from tests.scripted.wire import Answer, Request, json_answer, refusal

Reply: TypeAlias = Answer | Stream

FIRST_WITH_JSON_ERRORS = (1, 24)
"""Older clients get plain text instead of JSON when they are rejected."""

PING = "/_ping"
PING_HEADERS = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
INSPECT_PATH = re.compile(r"/containers/([^/]+)/json")
IMAGE_PATH = re.compile(r"/images/([^/]+)/json")


class Api:
    """Read-only part of an engine's API, for the containers and events that tests set."""

    def __init__(self, log: EventLog, api: str) -> None:
        self.log = log
        self._rejection = rejection_of(numbers(api))
        self.containers = Containers()
        self.images: dict[str, Mapping[str, Any]] = {}
        self.info: dict[str, Any] = identity.info(api)
        self.version: dict[str, Any] = identity.version(api)
        self._routes: Mapping[str, Callable[[Request], Reply]] = {
            PING: self._ping,
            "/version": self._version,
            "/info": self._info,
            "/events": self._events,
            "/containers/json": self._list,
        }

    def reply(self, request: Request) -> Reply:
        """Return the answer to a request; requests that would change something are rejected."""
        if request.method not in {"GET", "HEAD"}:
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "the scripted engine can only be read")
        route = self._route(request)
        if route is None or (request.method == "HEAD" and request.path != PING):
            return refusal(HTTPStatus.NOT_FOUND, "page not found")
        return self._version_refusal(request) or route(request)

    def headers(self) -> dict[str, str]:
        """Return the headers of every answer."""
        return {
            "Api-Version": str(self.version["ApiVersion"]),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": f"Docker/{self.version['Version']} (linux)",
        }

    def stream_type(self, request: Request) -> str:
        """Return the content type of an event stream."""
        return stream_type(request.version or numbers(str(self.version["ApiVersion"])))

    def _route(self, request: Request) -> Callable[[Request], Reply] | None:
        if INSPECT_PATH.fullmatch(request.path):
            return self._inspect
        return self._image if IMAGE_PATH.fullmatch(request.path) else self._routes.get(request.path)

    def _version_refusal(self, request: Request) -> Answer | None:
        asked = request.version
        if asked is None:
            return None
        newest, oldest = str(self.version["ApiVersion"]), str(self.version["MinAPIVersion"])
        if asked > numbers(newest):
            return refusal(
                HTTPStatus.BAD_REQUEST, f"{client(asked)} new. Maximum supported API version is {newest}"
            )
        return too_old(asked, oldest) if asked < numbers(oldest) else None

    def _ping(self, request: Request) -> Answer:
        body = b"" if request.method == "HEAD" else b"OK"
        return Answer(HTTPStatus.OK, body, "text/plain; charset=utf-8", PING_HEADERS)

    def _version(self, _: Request) -> Answer:
        return json_answer(self.version)

    def _info(self, _: Request) -> Answer:
        return json_answer({"SystemTime": format_rfc3339(time.time_ns()), **self.info})

    def _events(self, request: Request) -> Reply:
        try:
            return self.log.open(parse_query(request.query, self._rejection))
        except RefusedQueryError as refused:
            return refusal(refused.status, refused.message)

    def _list(self, request: Request) -> Answer:
        if "filters" in request.query:
            return refusal(HTTPStatus.NOT_IMPLEMENTED, "the scripted engine lists without filters")
        all_states = request.query.get("all", "0").lower() not in {"", "0", "no", "false", "none"}
        return json_answer(self.containers.listing(all_states=all_states))

    def _inspect(self, request: Request) -> Answer:
        reference = INSPECT_PATH.sub(r"\1", request.path)
        found = self.containers.find(reference)
        if found is None:
            return refusal(HTTPStatus.NOT_FOUND, f"No such container: {reference}")
        return json_answer(found)

    def _image(self, request: Request) -> Answer:
        reference = IMAGE_PATH.sub(r"\1", request.path)
        found = self.images.get(reference)
        if found is None:
            return refusal(HTTPStatus.NOT_FOUND, f"No such image: {reference}")
        return json_answer(found)


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparison."""
    return tuple(int(part) for part in version.split("."))


def client(asked: tuple[int, int]) -> str:
    """Return the beginning of the message about a client whose version does not fit."""
    return f"client version {asked[0]}.{asked[1]} is too"


def too_old(asked: tuple[int, int], oldest: str) -> Answer:
    """Reject a client that is too old."""
    message = (
        f"{client(asked)} old. Minimum supported API version is {oldest}, "
        "please upgrade your client to a newer version"
    )
    if asked >= FIRST_WITH_JSON_ERRORS:
        return refusal(HTTPStatus.BAD_REQUEST, message)
    return Answer(HTTPStatus.BAD_REQUEST, message.encode() + b"\n", "text/plain; charset=utf-8")
