"""Requests by which pages of other sites would change something are refused, as browsers describe them.

The rules are those of Go's ``http.CrossOriginProtection``. A client that is no browser sends neither header.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.problems import problem_response

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITE = frozenset({"same-origin", "none"})
_DETAIL = "a page of another site sent this; its URL must be --web.external-url, or send it without a browser"


class CrossSiteCheck:
    """Middleware that answers requests of other sites' pages with 403, unless they only read.

    Pages at ``external_url`` are the exporter's own.
    """

    def __init__(self, app: ASGIApp, external_url: str) -> None:
        self._app = app
        self._external = _origin(external_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["method"] in _READING or self._is_own(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await problem_response(HTTPStatus.FORBIDDEN, _DETAIL)(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if origin is not None and self._external is not None and _origin(origin) == self._external:
            return True
        if site is not None:
            return site in _OWN_SITE
        return origin is None or origin.lower().partition("://")[2] == headers.get("host", "").lower()


def _origin(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port; None for what is no URL of a server."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
