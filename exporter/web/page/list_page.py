"""The list of jobs: what failed lately first, then all others, the newest first; or those of a filter."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.model import JobRecord, Status
from exporter.store import JobFilter, Position, RecentExits, Store
from exporter.time_units import DAY_NS
from exporter.verdict.catalog import ReasonCatalog
from exporter.web.cursor import decode_cursor, encode_cursor
from exporter.web.job_views import job_view
from exporter.web.page.chart import Chart, chart_of
from exporter.web.page.colours import reason_class
from exporter.web.page.links import Links
from exporter.web.page.list_query import ListQuery
from exporter.web.page.spans import Span, moment_parameter

_MAX_FAILURES = 20
# A page can have fewer jobs than fit, and still have a next one; so many are asked for at once.
_MAX_READS = 2
_FILTERS = ("status", "reason", "code", "workload", "host", "text", "dstack_job_id", "casualties")
_TIMES = ("since", "until")

JobJson = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """Number of exits with one reason, and the address of the jobs that have it."""

    reason: str
    count: int
    css_class: str
    href: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the filter in words, and the address of the list without it."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts by reason of a time span, with their chart; ``note`` says if not all exits are counted."""

    title: str
    note: str
    reasons: tuple[ReasonCount, ...]
    chart: Chart


@dataclass(frozen=True, slots=True)
class ListPage:
    """All that the list shows.

    ``failures`` is None unless nothing is filtered. ``conditions`` are those of the filter. ``older`` is the
    address of the next page, None at the end; ``is_cut``: not all jobs were read, though few were found.
    """

    failures: list[JobJson] | None
    jobs: list[JobJson]
    conditions: tuple[Condition, ...]
    values: Mapping[str, str]
    overview: Overview
    older: str | None
    is_first: bool
    is_cut: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is no row at all."""
        return not self.jobs and not self.failures


class ListPages:
    """Builds the list from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, query: ListQuery, values: Mapping[str, str], catalog: ReasonCatalog, links: Links
    ) -> ListPage:
        """Return the list of a query; ``values`` are its parameters as they were given."""
        given = {name: value for name, value in values.items() if value}
        wanted = query.job_filter(catalog)
        failures = self._failures() if query.is_plain(catalog) else None
        records, following = self._read(wanted, query.limit, decode_cursor(query.cursor))
        above = {record.job.id for record in failures or ()}
        beside_cursor = {name: value for name, value in given.items() if name != "cursor"}
        return ListPage(
            failures=None if failures is None else _views(failures, catalog),
            jobs=_views((record for record in records if record.job.id not in above), catalog),
            conditions=tuple(_conditions(beside_cursor, links)),
            values=given,
            overview=self._overview(wanted, beside_cursor, links),
            older=links.jobs(**beside_cursor, cursor=encode_cursor(following)) if following else None,
            is_first=query.cursor is None,
            is_cut=following is not None and len(records) < query.limit,
        )

    def _failures(self) -> list[JobRecord]:
        return self._store.reader.latest_failures(time.time_ns() - DAY_NS, _MAX_FAILURES)

    def _read(
        self, wanted: JobFilter, limit: int, after: Position | None
    ) -> tuple[list[JobRecord], Position | None]:
        records: list[JobRecord] = []
        for _ in range(_MAX_READS):
            page = self._store.reader.list_jobs(wanted, limit - len(records), after)
            records += page.records
            after = page.next
            if after is None or len(records) >= limit:
                break
        return records, after

    def _overview(self, wanted: JobFilter, given: Mapping[str, str], links: Links) -> Overview:
        span = _span(wanted)
        in_span = {name: getattr(wanted, name) for name in JobFilter.__slots__}
        counts = self._store.reader.count_recent_exits(
            JobFilter(**{**in_span, "since_ns": span.since_ns}), span.interval_ns
        )

        def href(start_ns: int) -> str:
            between = {
                "since": moment_parameter(start_ns),
                "until": moment_parameter(start_ns + span.interval_ns),
            }
            return links.jobs(**{**given, **between})

        return Overview(
            title=f"Exits {span.described(until_now=wanted.until_ns is None)}",
            note="" if counts.last is None else f"of the last {counts.last:,}",
            reasons=tuple(_reason_counts(counts, given, links, wanted.reason)),
            chart=chart_of(counts.counts, span, href),
        )


def _span(wanted: JobFilter) -> Span:
    until_ns = time.time_ns() if wanted.until_ns is None else wanted.until_ns
    since_ns = until_ns - DAY_NS if wanted.since_ns is None else wanted.since_ns
    return Span(min(since_ns, until_ns), until_ns)


def _reason_counts(
    counts: RecentExits, given: Mapping[str, str], links: Links, chosen: str | None
) -> Iterable[ReasonCount]:
    numbers: dict[str, int] = {}
    done: set[str] = set()
    for each in counts.counts:
        numbers[each.reason] = numbers.get(each.reason, 0) + each.count
        if each.status is Status.DONE:
            done.add(each.reason)
    # What was done comes last, however often.
    for reason, number in sorted(numbers.items(), key=lambda item: (item[0] in done, -item[1], item[0])):
        is_chosen = reason == chosen
        href = links.jobs(**{**given, "reason": None if is_chosen else reason})
        yield ReasonCount(reason, number, reason_class(reason), href, is_chosen)


def _conditions(given: Mapping[str, str], links: Links) -> Iterable[Condition]:
    for name in (*_FILTERS, *_TIMES):
        if name in given:
            text = "done, with casualties" if name == "casualties" else f"{name}: {given[name]}"
            yield Condition(text, links.jobs(**{**given, name: None}))


def _views(records: Iterable[JobRecord], catalog: ReasonCatalog) -> list[JobJson]:
    return [job_view(record, catalog).model_dump(mode="json") for record in records]
