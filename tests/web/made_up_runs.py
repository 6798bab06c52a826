"""Runs of made-up histories: exits of workloads with memory limits, in the first week of the year 2100."""

from typing import Any

from exporter.model import ClassifiedExit, Cursor, Evidence, LimitOwner, Workload
from exporter.store import Batch
from tests.store.samples import BEGAN_NS, SECOND_NS, ended, job
from tests.web.served import Served

HOUR_NS, MIB = 3600 * SECOND_NS, 1 << 20


def run(workload: str, hour: int, code: int, limit: int | None = None, **changes: Any) -> ClassifiedExit:
    """Return a run that ended so many hours after the begin of the year, with a limit in MiB."""
    end_ns = BEGAN_NS + hour * HOUR_NS
    owner, kills = changes.pop("owner", None), changes.pop("oom_kills", 0)
    each = job(
        "a",
        key=f"{workload}{hour}",
        workload=Workload(workload, workload),
        memory_limit_bytes=None if limit is None else limit * MIB,
        started_ns=end_ns - changes.pop("minutes", 1) * 60 * SECOND_NS,
        **changes,
    )
    evidence = Evidence(oom_killed=code == 137, limit=owner)
    return ended(each, code, evidence, finished_ns=end_ns, oom_kills=kills)


def killed(workload: str, hour: int, limit: int, **changes: Any) -> ClassifiedExit:
    """Return a run that an OOM kill ended, by its own limit if no other is given."""
    return run(workload, hour, 137, limit, **{"owner": LimitOwner.OWN, "oom_kills": 1, **changes})


def record(served: Served, *exits: ClassifiedExit, since_ns: int = 0) -> None:
    """Record these exits of an engine that is watched since a time."""
    served.store.commit(Batch(ended=exits, cursors={"unix:///engine": Cursor(0, since_ns)}))
