"""Weighing: what was seen of a run, boiled down to what a verdict turns on. Pure.

An OOM kill needs a witness. There are four, and each may know what another does not: the engine's
event, its flag, the kernel's log (names the container) and the kernel's counter (names nobody).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from signal import Signals

from exporter.model import Evidence, Kill, OomKill, Witness

SECOND_NS = 10**9
SIGKILL_CODE = 137
_MAX_NOTES = 20
# SIGHUP asks daemons to reload, SIGUSR1 to do anything: only these ask for the end.
TERMINATING = frozenset({Signals.SIGKILL, Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT})


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that was seen of a run that has ended."""

    code: int | None
    ended_ns: int
    kills: Sequence[Kill]
    oom_kills: Sequence[OomKill]
    stop_signal: int
    oom_window_ns: int
    started_ns: int | None = None
    lost_with_host: bool = False


def oom_count(oom_kills: Sequence[OomKill]) -> int:
    """How many processes were killed."""
    return len(distinct(oom_kills))


def distinct(oom_kills: Sequence[OomKill]) -> list[OomKill]:
    """One for each process: what the best witness says, since each kill may have several.

    It is who tells of most, and of those, who knows when.
    """
    told = [[kill for kill in oom_kills if kill.witness is witness] for witness in Witness]
    return max(told, key=lambda kills: (len(kills), all(kill.at_ns is not None for kill in kills)))


def requested_end(kills: Sequence[Kill], stop_signal: int) -> bool:
    """Whether the engine was asked for the end by one of these signals."""
    return any(_terminating(kill, stop_signal) for kill in kills)


def weigh(record: RunRecord) -> Evidence:
    """What the verdict turns on, and the sentences that show why."""
    return Evidence(
        instance_lost=record.lost_with_host,
        oom_killed=_killed_for_memory(record),
        asked_to_stop=requested_end(record.kills, record.stop_signal),
        notes=tuple(_notes(record)),
    )


def _killed_for_memory(record: RunRecord) -> bool:
    """Out of memory right before the end, and nobody asked for the end since."""
    if not record.oom_kills:
        return False
    times = [kill.at_ns for kill in record.oom_kills if kill.at_ns is not None]
    if not times:
        return _flag_explains(record) and not requested_end(record.kills, record.stop_signal)
    last = max(times)
    asked_since = [kill for kill in record.kills if kill.at_ns > last]
    return record.ended_ns - last <= record.oom_window_ns and not requested_end(
        asked_since, record.stop_signal
    )


def _flag_explains(record: RunRecord) -> bool:
    """Whether an OOM kill at some time of the run, nobody knows when, explains its end."""
    was_short = record.started_ns is not None and record.ended_ns - record.started_ns <= record.oom_window_ns
    return record.code in {None, SIGKILL_CODE} or was_short


def _terminating(kill: Kill, stop_signal: int) -> bool:
    # A hidden signal counts as a request: most are, and the engine was asked for something.
    return kill.signal is None or kill.signal in TERMINATING or kill.signal == stop_signal


def _notes(record: RunRecord) -> Iterator[str]:
    """The latest facts last, each with how far from the end it was, where that is known."""
    if record.lost_with_host:
        yield "The engine was started anew, and found it gone."
    for witness in Witness:
        # All but the engine's events are known by when they were asked, not by when it happened.
        if witness is not Witness.EVENT and any(kill.witness is witness for kill in record.oom_kills):
            yield f"{witness.value}."
    reported = [
        (kill.at_ns, kill.witness.value)
        for kill in record.oom_kills
        if kill.witness is Witness.EVENT and kill.at_ns is not None
    ]
    asked = [
        (kill.at_ns, f"The engine was asked to send {signal_name(kill.signal)}") for kill in record.kills
    ]
    for at_ns, note in sorted(reported + asked)[-_MAX_NOTES:]:
        yield f"{note} {_distance(record.ended_ns - at_ns)} the end."


def signal_name(number: int | None) -> str:
    """SIGTERM for 15; what has no name keeps its number."""
    if number is None:
        return "a signal"
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _distance(nanoseconds: int) -> str:
    side = "before" if nanoseconds >= 0 else "after"
    return f"{abs(nanoseconds) / SECOND_NS:.3f} s {side}"
