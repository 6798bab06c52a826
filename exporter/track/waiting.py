"""The waiting room: runs that have ended, for as long as something may yet come that changes the verdict."""

from __future__ import annotations

from exporter.engines.port import KernelKills
from exporter.evidence import SIGKILL_CODE, RunRecord, UnexplainedKills, oom_count, requested_end, weigh
from exporter.model import Exit, OomKill, Witness
from exporter.track.records import Rules, Run

_MAX_KEPT = 1_000


class WaitingRoom:
    """Keeps ended runs until they can be judged, and the OOM kills that nobody has explained yet."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._runs: list[Run] = []
        self._kernel = UnexplainedKills(rules.oom_window_ns)

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
        run.container.ending.append(run)
        self._runs.append(run)

    def leave(self, now: float) -> list[Exit]:
        """The exits of all runs that need not wait any longer."""
        return [self._finished(run) for run in [run for run in self._runs if self._due(run) <= now]]

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
        told = run.oom_by if run.seen_ending and self._oom_possible(run) else 0.0
        return max(enriched, told)

    def _oom_possible(self, run: Run) -> bool:
        """Whether an OOM kill of which nobody has told yet could explain this end."""
        if run.code == 0 or run.oom_kills or requested_end(run.kills, run.container.stop_signal):
            return False
        return not self._rules.kernel_counts or bool(self._moves_near(run))

    def _moves_near(self, run: Run) -> list[int]:
        """When the kernel's counter moved in this run, not long before its end."""
        began_ns = run.began_ns if run.seen_beginning else run.started_ns or 0
        return [at_ns for at_ns in self._kernel.near(run.ended_ns) if at_ns >= began_ns]

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
        """A kill that nobody else accounts for is this run's; one with 137 goes before others."""
        if not self._rules.kernel_counts or not run.seen_ending or not self._oom_possible(run):
            return
        moves = self._moves_near(run)
        likelier = sum(other.code == SIGKILL_CODE and self._oom_possible(other) for other in self._runs)
        left = moves if run.code == SIGKILL_CODE else moves[likelier:]
        if left:
            self.oom_killed(run, OomKill(Witness.COUNTER, left[0]))
