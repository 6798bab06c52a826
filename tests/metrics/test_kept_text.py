"""The text that is kept for scrapes: what prometheus-client writes, whatever changes in between."""

from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder

from exporter.metrics import definitions, text_blocks
from exporter.metrics.collector import build_registry
from exporter.metrics.definitions import Metric, MetricType
from exporter.metrics.exposition import Exposition
from exporter.metrics.series_view import ScrapedView, SeriesView
from exporter.metrics.state import MetricState
from exporter.metrics.update import Exemplar, MetricUpdate
from exporter.model import SeriesKey, Trace
from tests.metrics.calls import calls_of_steps
from tests.metrics.expositions import text_of
from tests.metrics.samples import filled_state
from tests.metrics.test_scraped_values import ENGINE, HOST, Process, end_listing

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
FORMATS = [
    "",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=dots",
    OPENMETRICS,
    *(f"{OPENMETRICS};escaping={escaping}" for escaping in ("allow-utf-8", "dots", "values")),
]
NAMES: list[tuple[str, ...]] = [
    (),
    ("up",),
    (definitions.EXITS.name, definitions.MEMORY_LIMIT.name, "exit_exporter_store_errors"),
    *((f"{definitions.RUN_DURATION.name}{part}",) for part in ("", "_bucket", "_count", "_sum")),
]


def reference(view: SeriesView, accept: str, names: Sequence[str]) -> str:
    """Return what prometheus-client writes."""
    registry, (encoder, _) = build_registry(view), choose_encoder(accept)
    return without_process(encoder(registry.restricted_registry(names) if names else registry).decode())


def without_process(text: str) -> str:
    """Return a text without the values that are others each time."""
    return "".join(line for line in text.splitlines(keepends=True) if "process_" not in line)


class Kept:
    """Texts that are kept in some formats, of all series and of those that scrapes are shown."""

    def __init__(self, state: MetricState, accepts: Sequence[str], names: Sequence[tuple[str, ...]]) -> None:
        self._kept = [
            (Exposition(view, choose_encoder(accept)[0], some), view, accept, some)
            for view in (state, ScrapedView(state))
            for accept in accepts
            for some in names
        ]

    def check(self) -> None:
        """Compare each with what prometheus-client writes now."""
        for exposition, view, accept, names in self._kept:
            wanted = reference(view, accept, names)
            for compressed in (False, True):
                assert without_process(text_of(exposition, compressed=compressed)) == wanted


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize("accept", FORMATS)
def test_every_format_is_as_prometheus_client_writes_it(accept: str, names: tuple[str, ...]) -> None:
    Kept(filled_state(), [accept], [names]).check()


# --- under any changes
CHANGED = [
    definitions.EXITS,
    definitions.RUN_DURATION,
    definitions.JOBS_RUNNING,
    definitions.EVENT_GAPS,
    definitions.STORE_COMMIT_DURATION,
]

VALUES = st.sampled_from([0.0, 1, 0.25, 1e6, 12_345_678, 1e-7, 1e300, float("inf"), float("nan")])
LABEL = st.sampled_from(
    ["a", "b", "", "é", 'quo"te', "back\\slash", "new\nline", "{0}", "%s", "# EOF", "\u2028"]
)
EXEMPLAR = st.none() | st.builds(
    Exemplar,
    st.just(Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")),
    VALUES,
    st.just(10**18 + 1),
)
Change = Callable[[Process], None]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Return a change of one series, on record or not, or what shows more of them to scrapes."""
    metric = draw(st.sampled_from(CHANGED))
    # So few that most are changed again.
    labels = (draw(LABEL),) * len(metric.labels)
    update = changed(metric, labels, draw(VALUES), draw(EXEMPLAR))
    history, removal = changed(metric, labels, 1, None, history_of=ENGINE), MetricUpdate()
    removal.remove(update.keys)
    choices: list[Change] = [
        lambda process: process.commit(update),
        lambda process: process.state.apply(update),
        lambda process: process.commit(history),
        lambda process: process.commit(removal),
        end_listing,
        Process.pass_start,
        Process.reveal,
    ]
    return draw(st.sampled_from(choices))


def changed(
    metric: Metric,
    labels: tuple[str, ...],
    value: float,
    exemplar: Exemplar | None,
    history_of: str | None = None,
) -> MetricUpdate:
    """Return an update of a series."""
    update = MetricUpdate()
    update.history_of = history_of
    if metric.type is MetricType.HISTOGRAM:
        update.observe(metric, labels, value, exemplar)
    elif metric.type is MetricType.GAUGE:
        update.set(metric, labels, value)
    else:
        update.add(metric, labels, value)
        update.set_exemplar(metric, labels, exemplar)
    return update


@given(st.lists(changes(), max_size=12))
def test_the_text_follows_every_change(made: list[Change]) -> None:
    process = Process()
    kept = Kept(process.state, ["", OPENMETRICS], [(), (definitions.EXITS.name,)])
    with mock.patch.object(text_blocks, "MAX_SERIES", 2):
        for change in made:
            change(process)
            kept.check()


# --- what it costs


def state_of(series: int) -> MetricState:
    """Return a state with so many series of exits."""
    return MetricState({exits(number): 1 for number in range(series)})


def exits(number: int) -> SeriesKey:
    """Return a series of exits."""
    return (definitions.EXITS.name, (HOST, f"team-{number % 997}", "image", "done", "0", str(number)))


def cost(series: int, *, compressed: bool) -> tuple[int, int]:
    """Return the calls of the first answer's longest step, and those of an answer without a change."""
    kept = Exposition(state_of(series), choose_encoder(OPENMETRICS)[0])
    longest = max(calls_of_steps(kept.answer(compressed=compressed)))
    return longest, sum(calls_of_steps(kept.answer(compressed=compressed)))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_scrape_without_a_change_costs_a_series_next_to_nothing(*, compressed: bool) -> None:
    (_, few), (_, many) = cost(1000, compressed=compressed), cost(5000, compressed=compressed)
    # prometheus-client makes about a hundred.
    assert (many - few) / 4000 < 0.5


@pytest.mark.parametrize("compressed", [False, True])
def test_no_step_is_longer_with_more_series(*, compressed: bool) -> None:
    (few, _), (many, _) = cost(1000, compressed=compressed), cost(5000, compressed=compressed)
    assert many < 1.5 * few


def test_nor_is_what_comes_before_the_first_step() -> None:
    def made() -> Iterator[None]:
        Exposition(state_of(0), choose_encoder(OPENMETRICS)[0])
        yield

    longest, _ = cost(1000, compressed=True)
    assert max(calls_of_steps(made())) < longest
