"""PromQL for what a counter has gained lately, right where ``increase()`` is not.

``increase()`` sees nothing of a series that is born at 1, which is how the first OOM kill of a
workload may come, and everything of a counter's history where one that is kept comes back. Here
the last value in the window is held against the last one before it. Where there is none before, the
value is all news if the exporter had read by then what its engine still knew of, and history if it had not.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from exporter.metrics.definitions import EXITS_UNOBSERVED, Metric

WATCHED = EXITS_UNOBSERVED
"""An exporter has this one of a host only from the moment on at which it has counted what its engine knew."""


def selector(metric: Metric, matchers: str = "") -> str:
    """The series of a metric that match."""
    return f"{metric.name}{{{matchers}}}" if matchers else metric.name


def increase(
    metric: Metric, window: str, look_back: str, matchers: str = "", *, since: str | None = None
) -> str:
    """What each series has gained within the window, 0 where nothing; absent where nobody can know.

    A counter that has fallen was set back: then its value is what it has gained since. With ``since``, an
    exporter that was not there before the window, but for so long, tells what it has gained since its first
    scrape: a long window need not be over first.
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
            *_was_there(metric, look_back, window),
            *(_gained_since_first(metric, series, window, look_back, since) if since else ()),
        ]
    )


def _was_there(metric: Metric, look_back: str, before: str) -> list[str]:
    # Not `on (job, instance, host)`: a target's labels are whatever relabelling has made of them. And what
    # an exporter says of itself is of no host.
    ignored = set(metric.labels) ^ set(WATCHED.labels)
    return [
        f"and ignoring ({', '.join(sorted(ignored))})",
        # Not `up`, which is there, as 0, also while nothing answers: before an engine was listed, all that
        # is found there would be news.
        f"last_over_time({WATCHED.name}[{look_back}] offset {before})",
    ]


def _gained_since_first(metric: Metric, series: str, window: str, look_back: str, since: str) -> list[str]:
    return [
        "or",
        f"last_over_time({series}[{window}])",
        "-",
        f"min_over_time({series}[{window}])",
        *_was_there(metric, look_back, since),
    ]


def once(expression: str, labels: Iterable[str], steady: str, replica: Iterable[str]) -> str:
    """What several exporters of one engine say, said once; ``steady`` holds for those that are believed.

    Not the highest of all: one that was away, and makes good what it has missed, would repeat what
    another has told in time.
    """
    without = f"max without ({', '.join(replica)}) (\n"
    steadily = f"{expression}\nand ignoring ({', '.join(labels)})\n{steady}"
    return f"{without}{indent(steadily, '  ')}\n)\nor\n{without}{indent(expression, '  ')}\n)"


def total(expression: str, without: Iterable[str]) -> str:
    """The sum over some labels; all others stay, also those that only the user knows."""
    if "\n" in expression:
        return f"sum without ({', '.join(without)}) (\n{indent(expression, '  ')}\n)"
    return f"sum without ({', '.join(without)}) ({expression})"
