"""Checks of settings that are URLs. They raise ValueError with text for users, in which no password is."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from exporter.redaction import quoted_url

CONTEXT_PREFIX = "context:"
ENGINE_EXAMPLES = "examples: unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host"
_HTTP = frozenset({"http", "https"})
_ENGINE_SCHEMES = ("unix://", "npipe://", "tcp://", "ssh://", "http://", "https://")
_SOCKET = re.compile(r"unix://(?:/|[^:@]*$)|npipe://")
_PASSWORD = re.compile(r"[^/]*//[^/?#@\[]*:.*@")
# Where a password has a slash or the like, the name before it looks like a host.
_USER = re.compile(rf"[^/]*//[^/?#]*@|{_PASSWORD.pattern}")
# In the path and the query of a link, an @ is nothing special.
_USER_OF_LINK = re.compile(r"[^/]*//(?:[^/]*@|[^/?#@\[]*:[^?#]*@)")
# A name in braces, for which the page puts a value of the job.
_PLACE = re.compile(r"{(.*?)}")
_TRACE_EXAMPLE = "https://jaeger.example.com/trace/{trace_id}"
_SERVER_EXAMPLE = "https://dstack.example.com"
_EXTERNAL_EXAMPLE = "https://exits.example.com"
_DATABASE_EXAMPLE = "sqlite:////var/lib/exits.db"


def check_engine_hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return engines, each of which is a URL, ``context:NAME`` or empty."""
    for value in values:
        if value and not value.startswith(CONTEXT_PREFIX):
            check_engine_url(value)
    return values


def check_engine_url(url: str) -> str:
    """Return the URL of an engine."""
    shown = quoted_url(url)
    if not url.isprintable():
        # It is a label of the metrics, which are UTF-8.
        raise ValueError(f"{shown} has control characters, or is not UTF-8")
    if not url.startswith(_ENGINE_SCHEMES):
        raise ValueError(f"{shown} is not the address of an engine; {ENGINE_EXAMPLES}")
    if _SOCKET.match(url):
        return url
    if (_PASSWORD if url.startswith("ssh://") else _USER).match(url):
        raise ValueError(f"{shown}: engines ask for no password; leave it out, and use certificates or ssh")
    if not _is_place(url):
        raise ValueError(f"{shown} is not the address of an engine; {ENGINE_EXAMPLES}")
    return url


def check_database_url(value: str) -> str:
    """Return the URL of a SQLite file."""
    shown = quoted_url(value)
    try:
        url = make_url(value)
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"{shown} is not a database URL; example: {_DATABASE_EXAMPLE}") from error
    is_file = url.database and url.database != ":memory:" and not url.database.startswith("file:")
    if url.drivername != "sqlite" or url.host or url.username or url.query or not is_file:
        raise ValueError(f"{shown}: only a SQLite file is supported; example: {_DATABASE_EXAMPLE}")
    return value


def database_path(url: str) -> Path:
    """Return the file of a checked database URL."""
    return Path(make_url(url).database or "")


def check_server_url(value: object) -> object:
    """Return the URL of dstack's server."""
    return _check_url(value, _SERVER_EXAMPLE, "give a token instead")


def check_external_url(value: object) -> object:
    """Return the URL at which browsers reach the exporter."""
    return _check_url(value, _EXTERNAL_EXAMPLE, "leave it out")


def check_trace_url(value: object) -> object:
    """Return the address of a trace."""
    if isinstance(value, str) and value and "{trace_id}" not in value:
        raise ValueError(f"{quoted_url(value)} lacks {{trace_id}}, such as {_TRACE_EXAMPLE}")
    return _check_link(value, "trace_id")


def check_grafana_url(value: object) -> object:
    """Return the address of a dashboard."""
    return _check_link(value, "workload", "host", "name")


def _check_url(value: object, example: str, instead: str) -> object:
    if not isinstance(value, str) or not value:
        return value
    shown, parts = quoted_url(value), _split(value)
    if parts is None or parts.scheme not in _HTTP:
        raise ValueError(f"{shown} is not the URL of a server, such as {example}")
    if _USER.match(value):
        # Not shown: it may hold a secret.
        raise ValueError(f"a URL with a user or a password is not supported; {instead}")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown} has a query or a fragment; give the server's URL, such as {example}")
    return value


def _check_link(value: object, *names: str) -> object:
    if not isinstance(value, str) or not value:
        return value
    if _USER_OF_LINK.match(value):
        # The page would show it to everyone.
        raise ValueError("a URL with a user or a password is not supported; leave it out")
    shown, unknown = quoted_url(value), set(_PLACE.findall(value)) - set(names)
    if unknown:
        raise ValueError(
            f"{shown} has {{{min(unknown)}}}; valid are: {', '.join(f'{{{name}}}' for name in names)}"
        )
    parts = _split(_PLACE.sub("x", value))
    if parts is None or parts.scheme not in _HTTP:
        raise ValueError(f"{shown} is not a URL of http or https")
    return value


def _is_place(url: str) -> bool:
    """Return whether the URL of an engine has a port that can be used, and no more. ssh has a default."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_ssh = parts.scheme == "ssh"
    return not (parts.query or parts.fragment or (is_ssh and parts.path)) and (is_ssh or bool(port))


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it has no host, or a port that is none."""
    try:
        parts = urlsplit(url)
        is_usable = parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None
