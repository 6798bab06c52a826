"""What runs say about memory: OOM kills by whose limit was reached, and completed runs between them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.model import ClassifiedExit, Evidence, LimitOwner, OomKill, OomSource, OomVictim, Workload
from exporter.report.runs import MemoryHistory, OomCounts, Outcome, Runs
from exporter.store import Batch, TimeSpan
from exporter.time_units import DAY_NS, HOUR_NS
from tests.store.files import opened
from tests.store.plans import plans_of, statements_of
from tests.store.samples import BEGAN_NS, SECOND_NS, ended, job

MIB = 1 << 20
SPAN = TimeSpan(BEGAN_NS, BEGAN_NS + 1000 * SECOND_NS)
KILLED, COMPLETED = Outcome.OOM_KILLED, Outcome.COMPLETED
UNKNOWN = Outcome.OOM_KILLED_LIMIT_UNKNOWN


def run(at: int, code: int, limit: int | None = 512, **changes: Any) -> ClassifiedExit:
    """Return a run that ended so many seconds after the begin of the span, with a limit in MiB."""
    owner, kills, victims = (changes.pop(name, None) for name in ("owner", "kills", "victims"))
    end_ns = BEGAN_NS + at * SECOND_NS
    fields = {
        "attempt": at + 1,
        "key": f"r{at}",
        "memory_limit_bytes": None if limit is None else limit * MIB,
        "started_ns": end_ns - 60 * SECOND_NS,
        "workload": Workload("train", "train"),
        "oom_kills": tuple(witness(victim) for victim in victims or ()),
    }
    evidence = Evidence(oom_killed=code == 137, limit=owner)
    return ended(job("a", **fields | changes), code, evidence, finished_ns=end_ns, oom_kills=kills or 0)


def witness(limit: LimitOwner | str | None) -> OomKill:
    """Return an OOM kill in the kernel's log; of another source, if its limit is a text."""
    if isinstance(limit, str) and not isinstance(limit, LimitOwner):
        return OomKill(OomSource.EVENT, BEGAN_NS)
    return OomKill(OomSource.LOG, BEGAN_NS, OomVictim(limit, "/docker/a", "python", 7))


def killed(at: int, limit: int | None = 512, owner: LimitOwner | None = LimitOwner.OWN) -> ClassifiedExit:
    """Return a run that ended by an OOM kill."""
    return run(at, 137, limit, owner=owner, kills=1)


def runs(limit: int, outcome: Outcome, ends: list[int], ran: int | None = None) -> Runs:
    """Return runs that ended so many seconds after the begin of the span, with a limit in MiB."""
    first_ns, last_ns = BEGAN_NS + ends[0] * SECOND_NS, BEGAN_NS + ends[-1] * SECOND_NS
    ran_ns = None if ran is None else ran * SECOND_NS
    return Runs(limit * MIB, outcome, len(ends), first_ns, last_ns, ran_ns)


def histories(database: Path, *exits: ClassifiedExit, span: TimeSpan = SPAN) -> dict[str, MemoryHistory]:
    """Return the histories that a store with these exits has."""
    with opened(database) as store:
        store.commit(Batch(ended=exits, running=[job("b", key="running", oom_kills=(witness(None),))]))
        return store.reader.memory_histories(span)


def test_completed_runs_are_counted_by_limit_and_between_the_kills_that_matter(database: Path) -> None:
    found = histories(
        database,
        *(run(at, 0, 512) for at in (1, 2)),
        killed(3),
        run(4, 0, 1024),
        run(5, 0, 512),
        run(6, 0, 1024),
        killed(7),
        killed(8, 256),
        run(9, 0, 1024),
        killed(10),
        run(11, 0, 1024),
        run(12, 1, 1024),
        run(13, 143, 1024),
        run(14, 0, None),
        run(15, 0, 1024, workload=Workload("other", "other")),
    )
    assert found == {
        "train": MemoryHistory(
            (
                runs(512, COMPLETED, [1, 2]),
                runs(512, KILLED, [3, 7, 10], ran=60),
                runs(1024, COMPLETED, [4, 6, 9]),
                runs(512, COMPLETED, [5]),
                runs(256, KILLED, [8], ran=60),
                runs(1024, COMPLETED, [11]),
            ),
            OomCounts(own=4),
        )
    }


OWNERS: dict[str, tuple[ClassifiedExit, tuple[Runs, ...], OomCounts]] = {
    "its own": (killed(3), (runs(512, KILLED, [3], ran=60),), OomCounts(own=1)),
    "its own, which is not known": (killed(3, None), (), OomCounts(own=1)),
    "its parent's": (killed(3, owner=LimitOwner.PARENT), (), OomCounts(parent=1)),
    "the host's": (killed(3, owner=LimitOwner.HOST), (), OomCounts(host=1)),
    "not known": (killed(3, owner=None), (runs(512, UNKNOWN, [3]),), OomCounts(unknown=1)),
    "a failed start": (
        run(3, 137, owner=LimitOwner.OWN, kills=1, started_ns=None),
        (runs(512, KILLED, [3]),),
        OomCounts(own=1),
    ),
    "of a casualty": (
        run(3, 0, kills=2, victims=[LimitOwner.HOST, LimitOwner.OWN, None, "event"]),
        (runs(512, KILLED, [3]),),
        OomCounts(own=1, survived=1),
    ),
    "of a casualty, the host's": (
        run(3, 0, kills=1, victims=[LimitOwner.HOST]),
        (),
        OomCounts(host=1, survived=1),
    ),
    "of a casualty, not known": (
        run(3, 0, kills=1, victims=["event"]),
        (runs(512, UNKNOWN, [3]),),
        OomCounts(unknown=1, survived=1),
    ),
    "of one that failed later": (
        run(3, 1, kills=1, victims=[LimitOwner.OWN]),
        (runs(512, KILLED, [3]),),
        OomCounts(own=1),
    ),
}


@pytest.mark.parametrize("name", OWNERS)
def test_a_kill_counts_for_the_limit_that_it_reached(database: Path, name: str) -> None:
    exit_, expected, counts = OWNERS[name]
    assert histories(database, exit_) == {"train": MemoryHistory(expected, counts)}


def test_only_the_span_counts(database: Path) -> None:
    assert histories(database, killed(-1), killed(1000), run(5, 0)) == {}
    found = histories(database, killed(0), run(-2, 0), run(1, 0), run(1001, 0))
    assert [each.count for each in found["train"].runs] == [1, 1 + 1]


def test_a_host_and_a_workload_can_be_asked_for(database: Path) -> None:
    exits = (killed(1), run(2, 0), run(3, 0, instance="node-2"))
    on_host = histories(database, *exits, span=TimeSpan(SPAN.since_ns, SPAN.until_ns, None, "node-2"))
    assert on_host == {}
    of_workload = histories(database, span=TimeSpan(SPAN.since_ns, SPAN.until_ns, "train", "node-2"))
    assert of_workload == {"train": MemoryHistory((runs(512, COMPLETED, [3]),))}


@pytest.mark.parametrize(
    ("workload", "of_workload"), [(None, ""), ("train", " (workload=?)")], ids=["all", "one"]
)
@pytest.mark.parametrize("casualties", [0, 1])
def test_oom_kills_are_grouped_as_they_are_in_their_index(
    database: Path, workload: str | None, of_workload: str, casualties: int
) -> None:
    span = TimeSpan(SPAN.since_ns, SPAN.until_ns, workload)
    survived = [run(3, 0, kills=1, victims=[LimitOwner.OWN])][:casualties]
    with opened(database) as store:
        store.commit(Batch(ended=[killed(1), run(2, 0), *survived]))
        plans = plans_of(store, lambda: store.reader.memory_histories(span))
    steps = [step for step in plans if "jobs" in step]
    killed_steps, completed_steps = steps[: 1 + casualties], steps[1 + casualties :]
    reads = "SEARCH" if workload else "SCAN"
    assert killed_steps == [f"{reads} jobs USING INDEX jobs_oom_killed{of_workload}"] * (1 + casualties)
    # Only those whose limit the log must tell, and which are few, are sorted.
    sorted_steps = [step for step in plans if "B-TREE FOR GROUP BY" in step or "OF GROUP BY" in step]
    assert len(sorted_steps) == casualties
    of_limit = "memory_limit_bytes=? AND finished_ns>? AND finished_ns<?"
    found = [step.removeprefix("SEARCH jobs USING INDEX jobs_completed ") for step in completed_steps]
    # At either end of the days, and for the first and the last.
    assert found == [f"(workload=? AND {of_limit})"] * 4


def test_of_whole_days_only_counts_are_read(database: Path) -> None:
    with opened(database) as store:
        plans = plans_of(store, lambda: store.reader.memory_histories(SPAN))
    of_limit = "month_ns=? AND limit_id=? AND began_ns>? AND began_ns<?"
    read = [step for step in plans if "completed_counts" in step]
    assert read[-1] == f"SEARCH completed_counts USING PRIMARY KEY ({of_limit})"
    assert not [step for step in read if step.startswith("SCAN")]


@pytest.mark.parametrize("hour", range(24))
def test_at_most_half_a_day_is_read_beside_the_counts(database: Path, hour: int) -> None:
    span = TimeSpan(BEGAN_NS + hour * HOUR_NS, BEGAN_NS + 100 * HOUR_NS, "train")
    with opened(database) as store:
        store.commit(Batch(ended=[run(1, 0)]))
        statements = statements_of(store, lambda: store.reader.memory_histories(span))
    (stretches,) = [each for each in statements[-1][1] if str(each).startswith('[["train",')]
    ((_, since_ns, until_ns, first_day_ns, last_day_ns),) = msgspec.json.decode(stretches)
    assert (since_ns, until_ns) == (span.since_ns, span.until_ns)
    assert max(abs(since_ns - first_day_ns), abs(until_ns - last_day_ns)) <= DAY_NS // 2
