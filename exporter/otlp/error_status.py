"""Error of a collector: a ``google.rpc.Status``, as OTLP specifies for HTTP and gRPC.

See https://opentelemetry.io/docs/specs/otlp/#failures and https://opentelemetry.io/docs/specs/otlp/#failures-1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import (
    BadRequest,
    DebugInfo,
    ErrorInfo,
    LocalizedMessage,
    QuotaFailure,
    RetryInfo,
)
from google.rpc.status_pb2 import Status

from exporter.otlp.client import log_text

_MAX_TEXT_BYTES = 400


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """Text of an error in one short line, and the pause that the collector asks for, None if none."""

    text: str
    retry_seconds: float | None = None


def parse_body(body: bytes) -> ErrorStatus:
    """Return the error in the body of an HTTP response: a Status in protobuf or JSON, or plain text."""
    # The header Content-Type is not needed: the tag of a protobuf message's text is a control character.
    status = parse_status(body)
    return status if status.text else ErrorStatus(log_text(_json_message(body) or _plain(body)))


def parse_status(content: bytes) -> ErrorStatus:
    """Return what a Status in protobuf says; an empty text if it says nothing or is none."""
    try:
        status = Status.FromString(content)
    except DecodeError:
        return ErrorStatus("")
    said = [status.message, *_texts(status.details)]
    # The same words often stand in the message and in a detail.
    return ErrorStatus(log_text("; ".join(filter(None, dict.fromkeys(said)))), _retry_seconds(status.details))


def _json_message(body: bytes) -> str:
    """Return the message of a Status in JSON, of which some collectors send only a part."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _plain(body: bytes) -> str:
    return body[:_MAX_TEXT_BYTES].decode(errors="replace")


def _bad_request(detail: BadRequest) -> Iterator[str]:
    for violation in detail.field_violations:
        yield ": ".join(filter(None, (violation.field, violation.description)))


def _quota_failure(detail: QuotaFailure) -> Iterator[str]:
    for violation in detail.violations:
        yield ": ".join(filter(None, (violation.subject, violation.description)))


# Of each kind of detail that has words for people, how to read them.
_READ_DETAIL: tuple[tuple[type, Callable[..., Iterable[str]]], ...] = (
    (BadRequest, _bad_request),
    (QuotaFailure, _quota_failure),
    (ErrorInfo, lambda detail: [detail.reason]),
    (DebugInfo, lambda detail: [detail.detail]),
    (LocalizedMessage, lambda detail: [detail.message]),
)


def _texts(details: Iterable[AnyMessage]) -> Iterator[str]:
    for packed in details:
        for kind, read in _READ_DETAIL:
            detail = kind()
            if _unpacked(packed, detail):
                yield from read(detail)


def _retry_seconds(details: Iterable[AnyMessage]) -> float | None:
    for packed in details:
        detail = RetryInfo()
        if _unpacked(packed, detail):
            return max(0.0, detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9)
    return None


def _unpacked(packed: AnyMessage, into: object) -> bool:
    """Unpack a detail if it is of this kind and valid."""
    try:
        return packed.Unpack(into)  # type: ignore[arg-type]  # any message
    except DecodeError:
        return False
