"""The timeline of one job: what happened when, and what is not known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.model import JobRecord, OomKill, OomSource, Status
from exporter.sizes import format_bytes
from exporter.verdict.notes import signal_name
from exporter.verdict.sentence import before_end, short_span
from exporter.web.views import rfc3339

_MAX_KILLS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; without ``at``, its time is not known. ``offset`` is its time since the start.

    ``kind`` is created, start, oom, request, health, gap or end.
    """

    kind: str
    title: str
    text: str
    at: str | None
    offset: str


def timeline(record: JobRecord) -> list[Entry]:
    """Return the entries, the first one first."""
    timed = sorted(_timed(record), key=lambda item: item[0])
    entries = [_entry(record, at_ns, *words) for at_ns, words in timed]
    gaps = [Entry("gap", "Not known", sentence, None, "") for sentence in _not_known(record)]
    health = [Entry("health", "Unhealthy", note, None, "") for note in _health_notes(record)]
    at_end = -1 if record.ended else len(entries)
    return [*entries[:at_end], *health, *gaps, *entries[at_end:]]


def _entry(record: JobRecord, at_ns: int, kind: str, title: str, text: str) -> Entry:
    began_ns = record.job.started_ns
    offset = ""
    if began_ns is not None and kind not in {"created", "start"}:
        offset = f"{'+' if at_ns >= began_ns else '-'}{short_span(abs(at_ns - began_ns))}"
    return Entry(kind, title, text, rfc3339(at_ns), offset)


def _timed(record: JobRecord) -> Iterator[tuple[int, tuple[str, str, str]]]:
    job = record.job
    if job.created_ns is not None:
        yield job.created_ns, ("created", "Created", "")
    if job.started_ns is not None:
        yield job.started_ns, ("start", "Started", f"attempt {job.attempt}" if job.attempt > 1 else "")
    timed = [kill for kill in job.oom_kills if kill.at_ns is not None]
    for kill in timed[-_MAX_KILLS:]:
        yield kill.at_ns or 0, ("oom", "OOM kill", _oom_text(kill, record))
    for request in job.kills[-_MAX_KILLS:]:
        text = f"the engine was asked to send {signal_name(request.signal)}"
        yield request.at_ns, ("request", "Kill request", _with_distance(text, request.at_ns, record))
    if record.ended is not None:
        yield record.ended.exit.finished_ns, ("end", *_end(record))


def _end(record: JobRecord) -> tuple[str, str]:
    if record.ended is None:
        return "", ""
    code, reason = record.ended.exit.code, record.ended.verdict.reason
    if record.status is Status.UNKNOWN:
        return "Found ended", "its end was not seen"
    if record.job.started_ns is None and record.job.has_container:
        return "Failed to start", reason
    return "Ended", reason if code is None else f"exit code {code}, {reason}"


def _oom_text(kill: OomKill, record: JobRecord) -> str:
    if kill.victim is None:
        text = "the kernel counted it" if kill.source is OomSource.COUNTER else "reported by the engine"
    else:
        size = f", {format_bytes(kill.victim.rss_bytes)}" if kill.victim.rss_bytes else ""
        text = f"process {kill.victim.pid} ({kill.victim.process}{size})"
    return _with_distance(text, kill.at_ns or 0, record)


def _with_distance(text: str, at_ns: int, record: JobRecord) -> str:
    if record.ended is None:
        return text
    return f"{text}, {before_end(record.ended.exit.finished_ns - at_ns)}"


def _not_known(record: JobRecord) -> tuple[str, ...]:
    return record.ended.exit.evidence.not_known if record.ended else ()


def _health_notes(record: JobRecord) -> Iterator[str]:
    notes = record.ended.exit.evidence.notes if record.ended else record.job.notes
    yield from (note for note in notes if note.startswith("It was unhealthy"))
