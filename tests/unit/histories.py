"""Made-up histories of runs, in words."""

import re
from collections.abc import Iterator

from exporter.report.runs import MemoryHistory, OomCounts, Outcome, Runs

SECOND_NS = 10**9
MIB = 1 << 20
_STRETCH = re.compile(r"(\d+) (completed|killed|killed somewhere) at (\d+)(?: after (\d+) s)?")
_OUTCOMES = {
    "completed": Outcome.COMPLETED,
    "killed": Outcome.OOM_KILLED,
    "killed somewhere": Outcome.OOM_KILLED_LIMIT_UNKNOWN,
}


def history(*stretches: str, oom: OomCounts | None = None) -> MemoryHistory:
    """Return runs one after the other, such as ``14 killed at 512 after 60 s`` (MiB), an hour apart."""
    runs = tuple(_runs(stretches))
    own = sum(each.count for each in runs if each.outcome is Outcome.OOM_KILLED)
    unknown = sum(each.count for each in runs if each.outcome is Outcome.OOM_KILLED_LIMIT_UNKNOWN)
    return MemoryHistory(runs, oom or OomCounts(own=own, unknown=unknown))


def _runs(stretches: tuple[str, ...]) -> Iterator[Runs]:
    hour = 0
    for stretch in stretches:
        number, word, mebibytes, seconds = _STRETCH.fullmatch(stretch).groups()  # type: ignore[union-attr]
        ran_ns = None if seconds is None else int(seconds) * SECOND_NS
        # A kill is a stretch of its own: none lies within another one.
        is_killed = _OUTCOMES[word] is Outcome.OOM_KILLED
        for size in [1] * int(number) if is_killed else [int(number)]:
            first, hour = hour, hour + size
            times = (first * 3600 * SECOND_NS, (hour - 1) * 3600 * SECOND_NS)
            yield Runs(int(mebibytes) * MIB, _OUTCOMES[word], size, *times, ran_ns)
