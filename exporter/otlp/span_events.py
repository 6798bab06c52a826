"""Events of a job in the order of their time: exported as events of its span or as log records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from exporter.model import ClassifiedExit, OomKill, OomSource, OomVictim, Status
from exporter.verdict.notes import signal_name
from exporter.verdict.oom_kills import deduplicate

AttributeValue = str | int | tuple[str, ...]


class Severity(IntEnum):
    """Severity numbers of OpenTelemetry."""

    INFO = 9
    WARN = 13
    ERROR = 17


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Event of a job; ``name`` is one of a fixed set, ``text`` is for people."""

    name: str
    at_ns: int
    attributes: Mapping[str, AttributeValue]
    text: str
    severity: Severity = Severity.INFO


def span_events(classified: ClassifiedExit) -> list[SpanEvent]:
    """Return all events of a job by time; of those at the same time, the exit is last."""
    exit_event = _exit(classified)
    events = [*_start(classified), *_oom_kills(classified), *_kill_requests(classified), exit_event]
    return sorted(events, key=lambda event: (event.at_ns, event is exit_event))


def _start(classified: ClassifiedExit) -> Iterator[SpanEvent]:
    started_ns = classified.exit.job.started_ns
    if started_ns is not None:
        yield SpanEvent("container.start", started_ns, {}, "The container was started")


def _oom_kills(classified: ClassifiedExit) -> Iterator[SpanEvent]:
    for kill in deduplicate(classified.exit.job.oom_kills):
        attributes: dict[str, AttributeValue] = {"exit_exporter.witness": kill.source.name.lower()}
        attributes |= dict(_victim(kill.victim)) if kill.victim else {}
        at_ns = _killed_ns(kill, classified.exit.finished_ns)
        yield SpanEvent("container.oom", at_ns, attributes, kill.source.value, Severity.WARN)


def _victim(victim: OomVictim) -> Iterator[tuple[str, AttributeValue]]:
    yield "process.pid", victim.pid
    yield "exit_exporter.oom.process", victim.process
    if victim.limit is not None:
        yield "exit_exporter.oom.limit", victim.limit.value
        yield "exit_exporter.oom.cgroup", victim.cgroup
    if victim.rss_bytes is not None:
        yield "exit_exporter.oom.rss_bytes", victim.rss_bytes
    if victim.largest is not None:
        process, rss_bytes = victim.largest
        yield "exit_exporter.oom.largest.process", process
        yield "exit_exporter.oom.largest.rss_bytes", rss_bytes


def _killed_ns(kill: OomKill, finished_ns: int) -> int:
    """Return the kill time. Kills that the engine did not report are capped at the exit time."""
    if kill.source is OomSource.EVENT and kill.at_ns is not None:
        return kill.at_ns
    return finished_ns if kill.at_ns is None else min(kill.at_ns, finished_ns)


def _kill_requests(classified: ClassifiedExit) -> Iterator[SpanEvent]:
    for kill in classified.exit.job.kills:
        name = signal_name(kill.signal)
        signal: dict[str, AttributeValue] = {"exit_exporter.signal.name": name}
        if kill.signal is not None:
            signal["exit_exporter.signal.number"] = kill.signal
        yield SpanEvent("container.kill", kill.at_ns, signal, f"The engine was asked to send {name}")


def _exit(classified: ClassifiedExit) -> SpanEvent:
    ended, verdict = classified.exit, classified.verdict
    attributes: dict[str, AttributeValue] = {"exit_exporter.reason": verdict.reason}
    if ended.code is not None:
        attributes["process.exit.code"] = ended.code
    if verdict.status is Status.FAILED:
        attributes["error.type"] = verdict.reason
    severity = Severity.ERROR if verdict.status is Status.FAILED else Severity.INFO
    return SpanEvent(
        "container.exit", ended.finished_ns, attributes, verdict.error or verdict.reason, severity
    )
