"""A verdict as one sentence: the reason, and the evidence for it in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from exporter.config.duration import format_duration
from exporter.model import SECOND_NS, ClassifiedExit, JobRecord, LimitOwner, OomKill, OomSource, Status
from exporter.sizes import format_bytes
from exporter.verdict.notes import ABOUT_OOM_KILLS, ABOUT_REQUESTS, ABOUT_START, signal_name

_MILLISECOND_NS = 10**6
# Further sentences of evidence; the rest stands below the verdict.
_OTHER_NOTES = 1


def verdict_sentence(record: JobRecord) -> str:
    """Return the sentence, such as ``OOMKilled: the kernel killed process 51 at 12:00:03, …``."""
    clauses = list(_running(record) if record.ended is None else _ended(record.ended))
    head = "Running" if record.ended is None else record.ended.verdict.reason
    return f"{head}: {'; '.join(clauses)}."


def clock(at_ns: int) -> str:
    """Return the time of day in UTC, ``12:00:03``."""
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%H:%M:%S}"


def before_end(nanoseconds: int) -> str:
    """Return how long before the exit something was: ``40 ms before the exit``."""
    side = "before" if nanoseconds >= 0 else "after"
    return f"{short_span(abs(nanoseconds))} {side} the exit"


def short_span(nanoseconds: int) -> str:
    """Return a span of time: ``40 ms``, ``1.3s``, ``2h30m``."""
    if nanoseconds < SECOND_NS:
        return f"{nanoseconds // _MILLISECOND_NS} ms"
    return format_duration(nanoseconds / SECOND_NS)


def _running(record: JobRecord) -> Iterator[str]:
    yield "it has not ended"
    yield from (_as_clause(note) for note in record.job.notes[: _OTHER_NOTES + 1])


def _ended(classified: ClassifiedExit) -> Iterator[str]:
    ended, verdict = classified.exit, classified.verdict
    if verdict.status is Status.UNKNOWN:
        yield "its end was not seen, and its code is not known"
    elif ended.evidence.start_error and ended.job.started_ns is None:
        yield f"the engine could not start it: {ended.evidence.start_error.rstrip('.')}"
    elif ended.oom_kills and verdict.status is Status.FAILED:
        yield from _oom_kill(classified)
    else:
        yield _code(classified)
    yield from _others(classified)
    if verdict.status is Status.DONE and ended.oom_kills:
        verb = "was" if ended.oom_kills == 1 else "were"
        yield f"{ended.oom_kills} of its processes {verb} OOM-killed on the way"
    yield from _requests(classified)


def _code(classified: ClassifiedExit) -> str:
    ended = classified.exit
    code = "without an exit code" if ended.code is None else f"with exit code {ended.code}"
    if ended.job.started_ns is None:
        return f"it ended {code}"
    return f"it ended {code} after {short_span(max(0, ended.finished_ns - ended.job.started_ns))}"


def _oom_kill(classified: ClassifiedExit) -> Iterator[str]:
    ended = classified.exit
    timed = [kill for kill in ended.job.oom_kills if kill.at_ns is not None]
    named = [kill for kill in timed if kill.victim is not None]
    if named or timed:
        yield _killed((named or timed)[-1], ended.finished_ns)
    else:
        yield "a process of it was OOM-killed"
    if ended.oom_kills > 1:
        yield f"it was the last of {ended.oom_kills} OOM kills"
    limit = _limit(classified)
    if limit:
        yield limit


def _killed(kill: OomKill, finished_ns: int) -> str:
    at_ns = kill.at_ns or 0
    when = f"at {clock(at_ns)} UTC, {before_end(finished_ns - at_ns)}"
    if kill.victim is not None:
        size = f", {format_bytes(kill.victim.rss_bytes)}" if kill.victim.rss_bytes else ""
        return f"the kernel killed process {kill.victim.pid} ({kill.victim.process}{size}) {when}"
    if kill.source is OomSource.EVENT:
        return f"the engine reported an OOM kill {when}"
    return f"{_decapitalized(kill.source.value)} {when}"


def _limit(classified: ClassifiedExit) -> str | None:
    job, limit = classified.exit.job, classified.exit.evidence.limit
    match limit:
        case LimitOwner.OWN:
            size = f" of {format_bytes(job.memory_limit_bytes)}" if job.memory_limit_bytes else ""
            return f"its own limit{size} was reached"
        case LimitOwner.PARENT:
            groups = [kill.victim.cgroup for kill in job.oom_kills if kill.victim]
            return f"the limit of {groups[-1] if groups else 'a parent'} was reached, which others share"
        case LimitOwner.HOST:
            return "the host itself was out of memory"
    return None


def _requests(classified: ClassifiedExit) -> Iterator[str]:
    ended, status = classified.exit, classified.verdict.status
    if ended.job.kills:
        kill = ended.job.kills[-1]
        when = before_end(ended.finished_ns - kill.at_ns)
        yield f"the engine was asked to send {signal_name(kill.signal)} {when}"
    elif status is Status.FAILED and ended.job.started_ns is not None:
        is_doubtful = any("requests to stop" in sentence for sentence in ended.evidence.not_known)
        yield "no request to stop it is on record" if is_doubtful else "nobody asked for a stop"


def _others(classified: ClassifiedExit) -> Iterator[str]:
    """Yield the first sentences of evidence that the other clauses do not tell."""
    told = (*ABOUT_OOM_KILLS, *ABOUT_REQUESTS, *ABOUT_START)
    notes = [note for note in classified.exit.evidence.notes if not note.startswith(told)]
    yield from (_as_clause(note) for note in notes[:_OTHER_NOTES])


def _as_clause(note: str) -> str:
    return _decapitalized(note.rstrip("."))


def _decapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]
