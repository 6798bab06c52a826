"""The log of dstack's runner: unquoted logfmt with the state of the job, its code and its termination.

Written against dstack 0.22.5; the lines that carry the state and the code are unchanged since 2023-10, the
fields of the termination since 2026-02.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporter.exit_codes import SIGNAL_BASE
from exporter.model import SECOND_NS, JobEnd, JobReport, Status
from exporter.sources.docker.api.scalars import parse_time
from exporter.text import sanitize

# Fields come in any order and without quotes: a value ends where the next known key begins.
_FIELD = re.compile(r"(?:^|\s)(time|level|msg|new|err|termination_reason|termination_message)=")
_OF_A_WHOLE_LINE = frozenset({"time", "level", "msg"})
_ONE_WORD = frozenset({"new", "termination_reason"})
_STATES = {
    "running": Status.RUNNING,
    "done": Status.DONE,
    "failed": Status.FAILED,
    "terminated": Status.TERMINATED,
    "aborted": Status.TERMINATED,
}
_STATE_CHANGED = "Job state changed"
_FAILURES = frozenset({"Exec failed", "Executor failed"})
_OF_THE_JOB = frozenset({_STATE_CHANGED, "Job canceled", "Job finished, shutting down", *_FAILURES})
_QUOTE = '"'
# An engine stamps a line when it reads it: a stop that came after the job's end would be before it, and be
# taken for its cause. The runner's own time is believed where the engine can have been that late.
_LATEST_NS = 600 * SECOND_NS
# Of a line with the lines that go on with it.
MAX_STATE_LINE = 1 << 14
# A field that is not known may follow any other.
_OTHER_FIELD = re.compile(r"\s\w+=")
_EXIT_STATUS = re.compile(r"\bexit status (-?\d{1,10})(?:$|\s\w+=)")
_SIGNAL = re.compile(r"\bsignal: (?:signal (\d{1,2})|([\w/() ]{1,40}?))(?: \(core dumped\))?(?:$|\s\w+=)")
_START_FAILED = re.compile(r"\bstart command: (?:start command: )?(.+)$")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Words for a job that ended by itself, which its code and its state tell as well.
_BY_ITSELF = frozenset({"container_exited_with_error", "done_by_runner"})
# As Go names them on Linux; those without a name are "signal 34".
_SIGNALS = {
    "hangup": 1,
    "interrupt": 2,
    "quit": 3,
    "illegal instruction": 4,
    "trace/breakpoint trap": 5,
    "aborted": 6,
    "bus error": 7,
    "floating point exception": 8,
    "killed": 9,
    "user defined signal 1": 10,
    "segmentation fault": 11,
    "user defined signal 2": 12,
    "broken pipe": 13,
    "alarm clock": 14,
    "terminated": 15,
    "stack fault": 16,
    "child exited": 17,
    "continued": 18,
    "stopped (signal)": 19,
    "stopped": 20,
    "stopped (tty input)": 21,
    "stopped (tty output)": 22,
    "urgent I/O condition": 23,
    "CPU time limit exceeded": 24,
    "file size limit exceeded": 25,
    "virtual timer expired": 26,
    "profiling timer expired": 27,
    "window changed": 28,
    "I/O possible": 29,
    "power failure": 30,
    "bad system call": 31,
}


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the lines so far have said. ``error`` is the text of the last line about one."""

    report: JobReport = field(default_factory=JobReport)
    error: str = ""
    is_canceled: bool = False


class RunnerLog:
    """State of one job, read from the lines of its runner's log as they come."""

    def __init__(self) -> None:
        self._heard = _Heard()
        # The last line if it was about the state, its time, and what had been said before it.
        self._state_line: tuple[str, int, _Heard] | None = None

    @property
    def report(self) -> JobReport:
        """What the log has said so far."""
        return self._heard.report

    def read(self, line: str, received_ns: int) -> None:
        """Take one line that the engine received at ``received_ns``; foreign lines change nothing.

        The runner writes the line feeds of a message as they are: a line that has only further fields goes
        on with the line about a state before it.
        """
        fields = _fields(line)
        # A quoted message is of another format, in which the state would be missed.
        if "level" in fields and fields.get("msg", _QUOTE)[:1] != _QUOTE:
            self._state_line = (line, received_ns, self._heard) if fields["msg"] == _STATE_CHANGED else None
            self._heard = _read(self._heard, fields, received_ns)
        elif self._state_line is not None and fields and fields.keys().isdisjoint(_OF_A_WHOLE_LINE):
            begun, begun_ns, before = self._state_line
            if len(begun) >= MAX_STATE_LINE:
                return
            whole = f"{begun} {line}"[:MAX_STATE_LINE]
            self._state_line = whole, begun_ns, before
            self._heard = _read(before, _fields(whole), begun_ns)


def _read(heard: _Heard, fields: Mapping[str, str], received_ns: int) -> _Heard:
    """Return what has been said with a line of the runner; one that is not about the job says nothing."""
    message, error, end = fields["msg"], fields.get("err", ""), heard.report.end
    if message not in _OF_THE_JOB:
        return heard
    if end is not None:
        # Only a line after the end names the signal of a job that was stopped.
        heard = replace(heard, error=heard.error or error)
        return replace(heard, report=_ended(heard, end)) if message in _FAILURES else heard
    heard = replace(heard, report=replace(heard.report, was_heard=True))
    match message:
        case "Job state changed":
            return replace(heard, report=_changed(heard, fields, received_ns))
        case "Job canceled":
            return replace(heard, is_canceled=True)
        case _:
            # Until the line about the state, which may be missing.
            report = replace(heard.report, unreadable="it tells that the job ended, but not how")
            return replace(heard, error=error or heard.error, report=report)


def _changed(heard: _Heard, fields: Mapping[str, str], received_ns: int) -> JobReport:
    """Return the report after a change of state."""
    state = fields.get("new", "")
    if state == "terminating":
        return heard.report
    status = _STATES.get(state)
    if status is None:
        # It may be an end that a later release of dstack calls so, or a line that was cut.
        return replace(heard.report, unreadable=f"it has a state that is not known: {sanitize(state)!r}")
    at_ns = _written_ns(fields.get("time", ""), received_ns)
    if status is Status.RUNNING:
        started_ns = heard.report.started_ns
        return replace(heard.report, started_ns=at_ns if started_ns is None else started_ns)
    word = fields.get("termination_reason", "")
    end = JobEnd(
        at_ns,
        status,
        termination=word.upper() if _WORD.fullmatch(word) and word not in _BY_ITSELF else "",
        message=sanitize(fields.get("termination_message", "")),
        received_ns=received_ns,
    )
    return replace(_ended(heard, end), unreadable="")


def _written_ns(time: str, received_ns: int) -> int:
    """Return when the runner wrote a line: its own time if that can be, else when the engine received it."""
    try:
        written_ns = parse_time(time) or 0
    except (ValueError, OverflowError):
        return received_ns
    return written_ns if 0 <= received_ns - written_ns <= _LATEST_NS else received_ns


def _ended(heard: _Heard, end: JobEnd) -> JobReport:
    """Return the report of an end, with the code and signal that the error lines tell."""
    code, signal = _code(heard.error), _signal(heard.error)
    if heard.is_canceled and end.status is Status.FAILED:
        # Whatever code it answered the stop with.
        end = replace(end, status=Status.TERMINATED)
    if end.status is Status.DONE:
        code, signal = 0, None
    elif signal is not None and code is None:
        code = SIGNAL_BASE + signal
    refused = _START_FAILED.search(heard.error)
    is_own = end.status is not Status.TERMINATED and not end.termination
    end = replace(
        end,
        code=code if is_own else None,
        signal=signal,
        start_error=sanitize(refused[1]) if refused else "",
        termination=end.termination or ("TERMINATED_BY_USER" if heard.is_canceled else ""),
    )
    return replace(heard.report, end=end)


def _fields(line: str) -> dict[str, str]:
    """Return the known fields of a line; of a key that stands twice the first value.

    A message may contain anything, also another ``new=`` or ``msg=``: of two different states, and of a line
    that may be about the state or not, the state is none that is known.
    """
    keys = list(_FIELD.finditer(line))
    ends = [*(key.start() for key in keys), len(line)][1:]
    fields: dict[str, str] = {}
    for key, end in zip(keys, ends, strict=False):
        value = line[key.end() : end].strip()
        if key[1] in _ONE_WORD:
            value = value.partition(" ")[0]
        elif key[1] == "msg":
            value = _OTHER_FIELD.split(value, maxsplit=1)[0]
            if value == _STATE_CHANGED != fields.get("msg", value):
                fields |= {"msg": value, "new": "?"}
        is_contradiction = key[1] == "new" and fields.get("new", value) != value
        fields[key[1]] = f"{fields['new']}/{value}" if is_contradiction else fields.get(key[1], value)
    return fields


def _code(error: str) -> int | None:
    found = _EXIT_STATUS.search(error)
    return int(found[1]) if found and int(found[1]) >= 0 else None


def _signal(error: str) -> int | None:
    found = _SIGNAL.search(error)
    if found is None:
        return None
    return int(found[1]) if found[1] else _SIGNALS.get(found[2])
