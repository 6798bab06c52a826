"""The summary of a time span: codes and reasons by workload, and which memory limits are too low."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from exporter.model import SECOND_NS
from exporter.report.exits import ExitCount, by_workload, summarize
from exporter.report.memory import read_memory
from exporter.report.runs import MemoryHistory
from exporter.store import Store, TimeSpan
from exporter.web.endpoints import Endpoint, parse_query
from exporter.web.job_query import MomentParameter
from exporter.web.problems import ProblemError
from exporter.web.summary_views import MAX_WORKLOADS, SummaryView, exits_view, workload_view
from exporter.web.views import rfc3339, timestamp

_DEFAULT_NS = 7 * 86400 * SECOND_NS


class SummaryQuery(BaseModel):
    """Time span of the summary, and conditions for the jobs in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: MomentParameter | None = Field(
        None,
        description="Only jobs that ended since then: a duration ago, such as 30d, or a time, such as "
        "2026-03-01T12:00:00Z. By default 7d before `until`.",
    )
    until: MomentParameter | None = Field(
        None, description="Only jobs that ended before then, given as for `since`. By default now."
    )
    workload: str | None = Field(None, description="Only jobs of this workload.")
    host: str | None = Field(None, description="Only jobs on this host (`instance` of a job).")

    def span(self, now_ns: int) -> TimeSpan:
        """Return the span. Raises ProblemError if it ends before it begins."""
        until_ns = now_ns if self.until is None else self.until
        since_ns = until_ns - _DEFAULT_NS if self.since is None else self.since
        if since_ns >= until_ns:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "since: must be before until")
        return TimeSpan(since_ns, until_ns, self.workload, self.host)


class SummaryApi:
    """Endpoint that summarizes what the store has."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint(
                "/api/v1/summary",
                "Codes and reasons of a time span by workload, and which memory limits are too low",
                self.summary,
                query=SummaryQuery,
                response_model=SummaryView,
                error_responses=(
                    (HTTPStatus.BAD_REQUEST, "A parameter is wrong."),
                    (HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be read."),
                ),
            )
        ]

    def summary(self, request: Request) -> Response:
        """Return the summary of a time span."""
        span = parse_query(request, SummaryQuery).span(time.time_ns())
        recorded_ns = self._store.recorded_since_ns()
        counts, histories = self._store.reader.count_exits(span), self._store.reader.memory_histories(span)
        view = summary_view(span, recorded_ns, counts, histories)
        # Only the outermost is a model: pydantic takes three times as long to write the dictionaries in it.
        return Response(msgspec.json.encode(dict(view)), media_type="application/json")


def summary_view(
    span: TimeSpan,
    recorded_ns: int | None,
    counts: Sequence[ExitCount],
    histories: Mapping[str, MemoryHistory],
) -> SummaryView:
    """Return the summary of a span: all exits are on record since ``recorded_ns``."""
    is_before_known = recorded_ns is not None and recorded_ns <= span.before.since_ns
    exits = by_workload(counts, is_before_known=is_before_known)
    workloads = [
        workload_view(name, each, read_memory(histories[name]) if name in histories else None)
        for name, each in list(exits.items())[:MAX_WORKLOADS]
    ]
    # Not validated: that would copy thousands of dictionaries, which the types check already.
    return SummaryView.model_construct(
        since=timestamp(span.since_ns),
        until=timestamp(span.until_ns),
        before_since=timestamp(span.before.since_ns),
        recorded_since=rfc3339(recorded_ns),
        total=exits_view(summarize(counts, is_before_known=is_before_known)),
        workloads=workloads,
        workloads_omitted=len(exits) - len(workloads),
    )
