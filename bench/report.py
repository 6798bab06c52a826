"""Rows of the results: medians, spreads, ratios and the aims of the project."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.memory import Memory, MemoryResult
from bench.percentiles import median, percentile
from bench.table import Row
from bench.throughput import Run, Variant

MIN_RATIO = 0.5
MAX_CPU_MS = 0.1
MIN_CONTAINERS = 3000
MAX_MEGABYTES = 60.0
MAX_DELAY_MS = 50.0


@dataclass(frozen=True, slots=True)
class Round:
    """Baseline of a round, and the runs of each variant right after it."""

    baseline: float
    runs: dict[Variant, Run] = field(default_factory=dict)


def throughput_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """Yield the baseline, and each variant compared with the baseline of its round."""
    baselines = [each.baseline for each in rounds]
    yield Row("baseline: read and parsed by the SDK only", rate(median(baselines)), spread(baselines, "/s"))
    for variant in rounds[0].runs:
        runs = [each.runs[variant] for each in rounds]
        ratios = [each.runs[variant].exits_per_second / each.baseline for each in rounds]
        rates = [run.exits_per_second for run in runs]
        yield Row(f"exporter, {variant.name}", rate(median(rates)), spread(rates, "/s"))
        ratio = median(ratios)
        yield Row(
            "   of the baseline",
            f"{ratio:.3f}",
            f"{min(ratios):.3f} to {max(ratios):.3f}",
            f"at least {MIN_RATIO}" if variant.local else "",
            met=ratio >= MIN_RATIO if variant.local else None,
        )
        cpu, batch, peak, containers = (
            median(getattr(run, name) for run in runs)
            for name in ("cpu_ms_per_exit", "exits_per_commit", "peak", "containers_per_second")
        )
        yield Row(
            "   processor time for an exit",
            f"{cpu:.2f} ms",
            f"{batch:.0f} exits a commit; at most {peak:.0f} MB",
            f"at most {MAX_CPU_MS} ms",
            met=cpu <= MAX_CPU_MS,
        )
        yield Row(
            "   new containers",
            rate(containers),
            "",
            f"at least {MIN_CONTAINERS:,} /s" if variant.local else "",
            met=containers >= MIN_CONTAINERS if variant.local else None,
        )


def memory_rows(label: str, result: MemoryResult) -> Iterator[Row]:
    """Yield the memory of one installation, fresh and after a restart."""
    yield from _memory_rows(f"{label}, fresh database", result.fresh)
    yield from _memory_rows(f"{label}, restarted over it", result.restarted)


def scrape_rows(workloads: int, result: MemoryResult) -> Iterator[Row]:
    """Yield the scrapes in both formats."""
    for form, scrapes in (("plain", result.plain), ("gzip", result.compressed)):
        yield Row(
            f"{workloads} {'workload' if workloads == 1 else 'workloads'}, {result.series:,} series, {form}",
            f"{1000 * median(scrapes.seconds):.1f} ms",
            f"{scrapes.size / 1000:,.1f} kB; 99 % of {len(scrapes.seconds)}: "
            f"{1000 * percentile(scrapes.seconds, 99):.1f} ms",
        )
    yield Row(
        "   resident after that", f"{result.fresh.scraped:.1f} MB", f"at most {result.fresh.peak:.1f} MB"
    )


def delay_rows(what: str, seconds: Sequence[float]) -> Iterator[Row]:
    """Yield the delay of exits."""
    late = 1000 * percentile(seconds, 99)
    yield Row(
        what,
        f"{late:.1f} ms",
        f"99 %; 50 %: {1000 * median(seconds):.1f} ms, worst {1000 * max(seconds):.1f} ms",
        f"below {MAX_DELAY_MS:.0f} ms",
        met=late < MAX_DELAY_MS,
    )


def _memory_rows(what: str, memory: Memory) -> Iterator[Row]:
    yield Row(
        what,
        f"{memory.scraped:.1f} MB",
        f"{memory.resident:.1f} before it was scraped, at most {memory.peak:.1f}",
        f"at most {MAX_MEGABYTES:.0f} MB",
        met=memory.scraped <= MAX_MEGABYTES,
    )


def rate(per_second: float) -> str:
    """Format a rate."""
    return f"{per_second:,.0f} /s"


def spread(values: Sequence[float], unit: str) -> str:
    """Format the extremes of a sample."""
    return f"{min(values):,.0f} to {max(values):,.0f} {unit}"
