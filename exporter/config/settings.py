"""Every setting, declared once: the file, the environment, the flags, help and documentation read this.

``group.name`` is ``--group.name`` as a flag, ``EXIT_EXPORTER_GROUP_NAME`` in the environment, and
``name`` under ``group`` in the file. Flags win over the environment, the environment over the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from exporter.config import duration, yaml_document
from exporter.log_tail import redactor
from exporter.workload import DEFAULT_ORDER, parse_source

PREFIX = "EXIT_EXPORTER_"
CONFIG_FILE = "config.file"
_FILE_VARIABLE = f"{PREFIX}CONFIG_FILE"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):[0-9]{1,5}")
_MAX_PORT = 65535
_NO_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_TAKEN_PATHS = ("/api/", "/-/", "/openapi.json/")
_DATABASE_EXAMPLE = "sqlite:////var/lib/exits.db"
# Nanoseconds of more than that would not fit into the database's integers.
_CENTURY = 100 * 365 * 86400
# Variables of the command line's client side, which are no settings of the daemon.
CLIENT_VARIABLES = frozenset({f"{PREFIX}URL"})


class SettingsError(Exception):
    """Settings were refused; ``problems`` are lines that each name the place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Jobs(StrEnum):
    """Of which jobs a trace is made, by how they ended."""

    FAILED = "failed"
    ALL = "all"
    NONE = "none"


class Events(StrEnum):
    """Where what happened in a job is told: in its span, in log records, or in both."""

    SPANS = "spans"
    LOGS = "logs"
    BOTH = "logs/dup"


class LogLevel(StrEnum):
    """How much is said."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """In which form it is said."""

    LOGFMT = "logfmt"
    JSON = "json"


def _seconds(value: object) -> object:
    return duration.parse(value) if isinstance(value, str) else value


def _items(value: object) -> object:
    """A list may be written with commas, as the environment must."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _path(value: object) -> object:
    if value is None or isinstance(value, Path):
        return value
    if not isinstance(value, str):
        # pydantic would name Python's class, which is called otherwise in Python 3.13.
        raise ValueError(f"{value!r} is not a path")  # noqa: TRY004
    return _expanded(value) if value else None


def _expanded(path: str) -> Path:
    """A path with ``~`` put in full. Raises ValueError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path!r} is in no home that there is") from error


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise ValueError(f"{value!r} is not a database URL; example: {_DATABASE_EXAMPLE}") from error
    is_file = url.database and url.database != ":memory:" and not url.database.startswith("file:")
    if url.drivername != "sqlite" or url.query or not is_file:
        raise ValueError(f"{value!r}: only a SQLite file is supported; example: {_DATABASE_EXAMPLE}")
    return value


def _address(value: object) -> object:
    if (
        not isinstance(value, str)
        or not _ADDRESS.fullmatch(value)
        or int(value.rpartition(":")[2]) > _MAX_PORT
    ):
        raise ValueError(f"{value!r} is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137")
    return value


def _own_path(value: object) -> object:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise ValueError(f"{value!r} is no path such as /metrics")
    if f"{value}/".startswith(_TAKEN_PATHS):
        raise ValueError(f"{value!r} is taken; /metrics is free")
    return value


def _pattern(value: object) -> object:
    if isinstance(value, str) and value:
        redactor(value)
    return value or None


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=_CENTURY)]
MaybePath = Annotated[Path | None, BeforeValidator(_path)]
Pattern = Annotated[str | None, BeforeValidator(_pattern)]
Address = Annotated[str, BeforeValidator(_address)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_items)]
Source = Annotated[str, AfterValidator(parse_source)]
Sources = Annotated[tuple[Source, ...], BeforeValidator(_items), Field(min_length=1)]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=False,
        validate_by_alias=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        """What is no text in any language cannot be shown, logged or stored."""
        for text in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(text, str) and _NO_TEXT.search(text):
                raise ValueError(f"{text!r} has characters that are no text (is it UTF-8?)")
        return value


class Docker(_Group):
    """Which engines are watched."""

    host: Hosts = Field(
        default=(),
        description="Engine to watch: unix:///path, tcp://host:2376, ssh://user@host, or context:NAME. "
        "May be given several times. Default: what the docker command would use.",
    )
    cert_path: MaybePath = Field(
        default=None, description="Directory with ca.pem, cert.pem and key.pem, for tcp:// with TLS."
    )


class Instance(_Group):
    """What the watched host is called."""

    name: str = Field(
        default="", description="Name of the host that jobs run on. Default: the name that its engine tells."
    )


class Workload(_Group):
    """What jobs are grouped by."""

    order: Sources = Field(
        default=DEFAULT_ORDER,
        description="Where a workload's name comes from, first found wins: label (exit-exporter.workload), "
        "label:NAME (any label, such as label:com.example.job), swarm, compose, image.",
    )
    limit: int = Field(
        default=500,
        ge=1,
        description="More workloads than this are counted together, as 'Other'; one that has had no job for "
        "--storage.retention gives way.",
    )


class Exits(_Group):
    """How exits are judged."""

    oom_wait: Seconds = Field(
        default=1.0, description="How long to wait for a late OOM report, only where it could matter."
    )
    oom_window: Seconds = Field(
        default=10.0, description="How long before an exit an OOM kill still explains it."
    )
    stop_window: Seconds = Field(
        default=60.0,
        description="How long before an exit a request to stop still explains it. A longer stop timeout of "
        "the container counts instead, and an engine's own stop command always does.",
    )
    assume_oom: bool = Field(
        default=False, description="Read every 137 as OOMKilled, without evidence, as others do."
    )


class Traces(_Group):
    """What a collector of traces is told. Where it is, the standard OTEL_ variables say."""

    jobs: Jobs = Field(default=Jobs.FAILED, description="Of which jobs a trace is made: failed, all or none.")
    events: Events = Field(
        default=Events.SPANS,
        description="Where what happened in a job is told: spans (as events of its span), logs (as log "
        "records instead) or logs/dup (both).",
    )
    outbox_limit: int = Field(
        default=100_000, ge=1, description="So many jobs are kept for a collector that is away, at most."
    )
    outbox_age: Seconds = Field(
        default=7 * 86400.0, description="How long they are kept for it. 0: for ever."
    )


class Tail(_Group):
    """The end of failed jobs' logs. It may hold anything: nothing is read unless it is asked for."""

    lines: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="So many of the last lines of a failed job's log are kept, shown and sent. 0: none.",
    )
    bytes: int = Field(default=4096, ge=1, le=1 << 16, description="No more than so many bytes of them.")
    redact: Pattern = Field(
        default=None,
        description="Regular expression (RE2); what it matches in them is replaced by [redacted].",
    )


class Storage(_Group):
    """Where jobs and counters are kept."""

    url: DatabaseUrl = Field(
        default_factory=lambda: f"sqlite:///{platformdirs.user_state_path('exit-exporter') / 'exits.db'}",
        description="Database: sqlite:////absolute/path.db. Default: in the user's state directory.",
    )
    retention: Seconds = Field(
        default=30 * 86400.0,
        description="How long ended jobs are kept; counters are kept for ever. 0: always.",
    )

    @property
    def path(self) -> Path:
        """File of the database."""
        return Path(make_url(self.url).database or "")


class Catalogue(_Group):
    """Your own words for exit codes."""

    file: MaybePath = Field(default=None, description="Catalogue file with your own codes and reasons.")


class Web(_Group):
    """Where the daemon is reached."""

    listen_address: Address = Field(default="127.0.0.1:10137", description="HOST:PORT to listen on.")
    telemetry_path: Annotated[str, BeforeValidator(_own_path)] = Field(
        default="/metrics", description="Where the metrics are."
    )


class Log(_Group):
    """What the daemon says of itself, on standard error."""

    level: LogLevel = Field(default=LogLevel.INFO, description="debug, info, warning or error.")
    format: LogFormat = Field(default=LogFormat.LOGFMT, description="logfmt or json.")


class Settings(_Group):
    """All settings."""

    docker: Docker = Docker()
    instance: Instance = Instance()
    workload: Workload = Workload()
    exits: Exits = Exits()
    traces: Traces = Traces()
    tail: Tail = Tail()
    storage: Storage = Field(default_factory=Storage)
    catalogue: Catalogue = Catalogue()
    web: Web = Web()
    log: Log = Log()

    @model_validator(mode="after")
    def _one_name_for_one_engine(self) -> Settings:
        if self.instance.name and len(self.docker.host) > 1:
            raise ValueError("instance.name can name one host only; several engines are named by themselves")
        return self


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a flag and a variable."""

    name: str
    help: str
    default: str
    repeatable: bool = False
    switch: bool = False

    @property
    def flag(self) -> str:
        """``--group.name``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """``EXIT_EXPORTER_GROUP_NAME``."""
        return PREFIX + self.name.upper().replace(".", "_").replace("-", "_")


def options() -> Iterator[Option]:
    """Every setting, in the order of its declaration, with the one that names the file first."""
    yield Option(CONFIG_FILE, "File with settings, in YAML.", "")
    for group, field in Settings.model_fields.items():
        model = cast("type[_Group]", field.annotation)
        for name, setting in model.model_fields.items():
            yield Option(
                name=f"{group}.{name.replace('_', '-')}",
                help=setting.description or "",
                default=_shown(setting.get_default()),
                repeatable=setting.annotation == tuple[str, ...],
                switch=setting.annotation is bool,
            )


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings from all sources. ``flags`` has those that were given, by name.

    Raises SettingsError with every problem of the first source that has any.
    """
    known = list(options())
    variables = {
        option.name: environment[option.variable] for option in known if option.variable in environment
    }
    named = [(f"--{CONFIG_FILE}", flags.get(CONFIG_FILE)), (_FILE_VARIABLE, variables.get(CONFIG_FILE))]
    place, file = next(((place, file) for place, file in named if file), ("", ""))
    layers = [
        _from_file(_config_file(file, place)) if file else {},
        _from_pairs(variables, {option.name: option.variable for option in known}),
        _from_pairs(flags, {option.name: option.flag for option in known}),
    ]
    merged: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for group, values in layer.items():
            merged.setdefault(group, {}).update(values)
    return _validated(merged, {})


def _config_file(path: str, place: str) -> Path:
    try:
        return _expanded(path)
    except ValueError as error:
        raise SettingsError([f"{place}: {error}"]) from error


def read(path: Path) -> Settings:
    """The settings of a file alone. Raises SettingsError."""
    return _validated(_from_file(path), {})


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that name nothing: worth a warning, since others may have set them."""
    known = {option.variable for option in options()} | CLIENT_VARIABLES
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _from_file(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = yaml_document.read(path)
        yaml_document.validate(document, Settings)
    except yaml_document.DocumentError as error:
        raise SettingsError(error.problems) from error
    return {group: dict(values or {}) for group, values in document.data.items()}


def _from_pairs(values: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A layer from dotted names, checked by itself so that a problem names its own place."""
    layer: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name != CONFIG_FILE:
            group, _, setting = name.partition(".")
            layer.setdefault(group, {})[setting] = value
    _validated(layer, places)
    return layer


def _validated(layer: Mapping[str, Any], places: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(layer)
    except ValidationError as error:
        raise SettingsError([_problem(detail, places) for detail in error.errors()]) from error


def _problem(detail: Any, places: Mapping[str, str]) -> str:
    name = ".".join(str(step) for step in detail["loc"][:2])
    cause = detail["msg"].removeprefix("Value error, ")
    return f"{places.get(name, name)}: {cause}" if name else cause


def _shown(default: object) -> str:
    match default:
        case tuple():
            return ",".join(str(item) for item in default)
        case bool():
            return str(default).lower()
        case float():
            return duration.show(default)
        case None:
            return ""
        case _:
            return str(default) if isinstance(default, (str, int)) else ""
