"""Spans per second to a healthy collector: from the outbox on disk, and by the OpenTelemetry SDK itself."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.exporter import BenchError
from bench.sent import Sent, heard
from bench.tape import Tape
from bench.throughput import WAYS, Run, throughput
from bench.traced import NO_ENDPOINT, Endpoint
from tests.lab.collector import Collector

# Nobody listens at the port "discard": what is posted there is tried, and waits.
NOWHERE = Endpoint("http://127.0.0.1:9", takes=False)


@dataclass(frozen=True, slots=True)
class Sendings:
    """One round, the same number of spans each: the outbox, and the SDK in its circumstances.

    ``made``: they are made while they are sent; ``handed``: made before; ``default``: as ``made``, with a
    queue of the SDK's own size.
    """

    outbox: Sent
    made: Sent
    handed: Sent
    default: Sent


def sendings(posted: Path, spans: int, directory: Path, collector: Collector) -> Sendings:
    """One round, over a copy of the store with so many posted. Raises BenchError where one is lost."""
    database = shutil.copy(posted, directory)
    url = collector.http_url
    outbox = heard("bench.deliver", database, url)
    made = heard("bench.sdk", url, spans, "--queue", spans)
    handed = heard("bench.sdk", url, spans, "--queue", spans, "--beforehand")
    for what, sent in (("outbox", outbox), ("SDK", made), ("SDK", handed)):
        if sent.arrived != spans:
            raise BenchError(f"{sent.arrived} spans of {spans} arrived from the {what}")
    return Sendings(outbox, made, handed, heard("bench.sdk", url, spans))


@dataclass(frozen=True, slots=True)
class Postings:
    """One round of the whole way: without traces, with a collector that is away, and with a healthy one."""

    off: Run
    away: Run
    taken: Run


def postings(tape: Tape, directories: tuple[Path, Path, Path], collector: Collector) -> Postings:
    """What it costs those who count that failed jobs are posted, and that they are delivered too."""
    endpoints = (NO_ENDPOINT, NOWHERE, Endpoint(collector.http_url))
    pairs = zip(directories, endpoints, strict=True)
    return Postings(*(throughput(tape, WAYS[0], directory, endpoint) for directory, endpoint in pairs))
