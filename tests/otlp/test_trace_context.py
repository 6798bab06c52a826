"""Ids of a job's span, and the span that launched it by the rules of W3C Trace Context."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import Job, KillRequest, Trace, Workload
from exporter.otlp.trace_context import SpanContext, parse_traceparent, span_ids_for
from tests.otlp.samples import PARENT_SPAN, PARENT_TRACE, TRACEPARENT
from tests.store.samples import BEGAN_NS, job
from tests.store.strategies import JOBS

SAMPLED = SpanContext(PARENT_TRACE, PARENT_SPAN, sampled=True)
UNSAMPLED = SpanContext(PARENT_TRACE, PARENT_SPAN, sampled=False)
IDS = f"{PARENT_TRACE}-{PARENT_SPAN}"
LOWER_CASE = re.compile(r"[0-9a-f]+")
HEX = st.text("0123456789abcdef", min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("traceparent", "parent"),
    [
        pytest.param(f"00-{IDS}-01", SAMPLED, id="sampled"),
        pytest.param(f"00-{IDS}-02", UNSAMPLED, id="random, and not sampled"),
        pytest.param(f"00-{IDS}-ff", SAMPLED, id="every flag"),
        pytest.param(f"00-{IDS}-fe", UNSAMPLED, id="every flag but one"),
        pytest.param(f"  00-{IDS}-01\r\n", SAMPLED, id="white space around it"),
        pytest.param(f"fe-{IDS}-01", SAMPLED, id="the last version"),
        pytest.param(f"01-{IDS}-00-", UNSAMPLED, id="a later version with an empty field more"),
        pytest.param(f"cc-{IDS}-01-{'x' * 100_000}", SAMPLED, id="a later version with a long field more"),
    ],
)
def test_a_valid_traceparent_names_a_span(traceparent: str, parent: SpanContext) -> None:
    assert parse_traceparent(traceparent) == parent


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param("", id="empty"),
        pytest.param("garbage", id="garbage"),
        pytest.param("0" * 100_000, id="very long"),
        pytest.param(f"ff-{IDS}-01", id="version ff"),
        pytest.param(f"00-{IDS}-01-", id="version 00 with a field more"),
        pytest.param(f"01-{IDS}-01more", id="a later version without a dash before more"),
        pytest.param(f"00-{IDS}-011", id="three digits of flags"),
        pytest.param(f"00-{IDS}-1", id="one digit of flags"),
        pytest.param(f"00-{IDS}", id="no flags"),
        pytest.param(f"00-{IDS}-0g", id="flags that are not a number"),
        pytest.param(f"000-{IDS}-01", id="three digits of a version"),
        pytest.param(f"{IDS}-01", id="no version"),
        pytest.param(f"00-{'0' * 32}-{PARENT_SPAN}-01", id="a trace id of zeros"),
        pytest.param(f"01-{PARENT_TRACE}-{'0' * 16}-01", id="a span id of zeros in a later version"),
        pytest.param(f"00-{PARENT_TRACE[:-1]}-{PARENT_SPAN}-01", id="a short trace id"),
        pytest.param(f"00-{PARENT_TRACE}-{PARENT_SPAN}0-01", id="a long span id"),
        pytest.param(f"00-{PARENT_TRACE.upper()}-{PARENT_SPAN}-01", id="an upper-case trace id"),
        pytest.param(f"00-{IDS}-0F", id="upper-case flags"),
        pytest.param(f"00-{PARENT_TRACE} -{PARENT_SPAN}-01", id="white space within"),
        pytest.param(f"00_{PARENT_TRACE}_{PARENT_SPAN}_01", id="underscores"),
        pytest.param(f"00-{IDS}-01,00-{IDS}-01", id="two of them"),
        pytest.param(f"00-{'٣' * 32}-{PARENT_SPAN}-01", id="digits of another script"),
    ],
)
def test_an_invalid_traceparent_names_no_span(traceparent: str) -> None:
    assert parse_traceparent(traceparent) is None


@given(st.text() | st.lists(HEX, min_size=3, max_size=6).map("-".join))
@example(f"00-{IDS}-01")
def test_any_text_names_a_span_with_valid_ids_or_none(text: str) -> None:
    parent = parse_traceparent(text)
    if parent is not None:
        assert text.strip()[2:53] == f"-{parent.trace_id}-{parent.span_id}-"
        assert_valid(parent)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_any_valid_ids_and_flags_are_read_as_written(trace: int, span: int, flags: int) -> None:
    assert parse_traceparent(f"00-{trace:032x}-{span:016x}-{flags:02x}") == SpanContext(
        f"{trace:032x}", f"{span:016x}", sampled=flags % 2 == 1
    )


def assert_valid(ids: SpanContext | Trace) -> None:
    assert (len(ids.trace_id), len(ids.span_id)) == (32, 16)
    assert LOWER_CASE.fullmatch(ids.trace_id + ids.span_id)
    assert int(ids.trace_id, 16) > 0 < int(ids.span_id, 16)


# Ids of a job


def test_the_ids_of_a_job_stay_the_same_after_any_update() -> None:
    assert span_ids_for(job()) == Trace("91f7e28e851589ac4b7b9b315041f565", "2a9149c5a8f41c12")


def test_a_key_gives_the_same_ids_to_all_who_see_the_job() -> None:
    ids = Trace("364816533a0c18bcfaaae78b289e7733", "a8f58369fb26eb55")
    found_later = job(key="r4d7", start_event_ns=BEGAN_NS + 5_000_000, attempt=2)
    assert span_ids_for(job(key="r4d7")) == span_ids_for(found_later) == ids
    assert span_ids_for(job(key="r4d8")) != ids


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_launched_job_is_in_the_trace_of_its_parent(flags: str) -> None:
    below = span_ids_for(job(traceparent=f"00-{IDS}-{flags}"))
    assert below == Trace(PARENT_TRACE, span_ids_for(job()).span_id, PARENT_SPAN)


@pytest.mark.parametrize("traceparent", ["garbage", f"00-{'0' * 32}-{PARENT_SPAN}-01"])
def test_an_invalid_label_gives_a_trace_of_its_own(traceparent: str) -> None:
    assert span_ids_for(job(traceparent=traceparent)) == span_ids_for(job())


def test_other_facts_about_a_job_do_not_change_its_ids() -> None:
    known_later = job(
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
    assert span_ids_for(known_later) == span_ids_for(job())


@pytest.mark.parametrize("traceparent", ["", TRACEPARENT])
def test_every_run_of_every_container_has_its_own_ids(traceparent: str) -> None:
    runs = [
        job(digit, start_event_ns=at_ns, traceparent=traceparent)
        for digit in "0123456789abcdef"
        for at_ns in range(1, 101)
    ]
    ids = [span_ids_for(run) for run in runs]
    assert len({each.span_id for each in ids}) == 1600
    assert len({each.trace_id for each in ids}) == (1 if traceparent else 1600)


def test_a_time_is_not_mistaken_for_the_end_of_an_id() -> None:
    first = span_ids_for(job(container_id="a" * 12 + "1", start_event_ns=1))
    assert first != span_ids_for(job(container_id="a" * 12, start_event_ns=11))


@given(JOBS)
def test_the_ids_of_any_job_are_valid(some: Job) -> None:
    assert_valid(span_ids_for(some))
