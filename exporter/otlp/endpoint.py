"""Endpoint of one signal, configured by the ``OTEL_EXPORTER_OTLP_…`` variables.

See https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from exporter.model import TelemetrySignal
from exporter.otlp.variables import PAIRS, OtelConfigError, Variables, parse_number, parse_pairs
from exporter.redaction import quoted_url

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_MS = 10_000.0
_DAY_MS = 86_400_000.0
_GRPC_PORT = 4317
_HTTP_SCHEMES = ("http", "https")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Names of gRPC metadata: fewer characters, and those that end in -bin are for bytes.
_METADATA = re.compile(r"(?!.*-bin$)[0-9a-z_.-]+")
# Targets that gRPC understands: a name or an address, with or without the scheme of a resolver.
_GRPC_NAME = re.compile(r"(dns:(//[^/\s]*/)?|ipv[46]:)?[^\s:/][^\s/]*|unix(-abstract)?:\S*[^\s/:]\S*")


class OtlpProtocol(StrEnum):
    """Protocols of OTLP."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Compression(StrEnum):
    """Compressions of a request."""

    NONE = "none"
    GZIP = "gzip"
    DEFLATE = "deflate"


@dataclass(frozen=True, slots=True)
class OtlpEndpoint:
    """Endpoint of one signal.

    ``url`` is the full URL for HTTP, the target for gRPC. It and ``headers`` may hold secrets and are never
    shown unchanged. ``certificate`` is the file of the certificate authorities; ``client`` are the files of
    the client's certificate and key. ``seconds`` is the timeout.
    """

    url: str = field(repr=False)
    protocol: OtlpProtocol = OtlpProtocol.HTTP
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    seconds: float = _DEFAULT_MS / 1000
    compression: Compression = Compression.NONE
    secure: bool = False
    certificate: str | None = None
    client: tuple[str, str] | None = None


def read_endpoint(signal: TelemetrySignal, variables: Variables) -> OtlpEndpoint | None:
    """Return the endpoint of a signal, None if it is not exported. Raises OtelConfigError."""
    return _Reader(signal, variables).endpoint()


class _Reader:
    """Reads the variables of one signal; its own take precedence over those of all signals."""

    def __init__(self, signal: TelemetrySignal, variables: Variables) -> None:
        self._signal = signal
        self._variables = variables

    def endpoint(self) -> OtlpEndpoint | None:
        text = self._get("ENDPOINT")
        if text is None or self._is_off():
            return None
        protocol = OtlpProtocol(
            self._variables.choice(self._name("PROTOCOL"), OtlpProtocol) or OtlpProtocol.HTTP
        )
        is_grpc = protocol is OtlpProtocol.GRPC
        url, secure = self._grpc(text) if is_grpc else self._http(text)
        return OtlpEndpoint(
            url,
            protocol,
            self._headers(_METADATA if is_grpc else _TOKEN),
            self._seconds(),
            self._compression(),
            secure,
            self._file("CERTIFICATE"),
            self._client(),
        )

    def _protocol(self) -> OtlpProtocol:
        return OtlpProtocol(self._variables.choice(self._name("PROTOCOL"), OtlpProtocol) or OtlpProtocol.HTTP)

    def _compression(self) -> Compression:
        return Compression(self._variables.choice(self._name("COMPRESSION"), Compression) or Compression.NONE)

    def _name(self, ending: str) -> str:
        """Return the name of the variable that applies to this signal."""
        return self._variables.first_set(f"{_PREFIX}{self._signal.upper()}_{ending}", f"{_PREFIX}{ending}")

    def _get(self, ending: str) -> str | None:
        return self._variables.get(self._name(ending))

    def _is_off(self) -> bool:
        name = f"OTEL_{self._signal.upper()}_EXPORTER"
        listed = [item.strip().lower() for item in (self._variables.get(name) or "otlp").split(",")]
        unknown = [item for item in listed if item not in {"otlp", "none", ""}]
        if unknown:
            self._variables.warn_ignored(name, ",".join(unknown), "otlp, none")
        return "none" in listed

    def _http(self, endpoint: str) -> tuple[str, bool]:
        parts = self._parts(endpoint)
        is_own = self._name("ENDPOINT") != f"{_PREFIX}ENDPOINT"
        if parts is None or (parts.query and not is_own):
            raise self._no_endpoint(endpoint, "http://collector:4318")
        path = parts.path or "/" if is_own else f"{parts.path.rstrip('/')}/v1/{self._signal.value}"
        return parts._replace(path=path, fragment="").geturl(), parts.scheme == "https"

    def _grpc(self, endpoint: str) -> tuple[str, bool]:
        if endpoint.startswith(_HTTP_SCHEMES) and "://" in endpoint:
            parts = self._parts(endpoint)
            if parts is None or "@" in endpoint:
                raise self._no_endpoint(endpoint, "http://collector:4317")
            port = "" if parts.port else f":{_GRPC_PORT}"
            return f"{parts.netloc.rstrip(':')}{port}", parts.scheme == "https"
        if not _GRPC_NAME.fullmatch(endpoint) or ("@" in endpoint and not endpoint.startswith("unix")):
            raise self._no_endpoint(endpoint, "http://collector:4317")
        # Without a scheme of http or https, a variable decides on TLS.
        is_open = self._variables.is_true(self._name("INSECURE")) or endpoint.startswith("unix")
        return endpoint, not is_open

    def _parts(self, endpoint: str) -> SplitResult | None:
        """Return the parts of a URL, None if it is invalid."""
        try:
            parts = urlsplit(endpoint)
            _ = parts.port
        except ValueError:
            return None
        return parts if parts.scheme in _HTTP_SCHEMES and parts.hostname else None

    def _no_endpoint(self, endpoint: str, example: str) -> OtelConfigError:
        return OtelConfigError(
            f"{self._name('ENDPOINT')}: {quoted_url(endpoint)} is not an endpoint; for example {example}"
        )

    def _headers(self, token: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
        found = parse_pairs(self._get("HEADERS") or "")
        named = [(name.lower(), value) for name, value in found or ()]
        if found is None or any(
            not token.fullmatch(name) or not _is_printable_ascii(value) for name, value in named
        ):
            # Not shown: headers hold tokens and passwords.
            raise OtelConfigError(f"{self._name('HEADERS')}: is not {PAIRS}")
        return tuple(named)

    def _seconds(self) -> float:
        text = self._get("TIMEOUT")
        milliseconds = _DEFAULT_MS if text is None else parse_number(text)
        if milliseconds is None or not 0 < milliseconds <= _DAY_MS:
            raise OtelConfigError(
                f"{self._name('TIMEOUT')}: {text!r} is not a number of milliseconds, such as 10000"
            )
        return milliseconds / 1000

    def _client(self) -> tuple[str, str] | None:
        certificate, key = self._file("CLIENT_CERTIFICATE"), self._file("CLIENT_KEY")
        if (certificate is None) != (key is None):
            missing = self._name("CLIENT_KEY" if key is None else "CLIENT_CERTIFICATE")
            raise OtelConfigError(f"{missing}: is not set; a certificate and its key go together")
        return None if certificate is None or key is None else (certificate, key)

    def _file(self, ending: str) -> str | None:
        path = self._get(ending)
        if path is not None and not os.access(path, os.R_OK):
            raise OtelConfigError(f"{self._name(ending)}: cannot read {path}")
        return path


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()
