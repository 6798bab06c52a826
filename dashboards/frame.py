"""What surrounds the panels, the same on every dashboard: variables, annotations, links, rows."""

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
# Alerts link there, so that it is said once where they look.
OVERVIEW, WORKLOAD, HEALTH = _LINKS.overview_dashboard, _LINKS.workload_dashboard, _LINKS.exporter_dashboard
DOCS = _LINKS.docs
_ALERTS = {alert.name for alert in all_alerts(_THRESHOLDS)}
EXPORTER_ALERTS = frozenset(name for name in _ALERTS if name.startswith("ExitExporter"))
"""The names of this exporter's alerts about itself."""
JOB_ALERTS = frozenset(_ALERTS - EXPORTER_ALERTS)
"""The names of its alerts about jobs and hosts; other projects have some about these too."""

EXPORTERS = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
JOBS = f"{EXPORTERS}&${{host:queryparam}}"
"""What a link hands on: of what its dashboard lacks, the bare names would stay in the address."""
MARKS = "purple"
"""That of alerts: of the series, few have it."""
EVERY_TIME = model.VariableRefresh.ON_TIME_RANGE_CHANGED


@dataclass(frozen=True, slots=True)
class Section:
    """A row and its panels. ``number`` is for good, and none of its panels has it."""

    number: int
    title: str
    panels: Sequence[AnyPanel]


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard before it is one. ``uid`` is for good: links and bookmarks have it."""

    uid: str
    title: str
    description: str
    variables: Sequence[build.QueryVariable]
    links: Sequence[build.DashboardLink]
    alerts: build.AnnotationQuery
    sections: Sequence[Section]


def framed(page: Page) -> model.Dashboard:
    """The dashboard."""
    board = (
        build.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["exit-exporter"])
        .readonly()
        .timezone(TimeZoneBrowser)
        .time("now-6h", "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables([datasource(), job(), instance(), *page.variables])
        .annotations([page.alerts])
        .links([*page.links])
    )
    for section in page.sections:
        board.with_row(build.Row(section.title).id(section.number))
        for panel in section.panels:
            board.with_panel(panel)
    return board.build()


def datasource() -> build.DatasourceVariable:
    """Which Prometheus is asked."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def job() -> build.QueryVariable:
    """Which scrape jobs."""
    return _any("job", "Job", f"label_values({definitions.BUILD_INFO.name}, job)")


def instance() -> build.QueryVariable:
    """Which exporters."""
    exporters = f'{definitions.BUILD_INFO.name}{{job=~"$job"}}'
    return _any("instance", "Instance", f"label_values({exporters}, instance)")


def host() -> build.QueryVariable:
    """Which hosts' jobs."""
    return _any("host", "Host", f"label_values({series(definitions.JOBS_RUNNING)}, host)")


def workloads() -> build.QueryVariable:
    """Which workloads, any number."""
    return _any("workload", "Workload", _workloads())


def one_workload() -> build.QueryVariable:
    """Which workload, exactly one."""
    return _query("workload", "Workload", _workloads()).multi(multi=False).include_all(include_all=False)


def reason(workload: str) -> build.QueryVariable:
    """Which reasons, of the ends of the workloads that a matcher leaves."""
    ends = series(definitions.EXITS, HOSTS, workload)
    return _any("reason", "Reason", f"label_values({ends}, reason)")


def to_overview(choices: str) -> build.DashboardLink:
    """To the overview, with these choices."""
    return _to("Exits overview", f"/d/{OVERVIEW}?{choices}")


def to_workload(choices: str) -> build.DashboardLink:
    """To the workload dashboard, with these choices; of workloads it takes one, its first."""
    return _to("Workload", f"/d/{WORKLOAD}?{choices}")


def to_health() -> build.DashboardLink:
    """To the health of the exporters whose figures these are."""
    return _to("Exporter health", f"/d/{HEALTH}?{EXPORTERS}")


def this_workload(name: str) -> Link:
    """From a value to the dashboard of its workload; ``name`` is the template that tells which it is."""
    chosen = f"var-workload=${{{name}:percentencode}}"
    return Link("This workload", f"/d/{WORKLOAD}?{JOBS}&${{__url_time_range}}&{chosen}")


def these_exporters() -> Link:
    """From a value to the health of the exporters that it is of."""
    return Link("Exporter health", f"/d/{HEALTH}?{EXPORTERS}&${{__url_time_range}}")


def docs(title: str, page: str) -> build.DashboardLink:
    """To a page of the documentation."""
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("doc")
    return link.url(f"{DOCS}/{page}").target_blank(target_blank=True)


def firing(*names: frozenset[str], matchers: Sequence[str] = ("",)) -> build.AnnotationQuery:
    """When alerts of these names were firing, each of which had what one of the matchers asks.

    Not narrowed to the chosen targets: rules sum over instances, and then their alerts are of none. Nor
    are those shown that only inform: there is one for every job that was OOMKilled.
    """
    alerts = "|".join(sorted(frozenset().union(*names)))
    whole = f'alertstate="firing", severity!="info", alertname=~"{alerts}"'
    # Over a whole step, or of a long range those would be missed that are shorter than one.
    firing = [f"max_over_time(ALERTS{{{_listed(whole, each)}}}[{RATE}])" for each in matchers]
    return (
        build.AnnotationQuery()
        .name("Firing alerts")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(MARKS)
        .expr(" or ".join(firing))
        .title_format("{{alertname}}")
        # Every alert has this label. Of the keys of tags, those are left out that an alert has not.
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
    return variable.refresh(EVERY_TIME).sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _listed(*matchers: str) -> str:
    return ", ".join(matcher for matcher in matchers if matcher)


def _workloads() -> str:
    return f"label_values({series(definitions.JOBS_RUNNING, HOSTS)}, workload)"


def _to(title: str, url: str) -> build.DashboardLink:
    link = build.DashboardLink(title).type(model.DashboardLinkType.LINK).icon("dashboard")
    return link.url(url).keep_time(keep_time=True)
