"""Types of settings, with the checks of their values. The checks raise ValueError with text for users."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from exporter.config.address import DEFAULT_ADDRESS
from exporter.config.duration import DURATION_EXAMPLES, format_duration, parse_duration
from exporter.config.urls import (
    check_database_url,
    check_engine_hosts,
    check_external_url,
    check_grafana_url,
    check_server_url,
    check_trace_url,
)
from exporter.config.value_problems import shown
from exporter.log_tail import redactor
from exporter.workload import parse_source

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):[0-9]{1,5}")
_MAX_PORT = 65535
_UNIX_PREFIX = "unix://"
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_RESERVED_PATHS = ("/api/", "/-/", "/openapi.json/")
_HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# More nanoseconds than these do not fit into the database's integers.
_CENTURY_SECONDS = 100 * 365 * 86400


def expand_path(path: str) -> Path:
    """Return a path with ``~`` replaced by the home directory. Raises ValueError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path!r}: there is no such home directory") from error


def _parse_seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{shown(value)} is not a duration; write {DURATION_EXAMPLES}")


def _at_least(minimum: float) -> AfterValidator:
    """Return a check of the range of a duration, in seconds."""

    def check(seconds: float) -> float:
        if not minimum <= seconds <= _CENTURY_SECONDS:
            raise ValueError(f"must be between {format_duration(minimum)} and 100y")
        return seconds

    return AfterValidator(check)


def _check_path(value: object) -> object:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str):
        # pydantic's own text has the name of a class, which differs between versions of Python.
        raise PydanticCustomError("path_type", "{value} is not a path", {"value": shown(value)})
    return expand_path(value) if value else None


def _split_list(value: object) -> object:
    """Return the items of a list that is written with commas, as in a variable."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _check_address(value: object) -> object:
    if (
        not isinstance(value, str)
        or not _ADDRESS.fullmatch(value)
        or int(value.rpartition(":")[2]) > _MAX_PORT
    ):
        raise ValueError(f"{shown(value)} is not HOST:PORT, such as {DEFAULT_ADDRESS} or [::]:10137")
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
        raise ValueError(f"{shown(value)} is not a path such as /metrics")
    if f"{value}/".startswith(_RESERVED_PATHS):
        raise ValueError(f"{value!r} is reserved; use another path, such as /metrics")
    return value


def _check_host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(
                f"{shown(name)} is not a host name such as exits.example.com or .example.com, or *"
            )
    return names


def _check_pattern(value: object) -> object:
    if isinstance(value, str) and value:
        redactor(value)
    return value or None


def _check_file_mode(mode: str) -> str:
    if not re.fullmatch("0?[0-7]{3}", mode):
        raise ValueError(f"{shown(mode)} is no mode of a file: expected three digits from 0 to 7, as in 0660")
    return mode


Seconds = Annotated[float, BeforeValidator(_parse_seconds), _at_least(0)]
SecondOrMore = Annotated[float, BeforeValidator(_parse_seconds), _at_least(1)]
OptionalPath = Annotated[Path | None, BeforeValidator(_check_path)]
RedactPattern = Annotated[str | None, BeforeValidator(_check_pattern)]
ListenAddresses = Annotated[
    tuple[str, ...], BeforeValidator(_split_addresses), AfterValidator(_check_addresses)
]
FileMode = Annotated[str, AfterValidator(_check_file_mode)]
UrlPath = Annotated[str, BeforeValidator(_check_url_path)]
DatabaseUrl = Annotated[str, AfterValidator(check_database_url)]
ServerUrl = Annotated[str, BeforeValidator(check_server_url)]
TraceUrl = Annotated[str, BeforeValidator(check_trace_url)]
GrafanaUrl = Annotated[str, BeforeValidator(check_grafana_url)]
ExternalUrl = Annotated[str, BeforeValidator(check_external_url)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_split_list), AfterValidator(_check_host_names)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
EngineHosts = Annotated[tuple[str, ...], BeforeValidator(_split_list), AfterValidator(check_engine_hosts)]
WorkloadSource = Annotated[str, AfterValidator(parse_source)]
WorkloadSources = Annotated[tuple[WorkloadSource, ...], BeforeValidator(_split_list), Field(min_length=1)]
