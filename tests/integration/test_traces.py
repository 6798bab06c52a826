"""Traces on real parts: a real engine's jobs, a real collector, and a receiver that has every fault.

``FAILURES=1000`` is the whole of the outage; without it, it is smaller, so that everybody runs it.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import sqlite3
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from exporter import __version__
from tests.integration import faces
from tests.integration.ends import HUNGRY, MEBIBYTE
from tests.lab.collector import Collector
from tests.lab.engine import PrivateEngine, remove_all
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.wait import wait_until
from tests.scripted import http_replies as replies
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import Reply
from tests.scripted.received import ReceivedSpan
from tests.scripted.times import parse_rfc3339

FAILURES = int(os.environ.get("FAILURES", "60"))
SEED = int(os.environ.get("SEED") or secrets.randbelow(10**6))
AT_ONCE = 4
STARTS = 15
SECONDS = 120
LAUNCHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REMOVED_TRIES = 5
STARVED = "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What is behind the collector, or stands in for one that has faults."""
    with Receiver() as own:
        yield own


@pytest.fixture(autouse=True)
def _empty(client: docker.DockerClient) -> Iterator[None]:
    """Neither find nor leave a container that another test's exporter would count."""
    remove_all(client)
    yield
    remove_all(client)


def run(client: docker.DockerClient, script: str, name: str, **more: Any) -> Container:
    """Run a container to its end."""
    container = client.containers.create(
        BUSYBOX, ["sh", "-c", script], name=name, network_mode="none", **more
    )
    container.start()
    container.wait(timeout=SECONDS)
    return container


def sending(target: str, **more: str) -> dict[str, str]:
    """Variables that send traces there."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": target, **more}


def pending(exporter: ExporterProcess) -> float:
    """How many jobs the collector is still to be told of."""
    return sum(faces.samples(exporter, "exit_exporter_otlp_pending_jobs").values())


def failed(exporter: ExporterProcess) -> list[dict[str, Any]]:
    """The failed jobs on record."""
    return exporter.jobs(status="failed", limit=500)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_span_of_an_oom_killed_container_arrives_at_a_real_collector(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path, receiver: Receiver, protocol: str
) -> None:
    name = f"starved-{protocol[:4]}"
    with Collector(directory, receiver.url) as collector:
        target = collector.grpc_url if protocol == "grpc" else collector.http_url
        variables = sending(target, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_SERVICE_NAME="batch-exits")
        with ExporterProcess(engine.url, directory, environment=variables) as exporter:
            labels = {"exit-exporter.workload": "traced", "exit-exporter.traceparent": LAUNCHER}
            limits = {"mem_limit": 16 * MEBIBYTE, "memswap_limit": 16 * MEBIBYTE}
            container = run(client, HUNGRY, name, labels=labels, **limits)
            (span,) = receiver.wait_for_spans(1)
            assert wait_until(lambda: pending(exporter) == 0, SECONDS)
            (job,) = failed(exporter)
            sent = faces.samples(exporter, "exit_exporter_otlp_jobs_exported_total")
            shown = faces.sheet(exporter, name)
            metrics = exporter.get("/metrics", accept="application/openmetrics-text; version=1.0.0").text
    state = client.api.inspect_container(str(container.id))["State"]
    started, finished = (parse_rfc3339(state[time]) for time in ("StartedAt", "FinishedAt"))
    # The kernel's log names the process; where it is not written, for there were too many kills, others tell.
    (_, killed, by) = span.events[1]
    is_logged = by["exit_exporter.witness"] == "log"
    assert started <= killed <= finished
    assert not is_logged or (by["exit_exporter.oom.process"], by["exit_exporter.oom.limit"]) == ("sh", "own")
    assert span == ReceivedSpan(
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id=job["span_id"],
        parent_span_id="b7ad6b7169203331",
        name="container.run",
        kind=1,
        start_ns=started,
        end_ns=finished,
        status_code=2,
        status_message=" ".join(job["evidence"]),
        attributes={
            "container.id": container.id,
            "container.name": name,
            "container.runtime.name": "docker",
            "container.image.name": "busybox",
            "container.image.tags": ["local"],
            "container.image.id": client.images.get(BUSYBOX).id,
            "host.name": job["instance"],
            "process.exit.code": 137,
            "error.type": "OOMKilled",
            "exit_exporter.job.id": job["id"],
            "exit_exporter.job.attempt": 1,
            "exit_exporter.workload": "traced",
            "exit_exporter.status": "failed",
            "exit_exporter.reason": "OOMKilled",
            "exit_exporter.termination": "CONTAINER_EXITED_WITH_ERROR",
            "exit_exporter.error": STARVED,
            "exit_exporter.recovery": "more-memory",
            "exit_exporter.evidence": job["evidence"],
            "exit_exporter.oom_kills": 1,
            "exit_exporter.memory_limit_bytes": 16 * MEBIBYTE,
            **({"exit_exporter.oom.limit": "own"} if is_logged else {}),
        },
        events=[
            ("container.start", started, {}),
            ("container.oom", killed, by),
            (
                "container.exit",
                finished,
                {"exit_exporter.reason": "OOMKilled", "process.exit.code": 137, "error.type": "OOMKilled"},
            ),
        ],
        dropped_events=0,
        resource={
            "service.name": "batch-exits",
            "service.version": __version__,
            "service.instance.id": span.resource["service.instance.id"],
        },
        scope="exit-exporter",
        flags=0x301,
    )
    assert sent == {(("signal", "traces"),): 1}
    assert (job["trace_id"], job["log_tail"]) == (span.trace_id, None)
    assert re.search(rf"Trace +{span.trace_id}\nSpan +{span.span_id}\n", shown)
    exemplar = f'# {{span_id="{span.span_id}",trace_id="{span.trace_id}"}}'
    assert [line.partition("{")[0] for line in metrics.splitlines() if exemplar in line] == [
        "container_exits_total",
        "container_run_duration_seconds_bucket",
    ]


def test_what_happened_is_sent_as_log_records_too_with_the_same_ids(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path, receiver: Receiver
) -> None:
    arguments = ["--traces.events", "logs/dup"]
    with (
        Collector(directory, receiver.url) as collector,
        ExporterProcess(
            engine.url, directory, environment=sending(collector.http_url), arguments=arguments
        ) as exporter,
    ):
        container = run(client, "exit 3", "told-twice")
        (span,) = receiver.wait_for_spans(1)
        records = receiver.wait_for_records(2)
        (job,) = failed(exporter)
    assert {(record.trace_id, record.span_id) for record in records} == {(job["trace_id"], job["span_id"])}
    assert [(record.event_name, record.time_ns) for record in records] == [
        (name, at_ns) for name, at_ns, _ in span.events
    ]
    assert (records[-1].body, records[-1].attributes["container.id"]) == (job["error"], container.id)
    assert records[-1].attributes["error.type"] == job["reason"]
    # Observed when the end was recorded: later than all of it happened.
    assert len({record.observed_ns for record in records}) == 1
    assert records[0].observed_ns > span.end_ns


def removed_tail(
    client: docker.DockerClient, exporter: ExporterProcess, script: str, number: int
) -> str | None:
    """Run a container with `--rm`, and return the tail of its log as the exporter has it."""
    name = f"talks-rm-{number}"
    command = ["sh", "-c", script]
    client.containers.create(BUSYBOX, command, name=name, network_mode="none", auto_remove=True).start()
    assert wait_until(
        lambda: any(job["name"] == name and job["finished_at"] for job in exporter.jobs()), SECONDS
    )
    tail: str | None = exporter.get(f"/api/v1/jobs/{name}").json()["log_tail"]
    return tail


def test_the_end_of_a_failed_jobs_log_is_shown_and_sent_without_what_is_secret(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path, receiver: Receiver
) -> None:
    script = "for line in 1 2 3; do echo $line; done; echo 'password=hunter2 in clear'; exit "
    arguments = ["--tail.lines", "2", "--tail.redact", "password=[^ ]+"]
    with ExporterProcess(
        engine.url, directory, environment=sending(receiver.url), arguments=arguments
    ) as exporter:
        run(client, script + "3", "talks")
        run(client, script + "0", "is-done")
        # The engine removes such a log a moment after the end: mostly it is read before.
        removed = (removed_tail(client, exporter, script + "4", number) for number in range(REMOVED_TRIES))
        tail = next((tail for tail in removed if tail is not None), None)
        tails = {
            name: exporter.get(f"/api/v1/jobs/{name}").json()["log_tail"] for name in ("talks", "is-done")
        }
        spans = receiver.wait_for_spans(2)
        shown = faces.sheet(exporter, "talks")
        database = b"".join(path.read_bytes() for path in directory.glob("exit-exporter.db*"))
    kept = "3\n[redacted] in clear"
    assert (tail, tails) == (kept, {"talks": kept, "is-done": None})
    assert {span.attributes.get("exit_exporter.log_tail") for span in spans} - {None} == {kept}
    assert "End of its log\n  3\n  [redacted] in clear\n" in shown
    assert b"hunter2" not in database


def test_without_an_endpoint_or_with_the_sdk_disabled_nothing_is_kept_and_nothing_sent(
    engine: PrivateEngine, client: docker.DockerClient, tmp_path: Path, receiver: Receiver
) -> None:
    cases = {"none": {}, "disabled": sending(receiver.url, OTEL_SDK_DISABLED="true")}
    for name, variables in cases.items():
        (tmp_path / name).mkdir()
        with ExporterProcess(engine.url, tmp_path / name, environment=variables) as exporter:
            run(client, "exit 3", f"untraced-{name}")
            assert wait_until(lambda: len(failed(exporter)) == 1, SECONDS)  # called at once
            assert failed(exporter)[0]["trace_id"] is None
            assert faces.samples(exporter, "exit_exporter_otlp_pending_jobs") == {}
        remove_all(client)
        with sqlite3.connect(tmp_path / name / "exit-exporter.db") as connection:
            assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        connection.close()
    assert receiver.requests == []


def test_one_span_that_is_refused_does_not_stop_the_others(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path, receiver: Receiver
) -> None:
    receiver.otherwise(lambda spans: replies.status(400) if "bad" in names(spans) else replies.OK)
    with ExporterProcess(engine.url, directory, environment=sending(receiver.url)) as exporter:
        receiver.stop()
        for name in ("good-1", "bad", "good-2", "good-3"):
            run(client, "exit 3", name)
        assert wait_until(lambda: pending(exporter) == 4, SECONDS)
        receiver.start()
        receiver.wait_for_spans(3, seconds=SECONDS)
        assert wait_until(lambda: pending(exporter) == 0, SECONDS)
        rejected = faces.samples(exporter, "exit_exporter_otlp_jobs_rejected_total")
        bad = next(job for job in failed(exporter) if job["name"] == "bad")
    assert names(receiver.spans) == {"good-1", "good-2", "good-3"}
    assert rejected == {(("signal", "traces"),): 1}
    said = [line for line in exporter.log_path.read_text().splitlines() if "set aside until" in line]
    assert [f"job={bad['id']}" in line and "HTTP 400" in line for line in said] == [True]


def names(spans: list[ReceivedSpan]) -> set[Any]:
    """The containers that spans tell of."""
    return {span.attributes["container.name"] for span in spans}


def test_every_span_arrives_after_an_outage_of_the_collector_and_two_restarts_of_the_exporter(
    engine: PrivateEngine, client: docker.DockerClient, directory: Path, receiver: Receiver
) -> None:
    dice = random.Random(SEED)  # noqa: S311  # not a secret
    receiver.stop()
    receiver.replies(*FAULTS)
    receiver.otherwise(lambda _spans: dice.choice(FAULTS))
    with ExporterProcess(engine.url, directory, environment=sending(receiver.url)) as exporter:
        killer = threading.Timer(dice.uniform(1, 3), crash, [exporter])
        killer.start()
        fail(client, FAILURES)
        killer.join()
        exporter.await_ready()
        assert wait_until(lambda: len(failed(exporter)) >= FAILURES, SECONDS)
        assert pending(exporter) == FAILURES, f"SEED={SEED}"
        assert exporter.stop() == 0
        exporter.start()
        receiver.start()
        exporter.await_ready()
        assert wait_until(lambda: pending(exporter) == 0, SECONDS), f"SEED={SEED}"
        exported = faces.samples(exporter, "exit_exporter_otlp_jobs_exported_total")
        jobs = {(job["trace_id"], job["span_id"]) for job in failed(exporter)}
    assert len(jobs) == FAILURES
    assert {(span.trace_id, span.span_id) for span in receiver.spans} == jobs, f"SEED={SEED}"
    assert exported == {(("signal", "traces"),): FAILURES}
    sys.stdout.write(f"{FAILURES} jobs, {len(receiver.requests)} requests, {len(receiver.spans)} spans\n")


def crash(exporter: ExporterProcess) -> None:
    """Kill it with SIGKILL, and start it again."""
    exporter.kill()
    exporter.start()


# The first halves what is sent at once, so that there is something left for the others.
FAULTS: tuple[Reply, ...] = (
    replies.status(500),
    replies.OK,
    replies.status(429, retry_after=1),
    replies.reset_after_keeping(),
    replies.status(503),
    replies.OK,
    replies.reset(),
)


def fail(client: docker.DockerClient, count: int) -> None:
    """Have so many jobs fail: a few containers, each started over and over."""

    def start_over_and_over(number: int) -> None:
        container = client.containers.create(BUSYBOX, ["false"], name=f"fails-{number}", network_mode="none")
        for _ in range(STARTS):
            container.start()
            container.wait(timeout=SECONDS)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(start_over_and_over, range(count // STARTS)))
