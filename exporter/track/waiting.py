"""The waiting room: runs that have ended, for as long as something may yet come that changes the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.engines.port import KernelKills
from exporter.evidence import SECOND_NS, SIGKILL_CODE, RunRecord, oom_count, requested_end, weigh
from exporter.model import Exit, OomKill, Witness
from exporter.track.kernel_count import KernelCount, nearest_to
from exporter.track.records import Rules, Run

_MAX_KEPT = 1_000
# Jobs mostly succeed: a kill that names nobody and is further from a success than this is rather another's.
_SURVIVED_NS = SECOND_NS
# An engine tells of a start this much after it, at the most: who is killed at once was killed before that.
_TOLD_LATE_NS = SECOND_NS


class WaitingRoom:
    """Keeps ended runs until they can be judged, and the OOM kills that the kernel has counted."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._runs: list[Run] = []
        self._kernel = KernelCount(rules.oom_window_ns)

    @property
    def next_due(self) -> float | None:
        """When the next run is let go at the latest; None while nothing waits."""
        return min((self._due(run) for run in self._runs), default=None)

    @property
    def told_ns(self) -> list[int]:
        """When those ended who wait here, as far as an event has told of it."""
        return [run.ended_ns for run in self._runs if run.seen_ending]

    def enter(self, run: Run, now: float) -> None:
        """A run has ended."""
        run.enrich_by, run.oom_by = now + self._rules.enrich_seconds, now + self._rules.oom_seconds
        run.counted_ns = self._kernel.latest_ns
        run.container.ending.append(run)
        self._runs.append(run)

    def leave(self, now: float) -> list[Exit]:
        """The exits of all runs that need not wait any longer."""
        due = [run for run in self._runs if self._due(run) <= now]
        # The likeliest is judged first: who is left has nobody's claims to think through.
        exits = {run: self._finished(run) for run in sorted(due, key=_likelihood, reverse=True)}
        return [exits[run] for run in due]

    def counted(self, kills: KernelKills) -> None:
        """The kernel's counter has moved."""
        self._kernel.counted(kills.counted, kills.at_ns)

    def oom_killed(self, run: Run, oom_kill: OomKill) -> None:
        """A run had a process killed for memory; what one witness has said, another only repeats."""
        if len(run.oom_kills) >= _MAX_KEPT:
            return
        before = oom_count(run.oom_kills)
        run.oom_kills.append(oom_kill)
        if oom_count(run.oom_kills) > before:
            self.explained(run.ended_ns if oom_kill.at_ns is None else oom_kill.at_ns)

    def explained(self, at_ns: int) -> None:
        """Somebody accounts for a kill."""
        self._kernel.explained(at_ns)

    def _due(self, run: Run) -> float:
        """Until when something may come that would change the verdict; in the past if nothing can."""
        enriched = run.enrich_by if run.container.inspections or run.log_awaited else 0.0
        told = run.oom_by if self._may_have_lost(run) else 0.0
        return max(enriched, told)

    def _may_have_lost(self, run: Run) -> bool:
        """Whether there may have been an OOM kill of which nobody has told yet, and it would matter."""
        # A success without a limit has had a kill only where the whole host was out of memory.
        if run.code == 0 and run.container.memory_limit_bytes is None:
            return False
        if not run.seen_ending or run.oom_kills or requested_end(run.kills, run.container.stop_signal):
            return False
        if not self._rules.kernel_counts:
            return True
        open_kills = (
            self._kernel.kills if self._kernel.may_set_free(run.ended_ns) else self._kernel.unexplained
        )
        return self._nearest(run, open_kills) is not None

    def _nearest(self, run: Run, kills: Sequence[int]) -> int | None:
        """Of kills that the kernel has counted, the one in this run that is nearest to its end."""
        window_ns = self._rules.oom_window_ns
        if run.code == 0:
            window_ns = min(window_ns, _SURVIVED_NS)
        since_ns = max(_may_have_begun_ns(run), run.ended_ns - window_ns)
        # The kernel is asked at each end: what it counts only later did not end this run.
        until_ns = min(run.counted_ns, run.ended_ns + window_ns)
        return nearest_to(run.ended_ns, kills, since_ns, until_ns)

    def _finished(self, run: Run) -> Exit:
        self._runs.remove(run)
        run.container.ending.remove(run)
        last = run.container.last_run
        if last is None or last.began_ns < run.began_ns:
            run.container.last_run = run
        self._take_kernels_word(run)
        record = RunRecord(
            run.code,
            run.ended_ns,
            run.kills,
            run.oom_kills,
            run.container.stop_signal,
            self._rules.oom_window_ns,
            run.started_ns,
            run.lost_with_host,
        )
        return Exit(
            run.job(self._rules),
            run.code,
            run.ended_ns,
            weigh(record),
            oom_count(run.oom_kills),
            recovered=run.replayed or not run.seen_ending,
            log_tail=run.log_tail,
        )

    def _take_kernels_word(self, run: Run) -> None:
        """A kill that nobody else accounts for is this run's, unless a likelier one waits for it."""
        left = list(self._kernel.unexplained)
        is_open = self._rules.kernel_counts and self._may_have_lost(run)
        if not is_open or self._nearest(run, left) is None:
            return
        for other in self._likelier(run):
            claimed = self._nearest(other, left)
            if claimed is not None:
                left.remove(claimed)
        mine = self._nearest(run, left)
        if mine is not None:
            self.oom_killed(run, OomKill(Witness.COUNTER, mine))

    def _likelier(self, run: Run) -> list[Run]:
        """Who waits for a kill that is rather theirs, the likeliest first."""
        likelier = [other for other in self._runs if _likelihood(other) > _likelihood(run)]
        return [
            other for other in sorted(likelier, key=_likelihood, reverse=True) if self._may_have_lost(other)
        ]


def _likelihood(run: Run) -> tuple[bool, bool, bool]:
    """Of two ends, an OOM kill that names nobody is rather that of the greater one."""
    return run.code == SIGKILL_CODE, run.container.memory_limit_bytes is not None, run.code != 0


def _may_have_begun_ns(run: Run) -> int:
    """When it began at the earliest."""
    if not run.seen_beginning:
        return run.started_ns or 0
    return run.began_ns if run.tried_ns is None else max(run.tried_ns, run.began_ns - _TOLD_LATE_NS)
