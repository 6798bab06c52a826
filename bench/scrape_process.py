"""Cost of scrapes, measured in a process of its own that prints it as JSON.

The endpoint runs on the real web server, in a thread whose processor time counts.
"""

import asyncio
import gc
import gzip
import http.client
import json
import random
import resource
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Self
from unittest import mock

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from bench.exporter import PROMETHEUS_ACCEPTS
from exporter.metrics import definitions
from exporter.metrics.labels import HostLabels
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import SeriesKey
from exporter.web.listening import open_listener
from exporter.web.metrics import MetricsRoutes
from exporter.web.server import create_app, create_server

SEED = 20_260_301
HOSTS, SERIES_OF_A_WORKLOAD = 20, 80
CHANGES = 100
ENDS = (
    ("done", "0", "Completed"),
    ("failed", "1", "Error"),
    ("failed", "137", "OOMKilled"),
    ("terminated", "143", "Terminated"),
)
PATIENCE_SECONDS = 60
NAME = definitions.EXITS.name
EXIT_LINE = f"{NAME}{{".encode()


@dataclass(slots=True)
class ScrapeCost:
    """Seconds of the processor of each scrape, and of its longest step in the event loop; bytes."""

    seconds: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class Costs:
    """Costs of each kind of scrape, of prometheus-client, and the memory for the text of a series."""

    scrapes: dict[str, ScrapeCost] = field(default_factory=dict)
    reference: list[float] = field(default_factory=list)
    bytes_per_series: float = 0.0

    def of(self, kind: str) -> ScrapeCost:
        """Return the cost of a kind of scrape, to be added to."""
        return self.scrapes.setdefault(kind, ScrapeCost())


class LongestStep:
    """Processor time of the longest step of an event loop, while it is asked for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def observed(self) -> Iterator[Self]:
        """Observe all event loops of this process."""
        run = asyncio.Handle._run  # noqa: SLF001  # each step of an event loop is one

        def timed(handle: asyncio.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            self.seconds = max(self.seconds, time.thread_time() - begun)

        with mock.patch.object(asyncio.Handle, "_run", timed):
            yield self


class ScrapedServer:
    """Web server with nothing but the metrics of a state, and a scraper on a connection that stays open."""

    def __init__(self, state: MetricState) -> None:
        self._listener = open_listener("127.0.0.1:0").socket
        self._server = create_server(create_app(MetricsRoutes(state, "/metrics").endpoints()))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        host, port = self._listener.getsockname()
        self._http = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        """Start it, with all that only the first request costs."""
        self._thread.start()
        self.scrape("?name[]=python_info", compressed=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._http.close()
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)

    def scrape(self, query: str = "", *, compressed: bool) -> bytes:
        """Return the body of an answer, as Prometheus asks for it."""
        headers = {"Accept": PROMETHEUS_ACCEPTS, "X-Prometheus-Scrape-Timeout-Seconds": "10"}
        headers |= {"Accept-Encoding": "gzip"} if compressed else {}
        self._http.request("GET", f"/metrics{query}", headers=headers)
        return self._http.getresponse().read()

    def measure(self, cost: ScrapeCost, *, compressed: bool) -> bytes:
        """Add the cost of a scrape, and return its text."""
        with LongestStep().observed() as step:
            begun = self._processor_seconds()
            body = self.scrape(compressed=compressed)
            cost.seconds.append(self._processor_seconds() - begun)
        cost.longest.append(step.seconds)
        cost.size = len(body)
        return gzip.decompress(body) if compressed else body

    def _processor_seconds(self) -> float:
        assert self._thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))


def made_up(count: int) -> dict[SeriesKey, float]:
    """Return so many series of exits on hosts that are known."""
    chosen = random.Random(SEED)  # noqa: S311  # not a secret
    values = dict[SeriesKey, float]()
    for number in range(count):
        workload = f"team-{number // SERIES_OF_A_WORKLOAD}/batch"
        status, code, reason = chosen.choice(ENDS)
        host, image = f"node-{number % HOSTS}", f"registry.example/{workload}"
        labels = (host, workload, image, status, f"{code}{number % SERIES_OF_A_WORKLOAD}", reason)
        values[NAME, labels] = float(chosen.randrange(1, 10_000))
    # A host without these is not listed yet, and hidden from scrapes.
    for node, metric in product(range(HOSTS), (definitions.EXITS_UNOBSERVED, definitions.EXITS_RECOVERED)):
        values[metric.name, HostLabels(f"node-{node}")] = 0
    return values


def main(count: int, rounds: int, repeats: int) -> None:
    """Measure each kind of scrape in turns with prometheus-client, and print what it costs."""
    values, costs = made_up(count), Costs()
    costs.bytes_per_series = _kept_bytes(values) / count
    reference, (encoder, _) = _reference(values), choose_encoder(PROMETHEUS_ACCEPTS)
    # As the exporter does: a full collection would be part of some scrape.
    gc.freeze()
    for _ in range(rounds):
        begun = time.thread_time()
        text = encoder(reference)
        costs.reference.append(time.thread_time() - begun)
        for compressed in (False, True):
            _compare(text, _measure(values, costs, repeats, compressed=compressed))
    print(json.dumps(asdict(costs)))


def _kept_bytes(values: Mapping[SeriesKey, float]) -> int:
    """Return by how much the resident memory grows with the first scrape, which keeps its text."""
    with ScrapedServer(MetricState(values)) as server:
        before = _resident()
        server.scrape(compressed=True)
        return _resident() - before


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _reference(values: Mapping[SeriesKey, float]) -> CollectorRegistry:
    """Return the exits as counters of prometheus-client."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    counter = Counter(NAME, definitions.EXITS.help, definitions.EXITS.labels, registry=registry)
    for (name, labels), value in values.items():
        if name == NAME:
            counter.labels(*labels).inc(value)
    return registry


def _measure(values: Mapping[SeriesKey, float], costs: Costs, repeats: int, *, compressed: bool) -> bytes:
    """Measure scrapes of a new state: the first, without a change, and with some; return the first text."""
    state, form = MetricState(values), "gzip" if compressed else "plain"
    with ScrapedServer(state) as server:
        text = server.measure(costs.of(f"first, {form}"), compressed=compressed)
        for _ in range(repeats):
            server.measure(costs.of(f"unchanged, {form}"), compressed=compressed)
        for keys in islice(_some(values), repeats):
            _change(state, keys)
            server.measure(costs.of(f"{CHANGES} changed, {form}"), compressed=compressed)
    return text


def _some(values: Mapping[SeriesKey, float]) -> Iterator[list[SeriesKey]]:
    """Yield different series, for ever."""
    chosen, keys = random.Random(SEED), [key for key in values if key[0] == NAME]  # noqa: S311  # not a secret
    while True:
        yield chosen.sample(keys, min(CHANGES, len(keys)))


def _change(state: MetricState, keys: Collection[SeriesKey]) -> None:
    """Let these series grow, as if that was on record and all scrapers had seen what was before."""
    update = MetricUpdate()
    for _, labels in keys:
        update.add(definitions.EXITS, labels)
    state.apply_committed(update, state.values_to_store(update), keys)


def _compare(wanted: bytes, found: bytes) -> None:
    """Raise RuntimeError unless both texts have the same series of exits."""
    one, other = (
        sorted(line for line in text.splitlines() if line.startswith(EXIT_LINE)) for text in (wanted, found)
    )
    if one != other:
        raise RuntimeError(f"{len(other):,} series differ from the {len(one):,} of prometheus-client")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
