"""OOM kills of a run: how many there were, at which limit, and whether they ended it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.exit_codes import SIGKILLED
from exporter.model import KillRequest, LimitOwner, OomKill, OomSource
from exporter.verdict.facts import RunFacts
from exporter.verdict.stop_requests import LATE_NS, explaining_requests, is_terminating


def oom_count(oom_kills: Sequence[OomKill]) -> int:
    """Return how many processes were killed."""
    return len(deduplicate(oom_kills))


def deduplicate(oom_kills: Sequence[OomKill]) -> Sequence[OomKill]:
    """Return one OOM kill for each process.

    The flag repeats what the other sources report. In old records, kernel log lines were not yet matched with
    the event of the same kill, and every source repeats all others: then the one that reports most is right.
    """
    if not oom_kills:
        return ()
    reported = [kill for kill in oom_kills if kill.source is not OomSource.FLAG] or oom_kills[:1]
    if all(kill.source is OomSource.EVENT or kill.victim for kill in reported):
        return reported
    return max(([kill for kill in reported if kill.source is source] for source in OomSource), key=len)


def ended_by_oom(run: RunFacts) -> bool:
    """Return whether an OOM kill explains the end of the run: nobody requested a stop after it."""
    if not run.oom_kills:
        return False
    timed = [kill for kill in run.oom_kills if kill.at_ns is not None]
    if not timed:
        return _flag_explains(run) and not explaining_requests(run)
    last_ns = max(kill.at_ns or 0 for kill in timed)
    if any(_requests_end(kill, run) and kill.at_ns > last_ns for kill in run.kills):
        return False
    return run.ended_ns - last_ns <= run.oom_window_ns or any(_is_certain(kill, run) for kill in timed)


def limit_reached(run: RunFacts) -> LimitOwner | None:
    """Return the limit that the last OOM kill reached; None without one, or if it is not known."""
    victims = [kill.victim for kill in run.oom_kills if kill.victim and kill.victim.limit]
    if victims:
        return victims[-1].limit
    if not run.oom_kills or not run.inspected or run.memory_limit_bytes is not None:
        return None
    return LimitOwner.PARENT if run.cgroup_parent else LimitOwner.HOST


def _requests_end(kill: KillRequest, run: RunFacts) -> bool:
    """Return whether a request is for the end of a run that had not ended by then."""
    return is_terminating(kill, run.stop_signal) and kill.at_ns <= run.ended_ns + LATE_NS


def _is_certain(kill: OomKill, run: RunFacts) -> bool:
    """Return whether an OOM kill explains the end no matter how long before it was reported.

    After a report that names the container, 137 is certain: on a crowded host, an engine reports an exit many
    seconds late, and a parent may pass on the code of its child late. If process 1 was killed, any code is.
    """
    if run.code == SIGKILLED:
        return kill.source in {OomSource.EVENT, OomSource.LOG}
    return kill.victim is not None and run.pid is not None and kill.victim.pid == run.pid


def _flag_explains(run: RunFacts) -> bool:
    """Return whether the flag alone explains the end: it does not say when the kill was."""
    was_short = run.ran_ns is not None and run.ran_ns <= run.oom_window_ns
    return run.code in {None, SIGKILLED} or was_short
