"""Types of settings, with the checks of their values. The checks raise ValueError with text for users."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from exporter.config.address import DEFAULT_ADDRESS
from exporter.config.duration import parse_duration
from exporter.log_tail import redactor
from exporter.workload import parse_source

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):[0-9]{1,5}")
_MAX_PORT = 65535
_UNIX_PREFIX = "unix://"
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_RESERVED_PATHS = ("/api/", "/-/", "/openapi.json/")
# A name in braces, for which the page puts a value of the job.
_PLACE = re.compile(r"{(.*?)}")
_TRACE_EXAMPLE = "https://jaeger.example.com/trace/{trace_id}"
_SERVER_EXAMPLE = "https://dstack.example.com"
_EXTERNAL_EXAMPLE = "https://exits.example.com"
_HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_DATABASE_EXAMPLE = "sqlite:////var/lib/exits.db"
# More nanoseconds than these do not fit into the database's integers.
_CENTURY_SECONDS = 100 * 365 * 86400


def expand_path(path: str) -> Path:
    """Return a path with ``~`` replaced by the home directory. Raises ValueError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path!r}: there is no such home directory") from error


def _parse_seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _check_path(value: object) -> object:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str):
        # pydantic's own text has the name of a class, which differs between versions of Python.
        raise PydanticCustomError("path_type", "{value} is not a path", {"value": repr(value)})
    return expand_path(value) if value else None


def _split_list(value: object) -> object:
    """Return the items of a list that is written with commas, as in a variable."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _check_database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise ValueError(f"{value!r} is not a database URL; example: {_DATABASE_EXAMPLE}") from error
    is_file = url.database and url.database != ":memory:" and not url.database.startswith("file:")
    if url.drivername != "sqlite" or url.query or not is_file:
        raise ValueError(f"{value!r}: only a SQLite file is supported; example: {_DATABASE_EXAMPLE}")
    return value


def database_path(url: str) -> Path:
    """Return the file of a checked database URL."""
    return Path(make_url(url).database or "")


def _check_address(value: object) -> object:
    if (
        not isinstance(value, str)
        or not _ADDRESS.fullmatch(value)
        or int(value.rpartition(":")[2]) > _MAX_PORT
    ):
        raise ValueError(f"{value!r} is not HOST:PORT, such as {DEFAULT_ADDRESS} or [::]:10137")
    return value


def _split_addresses(value: object) -> object:
    return _split_list(value) if isinstance(value, (str, list, tuple)) and value else _check_address(value)


def _check_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not (value.startswith(_UNIX_PREFIX) and value.removeprefix(_UNIX_PREFIX).startswith("/")):
            _check_address(value)
    return values


def _check_url_path(value: object) -> object:
    if not isinstance(value, str) or not _URL_PATH.fullmatch(value):
        raise ValueError(f"{value!r} is not a path such as /metrics")
    if f"{value}/".startswith(_RESERVED_PATHS):
        raise ValueError(f"{value!r} is reserved; use another path, such as /metrics")
    return value


def _check_server_url(value: object) -> object:
    return _check_url(value, _SERVER_EXAMPLE, "give a token instead")


def _check_external_url(value: object) -> object:
    return _check_url(value, _EXTERNAL_EXAMPLE, "leave it out")


def _check_url(value: object, example: str, instead: str) -> object:
    if not isinstance(value, str) or not value:
        return value
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{value!r} is not the URL of a server, such as {example}")
    if parts.username is not None or parts.password is not None:
        # Not shown: it may hold a secret.
        raise ValueError(f"a URL with a user or a password is not supported; {instead}")
    if parts.query or parts.fragment:
        raise ValueError(f"{value!r} has a query or a fragment; give the server's URL, such as {example}")
    return value


def _check_link(value: object, *names: str) -> object:
    if not isinstance(value, str) or not value:
        return value
    unknown = set(_PLACE.findall(value)) - set(names)
    if unknown:
        raise ValueError(
            f"{value!r} has {{{min(unknown)}}}; valid are: {', '.join(f'{{{name}}}' for name in names)}"
        )
    try:
        parts = urlsplit(_PLACE.sub("x", value))
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{value!r} is not a URL of http or https")
    return value


def _check_trace_url(value: object) -> object:
    if isinstance(value, str) and value and "{trace_id}" not in value:
        raise ValueError(f"{value!r} lacks {{trace_id}}, such as {_TRACE_EXAMPLE}")
    return _check_link(value, "trace_id")


def _check_grafana_url(value: object) -> object:
    return _check_link(value, "workload", "host", "name")


def _check_host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a host name such as exits.example.com or .example.com, or *")
    return names


def _check_pattern(value: object) -> object:
    if isinstance(value, str) and value:
        redactor(value)
    return value or None


def _check_file_mode(mode: str) -> str:
    if not re.fullmatch("0?[0-7]{3}", mode):
        raise ValueError(f"{mode!r} is no mode of a file: expected three digits from 0 to 7, as in 0660")
    return mode


Duration = Annotated[float, BeforeValidator(_parse_seconds)]
Seconds = Annotated[Duration, Field(ge=0, le=_CENTURY_SECONDS)]
OptionalPath = Annotated[Path | None, BeforeValidator(_check_path)]
RedactPattern = Annotated[str | None, BeforeValidator(_check_pattern)]
ListenAddresses = Annotated[
    tuple[str, ...], BeforeValidator(_split_addresses), AfterValidator(_check_addresses)
]
FileMode = Annotated[str, AfterValidator(_check_file_mode)]
UrlPath = Annotated[str, BeforeValidator(_check_url_path)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
ServerUrl = Annotated[str, BeforeValidator(_check_server_url)]
TraceUrl = Annotated[str, BeforeValidator(_check_trace_url)]
GrafanaUrl = Annotated[str, BeforeValidator(_check_grafana_url)]
ExternalUrl = Annotated[str, BeforeValidator(_check_external_url)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_split_list), AfterValidator(_check_host_names)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
EngineHosts = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
WorkloadSource = Annotated[str, AfterValidator(parse_source)]
WorkloadSources = Annotated[tuple[WorkloadSource, ...], BeforeValidator(_split_list), Field(min_length=1)]
