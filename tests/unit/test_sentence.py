"""A verdict as one sentence, with its evidence in words."""

from dataclasses import replace

import pytest

from exporter.model import (
    ClassifiedExit,
    Evidence,
    JobRecord,
    KillRequest,
    LimitOwner,
    OomKill,
    OomSource,
    OomVictim,
)
from exporter.verdict.sentence import verdict_sentence
from tests.store.samples import BEGAN_NS, NOT_STARTED, SECOND_NS, ended, job

END_NS = BEGAN_NS + 90 * SECOND_NS
MILLISECOND_NS = 10**6
KILLED = OomVictim(LimitOwner.OWN, "/docker/1", "python", 51, 498 << 20)
PARENTS = replace(KILLED, limit=LimitOwner.PARENT, cgroup="/slice", rss_bytes=None)
LIMIT = 512 << 20


def oom_killed(kill: OomKill, limit: LimitOwner | None, count: int = 1, **evidence: object) -> ClassifiedExit:
    """Return the exit of a job with an OOM kill 40 ms before its end."""
    found = Evidence(oom_killed=True, limit=limit, **evidence)  # type: ignore[arg-type]
    return ended(job(memory_limit_bytes=LIMIT, oom_kills=(kill,)), 137, found, oom_kills=count)


def oom(source: OomSource, victim: OomVictim | None = None) -> OomKill:
    """Return an OOM kill 40 ms before the end."""
    return OomKill(source, END_NS - 40 * MILLISECOND_NS, victim)


def asked(signal: int | None, before_ns: int) -> ClassifiedExit:
    """Return the exit of a job that was asked to end."""
    kills = (KillRequest(signal, END_NS - before_ns),)
    return ended(job(kills=kills), 143, Evidence(stop_requested=True))


SENTENCES = {
    "OOMKilled: the kernel killed process 51 (python, 498 MiB) at 00:01:29 UTC, 40 ms before the exit; "
    "its own limit of 512 MiB was reached; nobody asked for a stop.": oom_killed(
        oom(OomSource.LOG, KILLED), LimitOwner.OWN
    ),
    "OOMKilled: the kernel killed process 51 (python) at 00:01:29 UTC, 40 ms before the exit; it was "
    "the last of 3 OOM kills; the limit of /slice was reached, which others share; nobody asked for "
    "a stop.": oom_killed(oom(OomSource.LOG, PARENTS), LimitOwner.PARENT, 3),
    "OOMKilled: the engine reported an OOM kill at 00:01:29 UTC, 40 ms before the exit; the host "
    "itself was out of memory; no request to stop it is on record.": oom_killed(
        oom(OomSource.EVENT), LimitOwner.HOST, not_known=("Events were missed: requests to stop it may be.",)
    ),
    "OOMKilled: a process of it was OOM-killed; nobody asked for a stop.": oom_killed(
        OomKill(OomSource.FLAG, None), None
    ),
    "Error: it ended with exit code 1 after 1m30s; nobody asked for a stop.": ended(job(), 1),
    "Error: it ended with exit code 1 after 1m30s; the GPU failed; nobody asked for a stop.": ended(
        job(), 1, Evidence(notes=("The engine reported an OOM kill.", "The GPU failed.", "And more."))
    ),
    "Terminated: it ended with exit code 143 after 1m30s; the engine was asked to send SIGTERM 250 ms "
    "before the exit.": asked(15, 250 * MILLISECOND_NS),
    "Terminated: it ended with exit code 143 after 1m30s; the engine was asked to send a signal 2s "
    "after the exit.": asked(None, -2 * SECOND_NS),
    "Completed: it ended with exit code 0 after 1m30s.": ended(job(), 0),
    "Completed: it ended with exit code 0 after 1m30s; 2 of its processes were OOM-killed on the way.": ended(
        job(), 0, oom_kills=2
    ),
    "CommandNotFound: the engine could not start it: no such file.": ended(
        job(started_ns=None), 127, replace(NOT_STARTED, start_error="no such file")
    ),
    "Unknown: its end was not seen, and its code is not known.": ended(job(), None),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_verdict_is_one_sentence_with_its_evidence(sentence: str) -> None:
    classified = SENTENCES[sentence]
    assert verdict_sentence(JobRecord(classified.exit.job, classified)) == sentence


def test_a_running_job_says_what_has_happened_so_far() -> None:
    running = job(notes=("7 of its processes were killed for memory, and it went on.",))
    assert verdict_sentence(JobRecord(running, None)) == (
        "Running: it has not ended; 7 of its processes were killed for memory, and it went on."
    )
