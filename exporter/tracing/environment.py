"""What the standard ``OTEL_…`` variables ask for.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Other programs of a host may share these
variables: what is only not understood is warned of and left aside, as they say; what would lose every
trace is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

from exporter.model import Signal
from exporter.tracing.sampling import SAMPLERS, Sampler

log = structlog.get_logger(__name__)

SERVICE = "exit-exporter"
_DEFAULT_MS = 10_000.0
_DEFAULT_EVENTS = 128
_PREFIX = "OTEL_EXPORTER_OTLP_"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HTTP_SCHEMES = ("http", "https")
_GRPC_SCHEMES = (*_HTTP_SCHEMES, "unix", "dns")


class TracingError(Exception):
    """What the variables ask for cannot be done; the text names the variable and what to do."""


class Protocol(StrEnum):
    """How a collector is spoken to."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Compression(StrEnum):
    """How what is sent is made smaller."""

    NONE = "none"
    GZIP = "gzip"
    DEFLATE = "deflate"


@dataclass(frozen=True, slots=True)
class Target:
    """Where one signal goes, and how.

    ``url`` is whole for HTTP, a target of gRPC's otherwise. ``headers`` may have secrets and are never
    shown. ``certificate`` is a file of authorities, ``client`` those of our own certificate and its key.
    """

    url: str
    protocol: Protocol = Protocol.HTTP
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    seconds: float = _DEFAULT_MS / 1000
    compression: Compression = Compression.NONE
    secure: bool = False
    certificate: str | None = None
    client: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a span may have: events, and characters in a text (None: any)."""

    events: int = _DEFAULT_EVENTS
    text: int | None = None


@dataclass(frozen=True, slots=True)
class Exporting:
    """All that the variables ask for; a signal that has no target is not sent."""

    targets: Mapping[Signal, Target] = field(default_factory=dict)
    sampler: Sampler = field(default_factory=Sampler)
    resource: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


def read(environment: Mapping[str, str]) -> Exporting:
    """What is asked for; no endpoint asks for nothing. Raises TracingError."""
    # As the specification has it, an empty variable is none.
    variables = {name: value.strip() for name, value in environment.items() if value.strip()}
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Exporting()
    targets = {signal: _target(_Variables(variables, signal)) for signal in Signal}
    return Exporting(
        {signal: target for signal, target in targets.items() if target is not None},
        _sampler(variables),
        _resource(variables),
        _limits(variables),
    )


class _Variables:
    """The variables of one signal: its own, else those of all."""

    def __init__(self, variables: Mapping[str, str], signal: Signal) -> None:
        self._variables = variables
        self.signal = signal

    def name(self, ending: str) -> str:
        """The variable that counts for this signal."""
        own = f"{_PREFIX}{self.signal.upper()}_{ending}"
        return own if own in self._variables else f"{_PREFIX}{ending}"

    def get(self, ending: str) -> str | None:
        """Its text."""
        return self._variables.get(self.name(ending))

    def is_own(self, ending: str) -> bool:
        """Whether it is set for this signal alone."""
        return self.name(ending) != f"{_PREFIX}{ending}"

    def is_off(self) -> bool:
        """Whether this signal is not to be sent at all."""
        name = f"OTEL_{self.signal.upper()}_EXPORTER"
        exporters = [item.strip() for item in self._variables.get(name, "otlp").split(",")]
        if "none" in exporters:
            return True
        _known(name, exporters, ("otlp", "none"))
        return False

    def one_of(self, ending: str, known: type[Protocol | Compression], default: str) -> str:
        """A word of a closed set; one that is not in it is warned of."""
        text = (self.get(ending) or default).lower()
        return text if _known(self.name(ending), [text], list(known)) else default

    def file(self, ending: str) -> str | None:
        """A file that can be read. Raises TracingError."""
        path = self.get(ending)
        if path is not None and not os.access(path, os.R_OK):
            raise TracingError(f"{self.name(ending)}: cannot read {path}")
        return path


def _target(variables: _Variables) -> Target | None:
    endpoint = variables.get("ENDPOINT")
    if endpoint is None or variables.is_off():
        return None
    protocol = Protocol(variables.one_of("PROTOCOL", Protocol, Protocol.HTTP))
    address = _url if protocol is Protocol.HTTP else _grpc_target
    url, secure = address(variables, endpoint)
    return Target(
        url,
        protocol,
        _headers(variables),
        _seconds(variables),
        Compression(variables.one_of("COMPRESSION", Compression, Compression.NONE)),
        secure,
        variables.file("CERTIFICATE"),
        _client(variables),
    )


def _url(variables: _Variables, endpoint: str) -> tuple[str, bool]:
    parts = _parts(variables, endpoint)
    if parts.scheme not in _HTTP_SCHEMES or not parts.hostname:
        raise _no_endpoint(variables, endpoint, "http://collector:4318")
    if variables.is_own("ENDPOINT"):
        return (endpoint if parts.path else f"{endpoint}/"), parts.scheme == "https"
    return f"{endpoint.rstrip('/')}/v1/{variables.signal.value}", parts.scheme == "https"


def _grpc_target(variables: _Variables, endpoint: str) -> tuple[str, bool]:
    # Without a scheme, gRPC's own way to write it, whether to encrypt is a variable's word.
    parts = _parts(variables, endpoint if "://" in endpoint else f"dns://{endpoint}")
    if parts.scheme not in _GRPC_SCHEMES or not (parts.netloc or parts.path):
        raise _no_endpoint(variables, endpoint, "http://collector:4317")
    if parts.scheme == "unix":
        return endpoint, False
    secure = parts.scheme == "https"
    if parts.scheme == "dns":
        secure = (variables.get("INSECURE") or "false").lower() != "true"
    return parts.netloc, secure


def _parts(variables: _Variables, endpoint: str) -> SplitResult:
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError as error:
        raise _no_endpoint(variables, endpoint, "http://collector:4318") from error
    return parts


def _no_endpoint(variables: _Variables, endpoint: str, example: str) -> TracingError:
    return TracingError(f"{variables.name('ENDPOINT')}: {endpoint!r} is no endpoint; for instance {example}")


def _headers(variables: _Variables) -> tuple[tuple[str, str], ...]:
    text = variables.get("HEADERS") or ""
    pairs = _pairs(text)
    if pairs is None or any(not _TOKEN.fullmatch(name) or not _is_plain(value) for name, value in pairs):
        # Not shown: it is where tokens and passwords stand.
        raise TracingError(f"{variables.name('HEADERS')}: is not NAME=VALUE,NAME=VALUE with percent-encoding")
    return tuple((name.lower(), value) for name, value in pairs)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _seconds(variables: _Variables) -> float:
    text = variables.get("TIMEOUT")
    milliseconds = _number(text) if text is not None else _DEFAULT_MS
    if milliseconds is None or milliseconds <= 0:
        raise TracingError(f"{variables.name('TIMEOUT')}: {text!r} is no time in milliseconds, such as 10000")
    return milliseconds / 1000


def _client(variables: _Variables) -> tuple[str, str] | None:
    certificate, key = variables.file("CLIENT_CERTIFICATE"), variables.file("CLIENT_KEY")
    if (certificate is None) != (key is None):
        missing = variables.name("CLIENT_KEY" if key is None else "CLIENT_CERTIFICATE")
        raise TracingError(f"{missing}: is not set; a certificate and its key go together")
    return None if certificate is None or key is None else (certificate, key)


def _sampler(variables: Mapping[str, str]) -> Sampler:
    name = variables.get("OTEL_TRACES_SAMPLER")
    if name is None or not _known("OTEL_TRACES_SAMPLER", [name], SAMPLERS):
        # Not parentbased_always_on, as elsewhere: whoever decided against the parent did not know that the
        # job would fail.
        return Sampler()
    return SAMPLERS[name](_ratio(variables.get("OTEL_TRACES_SAMPLER_ARG", "1")))


def _ratio(text: str) -> float:
    ratio = _number(text)
    if ratio is None or not 0 <= ratio <= 1:
        _ignored("OTEL_TRACES_SAMPLER_ARG", text, "a number from 0 to 1")
        return 1.0
    return ratio


def _resource(variables: Mapping[str, str]) -> dict[str, str]:
    text = variables.get("OTEL_RESOURCE_ATTRIBUTES", "")
    pairs = _pairs(text)
    if pairs is None:
        _ignored("OTEL_RESOURCE_ATTRIBUTES", text, "NAME=VALUE,NAME=VALUE with percent-encoding")
    named = {"service.name": variables["OTEL_SERVICE_NAME"]} if "OTEL_SERVICE_NAME" in variables else {}
    return {"service.name": SERVICE, **dict(pairs or ()), **named}


def _limits(variables: Mapping[str, str]) -> Limits:
    length = next(
        (
            name
            for name in ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
            if name in variables
        ),
        "",
    )
    events = _count(variables, "OTEL_SPAN_EVENT_COUNT_LIMIT")
    return Limits(_DEFAULT_EVENTS if events is None else events, _count(variables, length))


def _count(variables: Mapping[str, str], name: str) -> int | None:
    text = variables.get(name)
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    _ignored(name, text, "a whole number")
    return None


def _pairs(text: str) -> list[tuple[str, str]] | None:
    """``name=value,…`` with percent-encoding; None where an item is none."""
    items = [item.partition("=") for item in text.split(",") if item.strip()]
    if any(not equals or not name.strip() for name, equals, _ in items):
        return None
    return [(unquote(name.strip()), unquote(value.strip())) for name, _, value in items]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _known(name: str, words: Iterable[str], known: Iterable[str]) -> bool:
    unknown = sorted(set(words) - set(known))
    if unknown:
        _ignored(name, ",".join(unknown), ", ".join(known))
    return not unknown


def _ignored(name: str, text: str, wanted: str) -> None:
    log.warning("variable not understood, ignored", variable=name, value=text, wanted=wanted)
