"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from exporter.store import MIN_ID_DIGITS, StoreError
from exporter.thread_limit import NO_THREAD, is_thread_limit

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """A problem document of RFC 9457. ``errors`` has every cause if there are several."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str = Field(description="The HTTP status as text.")
    status: int
    detail: str = Field(description="The cause, and what to do.")
    errors: list[str] = []


class ProblemError(Exception):
    """Is answered with a problem document."""

    def __init__(self, status: HTTPStatus, detail: str, errors: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []


def no_such_job(key: str) -> ProblemError:
    """Return the error that nothing on record has such a name or id."""
    is_short = re.fullmatch("[0-9a-f]+", key) and len(key) < MIN_ID_DIGITS
    hint = f"; of an id, give {MIN_ID_DIGITS} digits at least" if is_short else ""
    detail = f"no job, container name or container id {key!r} is on record{hint}"
    return ProblemError(HTTPStatus.NOT_FOUND, detail)


def problem_response(
    status: int, detail: str, errors: list[str] | None = None, headers: Any = None
) -> Response:
    """Return a problem document as a response."""
    texts = [_replace_surrogates(text) for text in (detail, *(errors or ()))]
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=texts[0], errors=texts[1:])
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def _replace_surrogates(text: str) -> str:
    """Return text that can be sent: a path or a variable that is not UTF-8 has lone surrogates."""
    return text.encode(errors="replace").decode()


# Not plain functions, for which Starlette needs another thread: at a limit of threads, no cause was told.


async def _on_problem(_request: Request, error: Any) -> Response:
    return problem_response(error.status, error.detail, error.errors)


async def _on_store_error(_request: Request, error: Any) -> Response:
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {error}")


async def _on_runtime_error(_request: Request, error: Any) -> Response:
    if not is_thread_limit(error):
        raise error
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, NO_THREAD)


async def _on_http_exception(request: Request, error: Any) -> Response:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            detail = f"no endpoint at {request.url.path}; /openapi.json lists all endpoints"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{request.method} is not allowed at {request.url.path}"
        case _:
            detail = error.detail
    return problem_response(error.status_code, detail, headers=error.headers)


async def _on_bug(_request: Request, _error: Any) -> Response:
    detail = "a bug of the exporter; its log has the details"
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


EXCEPTION_HANDLERS: dict[Any, Any] = {
    ProblemError: _on_problem,
    StoreError: _on_store_error,
    RuntimeError: _on_runtime_error,
    HTTPException: _on_http_exception,
    Exception: _on_bug,
}
