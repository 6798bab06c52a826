"""Claims to OOM kills that the kernel has counted, and the assignment of kills to claims."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.model import SECOND_NS
from exporter.sources.docker.track.run import Run

# Events and log lines about one kill are at most this far apart.
_SAME_MOMENT_NS = SECOND_NS // 2


@dataclass(slots=True, eq=False)
class Claim:
    """An engine's event reports that a process of ``container_id`` was killed at ``at_ns``.

    ``run`` is None if the container belongs to another engine. The kill can be one that was counted from
    ``since_ns`` to ``until_ns``; ``kill_ns`` is the one assigned to the claim, None without one. The claim is
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
    kill_ns: int | None = None
    is_contested: bool = False

    def nearest(self, kills: Sequence[int]) -> int | None:
        """Return the kill nearest to the event among those that can be its own."""
        return nearest(self.at_ns, kills, self.since_ns, self.until_ns)

    def is_beside(self, others: Iterable[Claim]) -> bool:
        """Return whether one of the others is of the same moment."""
        return any(abs(other.at_ns - self.at_ns) <= _SAME_MOMENT_NS for other in others)


def assign(
    claims: Sequence[Claim],
    accepted: Iterable[Claim],
    kills: list[int],
    precedence: Callable[[Claim], tuple[bool, int, int]],
) -> None:
    """Assign to each claim, in order of precedence, the nearest of the kills that are left.

    If none is left for a claim, another claim that has one within its reach moves to a kill that is left.
    An accepted claim can move as well: ``kills``, which are not attributed, are then updated.
    """
    left = list(kills)
    ordered = sorted(claims, key=precedence)
    for claim in ordered:
        claim.kill_ns = claim.nearest(left)
        if claim.kill_ns is not None:
            left.remove(claim.kill_ns)
    for claim in ordered:
        if left and claim.kill_ns is None:
            _move_another(claim, claims, accepted, left, kills)


def _move_another(
    claim: Claim, claims: Sequence[Claim], accepted: Iterable[Claim], left: list[int], kills: list[int]
) -> None:
    for other in (*claims, *accepted):
        if other.kill_ns is None or claim.nearest([other.kill_ns]) is None:
            continue
        instead = other.nearest(left)
        if instead is not None:
            left.remove(instead)
            if other not in claims:
                kills.remove(instead)
                insort(kills, other.kill_ns)
            claim.kill_ns, other.kill_ns = other.kill_ns, instead
            return


def nearest(at_ns: int, kills: Sequence[int], since_ns: int, until_ns: int) -> int | None:
    """Return the kill nearest to ``at_ns`` of those from ``since_ns`` to ``until_ns``; kills are in order."""
    first, end = bisect_left(kills, since_ns), bisect_right(kills, until_ns)
    after = bisect_left(kills, at_ns, first, max(first, end))
    neighbours = kills[max(first, after - 1) : min(end, after + 1)]
    return min(neighbours, key=lambda kill_ns: abs(at_ns - kill_ns), default=None)
