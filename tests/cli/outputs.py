"""Whole outputs of the commands, compared with the golden files.

After an intended change run `python -m tests.cli.outputs`, and review the diff.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from signal import SIGTERM
from typing import Self
from unittest.mock import patch

from exporter.model import Evidence, LimitOwner, OomKill, OomSource, OomVictim, SupervisedJob, Workload
from exporter.otlp.trace_context import span_ids_for
from exporter.store import Batch
from exporter.verdict.evidence import assess
from exporter.verdict.facts import RunFacts
from tests.cli.command import at_terminal, invoke, run
from tests.store.samples import (
    BEGAN_NS,
    NOT_STARTED,
    OOM,
    SECOND_NS,
    STOPPED,
    SUBMISSION,
    TIMED_OUT,
    ended,
    job,
)
from tests.web.made_up_runs import killed as killed_run
from tests.web.made_up_runs import record
from tests.web.made_up_runs import run as run_of
from tests.web.served import Served

GOLDEN = Path(__file__).with_name("golden")
NIGHT = Workload("night/report", "report")
LONG_AGO_NS = 978_307_200 * SECOND_NS
"""2001-01-01T00:00:00Z."""

UNPROVED = SupervisedJob("dstack", "9f2d1c3b-0a4e-4c55-8e17-6b5a4d3c2b1a")
"""A submission whose container's name does not prove the run."""

TAIL = "epoch 3: loss 0.1\n[bold]no markup[/] :smile: " + 5 * "a long line " + "\nKilled"

Output = Callable[[str], str]


class TwoHoursLater(datetime):
    """A clock that is stopped two hours after most of the jobs ended."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return that time."""
        return cls.fromtimestamp(BEGAN_NS // SECOND_NS + 90 + 7200, tz or UTC)


def fill(served: Served) -> None:
    """Record a job of every kind, the newest first."""
    hungry = job("a", name="gentle-stingray-1", start_event_ns=BEGAN_NS + 6)
    stopped = job("c", name="stopped", attempt=3, instance="node-2", start_event_ns=BEGAN_NS + 4)
    served.store.commit(
        Batch(
            running=[
                job("b", name="[bold]odd[/] :smile:", start_event_ns=BEGAN_NS + 5, memory_limit_bytes=None)
            ],
            ended=[
                replace(ended(hungry, 137, OOM, oom_kills=1, log_tail=TAIL), trace=span_ids_for(hungry)),
                ended(stopped, 143, STOPPED),
                ended(
                    job("d", name="mistyped", start_event_ns=BEGAN_NS + 3, started_ns=None), 127, NOT_STARTED
                ),
                ended(job("e", name="nightly", start_event_ns=BEGAN_NS + 2, workload=NIGHT), 0),
                ended(job("f", name="unseen", start_event_ns=BEGAN_NS + 1), None),
                ended(job("0", name="long-ago", start_event_ns=LONG_AGO_NS, started_ns=LONG_AGO_NS), 1),
            ],
        )
    )


UNSTARTABLE = replace(
    NOT_STARTED,
    start_error=(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: "
        'exec: "nosuch": executable file not found in $PATH: unknown'
    ),
)


def killed(*victims: OomVictim) -> tuple[OomKill, ...]:
    """Return the OOM kills that the kernel log reports."""
    return tuple(OomKill(OomSource.LOG, BEGAN_NS + at_ns, victim) for at_ns, victim in enumerate(victims))


def oom_evidence(*victims: OomVictim, limit: int | None = None) -> Evidence:
    """Return the evidence of an exit ninety seconds after these OOM kills."""
    ended_ns = BEGAN_NS + 90 * SECOND_NS
    return assess(
        RunFacts(137, ended_ns, (), killed(*victims), SIGTERM, 10 * SECOND_NS, memory_limit_bytes=limit)
    )


def fill_more(served: Served) -> None:
    """Record more jobs, with evidence from the engine and the kernel log."""
    own = OomVictim(LimitOwner.OWN, f"/docker/{'1' * 64}", "python", 4711, 498 << 20)
    parent = OomVictim(LimitOwner.PARENT, "/s", "worker", 4812, 62 << 20)
    host = OomVictim(LimitOwner.HOST, "/", "cc1plus", 4913, 1288 << 20, ("java", 13 << 30))
    child = OomVictim(LimitOwner.OWN, f"/docker/{'4' * 64}", "worker", 100)
    children = tuple(replace(child, pid=pid) for pid in range(100, 107))
    served.store.commit(
        Batch(
            running=[
                job(
                    "4",
                    name="survivor",
                    key="r5",
                    oom_kills=killed(*children),
                    notes=("7 of its processes were killed for memory, and it went on.",),
                )
            ],
            ended=[
                ended(job("5", name="unstartable", started_ns=None), 127, UNSTARTABLE),
                ended(
                    job("1", name="own-limit", memory_limit_bytes=512 << 20, oom_kills=killed(own)),
                    137,
                    replace(oom_evidence(own), not_known=("Events were missed.",)),
                    oom_kills=1,
                ),
                ended(
                    job("2", name="parents-limit", memory_limit_bytes=None, oom_kills=killed(parent)),
                    137,
                    oom_evidence(parent),
                    oom_kills=1,
                ),
                ended(
                    job("3", name="hosts-memory", memory_limit_bytes=1536 << 20, oom_kills=killed(host)),
                    137,
                    oom_evidence(host, limit=1536 << 20),
                    oom_kills=1,
                ),
                ended(
                    job("6", name="casualties"),
                    0,
                    Evidence(causes=("A worker needs more than it may have",)),
                    oom_kills=2,
                ),
                ended(job("7", name="timed-out", supervised=SUBMISSION), None, TIMED_OUT),
                ended(job("8", name="unproved", supervised=UNPROVED), 3),
            ],
        )
    )


def fill_histories(served: Served) -> None:
    """Record the histories of some workloads: a raise that helped, a leak, the host's memory, failures."""
    record(
        served,
        *(killed_run("night/train", hour, 512) for hour in range(10, 24)),
        *(run_of("night/train", hour, 0, 1024) for hour in range(24, 84)),
        *(killed_run("leaky", hour, 512 * 2**hour, minutes=10 * 2**hour) for hour in range(3)),
        killed_run("[i]|x", 1, 256, owner=LimitOwner.HOST),
        *(run_of("[i]|x", hour, 0, 256) for hour in range(2, 5)),
        run_of("[i]|x", 5, 0, 256, oom_kills=2),
        *(run_of("etl", hour, 3) for hour in range(-9, 30)),
    )


def piped(*words: str, note: str = "") -> Output:
    """Return the output of a process in a pipe; the ``note`` is on standard error."""

    def show(url: str) -> str:
        done = run(*words, "--url", url)
        assert (done.code, done.err) == (0, note)
        return done.out

    return show


def printed(*words: str, note: str = "") -> Output:
    """Return the same output, without a process of its own."""

    def show(url: str) -> str:
        done = invoke(*words, "--url", url)
        assert (done.code, done.err) == (0, note)
        return done.out

    return show


def shown(*words: str, columns: int = 80) -> Output:
    """Return the output in a terminal of this width."""
    return lambda url: at_terminal(*words, "--url", url, columns=columns)


def two_hours_later(*words: str) -> Output:
    """Return the output in a pipe two hours after most of the jobs ended."""

    def show(url: str) -> str:
        with patch("exporter.wording.cells.datetime", TwoHoursLater):
            return invoke(*words, "--url", url).out

    return show


PS: dict[str, Output] = {
    "ps": piped("ps"),
    "ps_verbose": printed("ps", "-v"),
    "ps_all": two_hours_later("ps", "-a"),
    "ps_verbose_failed": printed("ps", "-v", "--status", "failed"),
    "ps_none": piped("ps", "--reason", "Aborted", note="no jobs are like this\n"),
    "ps_80": shown("ps"),
    "ps_132": shown("ps", columns=132),
    "ps_verbose_80": shown("ps", "-v"),
    "ps_verbose_132": shown("ps", "-v", columns=132),
}
PS_MORE: dict[str, Output] = {
    "ps_casualties": printed("ps", "--casualties"),
    "ps_verbose_casualties_80": shown("ps", "-v", "--status", "done"),
}
SHOW: dict[str, Output] = {
    "show_failed": piped("show", "gentle-stingray-1"),
    "show_running": printed("show", "bbbbbb"),
    "show_terminated": printed("show", "stopped"),
    "show_never_started": printed("show", "mistyped"),
    "show_done": printed("show", "nightly"),
    "show_unknown": printed("show", "unseen"),
    "show_later": two_hours_later("show", "long-ago"),
    "show_80": shown("show", "gentle-stingray-1"),
}
SHOW_MORE: dict[str, Output] = {
    "show_unstartable": printed("show", "unstartable"),
    "show_unstartable_80": shown("show", "unstartable"),
    "show_own_limit": printed("show", "own-limit"),
    "show_parents_limit": printed("show", "parents-limit"),
    "show_hosts_memory_80": shown("show", "hosts-memory"),
    "show_hosts_memory_132": shown("show", "hosts-memory", columns=132),
    "show_running_survivor": printed("show", "survivor"),
    "show_casualties": printed("show", "casualties"),
    "show_supervised": printed("show", "timed-out"),
    "show_supervised_unproved": printed("show", "unproved"),
}
"""Outputs of the jobs of ``fill_more``."""
EXPLAINED = ("0", "1", "2", "127", "137", "255", "3221225477", "OOMKilled", "Error", "RealTimeSignal")
EXPLAIN: dict[str, Output] = {
    **{f"explain_{word.lower()}": printed("explain", word) for word in EXPLAINED},
    "explain_80": shown("explain", "137"),
}
MORE = PS_MORE | SHOW_MORE
REPORTED = ("--since", "2100-01-01", "--until", "2100-01-08")
REPORT: dict[str, Output] = {
    "report": piped("report", *REPORTED),
    "report_markdown": printed("report", "--format", "markdown", *REPORTED),
    "report_80": shown("report", *REPORTED),
}
"""Outputs of the histories of ``fill_histories``, beside the jobs of ``fill``."""
OUTPUTS = PS | SHOW | EXPLAIN | MORE


def golden(name: str) -> str:
    """Return a golden output."""
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def flat(output: str) -> str:
    """Return an output without spaces at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in output.splitlines())


def write_golden() -> None:
    """Write the current outputs to the golden files."""
    (GOLDEN / "serve_help.txt").write_text(run("serve", "--help", COLUMNS="100").out, encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory, Served(Path(directory)).running() as served:
        fill(served)
        for name, output in OUTPUTS.items():
            if name in MORE:
                fill_more(served)
            (GOLDEN / f"{name}.txt").write_text(flat(output(served.url)), encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory, Served(Path(directory)).running() as served:
        fill(served)
        fill_histories(served)
        for name, output in REPORT.items():
            (GOLDEN / f"{name}.txt").write_text(flat(output(served.url)), encoding="utf-8")


if __name__ == "__main__":
    write_golden()
