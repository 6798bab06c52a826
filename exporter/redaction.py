"""Removal of secrets from text: the log, answers and messages of commands all pass through here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

REDACTED = "[redacted]"

# A shorter one could be part of any word. In a URL it is recognised by its place.
_MIN_SECRET = 6
_PROXY = re.compile(r".*_proxy", re.IGNORECASE)
_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?HEADERS")
_ENDPOINT = re.compile(r"OTEL_EXPORTER_OTLP_(\w+_)?ENDPOINT")
_SECRET = re.compile(r".*(TOKEN|PASSWORD|SECRET|API_?KEY)", re.IGNORECASE)

# What stands between the first group and the last is replaced. Of ssh a user alone is part of the address;
# of other schemes it can be a token.
_PLACES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(\b(?!ssh://)[a-z][a-z0-9+.-]*://)[^\s/?#]+(@)",
        # A password in which a slash or the like is not encoded; what is no password there is a port.
        r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#:@\[]*:(?![0-9]*(?:[/?#\s'\"]|$))[^\s]*(@)",
        r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"]*\?)[^\s#'\"]+()",
        r"(authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:basic|bearer)\s+)?[^\s'\",]+()",
    )
)


class Redactor:
    """Replaces secrets in a text: those of the environment, and what stands where URLs and headers have some.

    Of the environment these count: passwords of proxies, headers, passwords and queries of OTLP's endpoints,
    and variables that are named after a token or a password.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {text for secret in _secrets(environment) for text in (secret, unquote(secret))}
        # The longest first: one can be the beginning of another.
        known = sorted((text for text in found if len(text) >= _MIN_SECRET), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return a text without secrets."""
        for place in _PLACES:
            text = place.sub(rf"\1{REDACTED}\2", text)
        return text if self._known is None else self._known.sub(REDACTED, text)


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _PROXY.fullmatch(name) or _ENDPOINT.fullmatch(name):
            yield from _secrets_of_url(value)
        elif _HEADERS.fullmatch(name):
            yield from _secrets_of_headers(value)
        elif _SECRET.fullmatch(name):
            yield value.strip()


def _secrets_of_url(url: str) -> Iterator[str]:
    parts = _split(url if "://" in url else f"//{url}")
    password = (url.partition("://")[2] or url).rpartition("@")[0].partition(":")[2]
    yield password
    # Where they are not encoded, a library may take these for its end, and quote it up to there.
    yield from re.split(r"[/?#]", password)
    if parts is not None:
        yield from (value for _, value in parse_qsl(parts.query))


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _secrets_of_headers(headers: str) -> Iterator[str]:
    for header in headers.split(","):
        value = unquote(header.partition("=")[2]).strip()
        yield value
        # The scheme of an authorization is no secret, and may be left out where it is quoted.
        yield value.rpartition(" ")[2]
