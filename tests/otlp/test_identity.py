"""Which span a job is, and which launched it, by the rules of W3C Trace Context."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import Job, KillRequest, Trace, Workload
from exporter.otlp.trace_context import SpanContext, parse_traceparent, span_ids_for
from tests.otlp.samples import PARENT_SPAN, PARENT_TRACE, TRACEPARENT
from tests.store.samples import BEGAN_NS, job
from tests.store.test_records import JOBS

SAMPLED = SpanContext(PARENT_TRACE, PARENT_SPAN, sampled=True)
UNSAMPLED = SpanContext(PARENT_TRACE, PARENT_SPAN, sampled=False)
IDS = f"{PARENT_TRACE}-{PARENT_SPAN}"
LOWER_CASE = re.compile(r"[0-9a-f]+")
HEX = st.text("0123456789abcdef", min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("traceparent", "parent"),
    [
        pytest.param(f"00-{IDS}-01", SAMPLED, id="sampled"),
        pytest.param(f"00-{IDS}-00", UNSAMPLED, id="not sampled"),
        pytest.param(f"00-{IDS}-02", UNSAMPLED, id="random, and not sampled"),
        pytest.param(f"00-{IDS}-03", SAMPLED, id="random and sampled"),
        pytest.param(f"00-{IDS}-ff", SAMPLED, id="every flag"),
        pytest.param(f"00-{IDS}-fe", UNSAMPLED, id="every flag but the one"),
        pytest.param(f"  00-{IDS}-01\r\n", SAMPLED, id="white space around it"),
        pytest.param(f"01-{IDS}-01", SAMPLED, id="the next version"),
        pytest.param(f"fe-{IDS}-01", SAMPLED, id="the last version"),
        pytest.param(f"01-{IDS}-01-more", SAMPLED, id="a later version with more"),
        pytest.param(f"01-{IDS}-00-", UNSAMPLED, id="a later version with an empty more"),
        pytest.param(f"cc-{IDS}-01-{'x' * 100_000}", SAMPLED, id="a later version with very much more"),
        pytest.param(
            f"00-{'0' * 31}1-{'0' * 15}1-01",
            SpanContext("0" * 31 + "1", "0" * 15 + "1", sampled=True),
            id="the smallest ids",
        ),
        pytest.param(
            f"00-{'f' * 32}-{'f' * 16}-01",
            SpanContext("f" * 32, "f" * 16, sampled=True),
            id="the largest ids",
        ),
    ],
)
def test_a_traceparent_names_the_span_that_launched_a_job(traceparent: str, parent: SpanContext) -> None:
    assert parse_traceparent(traceparent) == parent


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param("", id="nothing"),
        pytest.param(" \t\n", id="white space"),
        pytest.param("garbage", id="garbage"),
        pytest.param("-" * 55, id="dashes"),
        pytest.param("0" * 100_000, id="very long"),
        pytest.param(f"ff-{IDS}-01", id="version ff"),
        pytest.param(f"ff-{IDS}-01-more", id="version ff with more"),
        pytest.param(f"00-{IDS}-01-more", id="version 00 with more"),
        pytest.param(f"00-{IDS}-01-", id="version 00 with a dash more"),
        pytest.param(f"01-{IDS}-01more", id="a later version whose more has no dash"),
        pytest.param(f"00-{IDS}-011", id="three digits of flags"),
        pytest.param(f"00-{IDS}-1", id="one digit of flags"),
        pytest.param(f"00-{IDS}-", id="no flags"),
        pytest.param(f"00-{IDS}", id="no dash for the flags"),
        pytest.param(f"00-{IDS}-0g", id="flags that are no number"),
        pytest.param(f"0-{IDS}-01", id="one digit of a version"),
        pytest.param(f"000-{IDS}-01", id="three digits of a version"),
        pytest.param(f"{IDS}-01", id="no version"),
        pytest.param(f"00-{'0' * 32}-{PARENT_SPAN}-01", id="a trace id of zeros"),
        pytest.param(f"00-{PARENT_TRACE}-{'0' * 16}-01", id="a span id of zeros"),
        pytest.param(f"01-{'0' * 32}-{PARENT_SPAN}-01", id="a trace id of zeros in a later version"),
        pytest.param(f"00-{PARENT_TRACE[:-1]}-{PARENT_SPAN}-01", id="a short trace id"),
        pytest.param(f"00-{PARENT_TRACE}0-{PARENT_SPAN}-01", id="a long trace id"),
        pytest.param(f"00-{PARENT_TRACE}-{PARENT_SPAN[:-1]}-01", id="a short span id"),
        pytest.param(f"00-{PARENT_TRACE}-{PARENT_SPAN}0-01", id="a long span id"),
        pytest.param(f"00-{PARENT_TRACE.upper()}-{PARENT_SPAN}-01", id="an upper-case trace id"),
        pytest.param(f"00-{PARENT_TRACE}-{PARENT_SPAN.upper()}-01", id="an upper-case span id"),
        pytest.param(f"0A-{IDS}-01", id="an upper-case version"),
        pytest.param(f"00-{IDS}-0F", id="upper-case flags"),
        pytest.param(f"00-{PARENT_TRACE} -{PARENT_SPAN}-01", id="white space within"),
        pytest.param(f"00_{PARENT_TRACE}_{PARENT_SPAN}_01", id="underscores"),
        pytest.param(f'"00-{IDS}-01"', id="quotes"),
        pytest.param(f"00-{IDS}-01,00-{IDS}-01", id="two of them"),
        pytest.param(f"00-{'٣' * 32}-{PARENT_SPAN}-01", id="digits of another script"),
    ],
)
def test_what_is_no_traceparent_names_no_span(traceparent: str) -> None:
    assert parse_traceparent(traceparent) is None


@given(st.text() | st.lists(HEX, min_size=3, max_size=6).map("-".join))
@example(f"00-{IDS}-01")
def test_any_text_names_a_span_with_good_ids_or_none(text: str) -> None:
    parent = parse_traceparent(text)
    if parent is not None:
        assert text.strip()[2:53] == f"-{parent.trace_id}-{parent.span_id}-"
        assert (len(parent.trace_id), len(parent.span_id)) == (32, 16)
        assert LOWER_CASE.fullmatch(parent.trace_id + parent.span_id)
        assert int(parent.trace_id, 16) > 0 < int(parent.span_id, 16)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_any_good_ids_and_flags_are_read_as_they_were_written(trace: int, span: int, flags: int) -> None:
    assert parse_traceparent(f"00-{trace:032x}-{span:016x}-{flags:02x}") == SpanContext(
        f"{trace:032x}", f"{span:016x}", sampled=flags % 2 == 1
    )


# The ids of a job


def test_the_ids_of_a_job_are_the_same_today_and_after_any_update() -> None:
    assert span_ids_for(job()) == Trace("91f7e28e851589ac4b7b9b315041f565", "2a9149c5a8f41c12")


def test_the_ids_of_a_job_with_a_key_are_the_same_for_all_who_see_it_whenever_they_were_told() -> None:
    seen, found = job(key="r4d7"), job(key="r4d7", start_event_ns=BEGAN_NS + 5_000_000, attempt=2)
    assert (
        span_ids_for(seen)
        == span_ids_for(found)
        == Trace("364816533a0c18bcfaaae78b289e7733", "a8f58369fb26eb55")
    )
    assert span_ids_for(job(key="r4d8")) != span_ids_for(seen)


def test_a_job_that_a_span_has_launched_is_in_its_trace_and_below_it() -> None:
    alone = span_ids_for(job())
    below = span_ids_for(job(traceparent=TRACEPARENT))
    assert below == Trace(PARENT_TRACE, alone.span_id, PARENT_SPAN)


@pytest.mark.parametrize("traceparent", ["garbage", f"ff-{IDS}-01", f"00-{'0' * 32}-{PARENT_SPAN}-01"])
def test_a_job_whose_label_names_no_span_has_a_trace_of_its_own(traceparent: str) -> None:
    assert span_ids_for(job(traceparent=traceparent)) == span_ids_for(job())


def test_a_job_that_an_unsampled_span_has_launched_is_in_its_trace_too() -> None:
    assert span_ids_for(job(traceparent=f"00-{IDS}-00")) == span_ids_for(job(traceparent=TRACEPARENT))


def test_what_is_learned_of_a_job_does_not_change_its_ids() -> None:
    learned = job(
        name="other",
        instance="node-2",
        workload=Workload("other", "other"),
        image="other",
        attempt=7,
        engine="other",
        created_ns=None,
        started_ns=None,
        memory_limit_bytes=None,
        restarts=3,
        kills=(KillRequest(9, 1),),
    )
    assert span_ids_for(learned) == span_ids_for(job())


def test_every_run_of_every_container_has_ids_of_its_own() -> None:
    runs = [
        job(digit, start_event_ns=start_event_ns)
        for digit in "0123456789abcdef"
        for start_event_ns in range(1, 101)
    ]
    traces = [span_ids_for(run) for run in runs]
    assert len({trace.trace_id for trace in traces}) == len({trace.span_id for trace in traces}) == 1600


def test_a_time_cannot_be_taken_for_the_end_of_an_id() -> None:
    first = span_ids_for(job(container_id="a" * 12 + "1", start_event_ns=1))
    assert first != span_ids_for(job(container_id="a" * 12, start_event_ns=11))


def test_a_run_is_another_also_where_its_attempts_are_counted_from_1_again() -> None:
    assert span_ids_for(job(start_event_ns=1)) != span_ids_for(job(start_event_ns=2))


def test_spans_below_one_parent_are_told_apart() -> None:
    first, second = (span_ids_for(job(start_event_ns=at_ns, traceparent=TRACEPARENT)) for at_ns in (1, 2))
    assert (first.trace_id, first.parent_span_id) == (second.trace_id, second.parent_span_id)
    assert first.span_id != second.span_id


@given(JOBS, st.sampled_from(["", TRACEPARENT]))
def test_the_ids_of_any_job_are_well_formed_and_always_the_same(some: Job, traceparent: str) -> None:
    labelled = replace(some, traceparent=traceparent or some.traceparent)
    trace = span_ids_for(labelled)
    assert trace == span_ids_for(replace(labelled))
    assert (len(trace.trace_id), len(trace.span_id)) == (32, 16)
    assert LOWER_CASE.fullmatch(trace.trace_id + trace.span_id)
    assert int(trace.trace_id, 16) > 0 < int(trace.span_id, 16)
    assert trace.parent_span_id == (PARENT_SPAN if traceparent else None)
