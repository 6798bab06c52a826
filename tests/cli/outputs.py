"""What the commands show, whole, as it was agreed.

After a change that is meant: `python -m tests.cli.outputs`, and read what git says has changed.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Self
from unittest.mock import patch

from exporter.model import Workload
from exporter.store import Batch
from exporter.tracing.identity import trace_of
from tests.cli.command import at_terminal, invoke, run
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job
from tests.web.served import Served

GOLDEN = Path(__file__).with_name("golden")
NIGHT = Workload("night/report", "report")
LONG_AGO_NS = 978_307_200 * SECOND_NS
"""2001-01-01T00:00:00Z."""

TAIL = "epoch 3: loss 0.1\n[bold]no markup[/] :smile: " + 5 * "a long line " + "\nKilled"

Output = Callable[[str], str]


class TwoHoursLater(datetime):
    """A clock that stands two hours after most of the jobs ended."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Give the time at which it stands."""
        return cls.fromtimestamp(BEGAN_NS // SECOND_NS + 90 + 7200, tz or UTC)


def fill(served: Served) -> None:
    """Record a job of every kind; the newest is the first one here."""
    starved = job("a", name="gentle-stingray-1", began_ns=BEGAN_NS + 6)
    stopped = job("c", name="stopped", attempt=3, instance="node-2", began_ns=BEGAN_NS + 4)
    served.store.commit(
        Batch(
            begun=[job("b", name="[bold]odd[/] :smile:", began_ns=BEGAN_NS + 5, memory_limit_bytes=None)],
            ended=[
                replace(ended(starved, 137, OOM, oom_kills=1, log_tail=TAIL), trace=trace_of(starved)),
                ended(stopped, 143, STOPPED),
                ended(job("d", name="mistyped", began_ns=BEGAN_NS + 3, started_ns=None), 127, NOT_STARTED),
                ended(job("e", name="nightly", began_ns=BEGAN_NS + 2, workload=NIGHT), 0),
                ended(job("f", name="unseen", began_ns=BEGAN_NS + 1), None),
                ended(job("0", name="long-ago", began_ns=LONG_AGO_NS, started_ns=LONG_AGO_NS), 1),
            ],
        )
    )


def piped(*words: str, complaint: str = "") -> Output:
    """Give what goes to a pipe."""

    def show(url: str) -> str:
        done = run(*words, "--url", url)
        assert (done.code, done.err) == (0, complaint)
        return done.out

    return show


def shown(*words: str, columns: int = 80) -> Output:
    """Give what is seen at a terminal of so many columns."""
    return lambda url: at_terminal(*words, "--url", url, columns=columns)


def two_hours_later(*words: str) -> Output:
    """Give what would go to a pipe two hours after most of the jobs ended."""

    def show(url: str) -> str:
        with patch("exporter.cli.tables.datetime", TwoHoursLater):
            return invoke(*words, "--url", url).out

    return show


PS: dict[str, Output] = {
    "ps": piped("ps"),
    "ps_verbose": piped("ps", "-v"),
    "ps_all": two_hours_later("ps", "-a"),
    "ps_verbose_failed": piped("ps", "-v", "--status", "failed"),
    "ps_none": piped("ps", "--reason", "Aborted", complaint="no jobs; -a shows all on record\n"),
    "ps_80": shown("ps"),
    "ps_132": shown("ps", columns=132),
    "ps_verbose_80": shown("ps", "-v"),
    "ps_verbose_132": shown("ps", "-v", columns=132),
}
SHOW: dict[str, Output] = {
    "show_failed": piped("show", "gentle-stingray-1"),
    "show_running": piped("show", "bbbb"),
    "show_terminated": piped("show", "stopped"),
    "show_never_started": piped("show", "mistyped"),
    "show_done": piped("show", "nightly"),
    "show_unknown": piped("show", "unseen"),
    "show_later": two_hours_later("show", "long-ago"),
    "show_80": shown("show", "gentle-stingray-1"),
}
EXPLAIN: dict[str, Output] = {
    **{f"explain_{code}": piped("explain", code) for code in ("0", "1", "127", "137", "3221225477")},
    "explain_80": shown("explain", "137"),
}
OUTPUTS = PS | SHOW | EXPLAIN


def golden(name: str) -> str:
    """Give a whole output as it was agreed."""
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def flat(output: str) -> str:
    """Give an output without what no one sees: the spaces at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in output.splitlines())


def agree() -> None:
    """Write down what the commands show now."""
    (GOLDEN / "serve_help.txt").write_text(run("serve", "--help", COLUMNS="100").out, encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory, Served(Path(directory)).running() as served:
        fill(served)
        for name, output in OUTPUTS.items():
            (GOLDEN / f"{name}.txt").write_text(flat(output(served.url)), encoding="utf-8")


if __name__ == "__main__":
    agree()
