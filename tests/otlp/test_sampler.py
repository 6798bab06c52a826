"""Selection of the jobs that get a trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.settings import TracedJobs
from exporter.model import ClassifiedExit, Job, Status, Trace
from exporter.otlp.sampler import SAMPLERS, Sampler, TraceSelector
from exporter.otlp.trace_context import span_ids_for
from tests.otlp.samples import PARENT_SPAN, PARENT_TRACE, TRACEPARENT
from tests.store.samples import NOT_STARTED, OOM, STOPPED, ended, job

EXITS = [
    ended(job("d"), 0),
    ended(job("e"), 137, OOM),
    ended(job("a", started_ns=None), 127, NOT_STARTED),
    ended(job("f"), 143, STOPPED),
    ended(job("0"), None),
]
UNSAMPLED = TRACEPARENT[:-2] + "00"
LOW, HIGH = "0" * 16, "f" * 16


def select(selector: TraceSelector, classified: ClassifiedExit) -> Trace | None:
    return selector.select(classified.exit.job, classified.verdict)


@pytest.mark.parametrize(
    ("jobs", "statuses"),
    [
        (TracedJobs.FAILED, {Status.FAILED}),
        (TracedJobs.ALL, set(Status) - {Status.RUNNING}),
        (TracedJobs.NONE, set()),
    ],
)
def test_the_setting_selects_jobs_by_their_status(jobs: TracedJobs, statuses: set[Status]) -> None:
    selected = [each for each in EXITS if select(TraceSelector(jobs), each) == span_ids_for(each.exit.job)]
    assert selected == [each for each in EXITS if each.verdict.status in statuses]
    assert {each.verdict.status for each in selected} == statuses
    assert all(select(TraceSelector(jobs), each) is None for each in EXITS if each not in selected)


@pytest.mark.parametrize(
    ("name", "argument", "alone", "sampled_parent", "unsampled_parent"),
    [
        ("always_on", 0.0, True, True, True),
        ("always_off", 1.0, False, False, False),
        ("traceidratio", 1.0, True, True, True),
        ("traceidratio", 0.0, False, False, False),
        ("parentbased_always_on", 0.0, True, True, False),
        ("parentbased_always_off", 1.0, False, True, False),
        ("parentbased_traceidratio", 1.0, True, True, False),
        ("parentbased_traceidratio", 0.0, False, True, False),
    ],
)
def test_each_sampler_samples_what_its_name_says(
    name: str, argument: float, *, alone: bool, sampled_parent: bool, unsampled_parent: bool
) -> None:
    selector = TraceSelector(TracedJobs.FAILED, SAMPLERS[name](argument))
    labels = ("", "no traceparent", TRACEPARENT, UNSAMPLED)
    traces = [select(selector, ended(job(traceparent=label), 1)) for label in labels]
    assert [trace is not None for trace in traces] == [alone, alone, sampled_parent, unsampled_parent]


def test_the_samplers_are_those_of_the_specification() -> None:
    names = ["always_on", "always_off", "traceidratio"]
    assert set(SAMPLERS) == {*names, *(f"parentbased_{name}" for name in names)}


def test_by_default_a_failed_job_is_traced_below_an_unsampled_parent() -> None:
    classified = ended(job(traceparent=UNSAMPLED), 1)
    span_id = span_ids_for(classified.exit.job).span_id
    assert select(TraceSelector(TracedJobs.FAILED), classified) == Trace(PARENT_TRACE, span_id, PARENT_SPAN)


@pytest.mark.parametrize(
    ("ratio", "end", "sampled"),
    [
        (0.5, "7" + "f" * 15, True),
        (0.5, "8" + "0" * 15, False),
        (0.25, "3" + "f" * 15, True),
        (0.25, "4" + "0" * 15, False),
        (1.0, HIGH, True),
        (0.0, LOW, False),
        (1e-9, LOW, True),
        (1e-9, HIGH, False),
    ],
)
def test_a_ratio_depends_on_the_end_of_the_trace_id_only(ratio: float, end: str, *, sampled: bool) -> None:
    traces = [Trace(beginning + end, "1" * 16) for beginning in (LOW, HIGH)]
    assert [Sampler(ratio).should_sample(job(), trace) for trace in traces] == [sampled, sampled]


def test_a_ratio_samples_about_that_share() -> None:
    runs = [job(start_event_ns=at_ns) for at_ns in range(1, 4001)]
    assert 900 < sum(Sampler(0.25).should_sample(run, span_ids_for(run)) for run in runs) < 1100


@given(st.text("0123456789abcdef", min_size=32, max_size=32), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_ratio_samples_all_that_a_lower_one_does(trace_id: str, one: float, other: float) -> None:
    trace, lower, higher = Trace(trace_id, "1" * 16), Sampler(min(one, other)), Sampler(max(one, other))
    some: Job = job()
    assert higher.should_sample(some, trace) or not lower.should_sample(some, trace)
