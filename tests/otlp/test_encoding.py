"""Jobs as spans and log records: all that is known of them, at its own time, and nothing else."""

import json
from dataclasses import replace
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
    Evidence,
    Job,
    KillRequest,
    LimitOwner,
    OomKill,
    OomSource,
    OomVictim,
    Submission,
    SupervisedJob,
    TelemetrySignal,
    Trace,
)
from exporter.otlp import encoding
from exporter.otlp.attributes import JOB_ATTRIBUTES
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import ExportResponse, LogEncoder, SpanEncoder
from tests.otlp.samples import NO_LIMITS, OBSERVED_NS, PARENT_SPAN, PARENT_TRACE, request, traced
from tests.scripted.received import ReceivedRecord, ReceivedSpan, logs, traces
from tests.store.samples import (
    BEGAN_NS,
    NOT_STARTED,
    OOM,
    SECOND_NS,
    STOPPED,
    SUBMISSION,
    TIMED_OUT,
    ended,
    job,
)
from tests.store.strategies import ENDS, TEXTS, TIMES

RESOURCE = {"service.name": "exits", "team": "größe"}
REPORTED = Submission(
    "dstack",
    SUBMISSION.id,
    "run",
    number=0,
    project="main",
    user="admin",
    termination="TERMINATED_BY_USER",
    stopped_by="user",
)
"""What dstack's server reports of the submission."""
ENDED_NS = BEGAN_NS + 90 * SECOND_NS
REQUESTED_NS = ENDED_NS - 2 * SECOND_NS
OOM_NS = ENDED_NS - SECOND_NS // 8
SAMPLED_ALONE, SAMPLED_BELOW = 0x101, 0x301
UNSET, ERROR = 0, 2
INFO, WARN, SEVERE = 9, 13, 17
IMAGE_ID = f"sha256:{'1' * 64}"
IMAGE_DIGEST = f"registry.example/shop/worker@sha256:{'2' * 64}"
LOG_TAIL = "allocating\nKilled\n"
BELOW = Trace(PARENT_TRACE, "a" * 16, PARENT_SPAN)


def span(
    classified: ClassifiedExit, limits: SpanLimits = NO_LIMITS, *, with_events: bool = True
) -> ReceivedSpan:
    """Return the span of a job as a collector reads it."""
    encoder = SpanEncoder(RESOURCE, limits, with_events=with_events)
    sent = encoder.request(encoder.items(classified, OBSERVED_NS)).message.SerializeToString()
    [received] = traces(ExportTraceServiceRequest.FromString(sent)).spans
    return received


def records(classified: ClassifiedExit, limits: SpanLimits = NO_LIMITS) -> list[ReceivedRecord]:
    """Return the log records of a job as a collector reads them."""
    encoder = LogEncoder(RESOURCE, limits)
    sent = encoder.request(encoder.items(classified, OBSERVED_NS)).message.SerializeToString()
    return logs(ExportLogsServiceRequest.FromString(sent)).records


def killed_for_memory(**changes: Any) -> ClassifiedExit:
    """Return the exit of a job that was sent SIGHUP and then killed for memory."""
    started = job(
        runtime="docker",
        image_id=IMAGE_ID,
        image_digests=(IMAGE_DIGEST,),
        kills=(KillRequest(1, REQUESTED_NS),),
        oom_kills=(OomKill(OomSource.EVENT, OOM_NS), OomKill(OomSource.FLAG, None)),
        **changes,
    )
    return traced(ended(started, 137, OOM, oom_kills=1, log_tail=LOG_TAIL), BELOW)


def killed_often(count: int) -> ClassifiedExit:
    """Return the exit of a job that was sent this many signals, one each second."""
    kills = tuple(KillRequest(10, BEGAN_NS + second * SECOND_NS) for second in range(1, count + 1))
    return traced(ended(job(kills=kills), 1))


EXPLAINED = replace(
    NOT_STARTED,
    start_error="no such device",
    limit=LimitOwner.PARENT,
    causes=("The device is missing",),
    not_known=("Events were missed.",),
)


Event = tuple[str, int, dict[str, Any]]
NO_FAILURES = {"Completed", "Terminated", "Unknown"}
START: Event = ("container.start", BEGAN_NS, {})


def exit_event(at_ns: int, reason: str, code: int | None) -> Event:
    """Return the event of an exit as a collector reads it."""
    known = {} if code is None else {"process.exit.code": code}
    failed = {} if reason in NO_FAILURES else {"error.type": reason}
    return ("container.exit", at_ns, {"exit_exporter.reason": reason, **known, **failed})


def oom_event(at_ns: int, source: str, **attributes: Any) -> Event:
    """Return the event of an OOM kill as a collector reads it."""
    more = {f"exit_exporter.oom.{name}": value for name, value in attributes.items() if name != "pid"}
    pid = {"process.pid": attributes["pid"]} if "pid" in attributes else {}
    return ("container.oom", at_ns, {"exit_exporter.witness": source, **pid, **more})


OOM_SPAN = ReceivedSpan(
    trace_id=PARENT_TRACE,
    span_id="a" * 16,
    parent_span_id=PARENT_SPAN,
    name="container.run",
    kind=1,
    start_ns=BEGAN_NS,
    end_ns=ENDED_NS,
    status_code=ERROR,
    status_message="The engine reported an OOM kill 0.125 s before the end.",
    attributes={
        "container.id": "a" * 64,
        "container.name": "gentle-stingray-a",
        "container.runtime.name": "docker",
        "container.image.name": "registry.example/shop/worker",
        "container.image.tags": ["1.4"],
        "container.image.id": IMAGE_ID,
        "container.image.repo_digests": [IMAGE_DIGEST],
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
        START,
        (
            "container.kill",
            REQUESTED_NS,
            {"exit_exporter.signal.name": "SIGHUP", "exit_exporter.signal.number": 1},
        ),
        oom_event(OOM_NS, "event"),
        exit_event(ENDED_NS, "OOMKilled", 137),
    ],
    dropped_events=0,
    resource=RESOURCE,
    scope="exit-exporter",
    flags=SAMPLED_BELOW,
)


# Spans


def test_the_span_of_a_job_killed_for_memory() -> None:
    assert span(killed_for_memory()) == OOM_SPAN


def test_the_span_of_a_job_that_never_started() -> None:
    started = job(started_ns=None, memory_limit_bytes=None, image="sha256:" + "0" * 64)
    error = "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)"
    classified = traced(ended(started, 127, NOT_STARTED, finished_ns=BEGAN_NS + 5))
    same = (
        "container.id",
        "container.name",
        "container.image.name",
        "host.name",
        "exit_exporter.job.id",
        "exit_exporter.job.attempt",
        "exit_exporter.workload",
        "exit_exporter.status",
    )
    assert span(classified) == replace(
        OOM_SPAN,
        trace_id="a" * 32,
        parent_span_id="",
        end_ns=BEGAN_NS + 5,
        status_message="",
        attributes={
            **{name: OOM_SPAN.attributes[name] for name in same},
            "process.exit.code": 127,
            "error.type": "CommandNotFound",
            "exit_exporter.reason": "CommandNotFound",
            "exit_exporter.termination": "CREATING_CONTAINER_ERROR",
            "exit_exporter.error": error,
            "exit_exporter.recovery": "fix-command",
            "exit_exporter.oom_kills": 0,
        },
        events=[exit_event(BEGAN_NS + 5, "CommandNotFound", 127)],
        flags=SAMPLED_ALONE,
    )


OF_THE_JOB = ("container.", "host.", "exit_exporter.job.", "exit_exporter.workload", "exit_exporter.memory")
DONE = {"status": "done", "reason": "Completed", "termination": "DONE"}
TERMINATED = {
    "status": "terminated",
    "reason": "Terminated",
    "termination": "TERMINATED_BY_USER",
    "error": "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)",
    "evidence": list(STOPPED.notes),
}
UNKNOWN = {
    "status": "unknown",
    "reason": "Unknown",
    "termination": "EXIT_NOT_OBSERVED",
    "error": "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)",
}


@pytest.mark.parametrize(
    ("code", "evidence", "outcome"),
    [(0, Evidence(), DONE), (143, STOPPED, TERMINATED), (None, Evidence(), UNKNOWN)],
    ids=["done", "terminated", "unknown"],
)
def test_only_a_failed_job_is_an_error(code: int | None, evidence: Evidence, outcome: dict[str, Any]) -> None:
    received = span(traced(ended(job(), code, evidence)))
    assert (received.status_code, received.status_message) == (UNSET, "")
    of_the_exit = {"recovery": "none", "oom_kills": 0, **outcome}
    assert {
        name: value for name, value in received.attributes.items() if not name.startswith(OF_THE_JOB)
    } == {
        **({} if code is None else {"process.exit.code": code}),
        **{f"exit_exporter.{name}": value for name, value in of_the_exit.items()},
    }
    assert received.events == [START, exit_event(ENDED_NS, outcome["reason"], code)]


def test_a_span_begins_at_the_start_not_at_its_event() -> None:
    received = span(traced(ended(job(started_ns=BEGAN_NS + 7), 1)))
    assert (received.start_ns, received.events[0]) == (BEGAN_NS + 7, ("container.start", BEGAN_NS + 7, {}))


OWN_LIMIT = OomVictim(LimitOwner.OWN, "/docker/a", "python", 4711, 300 << 20)
HOST_LIMIT = OomVictim(LimitOwner.HOST, "/", "cc1", 4713, largest=("java", 3 << 30))
OF_OWN_LIMIT = {"process": "python", "limit": "own", "cgroup": "/docker/a", "rss_bytes": 300 << 20}
OF_HOST_LIMIT = {
    "process": "cc1",
    "limit": "host",
    "cgroup": "/",
    "largest.process": "java",
    "largest.rss_bytes": 3 << 30,
}


@pytest.mark.parametrize(
    ("oom_kills", "events"),
    [
        pytest.param([OomKill(OomSource.FLAG, None)], [oom_event(ENDED_NS, "flag")], id="without a time"),
        pytest.param(
            [OomKill(OomSource.LOG, ENDED_NS + 1)], [oom_event(ENDED_NS, "log")], id="capped at the exit"
        ),
        pytest.param(
            [
                OomKill(OomSource.FLAG, None),
                OomKill(OomSource.COUNTER, OOM_NS + 2),
                OomKill(OomSource.LOG, OOM_NS + 1),
                OomKill(OomSource.COUNTER, OOM_NS + 3),
            ],
            [oom_event(OOM_NS + 2, "counter"), oom_event(OOM_NS + 3, "counter")],
            id="of several sources, the best",
        ),
        pytest.param(
            [
                OomKill(OomSource.LOG, OOM_NS, OWN_LIMIT),
                OomKill(OomSource.EVENT, OOM_NS + 1000),
                OomKill(OomSource.LOG, OOM_NS + 2000, HOST_LIMIT),
            ],
            [
                oom_event(OOM_NS, "log", pid=4711, **OF_OWN_LIMIT),
                oom_event(OOM_NS + 1000, "event"),
                oom_event(OOM_NS + 2000, "log", pid=4713, **OF_HOST_LIMIT),
            ],
            id="with the facts of the kernel's log",
        ),
    ],
)
def test_an_oom_kill_is_an_event(oom_kills: list[OomKill], events: list[Event]) -> None:
    received = span(traced(ended(job(oom_kills=tuple(oom_kills)), 137, OOM)))
    assert received.events == [START, *events, exit_event(ENDED_NS, "OOMKilled", 137)]


def test_an_oom_event_after_the_exit_stays_behind_it() -> None:
    late = OomKill(OomSource.EVENT, ENDED_NS + 1)
    received = span(traced(ended(job(oom_kills=(late,)), 137, OOM)))
    assert [name for name, _, _ in received.events] == ["container.start", "container.exit", "container.oom"]
    assert received.events[-1] == oom_event(ENDED_NS + 1, "event")


@pytest.mark.parametrize(
    ("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (63, "signal 63"), (None, "a signal")]
)
def test_a_kill_request_is_an_event_with_the_signal(number: int | None, name: str) -> None:
    received = span(traced(ended(job(kills=(KillRequest(number, REQUESTED_NS),)), 1)))
    signal = {"name": name} if number is None else {"name": name, "number": number}
    attributes = {f"exit_exporter.signal.{key}": value for key, value in signal.items()}
    assert received.events[1] == ("container.kill", REQUESTED_NS, attributes)


def test_an_exit_that_was_reported_late_stands_at_its_own_time() -> None:
    received = span(traced(ended(job(), 137, OOM, event_ns=ENDED_NS + 11 * SECOND_NS)))
    assert (received.end_ns, received.events[-1][:2]) == (ENDED_NS, ("container.exit", ENDED_NS))


def test_the_grounds_of_the_verdict_are_attributes() -> None:
    found = span(traced(ended(job(started_ns=None), 128, EXPLAINED))).attributes
    grounds = {
        "start_error": "no such device",
        "oom.limit": "parent",
        "causes": ["The device is missing"],
        "not_known": ["Events were missed."],
    }
    assert {name: found[f"exit_exporter.{name}"] for name in grounds} == grounds


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        pytest.param(Evidence(), "", id="nothing more is known"),
        pytest.param(Evidence(notes=("One.", "Two.")), "One. Two.", id="the evidence"),
        pytest.param(replace(EXPLAINED, notes=("One.",)), "no such device", id="the engine's error"),
        pytest.param(Evidence(notes=("x" * 5000,)), "x" * 1000, id="bounded"),
    ],
)
def test_the_message_of_an_error_says_what_the_reason_does_not(evidence: Evidence, message: str) -> None:
    received = span(traced(ended(job(), 1, evidence)))
    assert (received.status_code, received.status_message) == (ERROR, message)
    assert received.attributes["error.type"] not in message


def test_a_span_without_events_drops_none() -> None:
    assert span(killed_for_memory(), with_events=False) == replace(OOM_SPAN, events=[])


@pytest.mark.parametrize("image", ["busybox", f"busybox@sha256:{'0' * 64}", "localhost:5000/busybox"])
def test_an_image_without_a_tag_has_no_tags(image: str) -> None:
    assert "container.image.tags" not in span(traced(ended(job(image=image), 1))).attributes


# Limits


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (11, [0, *range(1, 10), 90]),
        (10, [0, *range(2, 10), 90]),
        (4, [0, 8, 9, 90]),
        (2, [0, 90]),
        (1, [90]),
        (0, []),
    ],
)
def test_above_the_limit_the_first_event_and_the_latest_are_kept(limit: int, seconds: list[int]) -> None:
    received = span(killed_often(9), SpanLimits(events=limit))
    assert [at_ns for _, at_ns, _ in received.events] == [BEGAN_NS + second * SECOND_NS for second in seconds]
    assert received.dropped_events == 11 - len(seconds)


def test_by_default_a_span_has_128_events() -> None:
    received = span(killed_often(1000))
    assert (len(received.events), received.dropped_events) == (128, 874)


def cut_to(length: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes with all texts cut."""

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [cut(item) for item in value]
        return value[:length] if isinstance(value, str) else value

    return {name: cut(value) for name, value in attributes.items()}


@pytest.mark.parametrize("length", [0, 1, 5, 10_000])
def test_the_length_limit_cuts_every_text_and_nothing_else(length: int) -> None:
    attributes = {**OOM_SPAN.attributes, "container.name": "größer" * 9}
    assert span(killed_for_memory(name="größer" * 9), SpanLimits(text_length=length)) == replace(
        OOM_SPAN,
        attributes=cut_to(length, attributes),
        events=[(name, at_ns, cut_to(length, found)) for name, at_ns, found in OOM_SPAN.events],
    )


# Log records


LOG_ATTRIBUTES = (
    "container.id",
    "container.name",
    "container.image.name",
    "host.name",
    "exit_exporter.workload",
)
SEVERITIES_AND_TEXTS = (
    (INFO, "The container was started"),
    (INFO, "The engine was asked to send SIGHUP"),
    (WARN, "The engine reported an OOM kill"),
    (SEVERE, OOM_SPAN.attributes["exit_exporter.error"]),
)
OOM_RECORDS = [
    ReceivedRecord(
        event_name=name,
        time_ns=at_ns,
        observed_ns=OBSERVED_NS,
        severity_number=severity,
        body=text,
        attributes={**{each: OOM_SPAN.attributes[each] for each in LOG_ATTRIBUTES}, **attributes},
        trace_id=PARENT_TRACE,
        span_id="a" * 16,
        resource=RESOURCE,
        scope="exit-exporter",
    )
    for (name, at_ns, attributes), (severity, text) in zip(OOM_SPAN.events, SEVERITIES_AND_TEXTS, strict=True)
]


def test_each_event_of_a_job_is_a_log_record_that_names_its_span() -> None:
    assert records(killed_for_memory()) == OOM_RECORDS


@pytest.mark.parametrize(
    ("code", "severity", "body"),
    [(0, INFO, "Completed"), (1, SEVERE, "JOB_FAILED"), (None, INFO, "JOB_UNKNOWN")],
)
def test_only_the_record_of_a_failed_exit_is_an_error(code: int | None, severity: int, body: str) -> None:
    classified = ended(job(), code)
    last = records(traced(classified))[-1]
    assert (last.event_name, last.severity_number) == ("container.exit", severity)
    assert last.body == (classified.verdict.error or classified.verdict.reason)
    assert last.body.partition(" ")[0] == body


def test_a_record_has_a_severity_text_and_belongs_to_a_sampled_span() -> None:
    items = LogEncoder({}, NO_LIMITS).items(killed_for_memory(), OBSERVED_NS)
    texts = ["INFO", "INFO", "WARN", "ERROR"]
    assert [(item.severity_text, item.flags) for item in items] == [(text, 1) for text in texts]


def test_log_records_are_cut_in_length_but_not_in_number() -> None:
    assert records(killed_for_memory(), SpanLimits(events=2, text_length=4)) == [
        replace(whole, attributes=cut_to(4, whole.attributes)) for whole in OOM_RECORDS
    ]


# Requests and responses


def test_a_request_has_one_resource_and_scope_for_several_jobs() -> None:
    sent = [request(signal, "ab") for signal in TelemetrySignal]
    assert [(each.signal, each.items) for each in sent] == [
        (TelemetrySignal.TRACES, 2),
        (TelemetrySignal.LOGS, 4),
    ]
    spans_sent, logs_sent = (each.message.SerializeToString() for each in sent)
    [of_spans] = ExportTraceServiceRequest.FromString(spans_sent).resource_spans
    [of_logs] = ExportLogsServiceRequest.FromString(logs_sent).resource_logs
    [spans], [found_logs] = of_spans.scope_spans, of_logs.scope_logs
    assert [item.trace_id.hex() for item in spans.spans] == ["a" * 32, "b" * 32]
    assert [item.trace_id.hex() for item in found_logs.log_records] == ["a" * 32] * 2 + ["b" * 32] * 2
    for scope in (spans.scope, found_logs.scope):
        assert (scope.name, scope.version) == ("exit-exporter", __version__)
    assert {each.schema_url for each in (of_spans, of_logs, spans, found_logs)} == {encoding.SCHEMA_URL}


@pytest.mark.parametrize("encoder", [SpanEncoder({}, NO_LIMITS), LogEncoder({}, NO_LIMITS)])
def test_a_job_without_a_trace_cannot_be_encoded(encoder: SpanEncoder | LogEncoder) -> None:
    with pytest.raises(ValueError, match=r"^job without a trace: aaaaaaaaaaaa-1$"):
        encoder.items(ended(job(), 1), OBSERVED_NS)


def test_a_response_has_the_number_rejected_and_a_message() -> None:
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
def test_an_invalid_response_is_an_error(signal: TelemetrySignal) -> None:
    with pytest.raises(DecodeError):
        encoding.parse_response(signal, b"<!doctype html>")


# Attributes


def test_the_attributes_are_those_of_the_table_in_its_order() -> None:
    names = [attribute.name for attribute in JOB_ATTRIBUTES]
    classified = killed_for_memory()
    evidence = replace(EXPLAINED, notes=OOM.notes)
    submission = replace(classified.exit.job, supervised=replace(SUBMISSION, submission=REPORTED))
    classified = replace(classified, exit=replace(classified.exit, job=submission, evidence=evidence))
    assert [*span(classified).attributes] == names == list(dict.fromkeys(names))


@pytest.mark.parametrize(
    ("supervised", "attributes"),
    [
        (
            SUBMISSION,
            {
                "dstack.run.name": "train",
                "dstack.job.id": SUBMISSION.id,
                "dstack.job.num": 0,
                "dstack.replica.num": 2,
            },
        ),
        (SupervisedJob("dstack", "5c0c04a5"), {"dstack.job.id": "5c0c04a5"}),
        (
            SupervisedJob("dstack", "5c0c04a5", submission=REPORTED),
            {
                "dstack.job.id": "5c0c04a5",
                "dstack.project.name": "main",
                "dstack.user.name": "admin",
                "dstack.submission.num": 0,
                "dstack.termination": "TERMINATED_BY_USER",
                "dstack.stopped_by": "user",
            },
        ),
        (
            SupervisedJob("dstack", "5c0c04a5", submission=Submission("dstack", "5c0c04a5", "run")),
            {"dstack.job.id": "5c0c04a5"},
        ),
        (SupervisedJob("dstack", ""), {}),
        (SupervisedJob("other", "5c0c04a5", "train", 0, 2), {}),
        (None, {}),
    ],
)
def test_a_submission_of_dstack_has_its_names(
    supervised: SupervisedJob | None, attributes: dict[str, Any]
) -> None:
    found = span(traced(ended(job(supervised=supervised), 1))).attributes
    assert {name: value for name, value in found.items() if name.startswith("dstack.")} == attributes


def test_an_end_without_a_code_has_no_attribute_of_one() -> None:
    found = span(traced(ended(job(supervised=SUBMISSION), None, TIMED_OUT))).attributes
    assert "process.exit.code" not in found
    assert found["exit_exporter.termination"] == "MAX_DURATION_EXCEEDED"
    assert found["exit_exporter.error"] == "JOB_TERMINATED (MAX_DURATION_EXCEEDED)"


def test_the_meaning_of_every_attribute_is_a_sentence() -> None:
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
def traced_exits(draw: st.DrawFn) -> ClassifiedExit:
    """Draw any exit that the model allows, with a trace and any events."""
    classified = draw(ENDS)
    started: Job = replace(
        classified.exit.job,
        start_event_ns=draw(SIGNED_TIMES),
        kills=tuple(draw(st.lists(KILLS, max_size=4))),
        oom_kills=tuple(draw(st.lists(OOM_KILLS, max_size=4))),
    )
    exit_ = replace(classified.exit, job=started, finished_ns=draw(SIGNED_TIMES))
    return replace(classified, exit=exit_, trace=draw(TRACES))


@given(traced_exits(), st.builds(SpanLimits, st.integers(0, 6), st.none() | st.integers(0, 9)))
def test_any_traced_job_is_read_as_it_was_sent(classified: ClassifiedExit, limits: SpanLimits) -> None:
    received, trace, ended_job = span(classified, limits), classified.trace, classified.exit
    started = ended_job.job
    started_ns = started.start_event_ns if started.started_ns is None else started.started_ns
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
    assert received.attributes["container.name"] == started.name[: limits.text_length]
    assert received.attributes.get("process.exit.code") == ended_job.code
    assert received.attributes.get("exit_exporter.memory_limit_bytes") == started.memory_limit_bytes
    times = [at_ns for _, at_ns, _ in received.events]
    assert times == sorted(times)
    assert len(times) == min(limits.events, len(times) + received.dropped_events)
    found = records(classified, limits)
    assert len(found) == len(times) + received.dropped_events
    assert {(name, at_ns, OBSERVED_NS) for name, at_ns, _ in received.events} <= {
        (one.event_name, one.time_ns, one.observed_ns) for one in found
    }
    assert {(one.trace_id, one.span_id) for one in found} <= {(trace.trace_id, trace.span_id)}


@given(TEXTS, TEXTS)
def test_nothing_else_of_a_job_is_exported(traceparent: str, engine: str) -> None:
    known = killed_for_memory()
    hidden = killed_for_memory(traceparent=traceparent, engine=engine, created_ns=1)
    sent = [span(classified) for classified in (known, hidden)]
    assert sent[0] == sent[1]
    assert json.dumps(sent[0].attributes) == json.dumps(OOM_SPAN.attributes)
