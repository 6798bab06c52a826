"""Declaration of all settings: names, types, defaults and help texts.

Files, variables, flags, help and documentation are derived from it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from exporter.config.address import DEFAULT_ADDRESS
from exporter.config.field_types import (
    DatabaseUrl,
    EngineHosts,
    ExternalUrl,
    FileMode,
    GrafanaUrl,
    HostNames,
    ListenAddresses,
    Names,
    OptionalPath,
    RedactPattern,
    SecondOrMore,
    Seconds,
    ServerUrl,
    TraceUrl,
    UrlPath,
    WorkloadSources,
)
from exporter.config.urls import database_path
from exporter.config.variables import DSTACK_TOKEN
from exporter.redaction import quoted
from exporter.workload import DEFAULT_ORDER

_CONTROL_OR_SURROGATE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class TracedJobs(StrEnum):
    """Jobs that get a trace, by how they ended."""

    FAILED = "failed"
    ALL = "all"
    NONE = "none"


class EventOutput(StrEnum):
    """Where the events of a job are sent: in its span, as log records, or both."""

    SPANS = "spans"
    LOGS = "logs"
    BOTH = "logs/dup"


class LogLevel(StrEnum):
    """Minimum level of log lines."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Format of log lines."""

    LOGFMT = "logfmt"
    JSON = "json"


class SettingsGroup(BaseModel):
    """Base of a group of settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=False,
        validate_by_alias=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: object) -> object:
        """Refuse text that cannot be shown, logged or stored."""
        for text in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(text, str) and _CONTROL_OR_SURROGATE.search(text):
                raise ValueError(f"{quoted(text)} has control characters, or is not UTF-8")
        return value


class DockerSettings(SettingsGroup):
    """Engines to watch."""

    host: EngineHosts = Field(
        default=(),
        description="Engine to watch: unix:///path, tcp://host:2376, ssh://user@host or context:NAME. "
        "May be given several times. Default: the engine that the docker command would use.",
    )
    cert_path: OptionalPath = Field(
        default=None, description="Directory with ca.pem, cert.pem and key.pem, for tcp:// with TLS."
    )


class InstanceSettings(SettingsGroup):
    """Name of the watched host."""

    name: str = Field(
        default="",
        description="Name of the host that jobs run on. Default: the host name that the engine reports.",
    )


class WorkloadSettings(SettingsGroup):
    """Grouping of jobs."""

    order: WorkloadSources = Field(
        default=DEFAULT_ORDER,
        description="Sources of a workload's name; the first that has one is used: label "
        "(exit-exporter.workload), label:NAME (any label, such as label:com.example.job), "
        "dstack (the run's name, unless dstack has made it up), swarm, compose, image.",
    )
    limit: int = Field(
        default=500,
        ge=1,
        description="Maximum number of workloads; further ones are counted together as 'Other'. A workload "
        "without a job for --storage.retention gives up its slot.",
    )


class ExitSettings(SettingsGroup):
    """Classification of exits."""

    oom_wait: Seconds = Field(
        default=1.0, description="How long to wait for a late OOM report, where it could change the reason."
    )
    oom_window: Seconds = Field(
        default=10.0, description="Longest time between an OOM kill and an exit that it explains."
    )
    stop_window: Seconds = Field(
        default=60.0,
        description="Longest time between a stop request and an exit that it explains. A longer stop timeout "
        "of the container is used instead; the engine's own stop command always explains the exit.",
    )
    assume_oom: bool = Field(
        default=False, description="Classify every exit with code 137 as OOMKilled, without evidence."
    )


class TraceSettings(SettingsGroup):
    """Export of traces. The collector is set by the standard OTEL_ variables."""

    jobs: TracedJobs = Field(
        default=TracedJobs.FAILED, description="Jobs that get a trace: failed, all or none."
    )
    events: EventOutput = Field(
        default=EventOutput.SPANS,
        description="Where the events of a job are sent: spans (as span events), logs (as log records) or "
        "logs/dup (both).",
    )
    outbox_limit: int = Field(
        default=100_000, ge=1, description="Maximum number of jobs kept for a collector that is unreachable."
    )
    outbox_age: Seconds = Field(
        default=7 * 86400.0,
        description="How long jobs are kept for a collector that is unreachable; 0 keeps them forever.",
    )


class LogTailSettings(SettingsGroup):
    """Tail of the logs of failed jobs. Logs can contain secrets: none are read by default."""

    lines: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Number of last lines of a failed job's log to keep, show and send; 0 reads no logs.",
    )
    bytes: int = Field(default=4096, ge=1, le=1 << 16, description="Maximum size of these lines, in bytes.")
    redact: RedactPattern = Field(
        default=None,
        description="Regular expression (RE2); its matches in these lines are replaced by [redacted].",
    )


class Switch(StrEnum):
    """A setting that is on or off. YAML reads these words as true and false."""

    ON = "on"
    OFF = "off"

    @classmethod
    def _missing_(cls, value: object) -> Switch | None:
        return {True: cls.ON, False: cls.OFF}.get(value) if isinstance(value, bool) else None


class DstackSettings(SettingsGroup):
    """Containers of dstack."""

    runner_log: Switch = Field(
        default=Switch.ON,
        description="Read the runner's log of dstack's containers, which alone tells how a job ended: on or "
        "off.",
    )
    url: ServerUrl = Field(
        default="",
        description="URL of dstack's server, such as https://dstack.example.com:3000, to show what it alone "
        "knows: project, user, who stopped a job, and jobs that never had a container. It is asked with the "
        f"token of --dstack.token-file, or of the variable {DSTACK_TOKEN}. Default: it is not asked.",
    )
    token_file: OptionalPath = Field(
        default=None,
        description="File that holds a token of dstack's server; it is read again for each request.",
    )
    projects: Names = Field(
        default=(),
        description="Project of dstack to ask for. May be given several times. Default: all that the token "
        "can see.",
    )
    interval: SecondOrMore = Field(default=15.0, description="Time between two requests to dstack's server.")
    not_created: Switch = Field(
        default=Switch.ON,
        description="List and count the jobs of dstack that ended before a container was made for them: on "
        "or off. They belong to no host: of several exporters that ask one server, let one do so.",
    )


class StorageSettings(SettingsGroup):
    """Database of jobs and counters."""

    url: DatabaseUrl = Field(
        default_factory=lambda: f"sqlite:///{platformdirs.user_state_path('exit-exporter') / 'exits.db'}",
        description="Database: sqlite:////absolute/path.db. Default: in the user's state directory.",
    )
    retention: Seconds = Field(
        default=30 * 86400.0,
        description="How long finished jobs are kept; 0 keeps them forever. Counters are never deleted.",
    )

    @property
    def path(self) -> Path:
        """File of the database."""
        return database_path(self.url)


class CatalogueSettings(SettingsGroup):
    """Codes and reasons of the user's own."""

    file: OptionalPath = Field(default=None, description="Catalogue file with your own codes and reasons.")


class MetricsSettings(SettingsGroup):
    """What scrapes are shown."""

    max_scrape_interval: SecondOrMore = Field(
        default=120.0,
        description="Longest interval of those who scrape the metrics. A new counter is shown to each of "
        "them as 0 first, and waits at most so long for one that is slow, or gone and may be restarted.",
    )


class WebSettings(SettingsGroup):
    """HTTP server."""

    listen_address: ListenAddresses = Field(
        default=(DEFAULT_ADDRESS,),
        description="HOST:PORT to listen on, or unix:///path. May be given several times.",
    )
    socket_mode: FileMode = Field(default="0660", description="Mode of the files of unix sockets.")
    systemd_socket: bool = Field(
        default=False, description="Listen on the sockets that systemd passes on, and on no other address."
    )
    telemetry_path: UrlPath = Field(default="/metrics", description="Path of the metrics.")
    config_file: OptionalPath = Field(
        default=None,
        alias="config.file",
        description="Web configuration file, in the common format of Prometheus exporters: TLS, passwords, "
        "headers. Default: plain HTTP for everyone who reaches the port.",
    )
    trace_url: TraceUrl = Field(
        default="",
        description="Address of a trace, to which the page of a job links, such as "
        "https://jaeger.example.com/trace/{trace_id}. Default: no link.",
    )
    grafana_url: GrafanaUrl = Field(
        default="",
        description="Address of a dashboard, to which the page of a job links, such as "
        "https://grafana.example.com/d/exit-exporter-workload?var-workload={workload}. It may have "
        "{workload}, {host} and {name}. Default: no link.",
    )
    external_url: ExternalUrl = Field(
        default="",
        description="URL at which browsers reach the exporter, such as https://exits.example.com, if a proxy "
        "is in front of it.",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Further host name by which jobs are shown; .example.com stands for all names below it, "
        "and * for any. May be given several times. Always allowed are IP addresses, localhost, this "
        "machine's name, and the hosts of --web.external-url and --web.listen-address; and names without a "
        "dot, unless it listens on a loopback address. Metrics and health are shown by any name.",
    )
    enable_lifecycle: bool = Field(
        default=False, description="Let POST /-/reload reload the catalogue file; SIGHUP always does."
    )


class LogSettings(SettingsGroup):
    """Log of the daemon, on standard error."""

    level: LogLevel = Field(
        default=LogLevel.INFO, description="Minimum level of log lines: debug, info, warning or error."
    )
    format: LogFormat = Field(default=LogFormat.LOGFMT, description="Format of log lines: logfmt or json.")


class Settings(SettingsGroup):
    """All settings."""

    docker: DockerSettings = DockerSettings()
    instance: InstanceSettings = InstanceSettings()
    workload: WorkloadSettings = WorkloadSettings()
    exits: ExitSettings = ExitSettings()
    traces: TraceSettings = TraceSettings()
    tail: LogTailSettings = LogTailSettings()
    dstack: DstackSettings = DstackSettings()
    storage: StorageSettings = Field(default_factory=StorageSettings)
    catalogue: CatalogueSettings = CatalogueSettings()
    metrics: MetricsSettings = MetricsSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _check_instance_name(self) -> Settings:
        if self.instance.name and len(self.docker.host) > 1:
            raise ValueError("instance.name can name one host only; several engines report their own names")
        return self
