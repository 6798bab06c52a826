"""A job as a span and as log records: all of it, at its own times, and nothing else."""

import json
from dataclasses import replace
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporter import __version__
from exporter.model import (
    ClassifiedExit,
    Job,
    KillRequest,
    MemoryLimit,
    OomKill,
    OomSource,
    OomVictim,
    TelemetrySignal,
    Trace,
)
from exporter.otlp import encoding
from exporter.otlp.attributes import JOB_ATTRIBUTES
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import ExportResponse, LogEncoder, SpanEncoder
from tests.otlp.samples import NO_LIMITS, PARENT_SPAN, PARENT_TRACE, request, traced
from tests.scripted.received import ReceivedRecord, ReceivedSpan, logs, traces
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job
from tests.store.test_records import ENDS, TEXTS, TIMES

RESOURCE = {"service.name": "exits", "team": "größe"}
ENDED_NS = BEGAN_NS + 90 * SECOND_NS
ASKED_NS = ENDED_NS - 2 * SECOND_NS
OOM_NS = ENDED_NS - SECOND_NS // 8
SAMPLED_ALONE, SAMPLED_BELOW = 0x101, 0x301
UNSET, ERROR = 0, 2
INFO, WARN, SEVERE = 9, 13, 17
LOG_TAIL = "allocating\nKilled\n"
BELOW = Trace(PARENT_TRACE, "a" * 16, PARENT_SPAN)


def span(judged: ClassifiedExit, limits: SpanLimits = NO_LIMITS, *, with_events: bool = True) -> ReceivedSpan:
    """Give the one span of a job as a collector reads it."""
    spans = SpanEncoder(RESOURCE, limits, with_events=with_events)
    sent = spans.request(spans.items(judged)).message.SerializeToString()
    [received] = traces(ExportTraceServiceRequest.FromString(sent)).spans
    return received


def records(judged: ClassifiedExit, limits: SpanLimits = NO_LIMITS) -> list[ReceivedRecord]:
    """Give the log records of a job as a collector reads them."""
    of = LogEncoder(RESOURCE, limits)
    sent = of.request(of.items(judged)).message.SerializeToString()
    return logs(ExportLogsServiceRequest.FromString(sent)).records


def killed_for_memory(**changes: Any) -> ClassifiedExit:
    """Give the end of a job that was short of memory, and that somebody had tried to reload before."""
    begun = job(
        kills=(KillRequest(1, ASKED_NS),),
        oom_kills=(OomKill(OomSource.EVENT, OOM_NS), OomKill(OomSource.FLAG, None)),
        **changes,
    )
    return traced(ended(begun, 137, OOM, oom_kills=1, log_tail=LOG_TAIL), BELOW)


def told_often(count: int) -> ClassifiedExit:
    """Give the end of a job that was sent so many signals, one in each second."""
    kills = tuple(KillRequest(10, BEGAN_NS + second * SECOND_NS) for second in range(1, count + 1))
    return traced(ended(job(kills=kills), 1))


EXPLAINED = replace(
    NOT_STARTED,
    start_error="no such device",
    limit=MemoryLimit.PARENT,
    causes=("The device is missing",),
    not_known=("Events were missed.",),
)


OOM_SPAN = ReceivedSpan(
    trace_id=PARENT_TRACE,
    span_id="a" * 16,
    parent_span_id=PARENT_SPAN,
    name="container.run",
    kind=1,
    start_ns=BEGAN_NS,
    end_ns=ENDED_NS,
    status_code=ERROR,
    status_message="JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)",
    attributes={
        "container.id": "a" * 64,
        "container.name": "gentle-stingray-a",
        "container.image.name": "registry.example/shop/worker",
        "container.image.tags": ["1.4"],
        "host.name": "node-1",
        "process.exit.code": 137,
        "error.type": "OOMKilled",
        "exit_exporter.job.id": "aaaaaaaaaaaa-1",
        "exit_exporter.job.attempt": 1,
        "exit_exporter.workload": "shop/worker",
        "exit_exporter.status": "failed",
        "exit_exporter.reason": "OOMKilled",
        "exit_exporter.termination": "CONTAINER_EXITED_WITH_ERROR",
        "exit_exporter.error": "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)",
        "exit_exporter.recovery": "more-memory",
        "exit_exporter.evidence": ["The engine reported an OOM kill 0.125 s before the end."],
        "exit_exporter.oom_kills": 1,
        "exit_exporter.memory_limit_bytes": 256 << 20,
        "exit_exporter.log_tail": LOG_TAIL,
    },
    events=[
        ("container.start", BEGAN_NS, {}),
        (
            "container.kill",
            ASKED_NS,
            {"exit_exporter.signal.name": "SIGHUP", "exit_exporter.signal.number": 1},
        ),
        ("container.oom", OOM_NS, {"exit_exporter.witness": "event"}),
        ("container.exit", ENDED_NS, {"exit_exporter.reason": "OOMKilled", "process.exit.code": 137}),
    ],
    dropped_events=0,
    resource=RESOURCE,
    scope="exit-exporter",
    flags=SAMPLED_BELOW,
)


# A span


def test_a_job_that_was_killed_for_memory_is_a_span_with_all_that_is_known_of_it() -> None:
    assert span(killed_for_memory()) == OOM_SPAN


def test_a_job_that_could_not_be_started_is_a_span_without_a_start() -> None:
    begun = job("b", started_ns=None, memory_limit_bytes=None, image="sha256:" + "0" * 64)
    error = "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)"
    judged = traced(ended(begun, 127, NOT_STARTED, finished_ns=BEGAN_NS + 5))
    assert span(judged) == ReceivedSpan(
        trace_id="b" * 32,
        span_id="b" * 16,
        parent_span_id="",
        name="container.run",
        kind=1,
        start_ns=BEGAN_NS,
        end_ns=BEGAN_NS + 5,
        status_code=ERROR,
        status_message=error,
        attributes={
            "container.id": "b" * 64,
            "container.name": "gentle-stingray-b",
            "container.image.name": "registry.example/shop/worker",
            "host.name": "node-1",
            "process.exit.code": 127,
            "error.type": "CommandNotFound",
            "exit_exporter.job.id": "bbbbbbbbbbbb-1",
            "exit_exporter.job.attempt": 1,
            "exit_exporter.workload": "shop/worker",
            "exit_exporter.status": "failed",
            "exit_exporter.reason": "CommandNotFound",
            "exit_exporter.termination": "CREATING_CONTAINER_ERROR",
            "exit_exporter.error": error,
            "exit_exporter.recovery": "fix-command",
            "exit_exporter.oom_kills": 0,
        },
        events=[
            (
                "container.exit",
                BEGAN_NS + 5,
                {"exit_exporter.reason": "CommandNotFound", "process.exit.code": 127},
            )
        ],
        dropped_events=0,
        resource=RESOURCE,
        scope="exit-exporter",
        flags=SAMPLED_ALONE,
    )


BESIDES = ("container.", "host.", "exit_exporter.job.", "exit_exporter.workload", "exit_exporter.memory")


def outcome(received: ReceivedSpan) -> tuple[int, str, dict[str, Any], list[str]]:
    """Give what a span says of how its job ended: status, message, attributes, names of events."""
    said = {name: value for name, value in received.attributes.items() if not name.startswith(BESIDES)}
    return received.status_code, received.status_message, said, [name for name, _, _ in received.events]


def test_a_job_that_is_done_is_a_span_without_a_status_or_an_error() -> None:
    assert outcome(span(traced(ended(job(), 0)))) == (
        UNSET,
        "",
        {
            "process.exit.code": 0,
            "exit_exporter.status": "done",
            "exit_exporter.reason": "Completed",
            "exit_exporter.termination": "DONE",
            "exit_exporter.recovery": "none",
            "exit_exporter.oom_kills": 0,
        },
        ["container.start", "container.exit"],
    )


def test_a_job_that_was_asked_to_stop_did_what_it_should() -> None:
    judged = traced(ended(job(kills=(KillRequest(15, ASKED_NS),)), 143, STOPPED))
    assert outcome(span(judged)) == (
        UNSET,
        "",
        {
            "process.exit.code": 143,
            "exit_exporter.status": "terminated",
            "exit_exporter.reason": "Terminated",
            "exit_exporter.termination": "TERMINATED_BY_USER",
            "exit_exporter.error": "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)",
            "exit_exporter.recovery": "none",
            "exit_exporter.evidence": list(STOPPED.notes),
            "exit_exporter.oom_kills": 0,
        },
        ["container.start", "container.kill", "container.exit"],
    )


def test_a_job_that_nobody_saw_end_has_no_code_and_is_no_error() -> None:
    judged = traced(ended(job(), None))
    received = span(judged)
    assert outcome(received) == (
        UNSET,
        "",
        {
            "exit_exporter.status": "unknown",
            "exit_exporter.reason": "Unknown",
            "exit_exporter.termination": "EXIT_NOT_OBSERVED",
            "exit_exporter.error": "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)",
            "exit_exporter.recovery": "none",
            "exit_exporter.oom_kills": 0,
        },
        ["container.start", "container.exit"],
    )
    assert received.events[-1] == (
        "container.exit",
        ENDED_NS,
        {"exit_exporter.reason": judged.verdict.reason},
    )


def test_a_span_begins_with_its_start_and_not_when_its_start_was_tried() -> None:
    received = span(traced(ended(job(started_ns=BEGAN_NS + 7), 1)))
    assert (received.start_ns, received.events[0]) == (BEGAN_NS + 7, ("container.start", BEGAN_NS + 7, {}))


@pytest.mark.parametrize(
    ("started_ns", "finished_ns", "span_ns"),
    [
        (BEGAN_NS, BEGAN_NS - 1, (BEGAN_NS, BEGAN_NS)),
        (None, BEGAN_NS - 1, (BEGAN_NS, BEGAN_NS)),
        (BEGAN_NS, BEGAN_NS, (BEGAN_NS, BEGAN_NS)),
        (BEGAN_NS, 0, (BEGAN_NS, BEGAN_NS)),
        (-5, 7, (0, 7)),
        (-5, -7, (0, 0)),
        (0, 0, (0, 0)),
    ],
)
def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins(
    started_ns: int | None, finished_ns: int, span_ns: tuple[int, int]
) -> None:
    received = span(traced(ended(job(started_ns=started_ns), 1, finished_ns=finished_ns)))
    assert (received.start_ns, received.end_ns) == span_ns
    assert received.events[0][1] == max(
        0, min(finished_ns, finished_ns if started_ns is None else started_ns)
    )


def test_what_happened_when_nobody_knows_has_happened_at_the_end_at_the_latest() -> None:
    judged = traced(ended(job(oom_kills=(OomKill(OomSource.FLAG, None),)), 137, OOM))
    assert span(judged).events == [
        ("container.start", BEGAN_NS, {}),
        ("container.oom", ENDED_NS, {"exit_exporter.witness": "flag"}),
        ("container.exit", ENDED_NS, {"exit_exporter.reason": "OOMKilled", "process.exit.code": 137}),
    ]


@pytest.mark.parametrize(
    ("number", "attributes"),
    [
        (int(SIGKILL), {"exit_exporter.signal.name": "SIGKILL", "exit_exporter.signal.number": 9}),
        (int(SIGTERM), {"exit_exporter.signal.name": "SIGTERM", "exit_exporter.signal.number": 15}),
        (63, {"exit_exporter.signal.name": "signal 63", "exit_exporter.signal.number": 63}),
        (None, {"exit_exporter.signal.name": "a signal"}),
    ],
)
def test_a_signal_is_an_event_with_its_name_and_number(
    number: int | None, attributes: dict[str, Any]
) -> None:
    judged = traced(ended(job(kills=(KillRequest(number, ASKED_NS),)), 1))
    assert span(judged).events[1] == ("container.kill", ASKED_NS, attributes)


def test_a_kill_that_several_witnesses_tell_of_is_one_event_of_the_best() -> None:
    witnesses = (
        OomKill(OomSource.FLAG, None),
        OomKill(OomSource.COUNTER, OOM_NS + 2),
        OomKill(OomSource.LOG, OOM_NS + 1),
        OomKill(OomSource.COUNTER, OOM_NS + 3),
    )
    judged = traced(ended(job(oom_kills=witnesses), 137, OOM))
    assert span(judged).events[1:-1] == [
        ("container.oom", OOM_NS + 2, {"exit_exporter.witness": "counter"}),
        ("container.oom", OOM_NS + 3, {"exit_exporter.witness": "counter"}),
    ]


def test_what_the_kernels_log_tells_of_a_kill_is_on_its_event() -> None:
    first = OomVictim(MemoryLimit.OWN, "/docker/a", "python", 4711, 300 << 20)
    last = OomVictim(MemoryLimit.HOST, "/", "cc1", 4713, largest=("java", 3 << 30))
    judged = traced(
        ended(
            job(
                oom_kills=(
                    OomKill(OomSource.LOG, OOM_NS, first),
                    OomKill(OomSource.EVENT, OOM_NS + 1000),
                    OomKill(OomSource.LOG, OOM_NS + 2000, last),
                )
            ),
            137,
            OOM,
        )
    )
    assert span(judged).events[1:-1] == [
        (
            "container.oom",
            OOM_NS,
            {
                "exit_exporter.witness": "log",
                "process.pid": 4711,
                "exit_exporter.oom.process": "python",
                "exit_exporter.oom.limit": "own",
                "exit_exporter.oom.cgroup": "/docker/a",
                "exit_exporter.oom.rss_bytes": 300 << 20,
            },
        ),
        ("container.oom", OOM_NS + 1000, {"exit_exporter.witness": "event"}),
        (
            "container.oom",
            OOM_NS + 2000,
            {
                "exit_exporter.witness": "log",
                "process.pid": 4713,
                "exit_exporter.oom.process": "cc1",
                "exit_exporter.oom.limit": "host",
                "exit_exporter.oom.cgroup": "/",
                "exit_exporter.oom.largest.process": "java",
                "exit_exporter.oom.largest.rss_bytes": 3 << 30,
            },
        ),
    ]


def test_an_end_that_was_told_late_stands_at_its_own_time() -> None:
    received = span(traced(ended(job(), 137, OOM, event_ns=ENDED_NS + 11 * SECOND_NS)))
    assert (received.end_ns, received.events[-1][:2]) == (ENDED_NS, ("container.exit", ENDED_NS))


def test_what_a_verdict_turned_on_and_what_was_not_known_is_on_the_span() -> None:
    said = span(traced(ended(job(started_ns=None), 128, EXPLAINED))).attributes
    told = ("start_error", "oom.limit", "causes", "not_known")
    assert {name: said[f"exit_exporter.{name}"] for name in told} == {
        "start_error": "no such device",
        "oom.limit": "parent",
        "causes": ["The device is missing"],
        "not_known": ["Events were missed."],
    }


def test_a_report_that_comes_after_the_end_is_behind_it_at_its_own_time() -> None:
    judged = traced(ended(job(oom_kills=(OomKill(OomSource.EVENT, ENDED_NS + 1),)), 137, OOM))
    assert [(name, at_ns) for name, at_ns, _ in span(judged).events] == [
        ("container.start", BEGAN_NS),
        ("container.exit", ENDED_NS),
        ("container.oom", ENDED_NS + 1),
    ]


def test_without_events_a_span_is_the_same_and_none_counts_as_dropped() -> None:
    assert span(killed_for_memory(), with_events=False) == replace(OOM_SPAN, events=[])


@pytest.mark.parametrize("image", ["busybox", f"busybox@sha256:{'0' * 64}", "localhost:5000/busybox"])
def test_an_image_without_a_tag_has_no_tags(image: str) -> None:
    assert "container.image.tags" not in span(traced(ended(job(image=image), 1))).attributes


# SpanLimits


@pytest.mark.parametrize(
    ("most", "seconds"),
    [
        (128, [0, *range(1, 10), 90]),
        (11, [0, *range(1, 10), 90]),
        (10, [0, *range(2, 10), 90]),
        (4, [0, 8, 9, 90]),
        (2, [0, 90]),
        (1, [90]),
        (0, []),
    ],
)
def test_of_too_many_events_the_first_and_the_latest_are_kept_and_the_others_counted(
    most: int, seconds: list[int]
) -> None:
    received = span(told_often(9), SpanLimits(events=most))
    assert [at_ns for _, at_ns, _ in received.events] == [BEGAN_NS + second * SECOND_NS for second in seconds]
    assert received.dropped_events == 11 - len(seconds)


def test_a_span_has_no_more_events_than_the_specification_says() -> None:
    received = span(told_often(1000))
    assert (len(received.events), received.dropped_events) == (128, 874)


@pytest.mark.parametrize("longest", [0, 1, 5, 10_000])
def test_a_limit_cuts_every_text_to_so_many_characters_and_nothing_else(longest: int) -> None:
    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [cut(item) for item in value]
        return value[:longest] if isinstance(value, str) else value

    assert span(killed_for_memory(name="größer" * 9), SpanLimits(text_length=longest)) == replace(
        OOM_SPAN,
        attributes={
            name: cut(value)
            for name, value in {**OOM_SPAN.attributes, "container.name": "größer" * 9}.items()
        },
        events=[
            (name, at_ns, {key: cut(value) for key, value in attributes.items()})
            for name, at_ns, attributes in OOM_SPAN.events
        ],
    )


# Log records


def record(name: str, at_ns: int, severity: int, said: dict[str, Any], body: str | None) -> ReceivedRecord:
    return ReceivedRecord(
        event_name=name,
        time_ns=at_ns,
        observed_ns=at_ns,
        severity_number=severity,
        body=body,
        attributes={
            "container.id": "a" * 64,
            "container.name": "gentle-stingray-a",
            "container.image.name": "registry.example/shop/worker",
            "host.name": "node-1",
            "exit_exporter.workload": "shop/worker",
            **said,
        },
        trace_id=PARENT_TRACE,
        span_id="a" * 16,
        resource=RESOURCE,
        scope="exit-exporter",
    )


SEVERITIES = {"container.oom": WARN, "container.exit": SEVERE}
OOM_TEXTS = (
    "The container was started",
    "The engine was asked to send SIGHUP",
    "The engine reported an OOM kill",
    OOM_SPAN.status_message,
)
OOM_RECORDS = [
    record(
        name,
        at_ns,
        SEVERITIES.get(name, INFO),
        attributes,
        text,
    )
    for (name, at_ns, attributes), text in zip(OOM_SPAN.events, OOM_TEXTS, strict=True)
]


def test_what_has_happened_in_a_job_is_a_log_record_each_that_names_its_span() -> None:
    assert records(killed_for_memory()) == OOM_RECORDS


@pytest.mark.parametrize(
    ("judged", "severity", "body"),
    [
        pytest.param(ended(job(), 0), INFO, "Completed", id="done"),
        pytest.param(ended(job(), 1), SEVERE, "JOB_FAILED", id="failed"),
        pytest.param(ended(job(), 143, STOPPED), INFO, "JOB_TERMINATED", id="terminated"),
        pytest.param(ended(job(), None), INFO, "JOB_UNKNOWN", id="unknown"),
    ],
)
def test_the_record_of_an_end_says_what_is_wrong_and_only_a_failure_is_an_error(
    judged: ClassifiedExit, severity: int, body: str
) -> None:
    last = records(traced(judged))[-1]
    assert (last.event_name, last.severity_number) == ("container.exit", severity)
    assert last.body == (judged.verdict.error or judged.verdict.reason)
    assert (last.body or "").partition(" ")[0] == body


def test_the_severity_is_said_in_words_too_and_every_record_belongs_to_a_sampled_span() -> None:
    assert [
        (item.severity_text, item.flags) for item in LogEncoder({}, NO_LIMITS).items(killed_for_memory())
    ] == [
        ("INFO", 1),
        ("INFO", 1),
        ("WARN", 1),
        ("ERROR", 1),
    ]


def test_texts_are_no_longer_in_log_records_and_there_is_one_for_each_thing_that_happened() -> None:
    kept = records(killed_for_memory(), SpanLimits(events=2, text_length=4))
    assert kept == [
        replace(
            whole,
            attributes={
                name: value[:4] if isinstance(value, str) else value
                for name, value in whole.attributes.items()
            },
        )
        for whole in OOM_RECORDS
    ]


# Requests and responses


@pytest.mark.parametrize(("signal", "items"), [(TelemetrySignal.TRACES, 2), (TelemetrySignal.LOGS, 4)])
def test_a_request_has_the_items_of_several_jobs_below_one_resource_and_scope(
    signal: TelemetrySignal, items: int
) -> None:
    sent = request(signal, "ab")
    assert (sent.signal, sent.items) == (signal, items)
    if signal is TelemetrySignal.TRACES:
        [of_spans] = ExportTraceServiceRequest.FromString(sent.message.SerializeToString()).resource_spans
        [scoped] = of_spans.scope_spans
        assert [item.trace_id.hex() for item in scoped.spans] == ["a" * 32, "b" * 32]
        scope = scoped.scope
    else:
        [of_logs] = ExportLogsServiceRequest.FromString(sent.message.SerializeToString()).resource_logs
        [logged] = of_logs.scope_logs
        assert [item.trace_id.hex() for item in logged.log_records] == ["a" * 32] * 2 + ["b" * 32] * 2
        scope = logged.scope
    assert (scope.name, scope.version) == ("exit-exporter", __version__)


@pytest.mark.parametrize("encoder", [SpanEncoder({}, NO_LIMITS), LogEncoder({}, NO_LIMITS)])
def test_of_a_job_without_a_trace_nothing_can_be_sent(encoder: SpanEncoder | LogEncoder) -> None:
    with pytest.raises(ValueError, match=r"^job without a trace: aaaaaaaaaaaa-1$"):
        encoder.items(ended(job(), 1))


def test_a_response_says_how_many_were_rejected_and_why() -> None:
    spans, of_logs = ExportTraceServiceResponse(), ExportLogsServiceResponse()
    spans.partial_success.rejected_spans = 3
    spans.partial_success.error_message = "too old"
    of_logs.partial_success.rejected_log_records = 4
    assert [
        encoding.parse_response(TelemetrySignal.TRACES, spans.SerializeToString()),
        encoding.parse_response(TelemetrySignal.LOGS, of_logs.SerializeToString()),
        encoding.parse_response(TelemetrySignal.TRACES, b""),
        encoding.parse_response(TelemetrySignal.LOGS, b""),
    ] == [ExportResponse(3, "too old"), ExportResponse(4, ""), ExportResponse(0, ""), ExportResponse(0, "")]


@pytest.mark.parametrize("signal", list(TelemetrySignal))
def test_what_is_no_response_is_an_error(signal: TelemetrySignal) -> None:
    with pytest.raises(DecodeError):
        encoding.parse_response(signal, b"<!doctype html>")


# The table


def test_no_span_has_an_attribute_that_is_not_in_the_table_and_its_names_are_different() -> None:
    names = [attribute.name for attribute in JOB_ATTRIBUTES]
    of_all = killed_for_memory()
    of_all = replace(of_all, exit=replace(of_all.exit, evidence=replace(EXPLAINED, notes=OOM.notes)))
    assert [*span(of_all).attributes] == names == list(dict.fromkeys(names))


def test_every_attribute_has_a_meaning_that_is_a_sentence() -> None:
    wrong = {one.name: one.meaning for one in JOB_ATTRIBUTES if not one.meaning.endswith(".")}
    assert wrong == {}


HEX = "0123456789abcdef"
TRACES = st.builds(
    Trace,
    st.text(HEX, min_size=32, max_size=32),
    st.text(HEX, min_size=16, max_size=16),
    st.none() | st.text(HEX, min_size=16, max_size=16),
)
SIGNED_TIMES = TIMES | st.integers(-(2**63), -1)
KILLS = st.builds(KillRequest, st.none() | st.integers(0, 2**31), SIGNED_TIMES)
OOM_KILLS = st.builds(OomKill, st.sampled_from(OomSource), st.none() | SIGNED_TIMES)


@st.composite
def traced_ends(draw: st.DrawFn) -> ClassifiedExit:
    """Draw any end that the model allows, with a trace and with whatever may have happened."""
    judged = draw(ENDS)
    begun: Job = replace(
        judged.exit.job,
        start_event_ns=draw(SIGNED_TIMES),
        kills=tuple(draw(st.lists(KILLS, max_size=4))),
        oom_kills=tuple(draw(st.lists(OOM_KILLS, max_size=4))),
    )
    exit_ = replace(judged.exit, job=begun, finished_ns=draw(SIGNED_TIMES))
    return replace(judged, exit=exit_, trace=draw(TRACES))


@given(traced_ends(), st.builds(SpanLimits, st.integers(0, 6), st.none() | st.integers(0, 9)))
def test_any_job_with_a_trace_is_read_as_it_was_sent(judged: ClassifiedExit, limits: SpanLimits) -> None:
    received, trace, ended_job = span(judged, limits), judged.trace, judged.exit
    begun = ended_job.job
    started_ns = begun.start_event_ns if begun.started_ns is None else begun.started_ns
    assert trace is not None
    assert (received.trace_id, received.span_id, received.parent_span_id) == (
        trace.trace_id,
        trace.span_id,
        trace.parent_span_id or "",
    )
    assert received.flags == (SAMPLED_BELOW if trace.parent_span_id else SAMPLED_ALONE)
    assert (received.start_ns, received.end_ns) == (
        max(0, started_ns),
        max(0, started_ns, ended_job.finished_ns),
    )
    assert set(received.attributes) <= {attribute.name for attribute in JOB_ATTRIBUTES}
    assert received.attributes["container.name"] == begun.name[: limits.text_length]
    assert received.attributes.get("process.exit.code") == ended_job.code
    assert received.attributes.get("exit_exporter.memory_limit_bytes") == begun.memory_limit_bytes
    times = [at_ns for _, at_ns, _ in received.events]
    assert times == sorted(times)
    assert len(times) == min(limits.events, len(times) + received.dropped_events)
    told = records(judged, limits)
    assert len(told) == len(times) + received.dropped_events
    assert {(name, at_ns, at_ns) for name, at_ns, _ in received.events} <= {
        (one.event_name, one.time_ns, one.observed_ns) for one in told
    }
    assert {(one.trace_id, one.span_id) for one in told} <= {(trace.trace_id, trace.span_id)}


@given(TEXTS, TEXTS)
def test_what_is_not_in_the_table_is_in_no_request(traceparent: str, engine: str) -> None:
    known = killed_for_memory()
    hidden = killed_for_memory(traceparent=traceparent, engine=engine, created_ns=1)
    sent = [span(judged) for judged in (known, hidden)]
    assert sent[0] == sent[1]
    assert json.dumps(sent[0].attributes) == json.dumps(OOM_SPAN.attributes)
