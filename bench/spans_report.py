"""From spans that were sent to rows: rates, and ratios to the SDK or to no traces in the same round."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.figures import median
from bench.report import rate, spread
from bench.sent import Sent
from bench.spans import Postings, Sendings
from bench.table import Row
from bench.throughput import Run


def sending_rows(spans: int, rounds: Sequence[Sendings]) -> Iterator[Row]:
    """The outbox against the SDK of its own round, and what the SDK's own queue loses."""
    yield from _sent_rows("outbox: from a store on disk, durably", spans, [each.outbox for each in rounds])
    yield _ratio_row("   of the SDK", _ratios(rounds, lambda each: each.made))
    yield _ratio_row(
        "   of the SDK's processor and exporter alone", _ratios(rounds, lambda each: each.handed)
    )
    yield from _sent_rows("SDK: made and sent, from memory", spans, [each.made for each in rounds])
    yield from _sent_rows("SDK: made beforehand, only sent", spans, [each.handed for each in rounds])
    dropped = [spans - each.default.arrived for each in rounds]
    yield Row(
        "SDK: dropped by a queue of its own size",
        f"{median(dropped):,.0f}",
        f"of {spans:,} made as fast as it can; {spread(dropped, '').strip()}",
    )


def posting_rows(rounds: Sequence[Postings], failed: int) -> Iterator[Row]:
    """The whole way with traces against the whole way without."""
    yield from _run_rows("no endpoint", [each.off for each in rounds])
    away, taken = [each.away for each in rounds], [each.taken for each in rounds]
    off = [each.off.exits_per_second for each in rounds]
    for what, runs in (
        (f"{failed:,} posted, nobody there", away),
        (f"{failed:,} posted and delivered", taken),
    ):
        yield from _run_rows(what, runs)
        ratios = [run.exits_per_second / without for run, without in zip(runs, off, strict=True)]
        yield _ratio_row("   of no endpoint", ratios)


def _sent_rows(what: str, spans: int, sent: Sequence[Sent]) -> Iterator[Row]:
    rates = [spans / each.seconds for each in sent]
    yield Row(what, rate(median(rates)), f"{spread(rates, '/s')}; all {spans:,} arrived")
    cpu = [1000 * each.cpu_seconds / spans for each in sent]
    yield Row("   processor time for a span", f"{median(cpu):.3f} ms", f"{min(cpu):.3f} to {max(cpu):.3f}")


def _run_rows(what: str, runs: Sequence[Run]) -> Iterator[Row]:
    rates = [run.exits_per_second for run in runs]
    cpu = median(run.cpu_ms_per_exit for run in runs)
    yield Row(what, rate(median(rates)), f"{spread(rates, '/s')}; {cpu:.2f} ms processor time for an exit")


def _ratios(rounds: Iterable[Sendings], other: Callable[[Sendings], Sent]) -> list[float]:
    return [other(each).seconds / each.outbox.seconds for each in rounds]


def _ratio_row(what: str, ratios: Sequence[float]) -> Row:
    return Row(what, f"{median(ratios):.3f}", f"{min(ratios):.3f} to {max(ratios):.3f}")
