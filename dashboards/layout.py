"""Parts of a dashboard around its panels: variables, annotations, links and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import TimeZoneBrowser

from alerts.make import all_alerts
from alerts.thresholds import load
from dashboards.panels import DATASOURCE, AnyPanel, Link
from dashboards.queries import HOSTS, RATE, series
from exporter.metrics import definitions

_THRESHOLDS = load()
_LINKS = _THRESHOLDS.links
# Alerts link to these dashboards, so the uids are defined together with the thresholds.
OVERVIEW, WORKLOAD, HEALTH = _LINKS.overview_dashboard, _LINKS.workload_dashboard, _LINKS.exporter_dashboard
DOCS = _LINKS.docs
_ALERTS = {alert.name for alert in all_alerts(_THRESHOLDS)}
EXPORTER_ALERTS = frozenset(name for name in _ALERTS if name.startswith("ExitExporter"))
"""The names of this exporter's alerts about itself."""
JOB_ALERTS = frozenset(_ALERTS - EXPORTER_ALERTS)
"""The names of its alerts about jobs and hosts. Other projects have alerts about these, too."""

EXPORTERS = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
JOBS = f"{EXPORTERS}&${{host:queryparam}}"
"""Variables that a link passes on; one that the dashboard lacks would be in the address literally."""
ALERT_COLOUR = "purple"
"""Colour of alerts, which few series have."""
REFRESH = model.VariableRefresh.ON_TIME_RANGE_CHANGED


@dataclass(frozen=True, slots=True)
class Row:
    """Row with its panels. ``number`` never changes, and no panel has the same."""

    number: int
    title: str
    panels: Sequence[AnyPanel]


@dataclass(frozen=True, slots=True)
class DashboardSpec:
    """Contents of a dashboard. ``uid`` never changes: links and bookmarks contain it."""

    uid: str
    title: str
    description: str
    variables: Sequence[build.QueryVariable]
    links: Sequence[build.DashboardLink]
    alerts: build.AnnotationQuery
    rows: Sequence[Row]


def build_dashboard(spec: DashboardSpec) -> model.Dashboard:
    """Return the dashboard with the variables that all have."""
    board = (
        build.Dashboard(spec.title)
        .uid(spec.uid)
        .description(spec.description)
        .tags(["exit-exporter"])
        .readonly()
        .timezone(TimeZoneBrowser)
        .time("now-6h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([datasource_variable(), job_variable(), instance_variable(), *spec.variables])
        .annotations([spec.alerts])
        .links([*spec.links])
    )
    for row in spec.rows:
        board.with_row(build.Row(row.title).id(row.number))
        for panel in row.panels:
            board.with_panel(panel)
    return board.build()


def datasource_variable() -> build.DatasourceVariable:
    """Return the variable of the Prometheus to query."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def job_variable() -> build.QueryVariable:
    """Return the variable of the scrape jobs."""
    return _any("job", "Job", f"label_values({definitions.BUILD_INFO.name}, job)")


def instance_variable() -> build.QueryVariable:
    """Return the variable of the exporters."""
    exporters = f'{definitions.BUILD_INFO.name}{{job=~"$job"}}'
    return _any("instance", "Instance", f"label_values({exporters}, instance)")


def host_variable() -> build.QueryVariable:
    """Return the variable of the hosts."""
    return _any("host", "Host", f"label_values({series(definitions.JOBS_RUNNING)}, host)")


def workloads_variable() -> build.QueryVariable:
    """Return the variable of any number of workloads."""
    return _any("workload", "Workload", _workloads())


def one_workload_variable() -> build.QueryVariable:
    """Return the variable of exactly one workload."""
    return _query("workload", "Workload", _workloads()).multi(multi=False).include_all(include_all=False)


def reason_variable(workload: str) -> build.QueryVariable:
    """Return the variable of the reasons, of workloads that match."""
    ends = series(definitions.EXITS, HOSTS, workload)
    return _any("reason", "Reason", f"label_values({ends}, reason)")


def link_to_overview(choices: str) -> build.DashboardLink:
    """Return a link to the overview, with these variables."""
    return _to("Exits overview", f"/d/{OVERVIEW}?{choices}")


def link_to_workload(choices: str) -> build.DashboardLink:
    """Return a link to the workload dashboard, which takes the first of several workloads."""
    return _to("Workload", f"/d/{WORKLOAD}?{choices}")


def link_to_health() -> build.DashboardLink:
    """Return a link to the health of the selected exporters."""
    return _to("Exporter health", f"/d/{HEALTH}?{EXPORTERS}")


def workload_link(name: str) -> Link:
    """Return a link from a value to its workload; ``name`` is Grafana's template for the name."""
    chosen = f"var-workload=${{{name}:percentencode}}"
    return Link("This workload", f"/d/{WORKLOAD}?{JOBS}&${{__url_time_range}}&{chosen}")


def exporters_link() -> Link:
    """Return a link from a value to the health of its exporters."""
    return Link("Exporter health", f"/d/{HEALTH}?{EXPORTERS}&${{__url_time_range}}")


def link_to_docs(title: str, page: str) -> build.DashboardLink:
    """Return a link to a page of the documentation."""
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("doc")
    return link.url(f"{DOCS}/{page}").target_blank(target_blank=True)


def firing_alerts(*names: frozenset[str], matchers: Sequence[str] = ("",)) -> build.AnnotationQuery:
    """Return the annotation of firing alerts with these names that fit one of the matchers.

    It does not select the chosen targets, since alerts of rules that sum over instances have none. Alerts
    that only inform are left out: there is one for every OOM-killed job.
    """
    alerts = "|".join(sorted(frozenset().union(*names)))
    whole = f'alertstate="firing", severity!="info", alertname=~"{alerts}"'
    # Over a whole step, since an alert can be shorter than a step of a long range.
    firing = [f"max_over_time(ALERTS{{{_listed(whole, each)}}}[{RATE}])" for each in matchers]
    return (
        build.AnnotationQuery()
        .name("Firing alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(ALERT_COLOUR)
        .expr(" or ".join(firing))
        .title_format("{{alertname}}")
        # Every alert has this label. Tag keys that an alert does not have are left out.
        .text_format("{{severity}}")
        .tag_keys("workload,host,engine")
        .step("60s")
    )


def _any(name: str, label: str, query: str) -> build.QueryVariable:
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = _query(name, label, query).multi(multi=True).include_all(include_all=True)
    return variable.all_value(".+").current(everything)


def _query(name: str, label: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
    return variable.refresh(REFRESH).sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _listed(*matchers: str) -> str:
    return ", ".join(matcher for matcher in matchers if matcher)


def _workloads() -> str:
    return f"label_values({series(definitions.JOBS_RUNNING, HOSTS)}, workload)"


def _to(title: str, url: str) -> build.DashboardLink:
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
    return link.url(url).keep_time(keep_time=True)
