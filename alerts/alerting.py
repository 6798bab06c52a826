"""Alerting rules; the table of the README and the tests are derived from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum

from alerts.recordings import EXITS, LOST, RecordingNames, exact_increase, once
from alerts.thresholds import Links, Thresholds
from exporter.metrics import definitions
from exporter.metrics.definitions import Metric
from exporter.model import Status
from exporter.verdict.catalog import FAILED_STARTS


class Severity(StrEnum):
    """Severity: critical pages somebody, warning can wait for the day, info helps to understand others."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Subject(Enum):
    """Subject of an alert: the labels that identify it. The link to a dashboard depends on it."""

    WORKLOAD = ("host", "workload")
    WORKLOAD_ANYWHERE = ("workload",)
    HOST = ("host",)
    EXPORTER = ("instance",)
    ALL_EXPORTERS = ()

    def dashboard(self, links: Links) -> str:
        """Return the uid of its dashboard."""
        if "workload" in self.value:
            return links.workload_dashboard
        return links.overview_dashboard if self is Subject.HOST else links.exporter_dashboard


@dataclass(frozen=True, slots=True)
class Alert:
    """Alerting rule. ``compares`` says in one line what the expression compares, and becomes its comment.

    ``for_`` is a duration, empty for none. The summary contains no labels, as is usual.
    """

    name: str
    subject: Subject
    severity: Severity
    compares: str
    expression: str
    summary: str
    description: str
    for_: str = ""

    def runbook_url(self, links: Links) -> str:
        """Return the address of its runbook."""
        return f"{links.runbooks}/{self.name}.md"

    def dashboard(self, links: Links) -> str:
        """Return the address of its dashboard, with the subject of the alert selected."""
        selected = "&".join(
            f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in self.subject.value
        )
        return f"{links.grafana}/d/{self.subject.dashboard(links)}{'?' if selected else ''}{selected}"


# As long as Prometheus itself returns the last value of a series.
_STALE_AFTER = "5m"
_WHERE = "workload {{ $labels.workload }} on {{ $labels.host }}"
_EXPORTER = "The exporter at {{ $labels.instance }}"


def _value(thing: str) -> str:
    """Return a template of the value and the thing that it counts, in the plural unless it is 1."""
    return f'{{{{ printf "%.0f" $value }}}} {thing}{{{{ if ne $value 1.0 }}}}s{{{{ end }}}}'


# Labels of container_exits_total that no alert has.
_OF_EXITS = ("image", "code", "status", "reason")
_JOBS = _value("job")
_WERE = "{{ if eq $value 1.0 }}was{{ else }}were{{ end }}"


def _last(gauge: Metric) -> str:
    """Return the last value of a gauge, since a restart of the exporter would reset ``for``."""
    return f"last_over_time({gauge.name}[{_STALE_AFTER}])"


def _increases(thresholds: Thresholds, series: str, window: str, *without: str) -> str:
    """Return a condition: a series with the labels of the alert, and any value of others, has grown."""
    ignored = ", ".join((*thresholds.labels.replica, *without))
    return f"ignoring ({ignored}) increase({series}[{window}]) > 0"


def _done(thresholds: Thresholds) -> str:
    """Return a condition: a job of the workload was done within the window."""
    done = f'{EXITS}{{status="{Status.DONE}"}}'
    return _increases(thresholds, done, thresholds.increases.window, *_OF_EXITS)


def _failed_long(thresholds: Thresholds) -> str:
    """Return the jobs of each workload that failed of their own within the long window."""
    return f'sum without (status) ({RecordingNames(thresholds).exits_long}{{status="{Status.FAILED}"}})'


def _finished_long(thresholds: Thresholds) -> str:
    """Return the jobs of each workload that were done or failed of their own within the long window."""
    return f"sum without (status) ({RecordingNames(thresholds).exits_long})"


def spike_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about many OOM kills."""
    names, window, spike = RecordingNames(thresholds), thresholds.increases.window, thresholds.oom_spike
    # With a number of kills near the floor, the alerts would flap.
    unusual, host, fleet = (
        f"max_over_time({name}[{spike.hold}])"
        for name in (names.oomkilled_unusual, names.host_unusual, names.fleet_unusual)
    )
    usual = f"avg_over_time(%s[{spike.baseline}] offset {spike.recent})"
    yield Alert(
        "JobOOMKilledSpike",
        Subject.WORKLOAD,
        Severity.CRITICAL,
        "Unusual OOM kills of a workload against the floor.",
        f"{unusual} >= {spike.floor}",
        "Far more jobs of a workload are OOM-killed than usual.",
        f"{_JOBS} of {_WHERE} {_WERE} OOM-killed within {window}: at least {spike.floor}, and more than"
        f" {spike.multiple} times what is usual there.",
    )
    yield Alert(
        "HostOOMKilledSpike",
        Subject.HOST,
        Severity.CRITICAL,
        "Unusual OOM kills of a host against the floor, its worst workload, and what is usual there.",
        f"({host} >= clamp_min({spike.host_others} + max without (workload) ({unusual}),"
        f" {spike.host_floor}))\n"
        f"> ({spike.multiple} * {usual % names.host_unusual} * {names.windows}"
        f" or 0 * {names.host_unusual})",
        "Jobs of several workloads are OOM-killed on one host.",
        f"{_JOBS} of several workloads {_WERE} OOM-killed on {{{{ $labels.host }}}} within {window}, of each"
        f" and together more than {spike.multiple} times what is usual there. The host itself may be out of"
        " memory.",
    )
    yield Alert(
        "FleetOOMKilledSpike",
        Subject.WORKLOAD_ANYWHERE,
        Severity.CRITICAL,
        "Unusual OOM kills of a workload against the floor, its worst host, and what is usual.",
        f"({fleet} >= clamp_min({spike.fleet_others} + max without (host) ({unusual}),"
        f" {spike.fleet_floor}))\n"
        f"> ({spike.multiple} * {usual % names.fleet_unusual}"
        f" * ignoring (workload) group_left () max without (host) ({names.windows})"
        f" or 0 * {names.fleet_unusual})",
        "Jobs of one workload are OOM-killed on several hosts.",
        f"{_JOBS} of workload {{{{ $labels.workload }}}} {_WERE} OOM-killed on several hosts within {window},"
        f" on each and together more than {spike.multiple} times what is usual there.",
    )


def oom_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about single OOM kills."""
    names, window = RecordingNames(thresholds), thresholds.increases.window
    survived = thresholds.oom_survived
    yield Alert(
        "JobOOMKilled",
        Subject.WORKLOAD,
        Severity.INFO,
        "Any OOM-killed job.",
        f"{names.oomkilled} > 0",
        "A job was OOM-killed.",
        f"{_JOBS} of {_WHERE} {_WERE} OOM-killed within {window}.",
    )
    kills = once(thresholds, exact_increase(definitions.OOM_KILLS.name, window), "image")
    none = (
        f"0 * max without ({', '.join(thresholds.labels.replica)}, image)"
        f" (last_over_time({definitions.OOM_KILLS.name}[{window}]))"
    )
    of_memory = f'{EXITS}{{status="{Status.FAILED}", reason=~"OOMKilled|InitOutOfMemory"}}'
    ended = once(thresholds, f"increase({of_memory}[{window}])", *_OF_EXITS)
    yield Alert(
        "JobOOMKillsSurvived",
        Subject.WORKLOAD,
        Severity.WARNING,
        "OOM kills against the jobs that ended of them, with several processes each.",
        f"{kills}\n> ({survived.multiple} * {ended} or {none})",
        "The kernel kills processes of jobs for memory, and the jobs go on without them.",
        f"{_value('OOM kill')} in jobs of {_WHERE} within {window}, and jobs went on regardless: what the"
        " killed processes were to do may be missing from results that look complete.",
        survived.for_,
    )


def failure_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about jobs that fail in a way that has its own remedy."""
    exits, window = RecordingNames(thresholds).exits, thresholds.increases.window
    reasons = "|".join((*FAILED_STARTS, *thresholds.not_started.also))
    not_started = f'{exits}{{reason=~"{reasons}"}}'
    yield Alert(
        "JobCannotStart",
        Subject.WORKLOAD,
        Severity.WARNING,
        "Any job that ended with a reason of a failed start.",
        f"max without ({', '.join(thresholds.labels.replica)}) ({not_started}) > 0",
        "Jobs of a workload cannot start.",
        f"{_JOBS} of {_WHERE} ended with {{{{ $labels.reason }}}} within {window}: the container"
        " could not be started, or a command that it calls cannot be run. Without a change the next try will"
        " end the same way.",
    )
    lost = once(thresholds, f'{exits}{{reason="{LOST}"}}', "workload", "reason")
    yield Alert(
        "HostLost",
        Subject.HOST,
        Severity.WARNING,
        "Any job that went down with its host or engine.",
        f"{lost} > 0",
        "A host or its engine went down under running jobs.",
        f"{_JOBS} {_WERE} lost when {{{{ $labels.host }}}} or its engine went down. Both are up again.",
    )


def loop_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about jobs that fail or are restarted over and over."""
    times = thresholds.increases
    loop, ratio, unhealthy = thresholds.crash_loop, thresholds.failure_ratio, thresholds.unhealthy
    failed = f'{EXITS}{{status="{Status.FAILED}", reason!="{LOST}"}}'
    yield Alert(
        "JobCrashLooping",
        Subject.WORKLOAD,
        Severity.WARNING,
        "Failed jobs against the floor, where one failed lately and none was done lately.",
        f"{_failed_long(thresholds)} >= {loop.floor}\n"
        f"and {_increases(thresholds, failed, loop.last, *_OF_EXITS)}\n"
        f"unless {_done(thresholds)}",
        "Jobs of a workload fail over and over, and none is done.",
        f"{_JOBS} of {_WHERE} failed within {times.long_window}, and they go on failing; none was done for"
        f" at least {loop.for_}.",
        loop.for_,
    )
    yield Alert(
        "JobFailureRatioHigh",
        Subject.WORKLOAD,
        Severity.WARNING,
        "Failed jobs against all that were done or failed, where these are enough.",
        f"{_failed_long(thresholds)}\n/ ({_finished_long(thresholds)} >= {ratio.floor}) > {ratio.above}",
        "A large share of the jobs of a workload fails.",
        f"{{{{ $value | humanizePercentage }}}} of the jobs of {_WHERE} that ended within"
        f" {times.long_window} failed.",
        ratio.for_,
    )
    ended = f'{EXITS}{{status="{Status.FAILED}", reason="Unhealthy"}}'
    yield Alert(
        "JobUnhealthy",
        Subject.WORKLOAD,
        Severity.WARNING,
        "Jobs that were ended as unhealthy against the floor, where one was ended lately.",
        f"{once(thresholds, exact_increase(ended, times.long_window), *_OF_EXITS)} >= {unhealthy.floor}\n"
        f"and {_increases(thresholds, ended, unhealthy.last, *_OF_EXITS)}",
        "Jobs of a workload are ended again and again because their health check fails.",
        f"{_JOBS} of {_WHERE} {_WERE} ended within {times.long_window} because their health check failed.",
    )


def restart_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about services that end without a failure and are restarted."""
    times, loop, ratio = thresholds.increases, thresholds.restart_loop, thresholds.failure_ratio
    lately = _increases(thresholds, definitions.RESTARTS.name, times.window, "image")
    long = once(thresholds, exact_increase(definitions.RESTARTS.name, times.long_window), "image")
    running = (
        f"max without ({', '.join(thresholds.labels.replica)})"
        f" (max_over_time({definitions.JOBS_RUNNING.name}[{times.long_window}]))"
    )
    yield Alert(
        "JobRestartLooping",
        Subject.WORKLOAD,
        Severity.WARNING,
        "Restarts against running jobs, where they go on, a job was done lately, and most are.",
        f"{long}\n>= {loop.floor} * clamp_min({running}, 1)\n"
        f"and {lately} and {_done(thresholds)}\n"
        # Otherwise it is a crash loop or a high ratio of failures, which have alerts of their own.
        f"unless {_failed_long(thresholds)} > {ratio.above} * {_finished_long(thresholds)}",
        "A workload ends without a failure and is started again, over and over.",
        f"{_value('run')} of {_WHERE} {_WERE} begun by the restart policy within"
        f" {times.long_window}, and most of those before were done: it does not stay up.",
        loop.for_,
    )


def deadline_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about workloads that must succeed regularly."""
    names = RecordingNames(thresholds)
    yield Alert(
        "JobNotSucceeded",
        Subject.WORKLOAD_ANYWHERE,
        Severity.WARNING,
        "The time since the last success of a workload against its deadline.",
        f"time() - {names.success} > on (workload) min by (workload) ({names.deadline})",
        "A workload has not succeeded for too long.",
        "No job of workload {{ $labels.workload }} has been done for {{ $value | humanizeDuration }}, on any"
        " host. One that never was done is late from when it was named.",
    )


def availability_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about exporters and engines that cannot be reached."""
    names, limits = RecordingNames(thresholds), thresholds.exporter
    yield Alert(
        "ExitExporterDown",
        Subject.EXPORTER,
        Severity.WARNING,
        "The share of its scrapes that an exporter answered against a half.",
        # An exporter that answers only now and then is down, too.
        f"avg_over_time(up[{limits.down_within}]) < 0.5 and up\n"
        f"and on (job, instance) {names.exporters} offset {limits.down_within}",
        "An exporter cannot be scraped.",
        f"{_EXPORTER} (job {{{{ $labels.job }}}}) has answered {{{{ $value | humanizePercentage }}}} of the"
        f" scrapes within {limits.down_within}. Exits are counted when it is back, as far as the engine"
        " remembers them; until then nobody hears of them.",
    )
    yield Alert(
        "ExitExporterAbsent",
        Subject.ALL_EXPORTERS,
        Severity.WARNING,
        "Whether there is any exporter.",
        f"absent({definitions.BUILD_INFO.name})",
        "No exporter is scraped at all.",
        f"Prometheus has had no metrics of any exporter for {limits.absent_for}: no alert about jobs fires.",
        limits.absent_for,
    )
    yield Alert(
        "ExitExporterEngineDisconnected",
        Subject.EXPORTER,
        Severity.WARNING,
        "The share of the time in which an engine was watched against a half.",
        # An engine that comes and goes is disconnected, too.
        f"avg_over_time({definitions.ENGINE_UP.name}[{limits.engine_within}]) < 0.5",
        "An exporter has lost its engine.",
        f"{_EXPORTER} has been able to watch {{{{ $labels.engine }}}} for {{{{ $value |"
        f" humanizePercentage }}}} of the last {limits.engine_within}.",
        limits.engine_for,
    )
    yield Alert(
        "ExitExporterConfigReloadFailed",
        Subject.EXPORTER,
        Severity.WARNING,
        "Whether the last load of the catalogue file failed.",
        f"{_last(definitions.CONFIG_LAST_RELOAD_SUCCESSFUL)} == 0",
        "A catalogue file was refused.",
        f"{_EXPORTER} has refused its catalogue file and judges by the one before.",
        limits.catalogue_for,
    )


def data_loss_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about exits that exporters could not observe or record."""
    window, limits = thresholds.increases.window, thresholds.exporter
    yield Alert(
        "ExitExporterEventGap",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any gap in the events of an engine.",
        f"{exact_increase(definitions.EVENT_GAPS.name, window)} > 0",
        "An engine had forgotten events before they were read.",
        f"{_EXPORTER} found {_value('gap')} in the events of {{{{ $labels.engine }}}} within {window}:"
        " exits may be missing from all counts.",
    )
    yield Alert(
        "ExitExporterExitsUnobserved",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any job that ended unseen.",
        f"{exact_increase(definitions.EXITS_UNOBSERVED.name, window)} > 0",
        "Jobs ended unseen, and their codes are gone.",
        f"{_EXPORTER} found {_JOBS} of {{{{ $labels.host }}}} that ended unseen, within {window}: counted"
        " with reason Unknown, whatever became of them.",
    )
    yield Alert(
        "ExitExporterStoreErrors",
        Subject.EXPORTER,
        Severity.WARNING,
        "Transactions that the store refused against the floor.",
        f"{exact_increase(definitions.STORE_ERRORS.name, window)} >= {limits.store_floor}",
        "The store of an exporter refuses transactions.",
        f"The store of the exporter at {{{{ $labels.instance }}}} has refused {_value('transaction')}"
        f" within {window}, and it has gone on for {limits.store_for}.",
        limits.store_for,
    )
    yield Alert(
        "ExitExporterExitsPending",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any exit that waits for the store.",
        f"{_last(definitions.EXITS_PENDING)} > 0",
        "Exits wait for the store, and no metric tells of them.",
        f"The store of the exporter at {{{{ $labels.instance }}}} has not taken {_value('exit')} for"
        f" {limits.pending_for}. Until it does, alerts about jobs are blind there.",
        limits.pending_for,
    )
    yield Alert(
        "ExitExporterJobRecordsDropped",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any job that was counted but not recorded.",
        f"{exact_increase(definitions.JOB_RECORDS_DROPPED.name, window)} > 0",
        "Ended jobs were counted, but not recorded.",
        f"{_EXPORTER} has counted {_JOBS} within {window} without recording them: the store was away for"
        " too long.",
    )
    yield Alert(
        "ExitExporterJobsOverWorkloadLimit",
        Subject.EXPORTER,
        Severity.INFO,
        "Any job that was counted as Other.",
        f"{exact_increase(definitions.JOBS_OVER_WORKLOAD_LIMIT.name, window)} > 0",
        "Too many workloads: jobs are counted together as Other.",
        f"{_EXPORTER} has counted {_JOBS} as workload Other within {window}; alerts cannot tell them apart.",
    )


def otlp_alerts(thresholds: Thresholds) -> Iterator[Alert]:
    """Yield the alerts about the export of spans and log records."""
    window, limits = thresholds.increases.window, thresholds.exporter
    pending = _last(definitions.OTLP_PENDING_JOBS)
    yield Alert(
        "ExitExporterOtlpJobsPending",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any job that waits while the collector accepts none, or many that wait.",
        f"({pending} > 0 unless increase({definitions.OTLP_JOBS_EXPORTED.name}[{window}]) > 0)\n"
        f"or {pending} > {limits.spans_floor}",
        "Jobs wait for an OTLP collector that does not accept them, or not fast enough.",
        f"The collector has not taken the {{{{ $labels.signal }}}} of {_JOBS} of the exporter at"
        f" {{{{ $labels.instance }}}}, and it has been so for {limits.spans_for}.",
        limits.spans_for,
    )
    yield Alert(
        "ExitExporterOtlpJobsRejected",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any job that the collector rejected.",
        f"{exact_increase(definitions.OTLP_JOBS_REJECTED.name, window)} > 0",
        "The OTLP collector rejects jobs for good.",
        f"The collector has rejected the {{{{ $labels.signal }}}} of {_JOBS} of the exporter at"
        f" {{{{ $labels.instance }}}} within {window}; they are not sent again.",
    )
    yield Alert(
        "ExitExporterOtlpJobsDropped",
        Subject.EXPORTER,
        Severity.WARNING,
        "Any job that was dropped unsent.",
        f"{exact_increase(definitions.OTLP_JOBS_DROPPED.name, window)} > 0",
        "Jobs waited for the OTLP collector for too long and were dropped.",
        f"{_EXPORTER} has dropped the {{{{ $labels.signal }}}} of {_JOBS} within {window}, which had waited"
        " for too long or with too many.",
    )
