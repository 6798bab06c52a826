"""dstack: a runner in the container starts the job, and the container's exit code is never the job's.

Process 1 of a dstack container is dstack's runner. After the job's end dstack's shim stops the container, so
that its code is 137 for success and failure alike, or the runner returns 0 by itself. How the job ended is
in the runner's log, which is the container's standard output (the job's own output goes elsewhere). Written
against dstack 0.22.5; the lines that carry the state and the code are unchanged since 2023-10, the fields of
the termination since 2026-02.

The runner's HTTP API must not be asked: who reads the final state from it takes it away from dstack's server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from exporter.exit_codes import SIGNAL_BASE
from exporter.model import Status, SupervisedJob
from exporter.text import sanitize
from exporter.verdict.facts import JobEnd, JobReport

NAME = "dstack"
IS_TASK = "ai.dstack.shim.is-task"
TASK_ID = "ai.dstack.shim.task-id"
LABELS = (IS_TASK, TASK_ID)

# <run>-<job number>-<replica number>-<first digits of a hash that the task id proves>
_CONTAINER_NAME = re.compile(
    r"(?P<job>(?P<run>.+)-(?P<job_num>\d{1,9})-(?P<replica_num>\d{1,9}))-(?P<digest>[0-9a-f]{8})"
)
# Fields come in any order and without quotes: a value ends where the next known key begins.
_FIELD = re.compile(r"(?:^|\s)(time|level|msg|new|err|termination_reason|termination_message)=")
_STATES = {
    "running": Status.RUNNING,
    "done": Status.DONE,
    "failed": Status.FAILED,
    "terminated": Status.TERMINATED,
    "aborted": Status.TERMINATED,
}
_EXIT_STATUS = re.compile(r"\bexit status (-?\d{1,10})\s*$")
_SIGNAL = re.compile(r"\bsignal: ([a-z0-9/ ]{1,40}?)(?: \(core dumped\))?\s*$")
_START_FAILED = re.compile(r"\bstart command: (?:start command: )?(.+)$")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
# As Go names them on Linux.
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
}


class Dstack:
    """dstack's shim and runner, as the supervisor of the jobs in their containers."""

    name = NAME
    labels = LABELS

    def job(self, labels: Mapping[str, str], container_name: str) -> SupervisedJob | None:
        """Return the job that a container was made for; None where it is not dstack's.

        The run's name stands in the container's name. It is believed only where the name's last digits are
        those of the job's name and the task id, since anybody may give a container such a name.
        """
        if labels.get(IS_TASK, "").strip().casefold() != "true":
            return None
        task_id = sanitize(labels.get(TASK_ID, ""))
        found = _CONTAINER_NAME.fullmatch(container_name)
        if not task_id or found is None or found["digest"] != _digest(found["job"], task_id):
            return SupervisedJob(NAME, task_id)
        return SupervisedJob(NAME, task_id, found["run"], int(found["job_num"]), int(found["replica_num"]))

    def open_log(self) -> RunnerLog:
        """Return a reader for the runner's log of one container."""
        return RunnerLog()


def _digest(job_name: str, task_id: str) -> str:
    return hashlib.sha256(f"{job_name}/{task_id}".encode()).hexdigest()[:8]


class RunnerLog:
    """State of one job, read from the lines of its runner's log as they come."""

    def __init__(self) -> None:
        self._report = JobReport()
        self._error = ""
        self._is_canceled = False

    @property
    def report(self) -> JobReport:
        """What the log has said so far."""
        return self._report

    def read(self, line: str, at_ns: int) -> None:
        """Take one line that the engine received at ``at_ns``; foreign lines change nothing."""
        fields = _fields(line)
        if not self._report.was_heard and "level" in fields and "msg" in fields:
            self._report = replace(self._report, was_heard=True)
        match fields.get("msg"):
            case "Exec failed":
                self._error = fields.get("err", "")
            case "Job canceled":
                self._is_canceled = True
            case "Job state changed":
                self._change_state(fields, at_ns)
            case "Executor failed" if self._report.end is not None:
                # Only this line names the signal of a job that was stopped.
                self._error = self._error or fields.get("err", "")
                self._report = replace(self._report, end=self._end(self._report.end))

    def _change_state(self, fields: Mapping[str, str], at_ns: int) -> None:
        status = _STATES.get(fields.get("new", ""))
        if status is None or self._report.end is not None:
            return
        if status is Status.RUNNING:
            self._report = replace(self._report, started_ns=at_ns)
            return
        word = fields.get("termination_reason", "")
        end = JobEnd(
            at_ns,
            status,
            termination=word.upper() if _WORD.fullmatch(word) else "",
            message=sanitize(fields.get("termination_message", "")),
        )
        self._report = replace(self._report, end=self._end(end))

    def _end(self, end: JobEnd) -> JobEnd:
        """Return the end with the code and signal that the error lines tell."""
        code, signal = _code(self._error), _signal(self._error)
        if end.status is Status.DONE:
            code, signal = 0, None
        elif signal is not None and code is None:
            code = SIGNAL_BASE + signal
        refused = _START_FAILED.search(self._error)
        is_own = end.status is not Status.TERMINATED and not end.termination
        return replace(
            end,
            code=code if is_own else None,
            signal=signal,
            start_error=sanitize(refused[1]) if refused else "",
            termination=end.termination or ("TERMINATED_BY_USER" if self._is_canceled else ""),
        )


def _fields(line: str) -> dict[str, str]:
    """Return the known fields of a line; a key that stands twice keeps its first value."""
    keys = list(_FIELD.finditer(line))
    ends = [key.start() for key in keys[1:]] + [len(line)]
    fields: dict[str, str] = {}
    for key, end in zip(keys, ends):  # noqa: B905  # a line without a key has an end too
        fields.setdefault(key[1], line[key.end() : end].strip())
    return fields


def _code(error: str) -> int | None:
    found = _EXIT_STATUS.search(error)
    return int(found[1]) if found and int(found[1]) >= 0 else None


def _signal(error: str) -> int | None:
    found = _SIGNAL.search(error)
    return _SIGNALS.get(found[1]) if found else None
