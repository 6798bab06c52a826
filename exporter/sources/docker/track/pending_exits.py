"""The waiting room: runs that have ended, for as long as something may yet come that changes the verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from exporter.exit_codes import SIGKILLED, SIGNAL_BASE
from exporter.model import SECOND_NS, OomKill, OomSource
from exporter.sources.docker.engine import KernelReport
from exporter.sources.docker.track.oom_matcher import CERTAIN, Claim, OomMatcher, nearest_to
from exporter.sources.docker.track.run import Run, TrackerConfig
from exporter.verdict.evidence import (
    explaining_requests,
    waits_for_stop,
)
from exporter.verdict.facts import Crash, EndedRun, GpuFault, KernelFact, RunFacts, SeccompKill

_MAX_KEPT = 1_000
_MAX_FACTS = 20
# Jobs mostly succeed: a kill that names nobody and is further from a success than this is rather another's.
_SURVIVED_NS = SECOND_NS
# An engine tells of a start this much after it, at the most: who is killed at once was killed before that.
_TOLD_LATE_NS = SECOND_NS
# A line of the kernel's log about a process that nobody knows is taken for a hint this long before an end.
_HINT_NS = SECOND_NS
# Longer, where the code is that of its signal, as a shell hands it on; and for a GPU, which fails slowly.
_CODE_HINT_NS = 10 * SECOND_NS
_GPU_HINT_NS = 60 * SECOND_NS
_CRASH_CODES = frozenset({132, 135, 136, 139, 159})
# The log has a clock of its own: a line of what made the end was seen 3 ms after it.
_LATE_HINT_NS = SECOND_NS // 10
_MAX_HINTS = 200

Hint = Crash | SeccompKill | GpuFault


class PendingExits:
    """Keeps ended runs until they can be judged, and what the kernel has said lately."""

    def __init__(self, rules: TrackerConfig) -> None:
        self._rules = rules
        self._runs: list[Run] = []
        self._hints: deque[Hint] = deque(maxlen=_MAX_HINTS)
        counted_since_ns = rules.kernel_since_ns if rules.has_kernel_counter else None
        self._kernel = OomMatcher(rules.oom_window_ns, counted_since_ns)

    @property
    def next_due(self) -> float | None:
        """When the next run is let go at the latest, or a claim decided; None while nothing waits."""
        dues = [self._due(run) for run in self._runs]
        dues += [] if self._kernel.next_due is None else [self._kernel.next_due]
        return min(dues, default=None)

    @property
    def recorded_event_times(self) -> list[int]:
        """When those ended who wait here, as far as an event has told of it."""
        return [run.died_ns for run in self._runs if run.died_ns is not None]

    def enter(self, run: Run, now: float) -> None:
        """A run has ended."""
        run.inspect_deadline, run.oom_deadline = (
            now + self._rules.enrich_seconds,
            now + self._rules.oom_seconds,
        )
        run.counted_ns = self._kernel.latest_ns
        run.container.pending_runs.append(run)
        self._runs.append(run)
        self._kernel.stir()

    def run_of(self, pid: int | None) -> Run | None:
        """The run that waits here whose process 1 this was."""
        return next((run for run in self._runs if pid and run.pid == pid), None)

    def leave(self, now: float) -> list[EndedRun]:
        """The exits of all runs that need not wait any longer."""
        due = [run for run in self._runs if self._due(run) <= now]
        # The likeliest is judged first: who is left has nobody's claims to think through.
        exits = {run: self._finished(run) for run in sorted(due, key=_likelihood, reverse=True)}
        return [exits[run] for run in due]

    # OOM kills

    def counted(self, report: KernelReport) -> None:
        """The kernel's counter may have moved."""
        self._kernel.counted(report.oom_kills, report.at_ns)

    def logged(self, container_id: str | None, at_ns: int) -> None:
        """The kernel's log tells of a kill of that container; None: of no container's process."""
        self._kernel.logged(container_id, at_ns)

    def reported(self, run: Run, at_ns: int, now: float) -> bool:
        """The engine tells of a kill; whether it is to be believed at once. ``decided`` tells of others."""
        return self._kernel.reported(run.container.id, run, at_ns, now)

    def reported_elsewhere(self, container_id: str, at_ns: int, now: float) -> None:
        """Another engine on the same host tells of a kill."""
        self._kernel.reported(container_id, None, at_ns, now)

    def decided(self, now: float) -> Iterator[tuple[Run, OomKill | None]]:
        """The runs of which a kill that was reported is now believed; None where it was found to be none."""
        if any(run.oom_deadline <= now and self._kernel.is_undecided(run) for run in self._runs):
            self._kernel.stir()
        for claim, is_true in self._kernel.decide(now, _rank, must=lambda claim: _must_decide(claim, now)):
            if claim.run is not None:
                claim.run.oom_contested |= claim.contested and not is_true
                yield claim.run, OomKill(OomSource.EVENT, claim.at_ns) if is_true else None

    def oom_killed(self, run: Run, oom_kill: OomKill) -> None:
        """A run had a process killed for memory."""
        if len(run.oom_kills) < _MAX_KEPT:
            run.oom_kills.append(oom_kill)

    def flagged(self, run: Run) -> None:
        """The engine's flag says that an ended run had a kill, and nothing else does."""
        self.oom_killed(run, OomKill(OomSource.FLAG, None))
        counted = self._nearest(run, self._kernel.unclaimed)
        if counted is not None:
            self._kernel.take(counted)

    def _due(self, run: Run) -> float:
        """Until when something may come that would change the verdict; in the past if nothing can."""
        enriched = run.inspect_deadline if run.container.inspections or run.log_awaited else 0.0
        return max(enriched, run.oom_deadline if self._may_learn(run) else 0.0)

    def _may_learn(self, run: Run) -> bool:
        """Whether an OOM kill or a stop may be told of yet, and it would matter."""
        if self._kernel.is_undecided(run) or self._may_have_lost(run):
            return True
        return bool(run.kills) and waits_for_stop(self._record(run))

    def _may_have_lost(self, run: Run) -> bool:
        """Whether there may have been an OOM kill of which nobody has told yet, and it would matter."""
        # A success without a limit has had a kill only where the whole host was out of memory.
        if run.code == 0 and run.container.memory_limit_bytes is None:
            return False
        if run.oom_kills or run.oom_denied or not self._was_watched(run):
            return False
        if run.kills and explaining_requests(self._record(run)):
            return False
        return not self._rules.has_kernel_counter or self._nearest(run, self._kernel.free) is not None

    def _was_watched(self, run: Run) -> bool:
        """Whether its end was told, or happened while the kernel was listened to and the engine was not."""
        return run.seen_ending or (self._rules.has_kernel_counter and run.has_finish and run.announced)

    def _nearest(self, run: Run, kills: Sequence[int]) -> int | None:
        """Of kills that the kernel has counted, the one in this run that is nearest to its end."""
        window_ns = self._rules.oom_window_ns
        # A kill that names nobody is believed of that moment only: for longer, of an end by SIGKILL of which
        # the engine has not told the true time.
        if run.code != SIGKILLED or run.has_finish:
            window_ns = min(window_ns, _SURVIVED_NS)
        since_ns = max(_may_have_begun_ns(run), run.ended_ns - window_ns)
        # The kernel is asked at each end: what it counts only later did not end this run.
        until_ns = (
            min(run.counted_ns, run.ended_ns + window_ns) if run.seen_ending else run.ended_ns + SECOND_NS
        )
        return nearest_to(run.ended_ns, kills, since_ns, until_ns)

    def _take_kernels_word(self, run: Run) -> None:
        """A kill that nobody else accounts for is this run's, unless a likelier one waits for it."""
        left = self._kernel.unclaimed
        # Without a limit, a job has had a kill only where the whole host was out of memory: the counter names
        # nobody, and is then believed of 137 only.
        is_limited = run.container.memory_limit_bytes is not None or not run.container.is_inspected
        is_likely = run.code == SIGKILLED or is_limited
        is_open = is_likely and self._rules.has_kernel_counter and self._may_have_lost(run)
        if not is_open or self._nearest(run, left) is None:
            return
        for other in self._likelier(run):
            claimed = self._nearest(other, left)
            if claimed is not None:
                left.remove(claimed)
        mine = self._nearest(run, left)
        if mine is not None:
            self._kernel.take(mine)
            self.oom_killed(run, OomKill(OomSource.COUNTER, mine))

    def _likelier(self, run: Run) -> list[Run]:
        """Who waits for a kill that is rather theirs, the likeliest first."""
        likelier = [other for other in self._runs if _likelihood(other) > _likelihood(run)]
        return [
            other for other in sorted(likelier, key=_likelihood, reverse=True) if self._may_have_lost(other)
        ]

    # What else the kernel says

    def hint(self, fact: Hint) -> None:
        """The kernel's log tells of a process that nobody knows."""
        self._hints.append(fact)

    def _facts(self, run: Run) -> list[KernelFact]:
        """What the log says of this run, and what may be of it: just before its end, and of its code."""
        hints = [
            hint
            for hint in self._hints
            if -_LATE_HINT_NS <= run.ended_ns - hint.at_ns <= _reach_ns(hint, run.code)
        ]
        return [*run.facts[-_MAX_FACTS:], *hints[-_MAX_FACTS:]]

    # Judging

    def _finished(self, run: Run) -> EndedRun:
        self._runs.remove(run)
        run.container.pending_runs.remove(run)
        last = run.container.last_finished_run
        if last is None or last.began_ns < run.began_ns:
            run.container.last_finished_run = run
        self._take_kernels_word(run)
        facts = self._record(run)
        return EndedRun(
            run.job(self._rules),
            facts,
            recovered=run.replayed or not run.seen_ending,
            log_tail=run.log_tail,
            event_ns=run.died_ns,
            not_known=tuple(self._not_known(run, facts)),
        )

    def _record(self, run: Run) -> RunFacts:
        container, rules = run.container, self._rules
        return RunFacts(
            run.code,
            run.ended_ns,
            tuple(run.kills),
            tuple(run.oom_kills),
            container.stop_signal,
            rules.oom_window_ns,
            run.started_ns,
            run.lost_with_host,
            stop_window_ns=rules.stop_window_ns,
            stop_seconds=container.stop_seconds,
            was_stopped=run.was_stopped,
            unhealthy_ns=run.unhealthy_ns,
            health_output=run.health_output,
            inspected=container.is_inspected,
            memory_limit_bytes=container.memory_limit_bytes,
            cgroup_parent=container.cgroup_parent,
            pids_limit=container.pids_limit,
            pid=run.pid,
            facts=self._facts(run),
            stopped_together=run.stopped_together,
            hung=run.hung_ns is not None,
        )

    def _not_known(self, run: Run, facts: RunFacts) -> Iterator[str]:
        """What could not be known of its end, where that may matter."""
        if not run.seen_ending:
            yield "Its end was not seen: requests to stop it and OOM kills just before it may be missing."
        elif not run.seen_beginning and not run.announced:
            yield "Its beginning was not seen."
        if not run.has_finish:
            yield "The engine's own time of its end: the time is that of the engine's event."
        if run.has_missed:
            yield "Events were missed while it ran: requests to stop it and OOM kills may be missing."
        if run.oom_contested:
            yield "Which of several containers at a limit that they share was hit by an OOM kill then."
        if not run.code:
            return
        was_asked = bool(explaining_requests(facts))
        if not run.oom_kills and not was_asked and not self._rules.has_kernel_counter:
            yield "Whether the kernel killed it for memory and no event told: the kernel could not be asked."
        if any(kill.victim is None for kill in run.oom_kills) and not self._rules.has_kernel_log:
            yield "Which process was killed, and at whose limit: the kernel's log could not be read."
        if run.code in _CRASH_CODES and not self._rules.has_kernel_log:
            yield "What the kernel's log says of its crash: it could not be read."


def _rank(claim: Claim) -> int:
    """How likely the claimant was the one that the kernel has killed."""
    run = claim.run
    if run is None or not run.ended_ns:
        return 1
    return CERTAIN if run.code == SIGKILLED else 2 if run.code else 0


def _must_decide(claim: Claim, now: float) -> bool:
    """Whether its run has ended, and waits no longer."""
    return claim.run is not None and bool(claim.run.ended_ns) and claim.run.oom_deadline <= now


def _likelihood(run: Run) -> tuple[bool, bool, bool]:
    """Of two ends, an OOM kill that names nobody is rather that of the greater one."""
    return run.code == SIGKILLED, run.container.memory_limit_bytes is not None, run.code != 0


def _may_have_begun_ns(run: Run) -> int:
    """When it began at the earliest."""
    if not run.seen_beginning:
        return run.started_ns or 0
    return (
        run.began_ns
        if run.start_attempt_ns is None
        else max(run.start_attempt_ns, run.began_ns - _TOLD_LATE_NS)
    )


def _reach_ns(hint: Hint, code: int | None) -> int:
    """How long before an end what happened to some process may still be why it ended with this code."""
    if not code:
        return -1
    if isinstance(hint, GpuFault):
        return _GPU_HINT_NS
    return _CODE_HINT_NS if code == SIGNAL_BASE + hint.signal else _HINT_NS
