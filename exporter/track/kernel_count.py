"""The OOM kills that the kernel has counted, and for which of them somebody accounts. Pure.

The counter names nobody, and it and what names somebody may come in either order: an engine may tell of a
kill a moment before it is counted, or long after. So who accounts for a kill takes the one nearest to it,
and gives it up for one that is nearer still.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SECOND_NS = 10**9
_MAX_KILLS = 10_000
# A line of the kernel's log, and the event of a control group that runs out of memory, come just before.
_AHEAD_NS = SECOND_NS


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
    """What the kernel has counted lately; what is more than ``window_ns`` apart is not the same kill."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._kills: list[int] = []
        self._unexplained: list[int] = []
        self._accounts: deque[_Account] = deque(maxlen=_MAX_KILLS)

    @property
    def kills(self) -> Sequence[int]:
        """When kills were counted, whoever accounts for them now; in order."""
        return self._kills

    @property
    def unexplained(self) -> Sequence[int]:
        """Of those, for which nobody accounts; in order."""
        return self._unexplained

    def counted(self, kills: int, at_ns: int) -> None:
        """The kernel's counter moved by ``kills``."""
        self._forget(at_ns - 2 * self._window_ns)
        for _ in range(min(kills, _MAX_KILLS)):
            insort(self._kills, at_ns)
            self._place(at_ns)
        del self._kills[:-_MAX_KILLS], self._unexplained[:-_MAX_KILLS]

    def explained(self, at_ns: int) -> None:
        """A container accounts for one kill, counted already or just about to be."""
        nearest = nearest_to(at_ns, self._unexplained, self._window_ns)
        if nearest is not None:
            self._unexplained.remove(nearest)
        self._accounts.append(_Account(at_ns, nearest))

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
        within = (each for each in self._accounts if each.distance(counted_ns) <= self._window_ns)
        want = (each for each in within if each.wants(counted_ns))
        return min(want, key=lambda each: each.distance(counted_ns), default=None)

    def _forget(self, before_ns: int) -> None:
        del self._kills[: bisect_left(self._kills, before_ns)]
        del self._unexplained[: bisect_left(self._unexplained, before_ns)]
        while self._accounts and self._accounts[0].told_ns < before_ns:
            self._accounts.popleft()


def nearest_to(at_ns: int, kills: Sequence[int], within_ns: int, since: int = 0) -> int | None:
    """Of kills in order, from the one at ``since`` on, the nearest to a moment; None if none is so near."""
    after = bisect_left(kills, at_ns, since)
    neighbours = kills[max(since, after - 1) : after + 1]
    nearest = min(neighbours, key=lambda kill_ns: abs(at_ns - kill_ns), default=None)
    return None if nearest is None or abs(at_ns - nearest) > within_ns else nearest
