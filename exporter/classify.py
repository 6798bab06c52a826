"""Verdicts: a code, its evidence and the catalogue in; status, termination and reason out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.model import Evidence, Recovery, Status, Termination, Verdict, Workload
from exporter.reasons import Catalogue, Meaning, Reading

OOM_CODE = 137
NO_WORKLOAD = Workload(name="", image="")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One way to read a code: the circumstances, the verdict in them, and what its word means."""

    when: str
    verdict: Verdict
    meaning: Meaning


def classify(
    code: int | None,
    evidence: Evidence,
    catalogue: Catalogue,
    workload: Workload = NO_WORKLOAD,
    *,
    assume_oom: bool = False,
) -> Verdict:
    """What an end means: the first row of the design's verdict table that fits.

    ``code`` is None where it is unknown. ``assume_oom`` reads every 137 as out of memory, as
    those do who look at the code alone.
    """
    status, termination, reading = _row(code, evidence, assume_oom=assume_oom)
    reason = catalogue.reason(code, reading, workload)
    return Verdict(
        status=status,
        termination=termination,
        reason=reason,
        recovery=_recovery(status, catalogue.meaning(reason)),
        error=None if status is Status.DONE else error_text(status, termination, code, reason),
    )


def error_text(status: Status, termination: Termination, code: int | None, reason: str) -> str:
    """The one text for people, made here and shown everywhere."""
    shown = "unknown" if code is None else code
    return f"JOB_{status.upper()} ({termination}, exit code: {shown} - {reason})"


def explain(code: int, catalogue: Catalogue, workload: Workload = NO_WORKLOAD) -> list[Explanation]:
    """Every way in which ``code`` can be read, the likeliest first."""
    found: dict[Verdict, Explanation] = {}
    for reading, evidence in _circumstances(code):
        verdict = classify(code, evidence, catalogue, workload)
        meaning = catalogue.meaning(verdict.reason)
        found.setdefault(verdict, Explanation(reading.value, verdict, meaning))
    return list(found.values())


def _row(code: int | None, evidence: Evidence, *, assume_oom: bool) -> tuple[Status, Termination, Reading]:
    if evidence.never_started:
        return Status.FAILED, Termination.CREATING_CONTAINER_ERROR, Reading.START_FAILED
    if evidence.instance_lost:
        return Status.FAILED, Termination.INSTANCE_LOST, Reading.INSTANCE_LOST
    if code is None:
        return Status.UNKNOWN, Termination.EXIT_NOT_OBSERVED, Reading.UNOBSERVED
    if code != 0 and (evidence.oom_killed or (assume_oom and code == OOM_CODE)):
        return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, Reading.OUT_OF_MEMORY
    if evidence.asked_to_stop:
        return Status.TERMINATED, Termination.TERMINATED_BY_USER, Reading.REQUESTED
    return _by_itself(code)


def _by_itself(code: int) -> tuple[Status, Termination, Reading]:
    if code == 0:
        return Status.DONE, Termination.DONE, Reading.PLAIN
    return Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, Reading.PLAIN


def _recovery(status: Status, meaning: Meaning) -> Recovery:
    """Somebody who asked for the end does not want it mended, whatever the code says."""
    return Recovery.NONE if status is Status.TERMINATED else meaning.recovery


def _circumstances(code: int) -> Iterator[tuple[Reading, Evidence]]:
    yield Reading.PLAIN, Evidence()
    yield Reading.OUT_OF_MEMORY, Evidence(oom_killed=True)
    yield Reading.REQUESTED, Evidence(asked_to_stop=True)
    if code in (126, 127, 128):
        yield Reading.START_FAILED, Evidence(never_started=True)
