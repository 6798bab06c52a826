"""Recorded runs of the real dstack, through the whole pipeline: each has its true word everywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from exporter.cli.tables import jobs_table
from exporter.config.settings import TracedJobs
from exporter.labels import KEPT
from exporter.metrics import definitions
from exporter.model import Cursor, JobRecord, JobReport
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import SpanEncoder
from exporter.otlp.sampler import TraceSelector
from exporter.sources.docker.api import parse
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType
from exporter.sources.docker.messages import (
    CaughtUp,
    EventReceived,
    Inspected,
    JobReported,
    StartFailed,
    StreamOpened,
)
from exporter.sources.docker.supervisors.dstack_log import RunnerLog
from exporter.sources.docker.supervisors.registry import LABELS
from exporter.sources.docker.track import pending_exits
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.job_views import job_view
from tests.contract.dstack_page import check_page
from tests.contract.pipeline_driver import ADDRESS, CONNECTED, PIPELINE_CONFIG, PipelineDriver

pytestmark = pytest.mark.usefixtures("fast_retries")
RECORDINGS = Path(__file__).parents[1] / "recordings" / "dstack"
SECOND = 10**9
# No container was made, so that only dstack's server knows.
NOT_REPLAYED = {"e-noimage", "g-whole"}
# Its container could not be started: no event, no log. The inspection after that was not recorded.
NOT_STARTED = "f-nossh"
START_FAILED = {"ExitCode": 128, "FinishedAt": "2026-11-28T09:43:45.854174599Z"}
# What the recorder calls so, and what can be said without dstack's server.
OURS: dict[str, dict[str, Any]] = {
    "e-abort": {"termination": "TERMINATED_BY_USER"},
    "f-dkill": {"termination": "TERMINATED_BY_USER"},
    "f-dstop": {"termination": "TERMINATED_BY_USER"},
    # The engine asks for the end of its containers on its own way down, as somebody who stops them all.
    "h-engine": {
        "status": "terminated",
        "termination": "TERMINATED_BY_USER",
        "exit_code": 137,
        "reason": "Killed",
    },
}
BY_CATALOGUE = {"d-exit-3": "Error", "g-att-3": "Error", "h-shim": "Error", "h-whole": "Error"}
# Known by the container's own end: an OOM kill names it then.
END = re.compile(r"Job state changed.*new=(done|failed|terminated)")
KNOWN_WITHOUT_LOG = {"h-oom-runner"}


@dataclass
class Recording:
    """One recorded run: what was sent, in order, the logs by container, and the truth."""

    lines: list[dict[str, Any]]
    truth: dict[str, Any] = field(init=False)
    logs: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the lines."""
        self.truth = next(line["truth"]["right"] for line in self.lines if "truth" in line)
        for line in self.lines:
            if "log" in line:
                self.logs.setdefault(line["id"], []).append((line["at"], line["log"]))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Events and inspections."""
        return [line for line in self.lines if "event" in line or "inspect" in line]

    @property
    def job_end_ns(self) -> int | None:
        """Time of the runner's last change of state."""
        ends = [report(log).end for log in self.logs.values()]
        return max((end.at_ns for end in ends if end is not None), default=None)


def load(name: str) -> Recording:
    """Return a recording by its name."""
    text = (RECORDINGS / f"{name}.jsonl").read_text()
    return Recording([json.loads(line) for line in text.splitlines()])


NAMES = sorted(
    path.stem for path in RECORDINGS.glob("*.jsonl") if path.stem not in {*NOT_REPLAYED, NOT_STARTED}
)


def report(log: Log) -> JobReport:
    """Return what a log says."""
    runner = RunnerLog()
    for at_ns, line in log:
        runner.read(line, at_ns)
    return runner.report


def silent(_log: Log) -> None:
    """Return nothing yet."""


Log = Sequence[tuple[int, str]]
Reports = Callable[[Log], JobReport | None]


def replay(
    pipeline: PipelineDriver,
    recording: Recording,
    reports: Reports = report,
    *,
    from_ns: int = 0,
    start_ns: int | None = None,
) -> None:
    """Say what an engine and the logs of its containers said, after a time."""
    starts: dict[str, int] = {}
    for line in recording.messages:
        if "inspect" in line:
            if line["at"] >= from_ns:
                inspection = parse.inspection(line["inspect"], (*KEPT, *LABELS))
                pipeline.send(Inspected(inspection.container_id, inspection))
            continue
        event = parse.event(json.dumps(line["event"]).encode(), (*KEPT, *LABELS))
        if event.type is EventType.START:
            starts[event.container_id] = event.at_ns
        if event.type is EventType.DIE:
            log = recording.logs.get(event.container_id, [])
            since_ns = starts[event.container_id] if start_ns is None else start_ns
            said = reports(log)
            if said is not None:
                pipeline.send(JobReported(event.container_id, since_ns, said, is_final=True))
        if event.at_ns >= from_ns and event.type is not EventType.OTHER:
            is_asked = event.type is EventType.CREATE and event.container_id not in starts
            pipeline.send(EventReceived(event, inspecting=is_asked and has_inspection(recording, event)))


def send_late(pipeline: PipelineDriver, recording: Recording) -> None:
    """Say what the logs said, after the ends of their containers were taken in."""
    assert pipeline.becomes_idle()
    # Taken once all before it has been worked off.
    pipeline.send(CaughtUp(0))
    assert pipeline.becomes_idle()
    for line in recording.messages:
        event = line.get("event", {})
        if event.get("Action") == "start":
            log = recording.logs.get(event["id"], [])
            pipeline.send(JobReported(event["id"], event["timeNano"], report(log), is_final=True))


def has_inspection(recording: Recording, event: Event) -> bool:
    """Return whether the recording has an inspection of the event's container."""
    return any(line.get("inspect", {}).get("Id") == event.container_id for line in recording.messages)


def connected(recording: Recording) -> StreamOpened:
    """Return the connection to the engine, before everything in the recording."""
    at_ns = recording.messages[0]["at"] - SECOND
    return replace(CONNECTED, info=replace(CONNECTED.info, time_ns=at_ns), cursor=Cursor(0, at_ns))


def driver(directory: Path) -> PipelineDriver:
    """Return a pipeline that reads job logs, and makes a span of every job."""
    config = replace(PIPELINE_CONFIG, reads_job_logs=True)
    return PipelineDriver(directory, selector=TraceSelector(TracedJobs.ALL), config=config)


def run(
    directory: Path, recording: Recording, reports: Reports = report
) -> tuple[list[JobRecord], dict[tuple[str, ...], float]]:
    """Replay a recording; return its jobs, the oldest first, and the series of exits that are not 0."""
    with driver(directory) as pipeline:
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(pipeline, recording, reports)
        if reports is silent:
            send_late(pipeline, recording)
        count = sum(line.get("event", {}).get("Action") == "die" for line in recording.messages)
        assert pipeline.ends(count)
        return pipeline.store.records(), nonzero(pipeline.series(definitions.EXITS))


def nonzero(series: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Return the series that have counted something."""
    return {labels: value for labels, value in series.items() if value}


def counted(records: Sequence[JobRecord]) -> dict[tuple[str, ...], float]:
    """Return the series that count the exits of these jobs."""
    series: dict[tuple[str, ...], float] = {}
    for record in records:
        assert record.ended is not None
        job, verdict, code = record.job, record.ended.verdict, record.ended.exit.code
        label = "unknown" if code is None else str(code)
        labels = (
            job.instance,
            job.workload.name,
            job.workload.image,
            verdict.status.value,
            label,
            verdict.reason,
        )
        series[labels] = series.get(labels, 0) + 1
    return series


def expected(name: str, recording: Recording) -> dict[str, Any]:
    """Return the truth, as far as it can be known on the host."""
    truth = dict(recording.truth)
    if name in BY_CATALOGUE:
        truth["reason"] = BY_CATALOGUE[name]
    return truth | OURS.get(name, {})


def words(record: JobRecord) -> dict[str, Any]:
    """Return what a record says in the words of the truth."""
    assert record.ended is not None
    verdict = record.ended.verdict
    return {
        "status": verdict.status,
        "termination": verdict.termination,
        "exit_code": record.ended.exit.code,
        "reason": verdict.reason,
        "oom_kills": record.ended.exit.oom_kills,
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reports", [report, silent], ids=["in time", "late"])
def test_each_recorded_run_has_its_true_word_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reports: Reports
) -> None:
    # However slow this machine is.
    monkeypatch.setattr(pending_exits, "REPORT_SECONDS", 60.0)
    recording = load(name)
    records, exits = run(tmp_path, recording, reports)
    assert [words(record) for record in records] == [expected(name, recording)] * len(records)
    assert exits == counted(records)
    for record in records:
        check_shown(record)
        check_page(name, record)
    job_end_ns = recording.job_end_ns
    if job_end_ns is not None:
        ended = records[-1].ended
        assert ended is not None
        assert abs(ended.exit.finished_ns - job_end_ns) < SECOND


def test_a_container_that_could_not_be_started_has_the_engines_word(tmp_path: Path) -> None:
    recording = load(NOT_STARTED)
    created, inspected, destroyed = recording.messages
    failed = inspected["inspect"] | {"State": inspected["inspect"]["State"] | START_FAILED}
    with driver(tmp_path) as pipeline:
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(pipeline, replace(recording, lines=[*recording.lines[:1], created, inspected]))
        pipeline.send(StartFailed(parse.inspection(failed, (*KEPT, *LABELS))))
        replay(pipeline, replace(recording, lines=[*recording.lines[:1], destroyed]))
        assert pipeline.ends(1)
        records = pipeline.store.records()
    assert [words(record) for record in records] == [expected(NOT_STARTED, recording)]
    check_shown(records[0])
    check_page(NOT_STARTED, records[0])


def check_shown(record: JobRecord) -> None:
    """Check that API, command line and span say the same as the record."""
    assert record.ended is not None
    view = job_view(record, builtin_catalog())
    verdict, code = record.ended.verdict, record.ended.exit.code
    assert (view.container_exit_code, view.reason, view.error) == (code, verdict.reason, verdict.error)
    assert view.supervisor is not None
    assert record.job.supervised is not None
    assert view.supervisor.job_id == record.job.supervised.id
    shown = StringIO()
    Console(width=300, file=shown).print(jobs_table([view.model_dump(mode="json")], verbose=True))
    assert (verdict.error or record.job.name) in shown.getvalue()
    (span,) = SpanEncoder({}, SpanLimits()).items(record.ended, 0)
    attributes = {each.key: each.value for each in span.attributes}
    assert attributes["exit_exporter.termination"].string_value == verdict.termination
    assert attributes["dstack.job.id"].string_value == view.supervisor.job_id
    assert ("process.exit.code" in attributes) == (code is not None)
    assert span.end_time_unix_nano == record.ended.exit.finished_ns


def unreadable(_log: Log) -> JobReport:
    """Return what is known where the log's driver cannot be read."""
    return JobReport(unreadable="the log driver of this container cannot be read")


def cut(log: Log) -> JobReport:
    """Return what a log says that breaks off in the line that tells the job's end."""
    last = next((number for number, (_, line) in enumerate(log) if END.search(line)), len(log))
    return replace(report(log[:last]), unreadable="it ends in the middle of a line")


def filtered(_log: Log) -> JobReport:
    """Return what a log says without any line of the runner."""
    return report([(1, "something else"), (2, "2026/11/28 09:48:30 http: superfluous")])


def renamed(log: Log) -> JobReport:
    """Return what a log says whose lines about the state are others, as of a later release perhaps."""
    return report([(at_ns, line.replace("Job state changed", "Job status changed")) for at_ns, line in log])


def quoted(log: Log) -> JobReport:
    """Return what a log says that quotes its messages if they have several words."""
    return report([(at_ns, re.sub(r"msg=(\w+ [^=]*)(?=$| \w+=)", r'msg="\1"', line)) for at_ns, line in log])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reports", [unreadable, cut, filtered, renamed, quoted])
def test_without_the_runners_word_no_false_one_is_said(tmp_path: Path, name: str, reports: Reports) -> None:
    recording = load(name)
    records, _exits = run(tmp_path, recording, reports)
    if name in KNOWN_WITHOUT_LOG or (name == "g-nossh" and reports not in {unreadable, cut}):
        assert words(records[0]) == expected(name, recording)
        return
    for record in records:
        said = words(record)
        assert (said["status"], said["exit_code"], said["reason"]) == ("unknown", None, "Unknown")
        assert record.ended is not None
        assert any(
            "dstack's runner reports that in its log" in each for each in record.ended.exit.evidence.not_known
        )


WITH_AN_END = [name for name in NAMES if load(name).job_end_ns and name != "f-retry"]


@pytest.mark.parametrize("name", WITH_AN_END)
def test_a_restart_between_the_jobs_end_and_the_containers_loses_nothing(tmp_path: Path, name: str) -> None:
    recording = load(name)
    restart_ns = recording.job_end_ns or 0
    before = Recording(
        [line for line in recording.lines if "truth" in line or line.get("at", 0) <= restart_ns]
    )
    with driver(tmp_path) as first:
        opened = connected(recording)
        first.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(first, before)
        assert first.becomes_idle()
    running = next(
        line["inspect"]
        for line in recording.messages
        if line.get("inspect", {}).get("State", {}).get("Running")
    )
    with driver(tmp_path) as second:
        cursor = second.store.cursors()[ADDRESS]
        second.send(replace(opened, cursor=cursor))
        listed = parse.inspection(running, (*KEPT, *LABELS))
        second.send(ContainerList((listed,), restart_ns))
        replay(second, recording, from_ns=restart_ns, start_ns=listed.started_ns)
        assert second.ends(1)
        (record,) = second.store.records()
        assert nonzero(second.stored_series(definitions.EXITS)) == counted([record])
    assert words(record) == expected(name, recording)


def until_the_jobs_end(pipeline: PipelineDriver, recording: Recording) -> StreamOpened:
    """Say what was said until the job had ended, and its container still ran; return the connection."""
    last = next(message for message in recording.messages if message.get("event", {}).get("Action") == "die")
    lines = [line for line in recording.lines if "truth" in line or line.get("at", 0) < last["at"]]
    # Requests to stop it came after the job's end.
    until = Recording([line for line in lines if line.get("event", {}).get("Action") != "kill"])
    opened = connected(recording)
    pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
    replay(pipeline, until)
    (container_id,) = {line["event"]["id"] for line in until.messages if "event" in line}
    start_ns = next(
        line["event"]["timeNano"] for line in until.messages if line.get("event", {}).get("Action") == "start"
    )
    pipeline.send(JobReported(container_id, start_ns, report(recording.logs[container_id])))
    assert pipeline.becomes_idle()
    return opened


@pytest.mark.parametrize("name", WITH_AN_END)
@pytest.mark.parametrize("restarts", [False, True])
def test_an_end_that_was_reported_stays_though_the_containers_is_never_seen(
    tmp_path: Path, name: str, *, restarts: bool
) -> None:
    recording = load(name)
    first = driver(tmp_path)
    with first:
        opened = until_the_jobs_end(first, recording)
        gone = replace(opened, event_gap=EventGap.OVERRUN), ContainerList((), recording.messages[-1]["at"])
        if not restarts:
            first.send(*gone)
            check_only_job(first, name, recording)
    if restarts:
        with driver(tmp_path) as second:
            second.send(*gone)
            check_only_job(second, name, recording)


@pytest.mark.parametrize("name", WITH_AN_END)
def test_a_restart_after_the_containers_removal_loses_no_end_that_was_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pending_exits, "REPORT_SECONDS", 0.0)
    recording = load(name)
    with driver(tmp_path) as first:
        opened = until_the_jobs_end(first, recording)
    with driver(tmp_path) as second:
        second.send(replace(opened, cursor=second.store.cursors()[ADDRESS]))
        replay(second, recording, silent, from_ns=recording.job_end_ns or 0)
        second.send(ContainerList((), recording.messages[-1]["at"]))
        check_only_job(second, name, recording)


def check_only_job(pipeline: PipelineDriver, name: str, recording: Recording) -> None:
    """Check that one job has ended, is counted once, and has its true word."""
    assert pipeline.ends(1)
    (record,) = pipeline.store.records()
    assert nonzero(pipeline.stored_series(definitions.EXITS)) == counted([record])
    assert words(record) == expected(name, recording)
    assert record.ended is not None
    assert abs(record.ended.exit.finished_ns - (recording.job_end_ns or 0)) < SECOND
    assert record.job.supervised is not None
    assert record.job.supervised.report is None


def test_a_log_that_is_read_again_takes_no_end_back(tmp_path: Path) -> None:
    recording = load("d-exit-3")
    start = next(
        line["event"] for line in recording.messages if line.get("event", {}).get("Action") == "start"
    )
    ends = [
        number for number, line in enumerate(recording.lines) if line.get("event", {}).get("Action") == "die"
    ]
    until, after = recording.lines[: ends[0]], [*recording.lines[:1], *recording.lines[ends[0] :]]
    with driver(tmp_path) as pipeline:
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(pipeline, Recording(until))
        for reports in (report, unreadable):
            found = reports(recording.logs[start["id"]])
            pipeline.send(JobReported(start["id"], start["timeNano"], found, is_final=True))
        replay(pipeline, Recording(after), silent, start_ns=start["timeNano"])
        assert pipeline.ends(1)
        assert words(pipeline.store.records()[0]) == expected("d-exit-3", recording)


def test_submissions_of_one_job_are_its_attempts(tmp_path: Path) -> None:
    records, _exits = run(tmp_path, load("f-retry"))
    assert [record.job.attempt for record in records] == [1, 2, 3, 4, 5, 6]
    assert {record.job.workload.name for record in records} == {"f-retry"}
    assert len({record.job.supervised.id for record in records if record.job.supervised}) == len(records)


def test_what_begins_after_a_success_is_the_first_attempt_of_another_run(tmp_path: Path) -> None:
    recording = load("f-retry")
    third = list(recording.logs)[2]
    done = [(at_ns, line.replace("new=failed", "new=done")) for at_ns, line in recording.logs[third]]
    with driver(tmp_path) as pipeline:
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        for number in range(1, 7):
            container_id = list(recording.logs)[number - 1]
            part = Recording([line for line in recording.lines if is_about(line, container_id)])
            part.logs = recording.logs | {third: done}
            replay(pipeline, part)
            assert pipeline.ends(number)
        assert [record.job.attempt for record in pipeline.store.records()] == [1, 2, 3, 1, 2, 3]


def is_about(line: Mapping[str, Any], container_id: str) -> bool:
    """Return whether a line of a recording is about a container, or about all."""
    if "event" in line:
        return bool(line["event"]["Actor"]["ID"] == container_id)
    return "inspect" not in line or bool(line["inspect"]["Id"] == container_id)
