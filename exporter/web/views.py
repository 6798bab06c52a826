"""What all response models of the API share, and those that belong to no part of it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from exporter.model import SECOND_NS

_UTC = "+00:00"

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class View(BaseModel):
    """Base of response models."""

    model_config = ConfigDict(frozen=True)


class ReloadView(View):
    """Size of the reloaded catalogue."""

    codes: int
    reasons: int


class StateView(View):
    """State of the daemon: ``healthy`` or ``ready``."""

    status: str


class ReadyView(StateView):
    """State of a daemon whose data is up to date."""

    limitations: list[str] = Field(
        default=[], description="What is missing all the same, such as by requests that an engine refuses."
    )


def rfc3339(nanoseconds: int | None) -> str | None:
    """Return a time as RFC 3339; None for None."""
    return None if nanoseconds is None else timestamp(nanoseconds)


def timestamp(nanoseconds: int) -> str:
    """Return a time as RFC 3339: UTC, with nanoseconds."""
    seconds, rest = divmod(nanoseconds, SECOND_NS)
    return f"{_to_second(seconds)}.{rest:09d}Z"


# Most jobs start in the second in which they were created.
@lru_cache(maxsize=256)
def _to_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix(_UTC)
