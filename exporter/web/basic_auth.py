"""Basic authentication (RFC 7617) in front of all endpoints."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.web.passwords import BusyError, PasswordChecker
from exporter.web.problems import problem_response

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="exit-exporter", charset="UTF-8"'}
_UNAUTHORIZED = "a user and a password are needed, and those that were sent, if any, are wrong"
_BUSY = "too many passwords are being checked; try again later"


class BasicAuth:
    """Application that passes a request on to another one if it has the password of one of the ``users``.

    While there are no users, all requests are passed on.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[str, bytes]]) -> None:
        self._app = app
        self._users = users
        self._checker = PasswordChecker(users)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = await self._refusal(scope) if self._users() else None
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        user, password = _credentials(Headers(scope=scope).get("authorization", ""))
        if user is None:
            return problem_response(HTTPStatus.UNAUTHORIZED, _UNAUTHORIZED, headers=_CHALLENGE)
        address = scope["client"][0] if scope["client"] else ""
        try:
            if await self._checker.is_right(user, password, address):
                return None
        except BusyError:
            return problem_response(HTTPStatus.TOO_MANY_REQUESTS, _BUSY, headers={"Retry-After": "1"})
        return problem_response(HTTPStatus.UNAUTHORIZED, _UNAUTHORIZED, headers=_CHALLENGE)


def _credentials(header: str) -> tuple[str | None, bytes]:
    """Return user and password of a header ``Authorization``; without a user if it has none."""
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
        name = user.decode()
    except (binascii.Error, ValueError):
        return None, b""
    return (name, password) if colon and scheme.lower() == "basic" else (None, b"")
