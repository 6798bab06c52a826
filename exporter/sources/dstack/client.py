"""Requests to dstack's server: bounded in time and size, without redirects, with the token as a header."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from exporter import __version__
from exporter.errors import message_of, root_cause
from exporter.http_deadline import limit_whole_requests
from exporter.sources.dstack.answers import Run, stopping_user
from exporter.sources.dstack.problems import Problem, ServerError
from exporter.sources.dstack.token import ReadToken
from exporter.text import sanitize

REQUEST_SECONDS = 10.0
# A run of one job takes 5 to 20 kB, and more with each submission and node.
PAGE_RUNS = 25
MAX_BYTES = 16 << 20
_CHUNK = 64 << 10
_MAX_SHOWN = 200
# What the server answers about a run or a project that is deleted, or that the token may see no more.
_GONE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
# What it answers where it is too old to have events, or the token may not see them.
_NO_EVENTS = frozenset({*_GONE, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UNPROCESSABLE_ENTITY})


class DstackClient:
    """Client of one server. Every request may raise ServerError."""

    def __init__(self, url: str, read_token: ReadToken, seconds: float = REQUEST_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._read_token = read_token
        self._seconds = seconds
        self._session = requests.Session()
        limit_whole_requests(self._session)
        self._session.headers["User-Agent"] = f"exit-exporter/{__version__}"

    @property
    def address(self) -> str:
        """URL of the server."""
        return self._url

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def runs(
        self, project: str, after: Run | None, *, only_active: bool = False, limit: int = PAGE_RUNS
    ) -> list[Run | None]:
        """Return the newest runs, or those submitted before ``after``; None stands for one that is invalid.

        ``project`` is one project's name; with an empty one, the runs of all that the token can see.
        """
        query: dict[str, Any] = {"only_active": only_active, "limit": limit}
        if project:
            query["project_name"] = project
        if after is not None:
            query |= {"prev_submitted_at": after.submitted_at, "prev_run_id": after.id}
        answer = self._post("/api/runs/list", query)
        if not isinstance(answer, list):
            raise ServerError(
                Problem.INVALID, "the answer is no list of runs; is --dstack.url dstack's server?"
            )
        return [_run(each) for each in answer[:limit]]

    def run(self, project: str, run_id: str) -> Run | None:
        """Return one run, None if the server has it no more."""
        try:
            answer = self._post(f"/api/project/{quote(project, safe='')}/runs/get", {"id": run_id})
        except _StatusError as error:
            if error.status in _GONE:
                return None
            raise
        run = _run(answer)
        if run is None:
            raise ServerError(Problem.INVALID, f"run {run_id} in the answer cannot be read")
        return run

    def actor(self, run_id: str) -> str:
        """Return the name of the user who stopped a run, empty if the server does not tell (before 0.20)."""
        try:
            answer = self._post("/api/events/list", {"target_runs": [run_id]})
        except _StatusError as error:
            if error.status in _NO_EVENTS:
                return ""
            raise
        return stopping_user(answer)

    def _post(self, path: str, query: Mapping[str, Any]) -> Any:
        deadline, token = time.monotonic() + self._seconds, self._read_token()

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        try:
            with self._session.post(
                self._url + path,
                json=query,
                # An ``auth`` also keeps requests from sending credentials of the user's .netrc.
                auth=authorize,
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_body(response, deadline)
                # A proxy may show what it was sent.
                _check_status(response, body.replace(token.encode(), b"(the token)"))
                return json.loads(body)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise self._failed(error) from error
        except (ValueError, RecursionError) as error:
            raise ServerError(
                Problem.INVALID, "the answer is no JSON; is --dstack.url dstack's server?"
            ) from error

    def _failed(self, error: Exception) -> ServerError:
        cause = root_cause(error)
        if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
            return ServerError(Problem.TIMEOUT, f"no answer within {self._seconds:g} s")
        return ServerError(Problem.UNREACHABLE, sanitize(message_of(cause)))


class _StatusError(ServerError):
    """Answer with a status that is no success."""

    def __init__(self, problem: Problem, status: int, cause: str) -> None:
        super().__init__(problem, cause)
        self.status = status


def _run(answer: object) -> Run | None:
    try:
        return Run.model_validate(answer)
    except ValidationError:
        return None


def _read_body(response: requests.Response, deadline: float) -> bytes:
    """Return the body. Raises TimeoutError if it is not complete in time, ServerError if it is too large."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > MAX_BYTES:
            raise ServerError(Problem.TOO_LARGE, f"the answer is longer than {MAX_BYTES >> 20} MiB")
    return bytes(body)


def _check_status(response: requests.Response, body: bytes) -> None:
    """Raise an error for any status but success."""
    status = response.status_code
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    shown = sanitize(body[:_MAX_SHOWN].decode(errors="replace")) or sanitize(response.reason)
    text = f"HTTP {status}: {shown}"
    if status < HTTPStatus.BAD_REQUEST:
        to = sanitize(response.headers.get("Location", "nowhere"))
        raise _StatusError(
            Problem.REDIRECT, status, f"HTTP {status}: redirects to {to}; use that as --dstack.url"
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "is the token right, and may its user see the projects?"
        raise _StatusError(Problem.UNAUTHORIZED, status, f"{text}; {hint}")
    if status == HTTPStatus.NOT_FOUND:
        raise _StatusError(
            Problem.NOT_FOUND, status, f"{text}; is --dstack.url the address of dstack's server?"
        )
    is_servers = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    raise _StatusError(Problem.SERVER_ERROR if is_servers else Problem.REFUSED, status, text)
