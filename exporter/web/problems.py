"""Errors as RFC 9457 problem documents: what went wrong, where, and what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from exporter.store import StoreError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457. ``errors`` names each place that is wrong, where there are several."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What went wrong here, and what to do.")
    errors: list[str] = []


class ProblemError(Exception):
    """Answers a request with a problem document."""

    def __init__(self, status: HTTPStatus, detail: str, errors: list[str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []


def response(status: int, detail: str, errors: list[str] | None = None, headers: Any = None) -> Response:
    """The answer for a problem."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  # registered for nothing else
    return response(error.status, error.detail, error.errors)


def _store(_request: Request, error: Exception) -> Response:
    return response(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {error}")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for nothing else
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}; /openapi.json lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at {request.url.path}",
    }.get(status, error.detail)
    return response(status, detail, headers=error.headers)


def _bug(_request: Request, _error: Exception) -> Response:
    return response(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug of the exporter; its log has the details")


HANDLERS: dict[Any, Any] = {
    ProblemError: _problem,
    StoreError: _store,
    HTTPException: _http,
    Exception: _bug,
}
