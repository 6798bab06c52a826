"""Rows about the export of spans, compared with the SDK or with no traces in the same round."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.child_process import ExportCost
from bench.percentiles import median
from bench.report import rate, spread
from bench.spans import ExportRound, TracingRound
from bench.table import Row
from bench.throughput import Run


def export_rows(spans: int, rounds: Sequence[ExportRound]) -> Iterator[Row]:
    """Yield the outbox compared with the SDK, and what the default queue of the SDK loses."""
    yield from _cost_rows("outbox: from a store on disk, durably", spans, [each.outbox for each in rounds])
    yield _ratio_row("   of the SDK", _ratios(rounds, lambda each: each.created))
    yield _ratio_row(
        "   of only the SDK's processor and exporter", _ratios(rounds, lambda each: each.prepared)
    )
    yield from _cost_rows("SDK: created and sent, from memory", spans, [each.created for each in rounds])
    yield from _cost_rows("SDK: created before, only sent", spans, [each.prepared for each in rounds])
    dropped = [spans - each.default_queue.arrived for each in rounds]
    yield Row(
        "SDK: dropped by its default queue",
        f"{median(dropped):,.0f}",
        f"of {spans:,} created as fast as possible; {spread(dropped, '').strip()}",
    )


def tracing_rows(rounds: Sequence[TracingRound], failed: int) -> Iterator[Row]:
    """Yield the speed with traces compared with the speed without."""
    yield from _run_rows("no endpoint", [each.off for each in rounds])
    unreachable, healthy = [each.unreachable for each in rounds], [each.healthy for each in rounds]
    off = [each.off.exits_per_second for each in rounds]
    for what, runs in (
        (f"{failed:,} pending, collector unreachable", unreachable),
        (f"{failed:,} exported", healthy),
    ):
        yield from _run_rows(what, runs)
        ratios = [run.exits_per_second / without for run, without in zip(runs, off, strict=True)]
        yield _ratio_row("   of no endpoint", ratios)


def _cost_rows(what: str, spans: int, costs: Sequence[ExportCost]) -> Iterator[Row]:
    rates = [spans / each.seconds for each in costs]
    yield Row(what, rate(median(rates)), f"{spread(rates, '/s')}; all {spans:,} arrived")
    cpu = [1000 * each.cpu_seconds / spans for each in costs]
    yield Row("   processor time for a span", f"{median(cpu):.3f} ms", f"{min(cpu):.3f} to {max(cpu):.3f}")


def _run_rows(what: str, runs: Sequence[Run]) -> Iterator[Row]:
    rates = [run.exits_per_second for run in runs]
    cpu = median(run.cpu_ms_per_exit for run in runs)
    yield Row(what, rate(median(rates)), f"{spread(rates, '/s')}; {cpu:.2f} ms processor time for an exit")


def _ratios(rounds: Iterable[ExportRound], other: Callable[[ExportRound], ExportCost]) -> list[float]:
    return [other(each).seconds / each.outbox.seconds for each in rounds]


def _ratio_row(what: str, ratios: Sequence[float]) -> Row:
    return Row(what, f"{median(ratios):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}")
