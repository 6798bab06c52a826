"""PromQL for what a counter has gained lately, right where ``increase()`` is not.

``increase()`` sees nothing of a series that is born at 1, which is how the first OOM kill of a
workload may come, and everything of a counter's history where one that is kept comes back. Here
the last value in the window is held against the last one before it. Where there is none before, the
value is all news if the target was being scraped then, and history if it was not.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from exporter.telemetry.catalogue import BUILD_INFO, Metric


def selector(metric: Metric, matchers: str = "") -> str:
    """The series of a metric that match."""
    return f"{metric.name}{{{matchers}}}" if matchers else metric.name


def increase(metric: Metric, window: str, look_back: str, matchers: str = "") -> str:
    """What each series has gained within the window, 0 where nothing; absent where nobody can know.

    A counter that has fallen was set back: then its value is what it has gained since.
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
            _of_targets(metric.labels),
            _scraped(look_back, window),
        ]
    )


def once(expression: str, labels: Iterable[str], window: str, steady: str, replica: Iterable[str]) -> str:
    """What several exporters of one engine say, said once.

    Not the highest of all: one that was away, and makes good what it has missed, would repeat what
    another has told in time.
    """
    without = f"max without ({', '.join(replica)}) (\n"
    steadily = "\n".join([expression, _of_targets(labels), _scraped(steady, window)])
    return f"{without}{indent(steadily, '  ')}\n)\nor\n{without}{indent(expression, '  ')}\n)"


def total(expression: str, without: Iterable[str]) -> str:
    """The sum over some labels; all others stay, also those that only the user knows."""
    if "\n" in expression:
        return f"sum without ({', '.join(without)}) (\n{indent(expression, '  ')}\n)"
    return f"sum without ({', '.join(without)}) ({expression})"


def _of_targets(labels: Iterable[str]) -> str:
    # Not `on (job, instance)`: a target's labels are whatever relabelling has made of them.
    return f"and ignoring ({', '.join([*labels, *BUILD_INFO.labels])})"


def _scraped(for_long: str, before: str) -> str:
    # Not `up`, which is there, as 0, also while nothing answers.
    return f"last_over_time({BUILD_INFO.name}[{for_long}] offset {before})"
