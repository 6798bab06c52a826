"""What an HTTP answer of an engine says that is no success."""

from __future__ import annotations

import json

from exporter.text import sanitize_error

_MAX_BODY_BYTES = 200


def explain_status(path: str, status: int, body: bytes) -> str:
    """Return what an HTTP response other than 200 says."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = body[:_MAX_BODY_BYTES].decode(errors="replace").strip()
    return f"{path}: HTTP {status}: {sanitize_error(message)}"
