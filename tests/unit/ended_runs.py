"""Short forms of the facts about an ended run."""

from signal import SIGTERM
from typing import Any

from exporter.model import KillRequest, LimitOwner, OomKill, OomSource, OomVictim
from exporter.verdict.facts import KernelFact, RunFacts

SECOND = 10**9
HOUR = 3600
END = 1_000_000 * SECOND
WINDOW = 10 * SECOND
PID = 4711
CHILD = 4712


def run(
    *facts: KillRequest | OomKill | KernelFact,
    code: int | None = 137,
    stop_signal: int = SIGTERM,
    **known: Any,
) -> RunFacts:
    """Create a run that ended with a code, from what happened in it."""
    kills = [fact for fact in facts if isinstance(fact, KillRequest)]
    oom_kills = [fact for fact in facts if isinstance(fact, OomKill)]
    others = [fact for fact in facts if not isinstance(fact, KillRequest | OomKill)]
    return RunFacts(code, END, kills, oom_kills, stop_signal, WINDOW, facts=others, **known)


def asked(signal: int | None, seconds_before: float) -> KillRequest:
    """Create a request to send a signal, some seconds before the end."""
    return KillRequest(signal, END - round(seconds_before * SECOND))


def oom(seconds_before: float, source: OomSource = OomSource.EVENT) -> OomKill:
    """Create an OOM kill without details, some seconds before the end."""
    return OomKill(source, END - round(seconds_before * SECOND))


FLAG = OomKill(OomSource.FLAG, None)


def victim(limit: LimitOwner | None = LimitOwner.OWN, pid: int = PID, **known: Any) -> OomVictim:
    """Create the details of an OOM kill that the kernel logs."""
    return OomVictim(limit, "/s", "python3", pid, **known)


def logged(seconds_before: float, of: OomVictim) -> OomKill:
    """Create an OOM kill by the kernel's log, some seconds before the end."""
    return OomKill(OomSource.LOG, END - round(seconds_before * SECOND), of)
