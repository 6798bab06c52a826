"""Measures of one run of the benchmarks, with their order and size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import real_engine
from bench.baseline import baseline
from bench.delay import delays
from bench.fleet import fleet
from bench.job_logs import measure_job_logs
from bench.listing import listing, listing_rows
from bench.memory import Installation, MemoryResult, measure_memory
from bench.outbox import fill_outbox
from bench.recording import make_recording
from bench.report import Round, delay_rows, memory_rows, scrape_rows, throughput_rows
from bench.rules import cost_rows, costs
from bench.scenario import MIXED, PROMPT
from bench.scrapes import measure_scrapes
from bench.span_report import export_rows, tracing_rows
from bench.spans import measure_export, measure_tracing
from bench.starts import start_rows
from bench.table import Section
from bench.throughput import VARIANTS, throughput
from bench.tracing import Endpoint, failed_in
from exporter.model import SECOND_NS
from tests.lab.collector import Collector

FLOOD_WORKLOADS = 20
USUAL_WORKLOADS = 100
ALONE_NS = 10 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a run: rounds, containers, workloads, repetitions, series, spans, logs, stored jobs."""

    rounds: int
    speed_containers: int
    memory_containers: int
    workloads: tuple[int, ...]
    scrapes: int
    scraped_series: int
    single_exits: int
    real_exits: int
    spans: int
    series: int
    job_logs: int
    stored_jobs: tuple[int, ...]
    listings: int
    engines: int
    fleet_containers: int
    starts: int


FULL = Size(
    rounds=3,
    speed_containers=9600,
    memory_containers=4600,
    workloads=(1, USUAL_WORKLOADS, 500),
    scrapes=100,
    scraped_series=27_000,
    single_exits=300,
    real_exits=50,
    spans=20_000,
    series=2000,
    job_logs=200,
    stored_jobs=(100, 100_000, 1_000_000),
    listings=100,
    engines=100,
    fleet_containers=4000,
    starts=9,
)
QUICK = Size(
    rounds=1,
    speed_containers=200,
    memory_containers=200,
    workloads=(USUAL_WORKLOADS,),
    scrapes=5,
    scraped_series=1000,
    single_exits=10,
    real_exits=5,
    spans=1000,
    series=100,
    job_logs=5,
    stored_jobs=(100, 2000),
    listings=3,
    engines=5,
    fleet_containers=500,
    starts=3,
)


class Plan:
    """Measures; each creates directories of its own in ``directory``."""

    def __init__(self, size: Size, directory: Path) -> None:
        self._size = size
        self._directory = directory
        self._made = 0

    def throughput(self) -> Iterator[Section]:
        """Measure the speed and its baseline in turns, because the load of a machine varies."""
        recording = make_recording(self._new(), MIXED, self._size.speed_containers, FLOOD_WORKLOADS)
        rounds = []
        for _ in range(self._size.rounds):
            reached = baseline(recording, self._new())
            runs = {variant: throughput(recording, variant, self._new()) for variant in VARIANTS}
            rounds.append(Round(reached, runs))
        size = f"{recording.exits:,} exits in {recording.event_count:,} events at once"
        yield Section(f"Speed: {size}, {len(rounds)} rounds", tuple(throughput_rows(rounds)))

    def memory(self) -> Iterator[Section]:
        """Measure memory and scrapes."""
        whole = Installation(with_ssh=True)
        found = {workloads: self._memory(workloads, whole) for workloads in self._size.workloads}
        without_ssh = self._memory(USUAL_WORKLOADS, Installation(with_ssh=False))
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

    def scrapes(self) -> Iterator[Section]:
        """Measure scrapes of many series, compared with prometheus-client."""
        series, rounds = self._size.scraped_series, self._size.rounds
        rows = measure_scrapes(series, rounds, self._size.scrapes)
        yield Section(f"Scrapes: processor time for {series:,} counters, {rounds} rounds", tuple(rows))

    def delay(self) -> Iterator[Section]:
        """Measure the delay of exits."""
        recording = make_recording(self._new(), PROMPT, self._size.single_exits, 1, spacing_ns=ALONE_NS)
        rows = [*delay_rows(f"scripted engine, {recording.exits} exits", delays(recording, self._new()))]
        if real_engine.is_available():
            seconds = real_engine.real_delays(self._new(), self._size.real_exits)
            rows += delay_rows(f"real engine, {len(seconds)} exits", seconds)
        yield Section("Delay from 'die' to the first scrape that shows it, without waiting", tuple(rows))

    def spans(self) -> Iterator[Section]:
        """Measure the export of spans compared with the SDK, and its cost for counting exits."""
        spans, rounds = self._size.spans, range(self._size.rounds)
        recording = make_recording(self._new(), MIXED, self._size.speed_containers, FLOOD_WORKLOADS)
        store = fill_outbox(spans, self._new())
        with Collector(self._new()) as collector:
            exports = [measure_export(store, spans, self._new(), collector) for _ in rounds]
            title = (
                f"Spans: {spans:,} failed jobs at once, over HTTP to a real collector, {len(rounds)} rounds"
            )
            yield Section(title, tuple(export_rows(spans, exports)))
            variants = [
                measure_tracing(recording, (self._new(), self._new(), self._new()), collector) for _ in rounds
            ]
            rows = tracing_rows(variants, failed_in(recording, answered=True))
            yield Section(
                f"Speed with traces: {VARIANTS[0].name}, {recording.exits:,} exits",
                tuple(rows),
            )

    def rules(self) -> Iterator[Section]:
        """Measure the cost of the rules in Prometheus."""
        series, rounds = self._size.series, self._size.rounds
        rows = cost_rows(series, costs(series, rounds, self._new()))
        title = f"Rules: one evaluation over {series:,} series, scraped every 15 s, {rounds} rounds"
        yield Section(title, tuple(rows))

    def dstack(self) -> Iterator[Section]:
        """Measure the cost of following the logs of dstack's containers."""
        if real_engine.is_available():
            containers = self._size.job_logs
            rows = tuple(measure_job_logs(containers, self._new()))
            yield Section(f"dstack: the logs of {containers} running containers are followed", rows)

    def listing(self) -> Iterator[Section]:
        """Measure the API's answers about stored jobs."""
        repeats = self._size.listings
        found = [(count, listing(count, repeats, self._new())) for count in self._size.stored_jobs]
        yield Section(f"API: {repeats} answers to each query", tuple(listing_rows(found)))

    def fleet(self) -> Iterator[Section]:
        """Measure what many engines cost one exporter."""
        engines, containers = self._size.engines, self._size.fleet_containers
        rows = tuple(fleet(engines, containers, self._new))
        yield Section(f"Fleet: {engines} engines beside one exporter", rows)

    def starts(self) -> Iterator[Section]:
        """Measure starts, idleness and a command."""
        repeats, stored = self._size.starts, self._size.stored_jobs[-1]
        yield Section(f"Starts: {repeats} of each", tuple(start_rows(repeats, stored, self._new())))

    def _traced(self, endpoint: Endpoint) -> MemoryResult:
        return self._memory(USUAL_WORKLOADS, Installation(with_ssh=False, endpoint=endpoint))

    def _memory(self, workloads: int, install: Installation) -> MemoryResult:
        recording = make_recording(self._new(), MIXED, self._size.memory_containers, workloads)
        return measure_memory(recording, self._new(), install, self._size.scrapes)

    def _new(self) -> Path:
        self._made += 1
        directory = self._directory / str(self._made)
        directory.mkdir()
        return directory
