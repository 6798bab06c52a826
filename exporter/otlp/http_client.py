"""OTLP over HTTP."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from urllib.parse import unquote, urlsplit

import requests
from google.protobuf.message import DecodeError
from urllib3.exceptions import HTTPError

from exporter import __version__
from exporter.errors import message_of, root_cause
from exporter.http_deadline import limit_whole_requests
from exporter.model import TelemetrySignal
from exporter.otlp import encoding
from exporter.otlp.client import (
    Accepted,
    ExportResult,
    PermanentFailure,
    RetryableFailure,
    log_text,
    missing_pipeline,
)
from exporter.otlp.encoding import ExportRequest, ExportResponse
from exporter.otlp.endpoint import Compression, OtlpEndpoint
from exporter.otlp.error_status import parse_body
from exporter.redaction import shown_url

PROTOBUF, JSON, HTML = "application/x-protobuf", "application/json", "text/html"
# As in gRPC. An answer to a partial success can have a sentence for each item; a wrong answer must not fill
# the memory.
_MAX_BODY = 4 << 20
_PART_BYTES = 1 << 16
_MAX_DIGITS = 9
# With these statuses the request itself is wrong. With other 4xx a token or a path is: once that is
# corrected, the same request is accepted.
_REQUEST_IS_BAD = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_REFUSES_CLIENT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_COMPRESS: Mapping[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.compress,
    Compression.DEFLATE: zlib.compress,
}


class OtlpHttpClient:
    """Client for one URL; connections are reused."""

    def __init__(self, endpoint: OtlpEndpoint) -> None:
        self._endpoint = endpoint
        self._session = requests.Session()
        limit_whole_requests(self._session)
        self._session.verify = endpoint.certificate or True
        self._session.cert = endpoint.client
        # Without an ``auth``, requests would send credentials of the user's .netrc.
        self._session.auth = _user(endpoint.url) or _no_auth
        self._session.headers["Content-Type"] = PROTOBUF
        self._session.headers["User-Agent"] = f"exit-exporter/{__version__}"
        if endpoint.compression is not Compression.NONE:
            self._session.headers["Content-Encoding"] = endpoint.compression.value
        self._session.headers.update(dict(endpoint.headers))

    @property
    def address(self) -> str:
        """URL of the collector, without user, password and query."""
        return shown_url(self._endpoint.url)

    def send(self, request: ExportRequest) -> ExportResult:
        """Send a request with POST."""
        body = _COMPRESS[self._endpoint.compression](request.message.SerializeToString())
        deadline = time.monotonic() + self._endpoint.seconds
        try:
            # Passed explicitly: REQUESTS_CA_BUNDLE takes precedence over the session's ``verify``.
            with self._session.post(
                self._endpoint.url,
                body,
                timeout=self._endpoint.seconds,
                allow_redirects=False,
                stream=True,
                verify=self._endpoint.certificate,
            ) as response:
                return _result(request.signal, response, _read_body(response, deadline))
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return self._failed(error)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _failed(self, error: Exception) -> RetryableFailure:
        cause = root_cause(error)
        if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
            # A timeout of the connection is not caused by the request.
            was_sent = not isinstance(error, requests.ConnectTimeout)
            return RetryableFailure(
                f"no answer within {self._endpoint.seconds:g} s", request_suspect=was_sent
            )
        if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
            return RetryableFailure("the answer is not HTTP; is it a port for gRPC, or for TLS?")
        return RetryableFailure(log_text(message_of(cause)))


def _user(url: str) -> tuple[str, str] | None:
    """Return user and password of a URL."""
    parts = urlsplit(url)
    return None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read_body(response: requests.Response, deadline: float) -> bytes:
    """Return the body, cut at a maximum. Raises TimeoutError if it is not complete at the deadline."""
    body = bytearray()
    while len(body) < _MAX_BODY and (chunk := response.raw.read1(_PART_BYTES, decode_content=True)):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _result(signal: TelemetrySignal, response: requests.Response, body: bytes) -> ExportResult:
    status = response.status_code
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _accepted(signal, response, body)
    if status < HTTPStatus.BAD_REQUEST:
        location = response.headers.get("Location", "nowhere")
        return RetryableFailure(f"HTTP {status}: redirects to {log_text(location)}; use that as the endpoint")
    error = parse_body(body)
    cause = f"HTTP {status}: {error.text or log_text(str(response.reason))}{_hint(signal, status)}"
    if status in _REQUEST_IS_BAD:
        return PermanentFailure(cause)
    pause = _retry_seconds(response.headers.get("Retry-After", ""))
    return RetryableFailure(
        cause,
        error.retry_seconds if pause is None else pause,
        request_suspect=status == HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _hint(signal: TelemetrySignal, status: int) -> str:
    if status in _REFUSES_CLIENT:
        return "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?"
    if status == HTTPStatus.NOT_FOUND:
        return f"; {missing_pipeline(signal)}, or the path does not end in /v1/{signal.value}"
    return ""


def _accepted(signal: TelemetrySignal, response: requests.Response, body: bytes) -> ExportResult:
    """Check the content of a 2xx response: a proxy's page with that status has accepted nothing."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        if response.status_code == HTTPStatus.NO_CONTENT or (not body and kind != HTML):
            return Accepted()
        if kind == JSON:
            return _to_accepted(_parse_json(json.loads(body)))
        if kind in {PROTOBUF, "application/protobuf", ""}:
            return _to_accepted(encoding.parse_response(signal, body))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, DecodeError):
        return RetryableFailure(
            f"HTTP {response.status_code} with an answer that is not OTLP; is it a collector?"
        )
    return RetryableFailure(f"HTTP {response.status_code} with {kind}, which is not OTLP; is it a collector?")


def _parse_json(document: object) -> ExportResponse:
    """Parse a response in JSON, which some collectors send whatever the request was in."""
    if not isinstance(document, dict):
        raise TypeError("not an object")
    partial = document.get("partialSuccess") or {}
    rejected = partial.get("rejectedSpans") or partial.get("rejectedLogRecords") or 0
    return ExportResponse(int(rejected), str(partial.get("errorMessage") or ""))


def _to_accepted(response: ExportResponse) -> Accepted:
    return Accepted(max(0, response.rejected), log_text(response.message))


def _retry_seconds(text: str) -> float | None:
    """Parse a Retry-After header: seconds, or a date."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= _MAX_DIGITS else None
    try:
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
