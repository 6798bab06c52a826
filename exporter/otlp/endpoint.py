"""Where one signal goes and how, as the variables of OTLP exporters say.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from exporter.model import TelemetrySignal
from exporter.otlp.variables import PAIRS, OtelConfigError, Variables, number, pairs

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_MS = 10_000.0
_DAY_MS = 86_400_000.0
_GRPC_PORT = 4317
_HTTP_SCHEMES = ("http", "https")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# gRPC has fewer; those that end so are for bytes.
_METADATA = re.compile(r"(?!.*-bin$)[0-9a-z_.-]+")
# What gRPC itself understands: a name or an address, perhaps after a way to resolve it.
_GRPC_NAME = re.compile(r"(dns:(//[^/\s]*/)?|ipv[46]:)?[^\s:/][^\s/]*|unix(-abstract)?:\S*[^\s/:]\S*")
_USER = re.compile(r"//[^/@]*@")


class OtlpProtocol(StrEnum):
    """How a collector is spoken to."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Compression(StrEnum):
    """How what is sent is made smaller."""

    NONE = "none"
    GZIP = "gzip"
    DEFLATE = "deflate"


@dataclass(frozen=True, slots=True)
class OtlpEndpoint:
    """Where one signal goes, and how.

    ``url`` is whole for HTTP, a target of gRPC's otherwise; like ``headers`` it may have a secret, and is
    never shown as it is. ``certificate`` is a file of authorities, ``client`` those of our own certificate
    and its key.
    """

    url: str = field(repr=False)
    protocol: OtlpProtocol = OtlpProtocol.HTTP
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    seconds: float = _DEFAULT_MS / 1000
    compression: Compression = Compression.NONE
    secure: bool = False
    certificate: str | None = None
    client: tuple[str, str] | None = None


def target(signal: TelemetrySignal, variables: Variables) -> OtlpEndpoint | None:
    """Where a signal goes; None where nowhere. Raises OtelConfigError."""
    return _Reader(signal, variables).target()


class _Reader:
    """Reads the variables of one signal: its own, else those of all."""

    def __init__(self, signal: TelemetrySignal, variables: Variables) -> None:
        self._signal = signal
        self._variables = variables

    def target(self) -> OtlpEndpoint | None:
        endpoint = self._get("ENDPOINT")
        if endpoint is None or self._is_off():
            return None
        protocol = OtlpProtocol(
            self._variables.known(self._name("PROTOCOL"), OtlpProtocol) or OtlpProtocol.HTTP
        )
        is_grpc = protocol is OtlpProtocol.GRPC
        url, secure = self._grpc(endpoint) if is_grpc else self._http(endpoint)
        return OtlpEndpoint(
            url,
            protocol,
            self._headers(_METADATA if is_grpc else _TOKEN),
            self._seconds(),
            Compression(self._variables.known(self._name("COMPRESSION"), Compression) or Compression.NONE),
            secure,
            self._file("CERTIFICATE"),
            self._client(),
        )

    def _name(self, ending: str) -> str:
        """The variable that counts for this signal."""
        return self._variables.first(f"{_PREFIX}{self._signal.upper()}_{ending}", f"{_PREFIX}{ending}")

    def _get(self, ending: str) -> str | None:
        return self._variables.get(self._name(ending))

    def _is_off(self) -> bool:
        name = f"OTEL_{self._signal.upper()}_EXPORTER"
        listed = [item.strip().lower() for item in (self._variables.get(name) or "otlp").split(",")]
        unknown = [item for item in listed if item not in {"otlp", "none", ""}]
        if unknown:
            self._variables.ignored(name, ",".join(unknown), "otlp, none")
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
            if parts is None or "@" in parts.netloc:
                raise self._no_endpoint(endpoint, "http://collector:4317")
            port = "" if parts.port else f":{_GRPC_PORT}"
            return f"{parts.netloc.rstrip(':')}{port}", parts.scheme == "https"
        if not _GRPC_NAME.fullmatch(endpoint) or _USER.search(endpoint):
            raise self._no_endpoint(endpoint, "http://collector:4317")
        # Without http or https, whether to encrypt is a variable's word.
        is_open = self._variables.is_true(self._name("INSECURE")) or endpoint.startswith("unix")
        return endpoint, not is_open

    def _parts(self, endpoint: str) -> SplitResult | None:
        """The parts of a URL; None where it is none that leads anywhere."""
        try:
            parts = urlsplit(endpoint)
            _ = parts.port
        except ValueError:
            return None
        return parts if parts.scheme in _HTTP_SCHEMES and parts.hostname else None

    def _no_endpoint(self, endpoint: str, example: str) -> OtelConfigError:
        # What has these may have a secret.
        shown = "what it says" if set(endpoint) & set("@?=") else repr(endpoint)
        return OtelConfigError(f"{self._name('ENDPOINT')}: {shown} is no endpoint; for instance {example}")

    def _headers(self, token: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
        found = pairs(self._get("HEADERS") or "")
        named = [(name.lower(), value) for name, value in found or ()]
        if found is None or any(not token.fullmatch(name) or not _is_plain(value) for name, value in named):
            # Not shown: it is where tokens and passwords stand.
            raise OtelConfigError(f"{self._name('HEADERS')}: is not {PAIRS}")
        return tuple(named)

    def _seconds(self) -> float:
        text = self._get("TIMEOUT")
        milliseconds = _DEFAULT_MS if text is None else number(text)
        if milliseconds is None or not 0 < milliseconds <= _DAY_MS:
            raise OtelConfigError(
                f"{self._name('TIMEOUT')}: {text!r} is no time in milliseconds, such as 10000"
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


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
