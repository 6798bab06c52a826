"""Matches the OOM kills that engine and kernel report to those that the kernel counts.

Three sources report a kill, in any order. A line of the kernel's log names the container and stands for one
kill. The kernel's counter moves by one for each kill and names nothing. An event of the engine names a
container, but with cgroup v1 it comes for *every* container below the limit that was reached, and several
times for one kill. So a line is always accepted; an event claims a counted kill that no line accounts for.
Each event claims the nearest counted kill, and swaps it if a nearer one is counted later. If more containers
claim kills of one moment than were counted, the claims wait: the container that exits with 137 had the kill.

Times of kills and claims are in nanoseconds of the engine's clock; ``now`` is in seconds and never decreases.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from exporter.model import SECOND_NS
from exporter.sources.docker.engine import KERNEL_POLL_SECONDS
from exporter.sources.docker.track.oom_claim import Claim, CountedKill, assign, nearest
from exporter.sources.docker.track.run import Run

_POLL_NS = int(KERNEL_POLL_SECONDS * SECOND_NS)
# Event and line come just before the kill is counted.
_COUNT_DELAY_NS = 2 * _POLL_NS
# An event and a line about one kill are at most this far apart.
_SAME_KILL_NS = 2 * SECOND_NS
# A claim waits this long for the poll that counts its kill, and for claims of other containers.
_HOLD_SECONDS = 2 * KERNEL_POLL_SECONDS
_MAX_KILLS = 10_000
_MAX_CLAIMS = 1_000
_MAX_ACCEPTED = 100
# An engine may be away this long: kills of its containers are matched when it is back.
_KEPT_NS = 3600 * SECOND_NS

# Rank of a claim whose run exited as a killed one does: with 137.
CERTAIN = 3

Rank = Callable[[Claim], int]


@dataclass(slots=True, eq=False)
class _Line:
    """A kill in the kernel's log. ``has_event``: an event was received for the same kill."""

    container_id: str | None
    at_ns: int
    is_counted: bool = False
    has_event: bool = False

    def is_same_kill(self, container_id: str, at_ns: int) -> bool:
        """Return whether an event reports this kill."""
        return self.container_id == container_id and abs(at_ns - self.at_ns) <= _SAME_KILL_NS


class OomMatcher:
    """Recently counted kills of one host, and the claims to them.

    ``window_ns`` is how late an event may be. ``counted_since_ns`` is since when the counter is polled: an
    event from before is accepted, and every event if there is no counter (None).
    """

    def __init__(self, window_ns: int, counted_since_ns: int | None) -> None:
        self._window_ns = window_ns
        self._counted_since_ns = counted_since_ns
        self._kills: list[CountedKill] = []
        self._lines: deque[_Line] = deque(maxlen=_MAX_KILLS)
        self._claims: list[Claim] = []
        self._accepted: deque[Claim] = deque(maxlen=_MAX_ACCEPTED)
        self._undecided: Counter[Run | None] = Counter()
        self._last_counted_ns = 0
        self._has_changed = False

    @property
    def unattributed(self) -> Sequence[CountedKill]:
        """The counted kills that neither a line nor an accepted claim accounts for, in order."""
        return self._kills

    @property
    def unclaimed(self) -> list[CountedKill]:
        """The unattributed kills that are not assigned to an undecided claim either, in order."""
        left = list(self._kills)
        for claim in self._claims:
            # A line read since then may have taken the kill that was assigned to the claim.
            if claim.kill in left:
                left.remove(claim.kill)
        return left

    @property
    def last_counted_ns(self) -> int:
        """Time at which the counter was last seen to have moved; 0 if never."""
        return self._last_counted_ns

    @property
    def next_due(self) -> float | None:
        """Time at which ``decide`` must be called at the latest; None without claims."""
        return min((claim.due for claim in self._claims), default=None)

    def is_undecided(self, run: Run) -> bool:
        """Return whether there is a claim for this run that is not decided."""
        return self._undecided[run] > 0

    def counter_moved(self, kills: int, at_ns: int, since_ns: int | None = None) -> None:
        """Add as many kills as the kernel's counter has moved by, less those in lines read before.

        ``since_ns`` is when the counter was read before, None if that is not known.
        """
        if kills <= 0:
            return
        self._last_counted_ns, self._has_changed = at_ns, True
        self._forget(at_ns)
        kill = CountedKill(at_ns, min(at_ns, (at_ns if since_ns is None else since_ns) + _POLL_NS))
        waiting = [
            line
            for line in self._lines
            if not line.is_counted and kill.earliest_ns - line.at_ns <= _COUNT_DELAY_NS
        ]
        for line in waiting[:kills]:
            line.is_counted = True
        for _ in range(min(kills, _MAX_KILLS) - len(waiting)):
            insort(self._kills, kill)
        del self._kills[:-_MAX_KILLS]

    def line_logged(self, container_id: str | None, at_ns: int) -> None:
        """Add a kill from the kernel's log; ``container_id`` is None if it was in no container."""
        line = _Line(container_id, at_ns)
        counted = nearest(at_ns, self._kills, at_ns - _COUNT_DELAY_NS, at_ns + _COUNT_DELAY_NS)
        if counted is not None:
            self._kills.remove(counted)
            line.is_counted = True
        same = [claim for claim in self._claims if line.is_same_kill(claim.container_id, claim.at_ns)]
        if same:
            self._drop(min(same, key=lambda claim: abs(claim.at_ns - at_ns)))
            line.has_event = True
        self._lines.append(line)
        self._has_changed = True

    def event_reported(self, container_id: str, run: Run | None, at_ns: int, now: float) -> bool:
        """Return whether a kill reported by an event is accepted at once, since nothing could refute it.

        Otherwise a line has reported the same kill, or the event becomes a claim for ``decide``.
        """
        for line in self._lines:
            if not line.has_event and line.is_same_kill(container_id, at_ns):
                line.has_event = True
                return False
        counted_ns = self._counted_since_ns
        if counted_ns is None or at_ns <= counted_ns or len(self._claims) >= _MAX_CLAIMS:
            return True
        since_ns, until_ns = at_ns - self._window_ns, at_ns + _COUNT_DELAY_NS
        held_until, deadline = now + _HOLD_SECONDS, now + self._window_ns / SECOND_NS
        claim = Claim(container_id, run, at_ns, since_ns, until_ns, held_until, deadline, due=held_until)
        self._claims.append(claim)
        self._undecided[run] += 1
        self._has_changed = True
        return False

    def recheck(self) -> None:
        """Let the next ``decide`` check all claims: the rank of one has changed, or it can wait no longer."""
        self._has_changed = True

    def attribute(self, kill: CountedKill) -> None:
        """Remove a counted kill that was found to be a certain run's."""
        self._kills.remove(kill)

    def decide(self, now: float, rank: Rank, *, must: Callable[[Claim], bool]) -> list[tuple[Claim, bool]]:
        """Return the claims that can be decided now, each with whether it is accepted.

        ``rank`` returns how likely a claimant is to have been killed, ``CERTAIN`` if it exited as if it was.
        ``must`` returns whether a claim cannot wait any longer.
        """
        due = self.next_due
        if due is None or not (self._has_changed or due <= now):
            return []
        self._has_changed = False
        decided: list[tuple[Claim, bool]] = []
        # The decision on one claim may decide others of the same moment.
        while found := self._decidable(now, rank, must):
            decided += [(claim, claim.kill is not None) for claim in found]
            self._settle(found)
        for claim in self._claims:
            # It is contested: only the exit of another claimant decides it, or the deadline.
            claim.due = claim.deadline if claim.due <= now else claim.due
        return decided

    def _decidable(self, now: float, rank: Rank, must: Callable[[Claim], bool]) -> list[Claim]:
        ranks = {claim: rank(claim) for claim in self._claims}
        # The kill of a held claim may not be counted yet: until then it must not take another's.
        held = {claim for claim in self._claims if claim.held_until > now and ranks[claim] < CERTAIN}
        # An engine may report one kill twice: the second report must not take the kill of another container.
        repeated = {claim for claim in self._repeated() if ranks[claim] < CERTAIN}
        assign(
            self._claims,
            self._accepted,
            self._kills,
            precedence=lambda claim: (claim in held, claim in repeated, -ranks[claim], claim.at_ns),
        )
        lacking = self._without_kill(repeated)
        found = []
        for claim in self._claims:
            contested = claim.is_beside(lacking) if claim.kill is not None else self._may_get_kill(claim)
            contested = (contested or claim.is_contested) and ranks[claim] < CERTAIN
            if contested and (claim.deadline <= now or must(claim)):
                # Nothing names this container alone, nor the one that is left when the others are refused.
                self._refuse(claim)
                return [claim]
            certain = ranks[claim] >= CERTAIN and claim.kill is not None
            if certain or (not contested and (claim.held_until <= now or must(claim))):
                found.append(claim)
        return found

    def _refuse(self, claim: Claim) -> None:
        """Refuse a claim that cannot be decided, and mark its rivals as contested."""
        for rival in self._claims:
            rival.is_contested |= rival.container_id != claim.container_id and claim.is_beside([rival])
        claim.kill, claim.is_contested = None, True

    def _settle(self, decided: Iterable[Claim]) -> None:
        for claim in decided:
            self._drop(claim)
            if claim.kill is not None:
                self.attribute(claim.kill)
                self._accepted.append(claim)

    def _drop(self, claim: Claim) -> None:
        self._claims.remove(claim)
        self._undecided[claim.run] -= 1
        if not self._undecided[claim.run]:
            del self._undecided[claim.run]

    def _without_kill(self, repeated: Collection[Claim]) -> list[Claim]:
        """Return the first claim of each container none of whose claims of that moment has a kill."""
        served = {claim.container_id for claim in self._claims if claim.kill is not None}
        first: dict[str, Claim] = {}
        for claim in self._claims:
            if claim.container_id not in served and claim not in repeated:
                first.setdefault(claim.container_id, claim)
        return list(first.values())

    def _repeated(self) -> set[Claim]:
        """Return the claims before which one of the same container and moment was made or accepted."""
        made: defaultdict[str, list[Claim]] = defaultdict(list)
        for accepted in self._accepted:
            made[accepted.container_id].append(accepted)
        repeated = set()
        for claim in self._claims:
            if claim.is_beside(made[claim.container_id]):
                repeated.add(claim)
            made[claim.container_id].append(claim)
        return repeated

    def _may_get_kill(self, claim: Claim) -> bool:
        """Return whether the claim of another container, which has a kill now, may still be refused."""
        others = (other for other in self._claims if other.container_id != claim.container_id)
        return claim.is_beside(other for other in others if other.kill is not None)

    def _forget(self, at_ns: int) -> None:
        """Forget kills that are long past, or from before the clock was set back."""
        since_ns, until_ns = at_ns - _KEPT_NS, at_ns + self._window_ns
        del self._kills[: bisect_left(self._kills, since_ns, key=_at_ns)]
        del self._kills[bisect_right(self._kills, until_ns, key=_at_ns) :]
        recent = (line for line in self._lines if at_ns - 2 * self._window_ns <= line.at_ns <= until_ns)
        self._lines = deque(recent, maxlen=_MAX_KILLS)


def _at_ns(kill: CountedKill) -> int:
    return kill.at_ns
