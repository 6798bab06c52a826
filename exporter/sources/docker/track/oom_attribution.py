"""Decides which OOM kills are a run's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from exporter.exit_codes import SIGKILLED
from exporter.model import SECOND_NS, OomKill, OomSource
from exporter.sources.docker.track.config import TrackerConfig
from exporter.sources.docker.track.oom_claim import Claim, CountedKill, nearest
from exporter.sources.docker.track.oom_matcher import CERTAIN, OomMatcher
from exporter.sources.docker.track.run import Run
from exporter.sources.docker.track.run_facts import run_facts
from exporter.verdict.stop_requests import explaining_requests

# Attribute an anonymous OOM kill to a successful run only if it happened within this interval of its exit:
# most runs succeed, so that an earlier kill is more likely another run's.
_NEAR_EXIT_NS = SECOND_NS
# The engine reports a start up to this late, so an immediate kill may precede the start event.
_START_DELAY_NS = SECOND_NS


class OomAttribution:
    """Attributes OOM kills, from whichever source, to the runs of one engine."""

    def __init__(self, config: TrackerConfig) -> None:
        self._config = config
        counted_since_ns = config.kernel_since_ns if config.has_kernel_counter else None
        self._matcher = OomMatcher(config.oom_window_ns, counted_since_ns)

    @property
    def next_due(self) -> float | None:
        """Time at which ``decide`` must be called at the latest; None while nothing is undecided."""
        return self._matcher.next_due

    def counter_moved(self, kills: int, at_ns: int, since_ns: int | None) -> None:
        """Add kills that the kernel has counted since a time, None if that is not known."""
        self._matcher.counter_moved(kills, at_ns, since_ns)

    def line_logged(self, container_id: str | None, at_ns: int) -> None:
        """Add a kill from the kernel's log; ``container_id`` is None if it was in no container."""
        self._matcher.line_logged(container_id, at_ns)

    def event_reported(self, run: Run, at_ns: int, now: float) -> bool:
        """Return whether a kill reported by the engine's event is accepted at once; else ``decide`` may."""
        return self._matcher.event_reported(run.info.id, run, at_ns, now)

    def other_engine_reported(self, container_id: str, at_ns: int, now: float) -> None:
        """Add a claim of another engine on the same host."""
        self._matcher.event_reported(container_id, None, at_ns, now)

    def run_ended(self, run: Run) -> None:
        """Note up to when the kernel's count can concern a run that has just ended."""
        run.counter_moved_ns = self._matcher.last_counted_ns
        self._matcher.recheck()

    def decide(self, now: float, pending: Iterable[Run]) -> Iterator[tuple[Run, OomKill | None]]:
        """Return runs whose reported kill is decided: the kill if it is accepted, else None."""
        if self._matcher.next_due is None:
            return
        if any(run.oom_deadline <= now and self._matcher.is_undecided(run) for run in pending):
            self._matcher.recheck()
        for claim, is_true in self._matcher.decide(now, _rank, must=lambda claim: _is_overdue(claim, now)):
            if claim.run is not None:
                claim.run.oom_contested |= claim.is_contested and not is_true
                yield claim.run, OomKill(OomSource.EVENT, claim.at_ns) if is_true else None

    def flag_inspected(self, run: Run, previous: Run | None) -> None:
        """Add the kill that the engine's OOMKilled flag stands for, if no better source reports it.

        ``previous`` is the latest finished run of the container. Engines up to 23 do not clear the flag at
        the next start. With cgroup v1 it is also set on containers that only share the limit, which the
        kernel's counter tells apart.
        """
        if run.oom_kills or run.oom_refuted or run.flag_was_set:
            return
        if self._config.has_kernel_counter and run.start_seen and run.end_seen:
            return
        if previous is not None and previous.oom_kills and run.start_seen:
            return
        run.add_oom_kill(OomKill(OomSource.FLAG, None))
        counted = self._nearest(run, self._matcher.unclaimed)
        if counted is not None:
            self._matcher.attribute(counted)

    def may_change(self, run: Run) -> bool:
        """Return whether an OOM kill may still be attributed to an ended run, where it would matter."""
        return self._matcher.is_undecided(run) or self._may_lack_kill(run)

    def attribute_counted(self, run: Run, pending: Collection[Run]) -> None:
        """Add the counted kill that nothing else accounts for, unless a more likely victim is pending."""
        left = self._matcher.unclaimed
        if not self._may_own_counted(run) or self._nearest(run, left) is None:
            return
        rivals = [other for other in pending if priority(other) > priority(run)]
        for rival in sorted(rivals, key=priority, reverse=True):
            claimed = self._nearest(rival, left) if self._may_lack_kill(rival) else None
            if claimed is not None:
                left.remove(claimed)
        own = self._nearest(run, left)
        if own is not None:
            self._matcher.attribute(own)
            run.add_oom_kill(OomKill(OomSource.COUNTER, own.at_ns))

    def _may_own_counted(self, run: Run) -> bool:
        # A run without a limit is killed only if the whole host is out of memory: the counter names no
        # container, and is then accepted for 137 only.
        may_be_limited = run.info.memory_limit_bytes is not None or not run.info.is_inspected
        is_likely = run.code == SIGKILLED or may_be_limited
        return is_likely and self._config.has_kernel_counter and self._may_lack_kill(run)

    def _may_lack_kill(self, run: Run) -> bool:
        """Return whether a kill of this run may have gone unreported, and would matter."""
        # A success without a limit had a kill only if the whole host was out of memory.
        if run.code == 0 and run.info.memory_limit_bytes is None:
            return False
        if run.oom_kills or run.oom_refuted or not self._was_watched(run):
            return False
        if run.kills and explaining_requests(run_facts(run, self._config)):
            return False
        return (
            not self._config.has_kernel_counter or self._nearest(run, self._matcher.unattributed) is not None
        )

    def _was_watched(self, run: Run) -> bool:
        """Return whether its end was seen, or happened while the kernel was polled and the engine away."""
        return run.end_seen or (self._config.has_kernel_counter and run.end_confirmed and run.is_emitted)

    def _nearest(self, run: Run, kills: Sequence[CountedKill]) -> CountedKill | None:
        """Return the kill during this run that is nearest to its end."""
        window_ns = self._config.oom_window_ns
        # An anonymous kill is accepted near the exit only; unless the run ended by SIGKILL at a time that the
        # engine has not confirmed.
        if run.code != SIGKILLED or run.end_confirmed:
            window_ns = min(window_ns, _NEAR_EXIT_NS)
        since_ns = max(_earliest_start_ns(run), run.ended_ns - window_ns)
        until_ns = run.ended_ns + SECOND_NS
        if run.end_seen:
            # The kernel is polled at each end: what it counted only later did not end this run.
            until_ns = min(run.counter_moved_ns, run.ended_ns + window_ns)
        return nearest(run.ended_ns, kills, since_ns, until_ns)


def _rank(claim: Claim) -> int:
    """Return how likely the claimant had the kill."""
    run = claim.run
    if run is None or run.is_running:
        return 1
    return CERTAIN if run.code == SIGKILLED else 2 if run.code else 0


def _is_overdue(claim: Claim, now: float) -> bool:
    """Return whether its run has ended, and waits for OOM events no longer."""
    return claim.run is not None and not claim.run.is_running and claim.run.oom_deadline <= now


def priority(run: Run) -> tuple[bool, bool, bool]:
    """Return a key that is greater for the exit to which an anonymous OOM kill is more likely to belong."""
    return run.code == SIGKILLED, run.info.memory_limit_bytes is not None, run.code != 0


def _earliest_start_ns(run: Run) -> int:
    if not run.start_seen:
        return run.started_ns or 0
    if run.start_attempt_ns is None:
        return run.start_event_ns
    return max(run.start_attempt_ns, run.start_event_ns - _START_DELAY_NS)
