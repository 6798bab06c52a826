"""Which OOM kills happened to whom: what names a container, held against what the kernel counts. Pure.

Three witnesses tell of a kill, in any order. A line of the kernel's log names the container and is one kill.
The kernel's counter moves by one for each kill and names nobody. An event of the engine names a container,
but with cgroup v1 it comes for *every* container below the limit that was reached, and several times for one
kill. So a line is believed at once; an event only where the counter has a kill for it that no line explains.
Where more containers claim kills of one moment than were counted, it waits: the one that ends with 137 had
it.

Kills and claims have times, in nanoseconds; ``now`` is in seconds that only ever grow.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.model import SECOND_NS
from exporter.sources.docker.track.run import Run

# An event and a line come just before the kill is counted, which is seen a quarter of a second later at most.
_AHEAD_NS = SECOND_NS // 2
# Events and lines of one moment: an engine may be this late with what it tells of one kill.
_MOMENT_NS = SECOND_NS // 2
_HOLD_SECONDS = 0.5
_MAX_KILLS = 10_000
_MAX_CLAIMS = 1_000
_MAX_BELIEVED = 100
# An engine may be away for this long: its containers' kills are matched when it is back.
_KEPT_NS = 3600 * SECOND_NS

# The rank of who ended as somebody does who was killed: with 137.
CERTAIN = 3

Rank = Callable[["Claim"], int]


@dataclass(slots=True, eq=False)
class Claim:
    """An engine's event says that a process of ``container_id`` was killed at ``at_ns``.

    ``run`` is None of another engine's container. It is decided from ``held_until`` on if no other contests
    it, at the ``deadline`` whatever else may come, and looked at when it is ``due``. ``contested``: nothing
    could tell which of several containers had the kill.
    """

    container_id: str
    run: Run | None
    at_ns: int
    held_until: float
    deadline: float
    due: float
    kill_ns: int | None = None
    contested: bool = False


@dataclass(slots=True, eq=False)
class _Line:
    """A line of the kernel's log; ``told`` once an event of its container was taken for the same kill."""

    container_id: str | None
    at_ns: int
    counted: bool = False
    told: bool = False


class OomMatcher:
    """The kills that the kernel has counted on one host lately, and who claims them.

    ``window_ns`` is how late an event may be. The counter is watched since ``counted_since_ns``; an event of
    before is believed, and any event where there is no counter (None).
    """

    def __init__(self, window_ns: int, counted_since_ns: int | None) -> None:
        self._window_ns = window_ns
        self._counted_since_ns = counted_since_ns
        self._free: list[int] = []
        self._lines: deque[_Line] = deque(maxlen=_MAX_KILLS)
        self._claims: list[Claim] = []
        self._believed: deque[Claim] = deque(maxlen=_MAX_BELIEVED)
        self._undecided: Counter[Run | None] = Counter()
        self._latest_ns = 0
        self._stirred = False

    @property
    def free(self) -> Sequence[int]:
        """When kills were counted that neither a line nor a decided claim explains; in order."""
        return self._free

    @property
    def unclaimed(self) -> list[int]:
        """Of these, those that no claim has a hold on either, though it is not decided yet."""
        left = list(self._free)
        for claim in self._claims:
            # A line that was read since may have taken what the claim had a hold on.
            if claim.kill_ns in left:
                left.remove(claim.kill_ns)
        return left

    @property
    def latest_ns(self) -> int:
        """When the counter was last seen to have moved; 0 if it was not."""
        return self._latest_ns

    @property
    def next_due(self) -> float | None:
        """When ``decide`` has something to decide at the latest; None while no claim waits."""
        return min((claim.due for claim in self._claims), default=None)

    def is_undecided(self, run: Run) -> bool:
        """Whether a kill of this run was reported and is not decided yet."""
        return self._undecided[run] > 0

    def counted(self, kills: int, at_ns: int) -> None:
        """The kernel's counter has moved by ``kills``."""
        if kills <= 0:
            return
        self._latest_ns, self._stirred = at_ns, True
        self._forget(at_ns)
        waiting = [line for line in self._lines if not line.counted and at_ns - line.at_ns <= _AHEAD_NS]
        for line in waiting[:kills]:
            line.counted = True
        for _ in range(min(kills, _MAX_KILLS) - len(waiting)):
            insort(self._free, at_ns)
        del self._free[:-_MAX_KILLS]

    def logged(self, container_id: str | None, at_ns: int) -> None:
        """The kernel's log tells of a kill; ``container_id`` is None where it names no container."""
        line = _Line(container_id, at_ns)
        nearest = nearest_to(at_ns, self._free, at_ns - _AHEAD_NS, at_ns + _AHEAD_NS)
        if nearest is not None:
            self._free.remove(nearest)
            line.counted = True
        same = [claim for claim in self._claims if _is_same(claim.container_id, claim.at_ns, line)]
        if same:
            self._drop(min(same, key=lambda claim: abs(claim.at_ns - at_ns)))
            line.told = True
        self._lines.append(line)
        self._stirred = True

    def reported(self, container_id: str, run: Run | None, at_ns: int, now: float) -> bool:
        """An engine's event tells of a kill. Return whether it is believed, since nothing can refute it.

        Otherwise a line has told of the same kill already, or ``decide`` will tell.
        """
        for line in self._lines:
            if not line.told and _is_same(container_id, at_ns, line):
                line.told = True
                return False
        since_ns = self._counted_since_ns
        if since_ns is None or at_ns <= since_ns or len(self._claims) >= _MAX_CLAIMS:
            return True
        until, deadline = now + _HOLD_SECONDS, now + self._window_ns / SECOND_NS
        self._claims.append(Claim(container_id, run, at_ns, until, deadline, due=until))
        self._undecided[run] += 1
        self._stirred = True
        return False

    def stir(self) -> None:
        """Something about a claimant has changed: it has ended, or waits no longer."""
        self._stirred = True

    def take(self, kill_ns: int) -> None:
        """Somebody is found to have had this kill, though nothing named it."""
        self._free.remove(kill_ns)

    def decide(self, now: float, rank: Rank, *, must: Callable[[Claim], bool]) -> list[tuple[Claim, bool]]:
        """The claims that can be decided now, and whether they are true.

        ``rank`` says how likely a claimant is to have been killed, ``CERTAIN`` if it ended as if it was.
        ``must`` says which claims cannot wait any longer.
        """
        due = self.next_due
        if due is None or not (self._stirred or due <= now):
            return []
        self._stirred = False
        decided: list[tuple[Claim, bool]] = []
        # What is decided of one may decide on another of the same moment.
        while found := self._decidable(now, rank, must):
            decided += [(claim, claim.kill_ns is not None) for claim in found]
            self._settle(found)
        for claim in self._claims:
            # Contested: only another's end decides, or the deadline.
            claim.due = claim.deadline if claim.due <= now else claim.due
        return decided

    def _decidable(self, now: float, rank: Rank, must: Callable[[Claim], bool]) -> list[Claim]:
        ranks = {claim: rank(claim) for claim in self._claims}
        # The kill of a claim that is held may not be counted yet: it must not take another's meanwhile.
        held = {claim for claim in self._claims if claim.held_until > now and ranks[claim] < CERTAIN}
        order = sorted(self._claims, key=lambda claim: (claim in held, -ranks[claim], claim.at_ns))
        self._assign(order)
        lacking = self._lacking()
        found = []
        for claim in self._claims:
            contested = _is_beside(claim, lacking) if claim.kill_ns is not None else self._may_yet_get(claim)
            contested = (contested or claim.contested) and ranks[claim] < CERTAIN
            if contested and (claim.deadline <= now or must(claim)):
                # Nobody is blamed whom nothing names alone, nor who is left when the others are not.
                self._contest(claim)
                return [claim]
            certain = ranks[claim] >= CERTAIN and claim.kill_ns is not None
            if certain or (not contested and (claim.held_until <= now or must(claim))):
                found.append(claim)
        return found

    def _contest(self, claim: Claim) -> None:
        """Refuse a claim of which it cannot be told whether it is true, and remember that of its rivals."""
        for rival in self._claims:
            rival.contested |= rival.container_id != claim.container_id and _is_beside(claim, [rival])
        claim.kill_ns, claim.contested = None, True

    def _settle(self, decided: Iterable[Claim]) -> None:
        for claim in decided:
            self._drop(claim)
            if claim.kill_ns is not None:
                self.take(claim.kill_ns)
                self._believed.append(claim)

    def _drop(self, claim: Claim) -> None:
        self._claims.remove(claim)
        self._undecided[claim.run] -= 1
        if not self._undecided[claim.run]:
            del self._undecided[claim.run]

    def _lacking(self) -> list[Claim]:
        """The first claim of each container that gets no kill at all."""
        having = {claim.container_id for claim in self._claims if claim.kill_ns is not None}
        first: dict[str, Claim] = {}
        for claim in self._claims:
            if claim.container_id not in having:
                first.setdefault(claim.container_id, claim)
        return list(first.values())

    def _assign(self, claims: Sequence[Claim]) -> None:
        """Give each claim, the likeliest first, the free kill that is nearest to it.

        Where none is left for one, another claim that has one in its reach moves on to a free one.
        """
        left = list(self._free)
        for claim in claims:
            claim.kill_ns = self._nearest(claim, left)
            if claim.kill_ns is not None:
                left.remove(claim.kill_ns)
        for claim in claims:
            if left and claim.kill_ns is None:
                self._make_room(claim, left)

    def _make_room(self, claim: Claim, left: list[int]) -> None:
        for other in (*self._claims, *self._believed):
            if other.kill_ns is None or self._nearest(claim, [other.kill_ns]) is None:
                continue
            instead = self._nearest(other, left)
            if instead is not None:
                left.remove(instead)
                self._swap(other, instead)
                claim.kill_ns, other.kill_ns = other.kill_ns, instead
                return

    def _swap(self, other: Claim, instead: int) -> None:
        """A claim that was decided on has had another kill than it was thought."""
        if other in self._believed and other.kill_ns is not None:
            self._free.remove(instead)
            insort(self._free, other.kill_ns)

    def _nearest(self, claim: Claim, kills: Sequence[int]) -> int | None:
        at_ns = claim.at_ns
        return nearest_to(at_ns, kills, at_ns - self._window_ns, at_ns + _AHEAD_NS)

    def _may_yet_get(self, claim: Claim) -> bool:
        """Whether another's claim, which has a kill now, may turn out to be untrue."""
        others = (other for other in self._claims if other.container_id != claim.container_id)
        return any(
            other.kill_ns is not None and abs(other.at_ns - claim.at_ns) <= _MOMENT_NS for other in others
        )

    def _forget(self, at_ns: int) -> None:
        """Forget what is long past, or was seen before the clock was set back."""
        since_ns, until_ns = at_ns - _KEPT_NS, at_ns + self._window_ns
        del self._free[: bisect_left(self._free, since_ns)], self._free[bisect_right(self._free, until_ns) :]
        self._lines = deque(
            (line for line in self._lines if at_ns - 2 * self._window_ns <= line.at_ns <= until_ns),
            maxlen=_MAX_KILLS,
        )


def nearest_to(at_ns: int, kills: Sequence[int], since_ns: int, until_ns: int) -> int | None:
    """Of kills in order, from one time to another, the one nearest to ``at_ns``; None if there is none."""
    first, end = bisect_left(kills, since_ns), bisect_right(kills, until_ns)
    after = bisect_left(kills, at_ns, first, max(first, end))
    neighbours = kills[max(first, after - 1) : min(end, after + 1)]
    return min(neighbours, key=lambda kill_ns: abs(at_ns - kill_ns), default=None)


def _is_same(container_id: str, at_ns: int, line: _Line) -> bool:
    """Whether an event tells of the kill of which the kernel's log does."""
    return line.container_id == container_id and abs(at_ns - line.at_ns) <= 2 * SECOND_NS


def _is_beside(claim: Claim, others: Sequence[Claim]) -> bool:
    """Whether one of these is of the same moment."""
    return any(abs(other.at_ns - claim.at_ns) <= _MOMENT_NS for other in others)
