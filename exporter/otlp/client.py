"""Interface of the OTLP clients: what they send, and what the collector's answer means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exporter.model import TelemetrySignal
from exporter.otlp.encoding import ExportRequest

_MAX_MESSAGE = 400


def log_text(text: str) -> str:
    """Return a collector's text for the log: shortened, without unprintable characters."""
    shown = "".join(character if character.isprintable() else " " for character in text[:_MAX_MESSAGE])
    return shown.strip()


def missing_pipeline(signal: TelemetrySignal) -> str:
    """Return the likely cause if a collector does not know the address of a signal, and what to do."""
    cause = f"the collector has no pipeline for {signal.value}: add one to its configuration"
    if signal is TelemetrySignal.LOGS:
        return f"{cause} or set traces.events to spans"
    return cause


@dataclass(frozen=True, slots=True)
class Accepted:
    """The collector accepted the request, except ``rejected`` items; ``message`` says why."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """The collector will never accept this request: something in it is wrong."""

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
    """Connection to one collector."""

    @property
    def address(self) -> str:
        """Address of the collector for the log, without secrets."""

    def send(self, request: ExportRequest) -> ExportResult:
        """Send a request. Does not raise; waits no longer for data than the endpoint's ``seconds``."""

    def close(self) -> None:
        """Close the connections."""
