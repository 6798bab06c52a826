"""The page of a workload: its codes and reasons over time, its memory limits, and its runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.model import Status
from exporter.store import IntervalCount, JobFilter, Run, Store
from exporter.verdict.catalog import ReasonCatalog
from exporter.web.job_views import job_view
from exporter.web.page.chart import Chart, chart_of
from exporter.web.page.colours import reason_class
from exporter.web.page.links import Links
from exporter.web.page.memory_limits import MemoryLimits, memory_limits
from exporter.web.page.run_squares import Square, squares
from exporter.web.page.spans import Span, moment_parameter, moment_text

MAX_RUNS = 1000
_SQUARES = 60
_ROWS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """Runs that ended with one status, code and reason, and their share of all in percent."""

    status: Status
    code: str
    reason: str
    css_class: str
    count: int
    percent: float
    href: str


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """All that the page of a workload shows; ``span`` are the runs that it is about, in words."""

    name: str
    span: str
    outcomes: list[Outcome]
    chart: Chart
    squares: list[Square]
    jobs: list[dict[str, Any]]
    memory: MemoryLimits | None


def workload_page(store: Store, catalog: ReasonCatalog, name: str, links: Links) -> WorkloadPage | None:
    """Return the page of a workload, None if nothing is on record of it."""
    runs = store.reader.runs_of_workload(name, MAX_RUNS + 1)
    if not runs:
        return None
    is_cut, runs = len(runs) > MAX_RUNS, runs[:MAX_RUNS]
    records = store.reader.list_jobs(JobFilter(workload=name), _ROWS).records
    return WorkloadPage(
        name=name,
        span=_span_text(runs, is_cut=is_cut),
        outcomes=_outcomes(name, runs, links),
        chart=_chart(name, runs, links),
        squares=squares(reversed(runs[:_SQUARES]), links),
        jobs=[job_view(record, catalog).model_dump(mode="json") for record in records],
        memory=memory_limits(store, name),
    )


def _span_text(runs: Sequence[Run], *, is_cut: bool) -> str:
    runs_text = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    which = f"the last {runs_text}" if is_cut else runs_text
    return f"{which} since {moment_text(runs[-1].began_ns)}"


def _outcomes(name: str, runs: Sequence[Run], links: Links) -> list[Outcome]:
    ended = Counter((run.status, run.code, run.reason or "") for run in runs if run.finished_ns is not None)
    return [
        Outcome(
            status,
            "unknown" if code is None else str(code),
            reason,
            reason_class(reason),
            count,
            100 * count / ended.total(),
            links.jobs(workload=name, status=status, reason=reason, code=None if code is None else str(code)),
        )
        for (status, code, reason), count in ended.most_common()
    ]


def _chart(name: str, runs: Sequence[Run], links: Links) -> Chart:
    span = Span(runs[-1].began_ns, max(time.time_ns(), runs[0].began_ns))

    def href(start_ns: int) -> str:
        until_ns = start_ns + span.interval_ns
        return links.jobs(workload=name, since=moment_parameter(start_ns), until=moment_parameter(until_ns))

    return chart_of(_counts(runs, span), span, href)


def _counts(runs: Iterable[Run], span: Span) -> list[IntervalCount]:
    length = span.interval_ns
    numbers = Counter(
        (run.finished_ns // length * length, run.status, run.reason or "")
        for run in runs
        if run.finished_ns is not None
    )
    return [IntervalCount(*key, count) for key, count in numbers.items()]
