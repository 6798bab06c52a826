"""From what was measured to rows: medians, spreads, ratios, and the aims of the project."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.figures import median, percentile
from bench.filled import Filled, Memory
from bench.table import Row
from bench.throughput import Run, Way

LEAST_RATIO = 0.1
MOST_MEGABYTES = 80.0
LONGEST_DELAY_MS = 100.0


@dataclass(frozen=True, slots=True)
class Round:
    """The limit, and right after it the whole way in each of the circumstances."""

    limit: float
    runs: dict[Way, Run] = field(default_factory=dict)


def throughput_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """The limit, then each way against the limit of its own round."""
    limits = [each.limit for each in rounds]
    yield Row("the limit: read and parsed by the SDK alone", rate(median(limits)), spread(limits, "/s"))
    for way in rounds[0].runs:
        runs = [each.runs[way] for each in rounds]
        ratios = [each.runs[way].exits_per_second / each.limit for each in rounds]
        rates = [run.exits_per_second for run in runs]
        yield Row(f"whole way, {way.name}", rate(median(rates)), spread(rates, "/s"))
        ratio = median(ratios)
        yield Row(
            "   of the limit",
            f"{ratio:.3f}",
            f"{min(ratios):.3f} to {max(ratios):.3f}",
            f"at least {LEAST_RATIO}" if way.local else "",
            met=ratio >= LEAST_RATIO if way.local else None,
        )
        cpu, batch, peak = (
            median(getattr(run, name) for run in runs)
            for name in ("cpu_ms_per_exit", "exits_per_commit", "peak")
        )
        yield Row(
            "   processor time for an exit",
            f"{cpu:.2f} ms",
            f"{batch:.0f} exits a commit; at most {peak:.0f} MB",
        )


def memory_rows(label: str, filled: Filled) -> Iterator[Row]:
    """Of one install, fresh and after a restart."""
    yield from _memory_rows(f"{label}, fresh database", filled.fresh)
    yield from _memory_rows(f"{label}, restarted over it", filled.restarted)


def scrape_rows(workloads: int, filled: Filled) -> Iterator[Row]:
    """Both forms of a scrape."""
    for form, scrapes in (("plain", filled.plain), ("gzip", filled.compressed)):
        yield Row(
            f"{workloads} {'workload' if workloads == 1 else 'workloads'}, {filled.series:,} series, {form}",
            f"{1000 * median(scrapes.seconds):.1f} ms",
            f"{scrapes.size / 1000:,.1f} kB; 99 % of {len(scrapes.seconds)}: "
            f"{1000 * percentile(scrapes.seconds, 99):.1f} ms",
        )
    yield Row(
        "   resident after that", f"{filled.fresh.scraped:.1f} MB", f"at most {filled.fresh.peak:.1f} MB"
    )


def delay_rows(what: str, seconds: Sequence[float]) -> Iterator[Row]:
    """How late an exit is seen."""
    late = 1000 * percentile(seconds, 99)
    yield Row(
        what,
        f"{late:.1f} ms",
        f"99 %; 50 %: {1000 * median(seconds):.1f} ms, worst {1000 * max(seconds):.1f} ms",
        f"below {LONGEST_DELAY_MS:.0f} ms",
        met=late < LONGEST_DELAY_MS,
    )


def _memory_rows(what: str, memory: Memory) -> Iterator[Row]:
    yield Row(
        what,
        f"{memory.scraped:.1f} MB",
        f"{memory.resident:.1f} before it was scraped, at most {memory.peak:.1f}",
        f"at most {MOST_MEGABYTES:.0f} MB",
        met=memory.scraped <= MOST_MEGABYTES,
    )


def rate(per_second: float) -> str:
    """A rate as it is printed."""
    return f"{per_second:,.0f} /s"


def spread(values: Sequence[float], unit: str) -> str:
    """The extremes of a sample as they are printed."""
    return f"{min(values):,.0f} to {max(values):,.0f} {unit}"
