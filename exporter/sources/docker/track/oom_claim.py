"""Claims to OOM kills that the kernel has counted, and the assignment of kills to claims."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.model import SECOND_NS
from exporter.sources.docker.track.run import Run

# Events and log lines about one kill are at most this far apart.
_SAME_MOMENT_NS = SECOND_NS // 2


@dataclass(frozen=True, slots=True, order=True)
class CountedKill:
    """An OOM kill that the kernel had counted at ``at_ns``; it may have been as early as ``earliest_ns``.

    The two differ where the kernel was asked late: an exporter that got no processor for seconds learns of a
    kill long after the event about it.
    """

    at_ns: int
    earliest_ns: int

    def distance_ns(self, at_ns: int) -> int:
        """Return how far a time is from when it may have been."""
        return max(self.earliest_ns - at_ns, at_ns - self.at_ns, 0)


@dataclass(slots=True, eq=False)
class Claim:
    """An engine's event reports that a process of ``container_id`` was killed at ``at_ns``.

    ``run`` is None if the container belongs to another engine. The kill can be one that was counted from
    ``since_ns`` to ``until_ns``; ``kill`` is the one assigned to the claim, None without one. The claim is
    decided from ``held_until`` on if no other contests it, and at the ``deadline`` in any case; ``due`` is
    when to look at it next. Those times are in seconds. ``is_contested``: several containers claimed the
    kill, and nothing shows whose it was.
    """

    container_id: str
    run: Run | None
    at_ns: int
    since_ns: int
    until_ns: int
    held_until: float
    deadline: float
    due: float
    kill: CountedKill | None = None
    is_contested: bool = False

    def nearest(self, kills: Sequence[CountedKill]) -> CountedKill | None:
        """Return the kill nearest to the event among those that can be its own."""
        return nearest(self.at_ns, kills, self.since_ns, self.until_ns)

    def is_beside(self, others: Iterable[Claim]) -> bool:
        """Return whether one of the others is of the same moment."""
        return any(abs(other.at_ns - self.at_ns) <= _SAME_MOMENT_NS for other in others)


def assign(
    claims: Sequence[Claim],
    accepted: Iterable[Claim],
    kills: list[CountedKill],
    precedence: Callable[[Claim], tuple[bool, bool, int, int]],
) -> None:
    """Assign to each claim, in order of precedence, the nearest of the kills that are left.

    If none is left for a claim, another claim that has one within its reach moves to a kill that is left.
    An accepted claim can move as well: ``kills``, which are not attributed, are then updated.
    """
    left = list(kills)
    ordered = sorted(claims, key=precedence)
    for claim in ordered:
        claim.kill = claim.nearest(left)
        if claim.kill is not None:
            left.remove(claim.kill)
    for claim in ordered:
        if left and claim.kill is None:
            _move_another(claim, claims, accepted, left, kills)


def _move_another(
    claim: Claim,
    claims: Sequence[Claim],
    accepted: Iterable[Claim],
    left: list[CountedKill],
    kills: list[CountedKill],
) -> None:
    for other in (*claims, *accepted):
        if other.kill is None or claim.nearest([other.kill]) is None:
            continue
        instead = other.nearest(left)
        if instead is not None:
            left.remove(instead)
            if other not in claims:
                kills.remove(instead)
                insort(kills, other.kill)
            claim.kill, other.kill = other.kill, instead
            return


def nearest(at_ns: int, kills: Sequence[CountedKill], since_ns: int, until_ns: int) -> CountedKill | None:
    """Return the kill nearest to ``at_ns`` of those that may have been from ``since_ns`` to ``until_ns``.

    The kills are in order, and no two of them were counted in intervals that overlap.
    """
    first = bisect_left(kills, since_ns, key=lambda kill: kill.at_ns)
    end = max(first, bisect_right(kills, until_ns, key=lambda kill: kill.earliest_ns))
    after = bisect_left(kills, at_ns, first, end, key=lambda kill: kill.at_ns)
    neighbours = kills[max(first, after - 1) : min(end, after + 1)]
    return min(neighbours, key=lambda kill: kill.distance_ns(at_ns), default=None)
