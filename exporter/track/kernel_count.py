"""The OOM kills that the kernel has counted, and for which of them somebody accounts. Pure.

The counter names nobody, and it and what names somebody may come in either order: an engine may tell of a
kill a moment before it is counted, or long after. So who accounts for a kill takes the one nearest to it,
and gives it up for one that is nearer still. Kills and what is told of them have times, in nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SECOND_NS = 10**9
_MAX_KILLS = 10_000
# A line of the kernel's log, and the event of a control group that runs out of memory, come just before the
# kill, which is seen a quarter of a second later at the latest.
_AHEAD_NS = SECOND_NS // 2


@dataclass(slots=True)
class _Account:
    """Somebody had a process killed at ``told_ns``; ``counted_ns`` is which one, None while unknown."""

    told_ns: int
    counted_ns: int | None

    def wants(self, counted_ns: int) -> bool:
        """Whether this kill is nearer than what it has."""
        if counted_ns - self.told_ns > _AHEAD_NS:
            return False
        return self.counted_ns is None or self.distance(counted_ns) < self.distance(self.counted_ns)

    def distance(self, counted_ns: int) -> int:
        """How far a kill is from it."""
        return abs(counted_ns - self.told_ns)


class KernelCount:
    """What the kernel has counted lately; what is told more than ``window_ns`` later is another kill."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._kept_ns = 2 * max(window_ns, _AHEAD_NS)
        self._kills: list[int] = []
        self._unexplained: list[int] = []
        self._accounts: deque[_Account] = deque(maxlen=_MAX_KILLS)
        self._latest_ns = 0
        self._latest_told_ns = 0

    @property
    def kills(self) -> Sequence[int]:
        """When kills were counted, whoever accounts for them now; in order."""
        return self._kills

    @property
    def unexplained(self) -> Sequence[int]:
        """Of those, for which nobody accounts; in order."""
        return self._unexplained

    @property
    def latest_ns(self) -> int:
        """When it was last seen to have moved; 0 if it was not."""
        return self._latest_ns

    def may_set_free(self, at_ns: int) -> bool:
        """Whether somebody has told, then or later, of a kill that may not be counted yet."""
        return self._latest_told_ns >= at_ns - _AHEAD_NS

    def counted(self, kills: int, at_ns: int) -> None:
        """The kernel's counter moved by ``kills``."""
        self._latest_ns = at_ns
        self._keep(at_ns - self._kept_ns, at_ns + self._kept_ns)
        for _ in range(min(kills, _MAX_KILLS)):
            insort(self._kills, at_ns)
            self._place(at_ns)
        del self._kills[:-_MAX_KILLS], self._unexplained[:-_MAX_KILLS]

    def explained(self, at_ns: int) -> None:
        """A container accounts for one kill, counted already or just about to be."""
        since_ns, until_ns = at_ns - self._window_ns, at_ns + _AHEAD_NS
        nearest = nearest_to(at_ns, self._unexplained, since_ns, until_ns)
        if nearest is not None:
            self._unexplained.remove(nearest)
        self._accounts.append(_Account(at_ns, nearest))
        self._latest_told_ns = max(self._latest_told_ns, at_ns)

    def _place(self, counted_ns: int) -> None:
        """Give a kill to the nearest who wants it, what that one had to the next, until nobody wants it."""
        left: int | None = counted_ns
        while left is not None:
            account = self._who_wants(left)
            if account is None:
                insort(self._unexplained, left)
                return
            account.counted_ns, left = left, account.counted_ns

    def _who_wants(self, counted_ns: int) -> _Account | None:
        within = (each for each in self._accounts if each.told_ns - counted_ns <= self._window_ns)
        want = (each for each in within if each.wants(counted_ns))
        return min(want, key=lambda each: each.distance(counted_ns), default=None)

    def _keep(self, since_ns: int, until_ns: int) -> None:
        """Forget what is long past, or was told before the clock was set back."""
        for kills in (self._kills, self._unexplained):
            del kills[: bisect_left(kills, since_ns)], kills[bisect_right(kills, until_ns) :]
        kept = (each for each in self._accounts if since_ns <= each.told_ns <= until_ns)
        self._accounts = deque(kept, maxlen=_MAX_KILLS)
        self._latest_told_ns = max((each.told_ns for each in self._accounts), default=0)


def nearest_to(at_ns: int, kills: Sequence[int], since_ns: int, until_ns: int) -> int | None:
    """Of kills in order, from one time to another, the one nearest to ``at_ns``; None if there is none."""
    first, end = bisect_left(kills, since_ns), bisect_right(kills, until_ns)
    after = bisect_left(kills, at_ns, first, max(first, end))
    neighbours = kills[max(first, after - 1) : min(end, after + 1)]
    return min(neighbours, key=lambda kill_ns: abs(at_ns - kill_ns), default=None)
