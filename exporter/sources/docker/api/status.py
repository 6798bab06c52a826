"""What an HTTP answer of an engine says that is no success."""

from __future__ import annotations

import json
from http import HTTPStatus

from exporter.sources.docker.engine import EngineError, ForbiddenError
from exporter.text import sanitize_error

FORBIDDEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Statuses of a request that is not allowed: by a plugin of the engine, or a filter in front of it."""

_MAX_BODY_BYTES = 200


def status_error(path: str, status: int, body: bytes) -> EngineError:
    """Return the error for an HTTP response other than 200, with what it says; ``path`` without its query."""
    error = ForbiddenError if status in FORBIDDEN else EngineError
    return error(f"{path}: HTTP {status}: {_message(body)}")


def _message(body: bytes) -> str:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = body[:_MAX_BODY_BYTES].decode(errors="replace").strip()
    return sanitize_error(message)
