"""The page of one job: its verdict with the evidence, its timeline, its log and the runs beside it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from exporter.config.address import DEFAULT_ADDRESS
from exporter.model import JobRecord, Status
from exporter.store import Store
from exporter.verdict.catalog import ReasonCatalog
from exporter.verdict.sentence import verdict_sentence
from exporter.web.job_views import job_view
from exporter.web.page.links import Links, filled
from exporter.web.page.memory_limits import MemoryLimits, memory_limits
from exporter.web.page.options import PageOptions
from exporter.web.page.run_squares import Square, squares
from exporter.web.page.timeline import Entry, timeline

# What the page shows elsewhere, or better.
_SHOWN_ELSEWHERE = frozenset({"Job", "Status", "Error", "Created", "Started", "Finished"})


@dataclass(frozen=True, slots=True)
class JobPage:
    """All that the page of a job shows; the addresses are None where they are not set or not known."""

    job: dict[str, Any]
    sentence: str
    timeline: list[Entry]
    of_container: list[Square]
    of_workload: list[Square]
    command: str
    trace_href: str | None
    grafana_href: str | None
    may_have_log: bool
    memory: MemoryLimits | None


def job_page(
    record: JobRecord, store: Store, catalog: ReasonCatalog, links: Links, options: PageOptions
) -> JobPage:
    """Return the page of a job."""
    view = job_view(record, catalog).model_dump(mode="json")
    beside = store.reader.runs_beside(record.job)
    names = {
        "trace_id": view["trace_id"],
        "workload": view["workload"],
        "host": view["instance"],
        "name": view["name"],
    }
    return JobPage(
        job=view,
        sentence=verdict_sentence(record),
        timeline=timeline(record),
        of_container=squares(beside.container, links, record.job.id),
        of_workload=squares(beside.workload, links, record.job.id),
        command=_command(record.job.id, links.base_url),
        trace_href=filled(options.trace_url, names),
        grafana_href=filled(options.grafana_url, names),
        may_have_log=record.status is Status.FAILED,
        memory=memory_limits(store, record.job.workload.name),
    )


def facts_beside(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the facts that the page shows nowhere else."""
    return [fact for fact in facts if fact[0] not in _SHOWN_ELSEWHERE]


def _command(job_id: str, base_url: str) -> str:
    url = base_url.rstrip("/")
    server = [] if url == f"http://{DEFAULT_ADDRESS}" else ["--url", url]
    return shlex.join(["exit-exporter", "show", job_id, *server])
