"""The text that Prometheus reads: whole, in both formats, by the catalogue and without surprises."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics import definitions
from exporter.metrics.collector import build_registry
from exporter.metrics.definitions import METRICS, STANDARD_METRICS
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState, MetricUpdate, SeriesKey
from exporter.model import Workload
from exporter.verdict.catalog_file import builtin_catalog
from tests.metrics.scene import comparable, exits, ledger, without_names
from tests.store.samples import ended, job

GOLDEN = Path(__file__).with_name("golden")
TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text; version=1.0.0"
PARSERS: dict[str, Callable[[str], Iterable[Family]]] = {TEXT: parse_text, OPENMETRICS: parse_openmetrics}
ENGINE, HOST, SIGNAL, WORKLOAD = {"engine"}, {"host"}, {"signal"}, {"host", "workload"}
DESIGNED = {
    "container_exits_total": WORKLOAD | {"image", "status", "code", "reason"},
    "container_oom_kills_total": WORKLOAD | {"image"},
    "container_restarts_total": WORKLOAD | {"image"},
    "container_run_duration_seconds": WORKLOAD | {"status"},
    "container_jobs_running": WORKLOAD,
    "container_memory_limit_bytes": WORKLOAD,
    "container_last_exit_timestamp_seconds": WORKLOAD | {"status"},
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
    "exit_exporter_config_last_reload_successful": set(),
    "exit_exporter_config_last_reload_success_timestamp_seconds": set(),
}
# The metrics that every exporter has of its own process.
OF_THE_PROCESS = {
    "process_virtual_memory_bytes": "gauge",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
    "python_info": "gauge",
}


def exposed(what: CollectorRegistry, accept: str = TEXT, names: Sequence[str] = ()) -> str:
    """Give the text of a registry, or of some names in it, for a reader who accepts this."""
    encoder, _ = choose_encoder(accept)
    return encoder(what.restricted_registry(names) if names else what).decode()


@pytest.mark.parametrize(
    ("accept", "golden"), [(TEXT, "exposition.txt"), (OPENMETRICS, "exposition.openmetrics.txt")]
)
def test_the_whole_text_is_as_it_was_agreed(accept: str, golden: str) -> None:
    text = comparable(exposed(build_registry(ledger()), accept))
    assert text == (GOLDEN / golden).read_text(encoding="utf-8")


@pytest.mark.parametrize("accept", PARSERS)
def test_a_strict_parser_finds_every_series_of_the_ledger(accept: str) -> None:
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in PARSERS[accept](exposed(build_registry(ledger()), accept))
        for sample in family.samples
    }
    for (name, values), value in ledger().snapshot().items():
        metric = definitions.BY_NAME[name]
        if not metric.buckets:
            assert found.pop((name, tuple(sorted(zip(metric.labels, values, strict=True))))) == value
    assert {name for name, _ in found} == {
        f"{metric.name}_{part}" for metric in METRICS if metric.buckets for part in ("bucket", "count", "sum")
    } | {*STANDARD_METRICS}


def test_there_are_the_metrics_of_the_design_with_its_labels_and_no_others() -> None:
    shown = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for family in parse_text(exposed(build_registry(ledger())))
        if family.name.startswith(("container_", "exit_exporter_"))
    }
    kinds = {metric.name: metric.type.value for metric in METRICS}
    assert shown == {
        # The parser takes the ending off a counter's name.
        name.removesuffix("_total"): (kinds[name], labels)
        for name, labels in DESIGNED.items()
    }


def test_before_the_first_job_every_metric_is_described() -> None:
    text = exposed(build_registry(MetricState({})))
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert described == [*DESIGNED, *STANDARD_METRICS]
    assert [line for line in comparable(text).splitlines() if not line.startswith("#")] == [*STANDARD_METRICS]


def test_the_process_has_the_metrics_that_every_exporter_has_of_itself() -> None:
    families = build_registry(MetricState({})).collect()
    kinds = {sample.name: family.type for family in families for sample in family.samples}
    assert kinds == OF_THE_PROCESS
    assert [*OF_THE_PROCESS] == [*STANDARD_METRICS]


@pytest.mark.parametrize("name", ["process_resident_memory_bytes", "python_info"])
def test_a_metric_of_the_process_can_be_asked_for_alone(name: str) -> None:
    found = [
        sample.name
        for family in build_registry(ledger()).restricted_registry([name]).collect()
        for sample in family.samples
    ]
    assert found == [name]


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
        pytest.param("1 (python) S x y z", LIMITS, id="cut off"),
    ],
)
def test_a_proc_that_reads_otherwise_costs_the_metrics_of_the_process_alone(
    tmp_path: Path, stat: str, limits: str
) -> None:
    itself = tmp_path / "self"
    (itself / "fd").mkdir(parents=True)
    (tmp_path / "stat").write_text("btime 1700000000\n", encoding="utf-8")
    (itself / "stat").write_text(stat, encoding="utf-8")
    (itself / "limits").write_text(limits, encoding="utf-8")
    kept = exposed(build_registry(ledger(), str(tmp_path)))
    whole = exposed(build_registry(ledger()))
    assert kept == "".join(line for line in whole.splitlines(keepends=True) if "process_" not in line)


def test_every_metric_says_what_it_is_in_a_sentence() -> None:
    helps = [metric.help for metric in METRICS]
    assert [text for text in helps if not (text.endswith(".") and text[0].upper() == text[0])] == []
    assert len(set(helps)) == len(METRICS)


def test_buckets_are_cumulative_and_exact() -> None:
    changes = MetricUpdate()
    for seconds in (0.001, 0.0010001, 0.5, 5, 5.5):
        changes.observe(definitions.STORE_COMMIT_DURATION, (), seconds)
    full = MetricState({})
    full.apply(changes)
    name = "exit_exporter_store_commit_duration_seconds"
    parts = [f"{name}_{part}" for part in ("bucket", "count", "sum")]
    assert exposed(build_registry(full), names=parts) == (
        f"# HELP {name} Duration of commits to the store in seconds.\n"
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{le="0.001"}} 1.0\n'
        f'{name}_bucket{{le="0.0025"}} 2.0\n'
        f'{name}_bucket{{le="0.005"}} 2.0\n'
        f'{name}_bucket{{le="0.01"}} 2.0\n'
        f'{name}_bucket{{le="0.025"}} 2.0\n'
        f'{name}_bucket{{le="0.05"}} 2.0\n'
        f'{name}_bucket{{le="0.1"}} 2.0\n'
        f'{name}_bucket{{le="0.25"}} 2.0\n'
        f'{name}_bucket{{le="0.5"}} 3.0\n'
        f'{name}_bucket{{le="1.0"}} 3.0\n'
        f'{name}_bucket{{le="5.0"}} 4.0\n'
        f'{name}_bucket{{le="+Inf"}} 5.0\n'
        f"{name}_count 5.0\n"
        f"{name}_sum 11.0020001\n"
    )


def test_a_histogram_that_was_kept_goes_on_where_it_was() -> None:
    name, labels = definitions.RUN_DURATION.name, ("h", "w", "done")
    kept: dict[SeriesKey, float] = {(name, (*labels, "0")): 3, (name, (*labels, "sum")): 0.25}
    again, changes = MetricState(kept), MetricUpdate()
    changes.observe(definitions.RUN_DURATION, labels, 0.05)
    again.apply(changes)
    shown = {
        sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
        for family in build_registry(again).collect()
        if family.name == name
        for sample in family.samples
    }
    assert shown == {
        **{str(float(bound)): 4 for bound in definitions.RUN_DURATION.buckets},
        "+Inf": 4,
        "count": 4,
        "sum": 0.3,
    }


@pytest.mark.parametrize(
    "asked", ["container_exits_total", "container_jobs_running", "exit_exporter_store_errors_total"]
)
def test_one_name_can_be_asked_for_alone(asked: str) -> None:
    whole = (GOLDEN / "exposition.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    own = [
        line
        for line in whole
        if line.startswith((f"{asked}{{", f"{asked} ", f"# HELP {asked} ", f"# TYPE {asked} "))
    ]
    assert exposed(build_registry(ledger()), names=[asked]) == "".join(own)


def test_a_name_that_is_none_of_ours_answers_nothing() -> None:
    assert exposed(build_registry(ledger()), names=["up"]) == ""


def test_no_series_knows_of_which_container_it_was() -> None:
    def counted(others: bool) -> dict[SeriesKey, float]:  # noqa: FBT001 - which of the two
        accounts, changes = JobMetrics(10, builtin_catalog().has_code), MetricUpdate()
        for judged in exits():
            accounts.on_exit(without_names(judged) if others else judged, changes, None)
        all_counted = MetricState({})
        all_counted.apply(changes)
        return all_counted.snapshot()

    assert counted(others=True) == counted(others=False)


LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("accept", PARSERS)
@given(names=st.lists(LABELS, min_size=1, max_size=3, unique=True))
def test_whatever_a_label_holds_it_comes_back_as_it_was(accept: str, names: list[str]) -> None:
    accounts, changes, hostile = JobMetrics(10, builtin_catalog().has_code), MetricUpdate(), MetricState({})
    for name in names:
        accounts.on_exit(ended(job(workload=Workload(name, name)), 1), changes, None)
    hostile.apply(changes)
    found = [
        sample.labels["workload"]
        for family in PARSERS[accept](exposed(build_registry(hostile), accept))
        for sample in family.samples
        if sample.name == "container_exits_total"
    ]
    assert found == sorted(names)


def test_every_registry_is_its_own() -> None:
    first, second = MetricState({}), MetricState({})
    changes = MetricUpdate()
    changes.add(definitions.STORE_ERRORS)
    one, other = build_registry(first), build_registry(second)
    first.apply(changes)
    assert one.get_sample_value("exit_exporter_store_errors_total") == 1
    assert other.get_sample_value("exit_exporter_store_errors_total") is None
