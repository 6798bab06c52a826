"""What one run of the benchmarks measures, in which order and how often."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import real
from bench.delay import delays
from bench.filled import Filled, Install, filled
from bench.letters import post
from bench.limit import limit
from bench.mix import MIX, PROMPT
from bench.report import Round, delay_rows, memory_rows, scrape_rows, throughput_rows
from bench.rules import cost_rows, costs
from bench.spans import postings, sendings
from bench.spans_report import posting_rows, sending_rows
from bench.table import Section
from bench.tape import SECOND_NS, record
from bench.throughput import WAYS, throughput
from bench.traced import Endpoint, failed_in
from tests.lab.collector import Collector

FLOOD_WORKLOADS = 20
USUAL_WORKLOADS = 100
ALONE_NS = 10 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: rounds, containers on a tape, workloads, repetitions, spans, series."""

    rounds: int
    flooding: int
    filling: int
    workloads: tuple[int, ...]
    scrapes: int
    single_exits: int
    real_exits: int
    spans: int
    series: int


FULL = Size(3, 2400, 4600, (1, USUAL_WORKLOADS, 500), 100, 300, 50, 20_000, 2000)
QUICK = Size(1, 200, 200, (USUAL_WORKLOADS,), 5, 10, 5, 1000, 100)


class Plan:
    """The measures; each makes directories of its own in ``directory``."""

    def __init__(self, size: Size, directory: Path) -> None:
        self._size = size
        self._directory = directory
        self._made = 0

    def throughput(self) -> Iterator[Section]:
        """How fast, against the limit; they take turns, since machines have moods."""
        tape = record(self._new(), MIX, self._size.flooding, FLOOD_WORKLOADS)
        rounds = []
        for _ in range(self._size.rounds):
            reached = limit(tape, self._new())
            rounds.append(Round(reached, {way: throughput(tape, way, self._new()) for way in WAYS}))
        title = f"Speed: {tape.exits:,} exits in {tape.event_count:,} events at once, {len(rounds)} rounds"
        yield Section(title, tuple(throughput_rows(rounds)))

    def weight(self) -> Iterator[Section]:
        """How small, and how costly a scrape."""
        whole = Install(with_ssh=True)
        found = {workloads: self._filled(workloads, whole) for workloads in self._size.workloads}
        without_ssh = self._filled(USUAL_WORKLOADS, Install(with_ssh=False))
        with Collector(self._new()) as collector:
            http = self._traced(Endpoint(collector.http_url))
            grpc = self._traced(Endpoint(collector.grpc_url, "grpc"))
        jobs = f"{without_ssh.jobs:,} jobs"
        memory = [
            *memory_rows("with the extra 'ssh'", found[USUAL_WORKLOADS]),
            *memory_rows("without the extra 'ssh'", without_ssh),
            *memory_rows("   and with traces over HTTP", http),
            *memory_rows("   and with traces over gRPC", grpc),
        ]
        yield Section(f"Memory: resident after {jobs} of {USUAL_WORKLOADS} workloads", tuple(memory))
        rows = [row for workloads, each in found.items() for row in scrape_rows(workloads, each)]
        yield Section(f"A scrape as Prometheus asks for it, after {jobs}: the median", tuple(rows))

    def delay(self) -> Iterator[Section]:
        """How late an exit is seen."""
        tape = record(self._new(), PROMPT, self._size.single_exits, 1, spacing_ns=ALONE_NS)
        rows = [*delay_rows(f"scripted engine, {tape.exits} exits", delays(tape, self._new()))]
        if real.is_at_hand():
            seconds = real.real_delays(self._new(), self._size.real_exits)
            rows += delay_rows(f"real engine, {len(seconds)} exits", seconds)
        yield Section("Delay from 'die' to the first scrape that shows it, nothing to wait for", tuple(rows))

    def spans(self) -> Iterator[Section]:
        """How fast spans are delivered, against the SDK; and what that costs who counts."""
        spans, rounds = self._size.spans, range(self._size.rounds)
        tape = record(self._new(), MIX, self._size.flooding, FLOOD_WORKLOADS)
        store = post(spans, self._new())
        with Collector(self._new()) as collector:
            sent = [sendings(store, spans, self._new(), collector) for _ in rounds]
            title = (
                f"Spans: {spans:,} failed jobs at once, over HTTP to a real collector, {len(rounds)} rounds"
            )
            yield Section(title, tuple(sending_rows(spans, sent)))
            ways = [postings(tape, (self._new(), self._new(), self._new()), collector) for _ in rounds]
            rows = posting_rows(ways, failed_in(tape, answered=True))
            yield Section(
                f"Speed with traces: the whole way, {WAYS[0].name}, {tape.exits:,} exits", tuple(rows)
            )

    def rules(self) -> Iterator[Section]:
        """What alerting costs a Prometheus."""
        series, rounds = self._size.series, self._size.rounds
        rows = cost_rows(series, costs(series, rounds, self._new()))
        title = f"Rules: one evaluation over {series:,} series, scraped every 15 s, {rounds} rounds"
        yield Section(title, tuple(rows))

    def _traced(self, endpoint: Endpoint) -> Filled:
        return self._filled(USUAL_WORKLOADS, Install(with_ssh=False, endpoint=endpoint))

    def _filled(self, workloads: int, install: Install) -> Filled:
        tape = record(self._new(), MIX, self._size.filling, workloads)
        return filled(tape, self._new(), install, self._size.scrapes)

    def _new(self) -> Path:
        self._made += 1
        directory = self._directory / str(self._made)
        directory.mkdir()
        return directory
