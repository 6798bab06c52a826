"""Removal of secrets from text: the log, answers and messages of commands all pass through here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

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
        # A password in which a slash, a space or the like is not encoded; what is none there is a port.
        r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#:@\[]*:(?![0-9]*(?:[/?#\s'\",;)]|$)|\[redacted])[^\n]*(@)",
        r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"]*\?)[^\s#'\"]+()",
        r"(authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:basic|bearer)\s+)?[^\s'\",]+()",
    )
)


# A scheme without its colon is a common slip.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*(?:://|//)", re.IGNORECASE)
# Addresses of files.
_FILES = ("unix:///", "npipe:////", "sqlite:///")
# What follows a host and is no port: it may be a password, and the host a user.
_NO_PORT = re.compile(r"\A((?>\[[0-9A-Fa-f:.]*(?:\]|$)|[^:/?#]*):)(?![0-9]*(?:[/?#]|$)).*", re.DOTALL)


def quoted_url(url: object) -> str:
    """Return a value that should be a URL in quotes, without what can be a secret in one."""
    return repr(shown_url(url) if isinstance(url, str) else url)


def quoted(value: object) -> str:
    """Return a value in quotes, without what can be a secret if it looks like a URL."""
    is_like_url = isinstance(value, str) and ("/" in value or "@" in value)
    return quoted_url(value) if is_like_url else repr(value)


def shown_url(url: str) -> str:
    """Return a URL, however broken, without what can be a secret.

    That is all before its last ``@``, what stands where a port should be, and what follows a ``?``.
    """
    found = _SCHEME.match(url)
    scheme = found[0] if found else ""
    user, at, place = url[len(scheme) :].rpartition("@")
    if url.startswith(_FILES) and ":" not in user:
        return url
    if at and (":" in user or scheme.lower() != "ssh://"):
        user = REDACTED
    address, mark, _ = _NO_PORT.sub(rf"\1{REDACTED}", place).partition("?")
    return scheme + user + at + address + mark + (mark and REDACTED)


class Redactor:
    """Replaces secrets in a text: those of the environment, and what stands where URLs and headers have some.

    Of the environment these count: passwords of proxies, headers, passwords and queries of OTLP's endpoints,
    and variables that are named after a token or a password.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {text for secret in _secrets(environment) for text in _spellings(secret)}
        # The longest first: one can be the beginning of another.
        known = sorted((text for text in found if len(text) >= _MIN_SECRET), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return a text without secrets."""
        for place in _PLACES:
            text = place.sub(rf"\1{REDACTED}\2", text)
        return text if self._known is None else self._known.sub(REDACTED, text)


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it is given, and as others quote it."""
    for text in (secret, unquote(secret)):
        # A variable need not be UTF-8.
        encoded = [quote(text, safe, errors="surrogateescape") for safe in ("/", "")]
        yield from (text, repr(text)[1:-1], *encoded)


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
    yield from re.split(r"[/\\?#]", password)
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
