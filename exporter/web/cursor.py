"""The cursor of a list of jobs: the position of its last job, as text of its own."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from exporter.store import Position
from exporter.web.problems import ProblemError

_MAX_NS = 2**63 - 1


def encode_cursor(position: Position | None) -> str | None:
    """Return the cursor of a position; None for the end."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(f"{position.began_ns}:{position.job_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> Position | None:
    """Return the position of a cursor; None for the start. Raises ProblemError if it is none of ours."""
    if not cursor:
        return None
    problem = ProblemError(
        HTTPStatus.BAD_REQUEST, "cursor: not a next_cursor of this API; omit it for the first page"
    )
    try:
        padded = (cursor + "=" * (-len(cursor) % 4)).encode("ascii")
        number, _, job_id = base64.urlsafe_b64decode(padded).decode("ascii").partition(":")
        began_ns = int(number)
    except (ValueError, binascii.Error) as error:
        raise problem from error
    if abs(began_ns) > _MAX_NS:
        raise problem
    return Position(began_ns, job_id)
