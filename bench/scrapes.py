"""Scrapes of many series, compared with what prometheus-client takes to write the same counters."""

from collections.abc import Iterator

from bench.child_process import output_of
from bench.percentiles import median
from bench.table import Row

MILLISECOND = 0.001
MAX_RATIO = 0.1
MAX_STEP_SECONDS = 0.005
FIRST = "first"


def measure_scrapes(series: int, rounds: int, repeats: int) -> Iterator[Row]:
    """Yield a row for prometheus-client and for each kind of scrape."""
    found = output_of("bench.scrape_process", series, rounds, repeats)
    reference = median(found["reference"])
    yield Row("prometheus-client: the same series, plain", _milliseconds(reference))
    for name, cost in found["scrapes"].items():
        seconds, step = median(cost["seconds"]), median(cost["longest"])
        ratio = seconds / reference
        # The first one after a start renders all series.
        aim = "" if name.startswith(FIRST) else f"at most {MAX_RATIO} of it; "
        yield Row(
            name,
            _milliseconds(seconds),
            f"{ratio:.3f} of that; longest step {_milliseconds(step)}; {cost['size'] / 1000:,.0f} kB",
            f"{aim}steps of {_milliseconds(MAX_STEP_SECONDS)}",
            step <= MAX_STEP_SECONDS and (not aim or ratio <= MAX_RATIO),
        )
    yield Row("   memory for the text that is kept of a series", f"{found['bytes_per_series']:.0f} bytes")


def _milliseconds(seconds: float) -> str:
    return f"{seconds / MILLISECOND:.1f} ms"
