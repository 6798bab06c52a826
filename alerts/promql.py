"""PromQL for the increase of a counter, correct where ``increase()`` is not.

``increase()`` ignores the first value of a series, although the first OOM kill of a workload may appear as a
new series with the value 1. And if a series comes back after a gap, it counts its whole history. Therefore
the last value in the window is compared with the last one before it. If there is none before it, the value is
new if the exporter had already counted what its engine still knew, otherwise it is history.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from exporter.metrics.definitions import EXITS_UNOBSERVED, Metric

BACKFILL_DONE = EXITS_UNOBSERVED
"""An exporter has a series of this metric for a host only after it has counted what the engine still knew."""


def selector(metric: Metric, matchers: str = "") -> str:
    """Return a selector of the series of a metric."""
    return f"{metric.name}{{{matchers}}}" if matchers else metric.name


def increase(
    metric: Metric, window: str, look_back: str, matchers: str = "", *, since: str | None = None
) -> str:
    """Return the increase of each series within the window; series without a known increase are absent.

    A counter with a lower value than before was reset: its whole value is the increase. ``since`` is for long
    windows: an exporter that was not there before the window, but that long ago, has the increase since its
    first scrape.
    """
    series = selector(metric, matchers)
    return "\n".join(
        [
            f"last_over_time({series}[{window}])",
            "-",
            f"last_over_time({series}[{look_back}] offset {window})",
            ">= 0",
            "or",
            f"last_over_time({series}[{window}])",
            *_if_backfilled(metric, look_back, window),
            *(_increase_since_first(metric, series, window, look_back, since) if since else ()),
        ]
    )


def _if_backfilled(metric: Metric, look_back: str, before: str) -> list[str]:
    # Not `on (job, instance, host)`: relabelling can give targets any labels. And what an exporter counts
    # about itself has no host.
    ignored = set(metric.labels) ^ set(BACKFILL_DONE.labels)
    return [
        f"and ignoring ({', '.join(sorted(ignored))})",
        # Not `up`: it is there, with the value 0, even if nothing answers. Then everything that is found when
        # the engine is listed first would be new.
        f"last_over_time({BACKFILL_DONE.name}[{look_back}] offset {before})",
    ]


def _increase_since_first(metric: Metric, series: str, window: str, look_back: str, since: str) -> list[str]:
    return [
        "or",
        f"last_over_time({series}[{window}])",
        "-",
        f"min_over_time({series}[{window}])",
        *_if_backfilled(metric, look_back, since),
    ]


def deduplicate(expression: str, labels: Iterable[str], reliable: str, replica: Iterable[str]) -> str:
    """Return the series of several exporters of one engine as one; the ``reliable`` ones are preferred.

    Not simply the highest: an exporter that was down, and counts now what it missed, would repeat what
    another one has counted in time.
    """
    without = f"max without ({', '.join(replica)}) (\n"
    preferred = f"{expression}\nand ignoring ({', '.join(labels)})\n{reliable}"
    return f"{without}{indent(preferred, '  ')}\n)\nor\n{without}{indent(expression, '  ')}\n)"


def sum_without(expression: str, labels: Iterable[str]) -> str:
    """Return the sum over some labels; all others stay, also those that the user has added to targets."""
    if "\n" in expression:
        return f"sum without ({', '.join(labels)}) (\n{indent(expression, '  ')}\n)"
    return f"sum without ({', '.join(labels)}) ({expression})"
