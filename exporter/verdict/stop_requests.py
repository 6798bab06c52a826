"""Requests to end a run, and which of them explain its end. Pure.

A request explains an end only if it came shortly before it and can have caused the exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from signal import Signals

from exporter.exit_codes import MAX_SIGNAL, SIGNAL_BASE
from exporter.model import SECOND_NS, KillRequest
from exporter.verdict.facts import RunFacts

# SIGHUP asks daemons to reload, SIGUSR1 to do anything: only these ask for the end.
TERMINATING = frozenset({Signals.SIGKILL, Signals.SIGTERM, Signals.SIGINT, Signals.SIGQUIT})
# An engine reports a signal after it has sent it, so the end that it caused can be earlier.
LATE_NS = SECOND_NS
# Timeout of engines for a container without one of its own, and some time for the rest.
DEFAULT_STOP_SECONDS = 10
_SLACK_SECONDS = 2
# A signal by which no engine stops a container (QUIT for a thread dump) explains a code that it does not
# cause by itself only if the end followed at once.
_AT_ONCE_NS = 2 * SECOND_NS


def is_terminating(kill: KillRequest, stop_signal: int) -> bool:
    """Return whether a signal asks for the end. A hidden one counts: most signals are sent for that."""
    return kill.signal is None or kill.signal in TERMINATING or kill.signal == stop_signal


def explaining_requests(run: RunFacts) -> list[KillRequest]:
    """Return the requests that can have caused the end of the run."""
    explaining = [kill for kill in run.kills if _explains(kill, run)]
    if not explaining and run.was_stopped and not run.inspected:
        # The stop signal is not known without an inspect, and can be any.
        return [kill for kill in run.kills if kill.at_ns <= run.ended_ns + LATE_NS][-1:]
    return explaining


def needs_stop_event(run: RunFacts) -> bool:
    """Return whether a ``stop`` event that is still to come would change what explains the end."""
    requested = any(is_by_engine(kill, run.stop_signal) for kill in run.kills)
    return requested and not run.was_stopped and not explaining_requests(run)


def is_by_engine(kill: KillRequest, stop_signal: int) -> bool:
    """Return whether this is a signal by which engines stop a container."""
    return kill.signal is None or kill.signal in {stop_signal, Signals.SIGTERM, Signals.SIGKILL}


def was_unhealthy(run: RunFacts, requests: Sequence[KillRequest]) -> bool:
    """Return whether the run was unhealthy when the last of these requests came."""
    last_ns = max(kill.at_ns for kill in requests)
    return run.unhealthy_ns is not None and run.unhealthy_ns <= last_ns


def _explains(kill: KillRequest, run: RunFacts) -> bool:
    if not is_terminating(kill, run.stop_signal):
        return False
    waited_ns = run.ended_ns - kill.at_ns
    if waited_ns < -LATE_NS:
        return False
    if run.was_stopped and is_by_engine(kill, run.stop_signal):
        return True
    grace = DEFAULT_STOP_SECONDS if run.stop_seconds is None else run.stop_seconds
    grace_ns = (grace + _SLACK_SECONDS) * SECOND_NS
    if _can_cause(kill, run.code):
        return waited_ns <= max(run.stop_window_ns, grace_ns)
    if kill.signal == Signals.SIGKILL or _is_of_a_signal(run.code):
        # SIGKILL leaves no choice of a code, so the job had ended by itself. Or another signal ended it.
        return False
    return waited_ns <= (grace_ns if is_by_engine(kill, run.stop_signal) else _AT_ONCE_NS)


def _can_cause(kill: KillRequest, code: int | None) -> bool:
    """Return whether the signal itself can end a process with this code."""
    if code is None:
        return True
    return code > SIGNAL_BASE if kill.signal is None else code == SIGNAL_BASE + kill.signal


def _is_of_a_signal(code: int | None) -> bool:
    """Return whether a code means that a signal ended the process."""
    return code is not None and SIGNAL_BASE < code <= SIGNAL_BASE + MAX_SIGNAL
