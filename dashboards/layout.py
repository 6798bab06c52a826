"""Parts of a dashboard around its panels: variables, annotations, links and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import TimeZoneBrowser

from alerts.make import all_alerts
from alerts.thresholds import load
from dashboards.colours import ALERT
from dashboards.panels import DATASOURCE, AnyPanel, Link
from dashboards.queries import HOSTS, RATE, WORKLOADS, alert_times, chosen, series
from exporter.metrics import definitions

_THRESHOLDS = load()
_LINKS = _THRESHOLDS.links
# Alerts link to these dashboards, so the uids are defined together with the thresholds.
OVERVIEW, WORKLOAD, HEALTH = _LINKS.overview_dashboard, _LINKS.workload_dashboard, _LINKS.exporter_dashboard
REASONS = "exit-exporter-reasons"
RUNBOOKS = _LINKS.runbooks
_ALERTS = {alert.name for alert in all_alerts(_THRESHOLDS)}
EXPORTER_ALERTS = tuple(sorted(name for name in _ALERTS if name.startswith("ExitExporter")))
"""The names of this exporter's alerts about itself."""
JOB_ALERTS = tuple(sorted(_ALERTS.difference(EXPORTER_ALERTS)))
"""The names of its alerts about jobs and hosts. Other projects have alerts about these, too."""

EXPORTERS = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
CHOSEN_JOBS = f"{EXPORTERS}&${{host:queryparam}}&${{workload:queryparam}}&${{reason:queryparam}}"
"""Variables that a link passes on; one that the dashboard lacks would be in the address literally."""
REFRESH = model.VariableRefresh.ON_TIME_RANGE_CHANGED


@dataclass(frozen=True, slots=True)
class Row:
    """Row with its panels. ``number`` never changes, and no panel has the same.

    The panels of a collapsed row ask nothing until it is opened.
    """

    number: int
    title: str
    panels: Sequence[AnyPanel]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class DashboardSpec:
    """Contents of a dashboard. ``uid`` never changes: links and bookmarks contain it."""

    uid: str
    title: str
    description: str
    variables: Sequence[build.DatasourceVariable | build.QueryVariable]
    links: Sequence[build.DashboardLink]
    annotations: Sequence[build.AnnotationQuery]
    rows: Sequence[Row]


def build_dashboard(spec: DashboardSpec) -> model.Dashboard:
    """Return the dashboard with the options that all have."""
    board = (
        build.Dashboard(spec.title)
        .uid(spec.uid)
        .description(spec.description)
        .tags(["exit-exporter"])
        .readonly()
        .timezone(TimeZoneBrowser)
        .time("now-1h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([*spec.variables])
        .annotations([*spec.annotations])
        .links([*spec.links])
    )
    for row in spec.rows:
        _add_row(board, row)
    return board.build()


def exporter_variables() -> list[build.DatasourceVariable | build.QueryVariable]:
    """Return the variables of the Prometheus, of the scrape jobs and of the exporters."""
    exporters = f"{definitions.BUILD_INFO.name}{{{chosen('job')}}}"
    return [
        prometheus_variable(),
        _any("job", "Scrape job", f"label_values({definitions.BUILD_INFO.name}, job)"),
        _any("instance", "Exporter", f"label_values({exporters}, instance)"),
    ]


def job_variables() -> list[build.DatasourceVariable | build.QueryVariable]:
    """Return the variables of the exporters, and those of the hosts, workloads and reasons of jobs."""
    running, ends = series(definitions.JOBS_RUNNING), series(definitions.EXITS, HOSTS, WORKLOADS)
    workloads = series(definitions.JOBS_RUNNING, HOSTS)
    return [
        *exporter_variables(),
        _any("host", "Host", f"label_values({running}, host)"),
        _any("workload", "Workload", f"label_values({workloads}, workload)"),
        _any("reason", "Reason", f"label_values({ends}, reason)"),
    ]


def prometheus_variable() -> build.DatasourceVariable:
    """Return the variable of the Prometheus, at first Grafana's default one or the first that there is."""
    default = model.VariableOption(selected=True, text="default", value="default")
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus").current(default)


def link_to_overview(choices: str) -> build.DashboardLink:
    """Return a link to the overview, with these variables."""
    return _to("Exits overview", f"/d/{OVERVIEW}?{choices}")


def link_to_workload(choices: str) -> build.DashboardLink:
    """Return a link to the dashboard of workloads, with these variables."""
    return _to("Workload", f"/d/{WORKLOAD}?{choices}")


def link_to_health() -> build.DashboardLink:
    """Return a link to the health of the selected exporters."""
    return _to("Exporter health", f"/d/{HEALTH}?{EXPORTERS}")


def link_to_reasons() -> build.DashboardLink:
    """Return a link to what each reason means."""
    return _to("Reasons", f"/d/{REASONS}")


def workload_link(*labels: str, of: str) -> Link:
    """Return a link from a value to the dashboard of its workload, with these labels of the value chosen.

    ``of`` is Grafana's template for the labels: ``__field.labels``, or of a table ``__data.fields``.
    """
    kept = "&".join(
        f"${{{name}:queryparam}}" for name in ("host", "workload", "reason") if name not in labels
    )
    chosen = "&".join(f"var-{label}=${{{of}.{label}:percentencode}}" for label in labels)
    choices = "&".join(part for part in (EXPORTERS, kept, chosen) if part)
    return Link("This workload", f"/d/{WORKLOAD}?{choices}&${{__url_time_range}}")


def reason_link() -> Link:
    """Return a link from a reason to what to do."""
    return Link("What to do", f"/d/{REASONS}?${{__url_time_range}}")


def runbook_link() -> Link:
    """Return a link from an alert to its runbook."""
    return Link("Runbook", f"{RUNBOOKS}/${{__data.fields.alertname}}.md")


def exporters_link() -> Link:
    """Return a link from a value to the health of its exporters."""
    return Link("Exporter health", f"/d/{HEALTH}?{EXPORTERS}&${{__url_time_range}}")


def alert_marks(names: Sequence[str], *narrowed: str) -> build.AnnotationQuery:
    """Return a mark where an alert begins, one for each alert and subject of those that are chosen.

    Alerts that only inform are left out: there is one for every OOM-killed job.
    """
    return (
        build.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(ALERT)
        # Over a whole step, since an alert can be shorter than a step of a long range.
        .expr(alert_times(names, narrowed, 'severity!="info"', window=RATE))
        # The value is the time at which the alert began, so all points of an alert are one mark, no region.
        .use_value_for_time(use_value_for_time=True)
        .title_format("{{alertname}}")
        # Every alert has this label. Tag keys that an alert does not have are left out.
        .text_format("{{severity}}")
        .tag_keys("workload,host,instance")
        .step("60s")
    )


def _add_row(board: build.Dashboard, row: Row) -> None:
    header = build.Row(row.title).id(row.number).collapsed(row.collapsed)
    if row.collapsed:
        for panel in row.panels:
            header.with_panel(panel)
    board.with_row(header)
    if not row.collapsed:
        for panel in row.panels:
            board.with_panel(panel)


def _any(name: str, label: str, query: str) -> build.QueryVariable:
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = build.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
    variable.refresh(REFRESH).sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    return variable.multi(multi=True).include_all(include_all=True).all_value(".+").current(everything)


def _to(title: str, url: str) -> build.DashboardLink:
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
    return link.url(url).keep_time(keep_time=True)
