"""A collector over HTTP."""

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
from exporter.errors import root_cause, said
from exporter.model import TelemetrySignal
from exporter.otlp import encoding
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure, sanitize
from exporter.otlp.encoding import ExportRequest, ExportResponse
from exporter.otlp.endpoint import Compression, OtlpEndpoint

PROTOBUF, JSON, HTML = "application/x-protobuf", "application/json", "text/html"
# What a collector has to say is short; nobody's mistake may fill our memory.
_MAX_BODY = 64 << 10
_MAX_BYTES_SAID = 400
_MAX_DIGITS = 9
# What these find wrong is the request itself. Of other 4xx, a token or a path is: once that is mended, the
# same request is taken.
_REQUEST_IS_BAD = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    HTTPStatus.FORBIDDEN: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    HTTPStatus.NOT_FOUND: "; does the path end in /v1/traces, or /v1/logs?",
}
_COMPRESS: Mapping[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.compress,
    Compression.DEFLATE: zlib.compress,
}


class OtlpHttpClient:
    """One URL; connections are kept and used again."""

    def __init__(self, target: OtlpEndpoint) -> None:
        self._target = target
        self._session = requests.Session()
        self._session.verify = target.certificate or True
        self._session.cert = target.client
        # The variables' own, or the URL's: no .netrc of whoever started it has a say in that.
        self._session.auth = _user(target.url) or _as_it_is
        self._session.headers.update(
            {
                "Content-Type": PROTOBUF,
                "User-Agent": f"exit-exporter/{__version__}",
                **(
                    {} if target.compression is Compression.NONE else {"Content-Encoding": target.compression}
                ),
                **dict(target.headers),
            }
        )

    @property
    def address(self) -> str:
        """The URL, without a password that may stand in it."""
        parts = urlsplit(self._target.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    def send(self, request: ExportRequest) -> ExportResult:
        """Post it."""
        body = _COMPRESS[self._target.compression](request.message.SerializeToString())
        deadline = time.monotonic() + self._target.seconds
        try:
            # Of the session's own ``verify`` alone, REQUESTS_CA_BUNDLE would take the place.
            with self._session.post(
                self._target.url,
                body,
                timeout=self._target.seconds,
                allow_redirects=False,
                stream=True,
                verify=self._target.certificate,
            ) as response:
                return _answer(request.signal, response, _read(response, deadline))
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return self._failed(error)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _failed(self, error: Exception) -> RetryableFailure:
        cause = root_cause(error)
        if isinstance(error, requests.Timeout) or isinstance(cause, TimeoutError):
            # Not to be connected to is no fault of the request.
            request_suspect = not isinstance(error, requests.ConnectTimeout)
            return RetryableFailure(
                f"no answer within {self._target.seconds:g} s", request_suspect=request_suspect
            )
        if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
            return RetryableFailure("answers no HTTP; is it a port for gRPC, or for TLS?")
        return RetryableFailure(sanitize(said(cause)))


def _user(url: str) -> tuple[str, str] | None:
    """Who is named in a URL."""
    parts = urlsplit(url)
    return None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _read(response: requests.Response, deadline: float) -> bytes:
    """The body, or as much of it as anybody needs. Raises TimeoutError where it only trickles."""
    body = b""
    while len(body) < _MAX_BODY and (chunk := response.raw.read1(_MAX_BODY, decode_content=True)):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _answer(signal: TelemetrySignal, response: requests.Response, body: bytes) -> ExportResult:
    status = response.status_code
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _accepted(signal, response, body)
    if status < HTTPStatus.BAD_REQUEST:
        location = response.headers.get("Location", "nowhere")
        return RetryableFailure(f"HTTP {status}: redirects to {sanitize(location)}; make that the endpoint")
    cause = f"HTTP {status}: {_text(response, body)}{_HINTS.get(status, '')}"
    if status in _REQUEST_IS_BAD:
        return PermanentFailure(cause)
    return RetryableFailure(
        cause,
        _retry_seconds(response.headers.get("Retry-After", "")),
        request_suspect=status == HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _accepted(signal: TelemetrySignal, response: requests.Response, body: bytes) -> ExportResult:
    """What a 2xx is worth: a proxy's page that says welcome has taken nothing."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        if response.status_code == HTTPStatus.NO_CONTENT or (not body and kind != HTML):
            return Accepted()
        if kind == JSON:
            return _to_accepted(_read_json(json.loads(body)))
        if kind in {PROTOBUF, "application/protobuf", ""}:
            return _to_accepted(encoding.parse_response(signal, body))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, DecodeError):
        return RetryableFailure(
            f"HTTP {response.status_code} with an answer that is no OTLP; is it a collector?"
        )
    return RetryableFailure(f"HTTP {response.status_code} with {kind}, which is no OTLP; is it a collector?")


def _read_json(document: object) -> ExportResponse:
    """The JSON form, which some collectors answer whatever they were asked in."""
    if not isinstance(document, dict):
        raise TypeError("not an object")
    partial = document.get("partialSuccess") or {}
    rejected = partial.get("rejectedSpans") or partial.get("rejectedLogRecords") or 0
    return ExportResponse(int(rejected), str(partial.get("errorMessage") or ""))


def _to_accepted(response: ExportResponse) -> Accepted:
    return Accepted(max(0, response.rejected), sanitize(response.message))


def _text(response: requests.Response, body: bytes) -> str:
    """What it says of itself; most say it in their own form, some in OTLP's."""
    return sanitize(body[:_MAX_BYTES_SAID].decode(errors="replace")) or sanitize(str(response.reason))


def _retry_seconds(text: str) -> float | None:
    """Retry-After: seconds, or a date."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= _MAX_DIGITS else None
    try:
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
