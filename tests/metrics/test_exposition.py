"""Exposition: the whole text in both formats, by the definitions, for any label values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import definitions
from exporter.metrics.collector import build_registry
from exporter.metrics.definitions import METRICS, STANDARD_METRICS
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import ClassifiedExit, SeriesKey, Workload
from exporter.verdict.catalog_file import builtin_catalog
from tests.metrics.samples import comparable, exits, filled_state
from tests.store.samples import ended, job

GOLDEN = Path(__file__).with_name("golden")
TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text; version=1.0.0"
PARSERS: dict[str, Callable[[str], Iterable[MetricFamily]]] = {
    TEXT: parse_text,
    OPENMETRICS: parse_openmetrics,
}
ENGINE, HOST, SIGNAL, WORKLOAD = {"engine"}, {"host"}, {"signal"}, {"host", "workload"}
NAMES_AND_LABELS = {
    "container_exits_total": WORKLOAD | {"image", "status", "code", "reason"},
    "container_oom_kills_total": WORKLOAD | {"image"},
    "container_restarts_total": WORKLOAD | {"image"},
    "container_run_duration_seconds": WORKLOAD | {"status"},
    "container_jobs_running": WORKLOAD,
    "container_memory_limit_bytes": WORKLOAD,
    "container_last_exit_timestamp_seconds": WORKLOAD | {"status"},
    "container_not_created_total": {"status", "termination", "reason"},
    "exit_exporter_build_info": {"version", "python_version"},
    "exit_exporter_engine_up": ENGINE,
    "exit_exporter_engine_events_total": ENGINE | {"event"},
    "exit_exporter_engine_reconnects_total": ENGINE,
    "exit_exporter_event_gaps_total": ENGINE,
    "exit_exporter_exits_recovered_total": HOST,
    "exit_exporter_exits_unobserved_total": HOST,
    "exit_exporter_store_errors_total": set(),
    "exit_exporter_store_commit_duration_seconds": set(),
    "exit_exporter_exits_pending": set(),
    "exit_exporter_job_records_dropped_total": set(),
    "exit_exporter_otlp_pending_jobs": SIGNAL,
    "exit_exporter_otlp_jobs_exported_total": SIGNAL,
    "exit_exporter_otlp_jobs_rejected_total": SIGNAL,
    "exit_exporter_otlp_jobs_dropped_total": SIGNAL,
    "exit_exporter_traceparents_ignored_total": set(),
    "exit_exporter_jobs_over_workload_limit_total": set(),
    "exit_exporter_workload_order_timestamp_seconds": {"order"},
    "exit_exporter_dstack_server_up": set(),
    "exit_exporter_dstack_server_errors_total": {"problem"},
    "exit_exporter_stream_clients": set(),
    "exit_exporter_stream_dropped_total": set(),
    "exit_exporter_log_lines_dropped_total": set(),
    "exit_exporter_config_last_reload_successful": set(),
    "exit_exporter_config_last_reload_success_timestamp_seconds": set(),
}


def exposed(registry: CollectorRegistry, accept: str = TEXT, names: Sequence[str] = ()) -> str:
    """Return the exposition of a registry, or of some names in it."""
    encoder, _ = choose_encoder(accept)
    return encoder(registry.restricted_registry(names) if names else registry).decode()


def series_of(state: MetricState, name: str) -> dict[str, float]:
    """Return the samples of a metric by their ``le``, or by the end of their name."""
    return {
        sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
        for family in build_registry(state).collect()
        if family.name == name
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("accept", "golden"), [(TEXT, "exposition.txt"), (OPENMETRICS, "exposition.openmetrics.txt")]
)
def test_the_exposition_is_this_text(accept: str, golden: str) -> None:
    text = comparable(exposed(build_registry(filled_state()), accept))
    assert text == (GOLDEN / golden).read_text(encoding="utf-8")


@pytest.mark.parametrize("accept", PARSERS)
def test_a_strict_parser_finds_every_series(accept: str) -> None:
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in PARSERS[accept](exposed(build_registry(filled_state()), accept))
        for sample in family.samples
    }
    for (name, values), value in filled_state().snapshot().items():
        metric = definitions.BY_NAME[name]
        if not metric.buckets:
            assert found.pop((name, tuple(sorted(zip(metric.labels, values, strict=True))))) == value
    assert {name for name, _ in found} == {
        f"{metric.name}_{part}" for metric in METRICS if metric.buckets for part in ("bucket", "count", "sum")
    } | {*STANDARD_METRICS}


def test_the_metrics_have_these_names_and_labels() -> None:
    assert {metric.name: set(metric.labels) for metric in METRICS} == NAMES_AND_LABELS


def test_before_the_first_job_every_metric_is_described() -> None:
    text = exposed(build_registry(MetricState({})))
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert described == [*NAMES_AND_LABELS, *STANDARD_METRICS]
    assert [line for line in comparable(text).splitlines() if not line.startswith("#")] == [*STANDARD_METRICS]


LIMITS = "Limit                     Soft Limit           Hard Limit           Units\n"
STAT = f"1 (python) {' '.join('1' * 50)}\n"


@pytest.mark.parametrize(
    ("stat", "limits"),
    [
        pytest.param(
            STAT, f"{LIMITS}Max open files            unlimited            unlimited  files\n", id="unlimited"
        ),
        pytest.param(STAT, LIMITS, id="no limit of files"),
        pytest.param("", LIMITS, id="empty"),
    ],
)
def test_an_unreadable_proc_costs_the_process_metrics_only(tmp_path: Path, stat: str, limits: str) -> None:
    itself = tmp_path / "self"
    (itself / "fd").mkdir(parents=True)
    (tmp_path / "stat").write_text("btime 1700000000\n", encoding="utf-8")
    (itself / "stat").write_text(stat, encoding="utf-8")
    (itself / "limits").write_text(limits, encoding="utf-8")
    found = exposed(build_registry(filled_state(), str(tmp_path)))
    whole = exposed(build_registry(filled_state()))
    assert found == "".join(line for line in whole.splitlines(keepends=True) if "process_" not in line)


def test_every_help_text_is_a_sentence_of_its_own() -> None:
    texts = [metric.help for metric in METRICS]
    assert [text for text in texts if not (text.endswith(".") and text[0].isupper())] == []
    assert len(set(texts)) == len(METRICS)


def test_buckets_are_cumulative_and_exact() -> None:
    state, update = MetricState({}), MetricUpdate()
    for seconds in (0.001, 0.0010001, 0.5, 5, 5.5):
        update.observe(definitions.STORE_COMMIT_DURATION, (), seconds)
    state.apply(update)
    assert series_of(state, definitions.STORE_COMMIT_DURATION.name) == {
        "0.001": 1,
        **dict.fromkeys(("0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25"), 2),
        **dict.fromkeys(("0.5", "1.0"), 3),
        "5.0": 4,
        "+Inf": 5,
        "count": 5,
        "sum": 11.0020001,
    }


def test_a_stored_histogram_continues_where_it_was() -> None:
    name, labels = definitions.RUN_DURATION.name, ("h", "w", "done")
    state, update = MetricState({(name, (*labels, "0")): 3, (name, (*labels, "sum")): 0.25}), MetricUpdate()
    update.observe(definitions.RUN_DURATION, labels, 0.05)
    state.apply(update)
    bounds = [str(float(bound)) for bound in definitions.RUN_DURATION.buckets]
    assert series_of(state, name) == {**dict.fromkeys((*bounds, "+Inf", "count"), 4), "sum": 0.3}


@pytest.mark.parametrize(
    "asked",
    ["container_exits_total", "container_jobs_running", "exit_exporter_store_errors_total", "python_info"],
)
def test_one_name_can_be_asked_for_alone(asked: str) -> None:
    whole = (GOLDEN / "exposition.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    own = [
        line
        for line in whole
        if asked in line.removeprefix("# HELP ").removeprefix("# TYPE ").split("{")[0].split()
    ]
    assert comparable(exposed(build_registry(filled_state()), names=[asked])) == "".join(own)


def test_an_unknown_name_answers_nothing() -> None:
    assert exposed(build_registry(filled_state()), names=["up"]) == ""


def renamed(classified: ClassifiedExit) -> ClassifiedExit:
    """Return the same exit of a container with another name and id."""
    other = replace(classified.exit.job, name="sparkling-otter-9", container_id="9" * 64)
    return replace(classified, exit=replace(classified.exit, job=other))


def test_no_series_depends_on_a_container_name_or_id() -> None:
    def counted(ends: Iterable[ClassifiedExit]) -> dict[SeriesKey, float]:
        job_metrics, update, state = (
            JobMetrics(10, builtin_catalog().has_code),
            MetricUpdate(),
            MetricState({}),
        )
        for classified in ends:
            job_metrics.on_exit(classified, update, None)
        state.apply(update)
        return state.snapshot()

    assert counted(exits()) == counted(map(renamed, exits()))


LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("accept", PARSERS)
@given(names=st.lists(LABELS, min_size=1, max_size=3, unique=True))
def test_any_label_value_is_read_as_it_was_written(accept: str, names: list[str]) -> None:
    job_metrics, update, state = JobMetrics(10, builtin_catalog().has_code), MetricUpdate(), MetricState({})
    for name in names:
        job_metrics.on_exit(ended(job(workload=Workload(name, name)), 1), update, None)
    state.apply(update)
    found = [
        sample.labels["workload"]
        for family in PARSERS[accept](exposed(build_registry(state), accept))
        for sample in family.samples
        if sample.name == "container_exits_total"
    ]
    assert found == sorted(names)
