"""Requests that are larger than any honest one are refused before they cost anything."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.problems import problem_response

MAX_TARGET_BYTES = 16 << 10
MAX_HEADER_BYTES = 16 << 10
MAX_PARAMETERS = 100


class RequestLimits:
    """Application that passes requests of a usual size on to another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refused = _refusal(scope)
        response = self._app if refused is None else problem_response(*refused)
        await response(scope, receive, send)


def _refusal(scope: Scope) -> tuple[HTTPStatus, str] | None:
    query: bytes = scope["query_string"]
    if len(scope["raw_path"]) + len(query) > MAX_TARGET_BYTES:
        detail = f"path and query have more than {MAX_TARGET_BYTES} bytes"
        return HTTPStatus.REQUEST_URI_TOO_LONG, detail
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"headers have more than {MAX_HEADER_BYTES} bytes"
    if query.count(b"&") >= MAX_PARAMETERS:
        return HTTPStatus.BAD_REQUEST, f"the query has more than {MAX_PARAMETERS} parameters"
    return None
