"""Of which jobs a trace is made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.settings import Jobs
from exporter.model import ClassifiedExit, Job, Status, Trace
from exporter.otlp.sampler import SAMPLERS, Sampler, TraceSelector
from exporter.otlp.trace_context import span_ids_for
from tests.otlp.samples import PARENT_SPAN, PARENT_TRACE, TRACEPARENT
from tests.store.samples import NOT_STARTED, OOM, STOPPED, ended, job

ENDS = {
    Status.DONE: ended(job("d"), 0),
    Status.FAILED: ended(job("e"), 137, OOM),
    Status.TERMINATED: ended(job("f"), 143, STOPPED),
    Status.UNKNOWN: ended(job("0"), None),
}
UNSAMPLED = TRACEPARENT[:-2] + "00"
ALONE, SAMPLED_PARENT, UNSAMPLED_PARENT = "", TRACEPARENT, UNSAMPLED
LOW, HIGH = "0" * 16, "f" * 16


def asked(choice: TraceSelector, judged: ClassifiedExit) -> Trace | None:
    return choice.select(judged.exit.job, judged.verdict)


@pytest.mark.parametrize(
    ("jobs", "taken"),
    [
        (Jobs.FAILED, {Status.FAILED}),
        (Jobs.ALL, {Status.DONE, Status.FAILED, Status.TERMINATED, Status.UNKNOWN}),
        (Jobs.NONE, set()),
    ],
)
def test_the_setting_says_by_their_status_which_jobs_are_traced(jobs: Jobs, taken: set[Status]) -> None:
    traces = {status: asked(TraceSelector(jobs), judged) for status, judged in ENDS.items()}
    assert traces == {
        status: span_ids_for(judged.exit.job) if status in taken else None for status, judged in ENDS.items()
    }


def test_a_job_that_never_started_is_a_failed_one() -> None:
    judged = ended(job(started_ns=None), 127, NOT_STARTED)
    assert asked(TraceSelector(Jobs.FAILED), judged) == span_ids_for(judged.exit.job)


def test_every_status_in_which_a_job_can_end_is_in_these_tests() -> None:
    assert {status: judged.verdict.status for status, judged in ENDS.items()} == {
        status: status for status in Status if status is not Status.RUNNING
    }


@pytest.mark.parametrize(
    ("name", "argument", "traceparent", "taken"),
    [
        ("always_on", 0.0, ALONE, True),
        ("always_on", 0.0, SAMPLED_PARENT, True),
        ("always_on", 0.0, UNSAMPLED_PARENT, True),
        ("always_off", 1.0, ALONE, False),
        ("always_off", 1.0, SAMPLED_PARENT, False),
        ("always_off", 1.0, UNSAMPLED_PARENT, False),
        ("traceidratio", 1.0, ALONE, True),
        ("traceidratio", 1.0, UNSAMPLED_PARENT, True),
        ("traceidratio", 0.0, ALONE, False),
        ("traceidratio", 0.0, SAMPLED_PARENT, False),
        ("parentbased_always_on", 0.0, ALONE, True),
        ("parentbased_always_on", 0.0, SAMPLED_PARENT, True),
        ("parentbased_always_on", 0.0, UNSAMPLED_PARENT, False),
        ("parentbased_always_off", 1.0, ALONE, False),
        ("parentbased_always_off", 1.0, SAMPLED_PARENT, True),
        ("parentbased_always_off", 1.0, UNSAMPLED_PARENT, False),
        ("parentbased_traceidratio", 1.0, ALONE, True),
        ("parentbased_traceidratio", 0.0, ALONE, False),
        ("parentbased_traceidratio", 0.0, SAMPLED_PARENT, True),
        ("parentbased_traceidratio", 1.0, UNSAMPLED_PARENT, False),
        ("parentbased_always_off", 1.0, "no traceparent", False),
        ("parentbased_always_on", 0.0, "no traceparent", True),
    ],
)
def test_each_sampler_takes_what_its_name_says(
    name: str, argument: float, traceparent: str, *, taken: bool
) -> None:
    judged = ended(job(traceparent=traceparent), 1)
    trace = span_ids_for(judged.exit.job)
    assert asked(TraceSelector(Jobs.FAILED, SAMPLERS[name](argument)), judged) == (trace if taken else None)


def test_there_are_the_samplers_of_the_specification() -> None:
    assert sorted(SAMPLERS) == [
        "always_off",
        "always_on",
        "parentbased_always_off",
        "parentbased_always_on",
        "parentbased_traceidratio",
        "traceidratio",
    ]


def test_without_a_sampler_every_failed_job_is_traced_whatever_its_parent_decided() -> None:
    judged = ended(job(traceparent=UNSAMPLED), 1)
    assert asked(TraceSelector(Jobs.FAILED), judged) == Trace(
        PARENT_TRACE, span_ids_for(judged.exit.job).span_id, PARENT_SPAN
    )


@pytest.mark.parametrize(
    ("ratio", "end", "taken"),
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
def test_a_ratio_looks_at_the_end_of_the_trace_id_alone(ratio: float, end: str, *, taken: bool) -> None:
    takes = [
        Sampler(ratio).should_sample(job(), Trace(beginning + end, "1" * 16)) for beginning in (LOW, HIGH)
    ]
    assert takes == [taken, taken]


def test_a_ratio_takes_about_so_many() -> None:
    sampler = Sampler(0.25)
    runs = [job(start_event_ns=start_event_ns) for start_event_ns in range(1, 4001)]
    assert 900 < sum(sampler.should_sample(run, span_ids_for(run)) for run in runs) < 1100


@given(st.text("0123456789abcdef", min_size=32, max_size=32), st.floats(0, 1), st.floats(0, 1))
def test_who_takes_more_takes_all_that_who_takes_less_does(trace_id: str, one: float, other: float) -> None:
    trace, less, more = Trace(trace_id, "1" * 16), Sampler(min(one, other)), Sampler(max(one, other))
    some: Job = job()
    assert more.should_sample(some, trace) or not less.should_sample(some, trace)
