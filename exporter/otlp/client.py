"""The port to a collector: what is sent to it, and what its answers mean for those who sent it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.otlp.encoding import ExportRequest

_MAX_SAID = 400


def sanitize(text: str) -> str:
    """A collector's words, or of what answers in its place, fit for a log."""
    shown = "".join(character if character.isprintable() else " " for character in text[:_MAX_SAID])
    return shown.strip()


@dataclass(frozen=True, slots=True)
class Accepted:
    """It has taken the request, but for so many items ``rejected`` for good; ``message`` says why."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """Something in the request will never be taken."""

    cause: str


@dataclass(frozen=True, slots=True)
class RetryableFailure:
    """The request was not accepted, and may be accepted later.

    ``retry_seconds`` is the pause that the collector asks for, None if it asks for none. ``request_suspect``:
    the request itself may be the cause, because of its size or its content.
    """

    cause: str
    retry_seconds: float | None = None
    request_suspect: bool = False


ExportResult = Accepted | PermanentFailure | RetryableFailure


class OtlpClient(Protocol):
    """One way to one collector. A call waits for no longer than the target's seconds for what comes next."""

    @property
    def address(self) -> str:
        """Where it is, for people; without secrets."""

    def send(self, request: ExportRequest) -> ExportResult:
        """Tell it; whatever goes wrong is an answer too."""

    def close(self) -> None:
        """Let go of connections."""
