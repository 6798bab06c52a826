"""A source of another kind runs through the same pipeline, to metric, API and span."""

import threading
from pathlib import Path

import pytest

from exporter.config.settings import TracedJobs
from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.model import Job, KillRequest, Status, TelemetrySignal, Workload
from exporter.otlp.outbox_queue import OutboxQueue
from exporter.otlp.outbox_worker import OutboxWorker
from exporter.otlp.sampler import TraceSelector
from exporter.otlp.trace_context import span_ids_for
from exporter.pipeline.classifier import Classifier
from exporter.pipeline.loop import Pipeline
from exporter.pipeline.recorder import Recorder
from exporter.pipeline.records import StoredRecords
from exporter.pipeline.sources import ConnectedSources
from exporter.pipeline.standstill import Progress
from exporter.sources.source import Inbox
from exporter.verdict.facts import EndedRun, FailedStart, RunFacts
from tests.contract.canned_source import CannedSource
from tests.contract.outbox_driver import BRIEF, ENCODERS, LIMITS, WAIT_SECONDS, http_client
from tests.lab.wait import wait_until
from tests.scripted.http_receiver import Receiver
from tests.web.served import Served

START_NS = 1_700_000_000 * 10**9
HOST = "cluster-1"


def a_run(number: int, facts: RunFacts | FailedStart) -> EndedRun:
    """Return a run of a job of its own."""
    job = Job(
        container_id=f"{number:x}".ljust(64, "0"),
        attempt=1,
        name=f"job-{number}",
        instance=HOST,
        workload=Workload("train", "train"),
        image="train:1",
        start_event_ns=START_NS,
        started_ns=START_NS,
    )
    return EndedRun(job, facts)


def facts(code: int, *kills: KillRequest) -> RunFacts:
    """Return the facts of a run of one second."""
    return RunFacts(code, START_NS + 10**9, kills, (), stop_signal=15, oom_window_ns=10**9)


RUNS = [
    a_run(1, facts(0)),
    a_run(2, facts(3)),
    a_run(3, facts(143, KillRequest(15, START_NS + 10**9))),
    a_run(4, FailedStart(127, START_NS, "exec: nope: executable file not found in $PATH")),
]


@pytest.mark.parametrize("starts", [1, 2], ids=["first start", "after a restart"])
def test_a_canned_source_reaches_metric_api_and_span(tmp_path: Path, starts: int) -> None:
    with Receiver() as receiver:
        for _ in range(starts):
            run_once(tmp_path, receiver)
        failed = [RUNS[1].job, RUNS[3].job]
        spans = receiver.wait_for_spans(len(failed))
        assert [span.span_id for span in spans] == [span_ids_for(job).span_id for job in failed]


def run_once(directory: Path, receiver: Receiver) -> None:
    """Run a whole daemon's parts over the database in a directory, and check what they show."""
    served, inbox, stopping, progress = Served(directory), Inbox(), threading.Event(), Progress()
    served.metric_state = MetricState(served.store.series())
    source = CannedSource(inbox, HOST, RUNS)
    classifier = Classifier(
        served.catalog, TraceSelector(TracedJobs.FAILED, signals=frozenset({TelemetrySignal.TRACES}))
    )
    job_metrics = JobMetrics(10, served.catalog.has_code, served.store.series())
    recorder = Recorder(served.store, served.metric_state, job_metrics, classifier, served.health)
    records = StoredRecords(served.store, recorder, stopping, progress)
    sources = ConnectedSources([source], records, served.metric_state, served.health)
    pipeline = Pipeline(inbox, sources, recorder, stopping, progress)
    signal = TelemetrySignal.TRACES
    queue = OutboxQueue(signal, served.store.outbox, served.metric_state, LIMITS)
    worker = OutboxWorker(ENCODERS[signal], http_client(receiver), queue, BRIEF)
    recorder.on_enqueued(worker.notify)
    served.health.set_unready(source.address, "not connected yet")
    with served.running():
        pipeline.start()
        worker.start()
        source.start(served.store.cursors().get(source.address))
        assert wait_until(lambda: served.ask("/-/ready").ok, WAIT_SECONDS)
        shown = [served.ask(f"/api/v1/jobs/{run.job.id}").json() for run in RUNS]
        exposition = served.ask("/metrics").text
        worker.stop(WAIT_SECONDS)
        assert pipeline.stop(WAIT_SECONDS)
    assert [(job["status"], job["container_exit_code"], job["reason"]) for job in shown] == [
        (Status.DONE, 0, "Completed"),
        (Status.FAILED, 3, "Error"),
        (Status.TERMINATED, 143, "Terminated"),
        (Status.FAILED, 127, "CommandNotFound"),
    ]
    counted = [line for line in exposition.splitlines() if line.startswith(f"{definitions.EXITS.name}{{")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == len(RUNS)
