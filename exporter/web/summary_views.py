"""Response models of the summary, and how they are made of the report's values.

They are dictionaries: a summary has thousands, and a model of pydantic takes several times as long to make.
Their fields are in the order of their models.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic takes that of typing only since Python 3.12

from exporter.exit_codes import MAX_CODE
from exporter.model import SECOND_NS, Status
from exporter.report.exits import ExitCount, ExitGroup, Exits, Trend, summarize
from exporter.report.memory import Advice, LimitOutcomes, Memory, read_memory
from exporter.report.raises import Raise, RaiseResult
from exporter.report.runs import LimitRuns, MemoryHistory, OomCounts, Outcome, Runs
from exporter.report.words import memory_sentences
from exporter.web.views import Timestamp, View, timestamp

# A page of all that more workloads have would be too large.
MAX_WORKLOADS = 1000
_SHARE_DIGITS = 4


class ExitGroupView(TypedDict):
    """Exits with one status, code and reason. What is said of the span before is null if it is not known."""

    status: Status
    container_exit_code: Annotated[
        Annotated[int, Field(ge=0, le=MAX_CODE)] | None,
        Field(description="The exit code; null if it is not known."),
    ]
    reason: str
    exits: int
    share: Annotated[float, Field(description="Their share of all exits, from 0 to 1.")]
    exits_before: Annotated[
        int | None, Field(description="How many there were in the span of equal length before.")
    ]
    share_before: float | None
    trend: Annotated[
        Trend | None,
        Field(
            description="new, up, steady (the difference can be chance), down or gone, against the span "
            "before."
        ),
    ]


class ExitsView(TypedDict):
    """Exits of a span."""

    exits: int
    failed: Annotated[int, Field(description="How many of them failed.")]
    exits_before: Annotated[
        int | None,
        Field(description="How many there were in the span before; null if not all of it is on record."),
    ]
    reasons: Annotated[
        list[ExitGroupView], Field(description="The exits by reason and code, the most frequent first.")
    ]


class LimitRunsView(TypedDict):
    """A memory limit, and how many runs say what is said of it."""

    limit_bytes: int
    runs: int


class OomRunsView(TypedDict):
    """Numbers of runs with OOM kills, by whose limit was reached: only its own says something about it."""

    own: int
    parent: int
    host: int
    unknown: int
    survived: Annotated[int, Field(description="How many of all these ended with 0: done, with casualties.")]


class LimitView(TypedDict):
    """What happened at one memory limit, as numbers of runs."""

    limit_bytes: int
    completed: int
    oom_killed: int
    oom_killed_limit_unknown: int
    killed_after_seconds: Annotated[
        float | None,
        Field(
            description="How long the OOM-killed ones ran on average; null without one, or if it is not "
            "known."
        ),
    ]


class RaiseView(TypedDict):
    """The raise to the current limit after OOM kills: runs before it and since."""

    from_bytes: int
    to_bytes: int
    at: Timestamp
    kills_before: int
    runs_before: int
    kills_since: int
    runs_since: int
    result: Annotated[RaiseResult, Field(description="helped, kills-go-on or too-few-runs.")]


class MemoryView(TypedDict):
    """What the runs say about the memory limit of a workload."""

    advice: Annotated[
        Advice,
        Field(
            description="held (a limit is suggested), too-few-runs, more-memory, leak (more memory will not "
            "help), not-its-limit (only others were reached), limit-unknown (whose was reached) or none."
        ),
    ]
    sentences: Annotated[list[str], Field(description="The advice and what it is drawn from, for people.")]
    current_limit_bytes: Annotated[
        int | None, Field(description="Limit of the last run that says something.")
    ]
    killed_at: Annotated[
        LimitRunsView | None,
        Field(description="Highest limit at which it was OOM-killed by its own limit; null if it never was."),
    ]
    completed_at: Annotated[
        LimitRunsView | None,
        Field(
            description="Lowest limit at which it has completed since, without an OOM kill; null if at none."
        ),
    ]
    suggested: Annotated[
        LimitRunsView | None,
        Field(
            description="Lowest limit above all kills that enough runs have held; null if the runs allow "
            "none."
        ),
    ]
    runs_needed: Annotated[
        int | None,
        Field(description="How many runs are enough; more, if only some were killed. Null without a kill."),
    ]
    raised: Annotated[
        RaiseView | None, Field(description="The raise to the current limit; null without one after kills.")
    ]
    limits: list[LimitView]
    runs_with_oom_kills: OomRunsView


class WorkloadSummaryView(ExitsView):
    """Exits of a workload, and its memory."""

    workload: str
    memory: Annotated[
        MemoryView | None, Field(description="Null without OOM kills, unless this workload was asked for.")
    ]


class SummaryView(View):
    """What ended in a span: codes and reasons by workload, and which memory limits are too low."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(examples=[_example()]))

    since: Timestamp
    until: Timestamp
    before_since: Timestamp = Field(description="Begin of the span of equal length before.")
    recorded_since: Timestamp | None = Field(
        description="Since when all exits are on record: the first connection to an engine, or the retention."
    )
    total: ExitsView = Field(description="All workloads together.")
    workloads: list[WorkloadSummaryView] = Field(description="Those with most failures first.")
    workloads_omitted: int = Field(description=f"Workloads beyond the first {MAX_WORKLOADS}.")


def exits_view(exits: Exits) -> ExitsView:
    """Return exits as the API shows them."""
    return {
        "exits": exits.count,
        "failed": exits.failed,
        "exits_before": exits.before,
        "reasons": [_group_view(group) for group in exits.groups],
    }


def workload_view(workload: str, exits: Exits, memory: Memory | None) -> WorkloadSummaryView:
    """Return a workload as the API shows it."""
    return {
        **exits_view(exits),
        "workload": workload,
        "memory": None if memory is None else memory_view(memory),
    }


def memory_view(memory: Memory) -> MemoryView:
    """Return what runs say about memory as the API shows it."""
    bracket = memory.bracket
    return {
        "advice": memory.advice,
        "sentences": list(memory_sentences(memory)),
        "current_limit_bytes": memory.current_bytes,
        "killed_at": _limit_runs(bracket.killed_at),
        "completed_at": _limit_runs(bracket.completed_at),
        "suggested": _limit_runs(memory.suggested),
        "runs_needed": bracket.runs_needed,
        "raised": None if memory.raised is None else _raise_view(memory.raised),
        "limits": [_limit_view(each) for each in memory.limits],
        "runs_with_oom_kills": _oom_runs(memory.oom),
    }


def _group_view(group: ExitGroup) -> ExitGroupView:
    return {
        "status": group.status,
        "container_exit_code": group.code,
        "reason": group.reason,
        "exits": group.count,
        "share": round(group.share, _SHARE_DIGITS),
        "exits_before": group.before,
        "share_before": None if group.share_before is None else round(group.share_before, _SHARE_DIGITS),
        "trend": group.trend,
    }


def _limit_runs(limit: LimitRuns | None) -> LimitRunsView | None:
    return None if limit is None else {"limit_bytes": limit.limit_bytes, "runs": limit.runs}


def _oom_runs(oom: OomCounts) -> OomRunsView:
    return {
        "own": oom.own,
        "parent": oom.parent,
        "host": oom.host,
        "unknown": oom.unknown,
        "survived": oom.survived,
    }


def _limit_view(outcomes: LimitOutcomes) -> LimitView:
    after_ns = outcomes.killed_after_ns
    return {
        "limit_bytes": outcomes.limit_bytes,
        "completed": outcomes.completed,
        "oom_killed": outcomes.oom_killed,
        "oom_killed_limit_unknown": outcomes.oom_killed_limit_unknown,
        "killed_after_seconds": None if after_ns is None else after_ns / SECOND_NS,
    }


def _raise_view(raised: Raise) -> RaiseView:
    return {
        "from_bytes": raised.from_bytes,
        "to_bytes": raised.to_bytes,
        "at": timestamp(raised.at_ns),
        "kills_before": raised.kills_before,
        "runs_before": raised.runs_before,
        "kills_since": raised.kills_since,
        "runs_since": raised.runs_since,
        "result": raised.result,
    }


def _example() -> dict[str, Any]:
    """Return the example of the OpenAPI document: a limit that was raised, and has helped."""
    since_ns, day_ns = 1_772_323_200 * SECOND_NS, 86400 * SECOND_NS
    raised_ns, until_ns = since_ns + 2 * day_ns, since_ns + 7 * day_ns
    completed = ExitCount("night/train", Status.DONE, 0, "Completed", count=60, before=71)
    killed = ExitCount("night/train", Status.FAILED, 137, "OOMKilled", count=14, before=3)
    exits = summarize([completed, killed], is_before_known=True)
    runs = (
        Runs(512 << 20, Outcome.OOM_KILLED, 14, since_ns, raised_ns - 1, 95 * SECOND_NS),
        Runs(1 << 30, Outcome.COMPLETED, 60, raised_ns, until_ns - 1),
    )
    memory = read_memory(MemoryHistory(runs, OomCounts(own=14)))
    view = SummaryView(
        since=timestamp(since_ns),
        until=timestamp(until_ns),
        before_since=timestamp(since_ns - 7 * day_ns),
        recorded_since=timestamp(since_ns - 30 * day_ns),
        total=exits_view(exits),
        workloads=[workload_view("night/train", exits, memory)],
        workloads_omitted=0,
    )
    return view.model_dump(mode="json")
