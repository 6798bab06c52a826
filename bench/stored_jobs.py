"""Store with many ended jobs of the last thirty days, as a busy host has before its retention ends."""

import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from exporter.model import SECOND_NS, ClassifiedExit, Evidence, Exit, Job, LimitOwner, Workload
from exporter.store import Batch, Store
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify

SEED = 20_260_301
DAYS_NS = 30 * 86_400 * SECOND_NS
WORKLOADS, HOSTS = 200, 20
RARE_WORKLOAD = "once/a-month"
RARE_REASON, RARE_CODE = "SegmentationFault", 139
_BATCH = 5_000
_RARELY = 0.00001
_KILLED = Evidence(oom_killed=True, limit=LimitOwner.OWN, notes=("The engine reported an OOM kill.",))
_FAILED = Evidence(notes=("No OOM kill was seen, and nobody asked for a stop.",))
_ENDS = ((0, Evidence()), (1, _FAILED), (137, _KILLED), (143, _FAILED))
_WEIGHTS = (0.8, 0.14, 0.05, 0.01)


def fill_store(directory: Path, count: int) -> Path:
    """Write a database ``exits.db`` with so many jobs into a directory, and return its path."""
    path = directory / "exits.db"
    store = Store(path)
    jobs = _ended(count)
    while batch := list(islice(jobs, _BATCH)):
        store.commit(Batch(ended=batch))
    store.close()
    return path


def _ended(count: int) -> Iterator[ClassifiedExit]:
    chosen = random.Random(SEED)  # noqa: S311  # not a secret
    catalog, now_ns = builtin_catalog(), time.time_ns()
    for number in range(count):
        began_ns = now_ns - DAYS_NS + DAYS_NS * number // count
        lasted_ns = int(chosen.expovariate(1 / 600) * SECOND_NS)
        code, seen = chosen.choices(_ENDS, _WEIGHTS)[0]
        workload = f"team-{chosen.randrange(WORKLOADS)}/batch"
        if chosen.random() < _RARELY or number == count // 2:
            workload, code, seen = RARE_WORKLOAD, RARE_CODE, _FAILED
        job = Job(
            container_id=f"{chosen.getrandbits(256):064x}",
            attempt=1,
            name=f"batch-{number}",
            instance=f"node-{chosen.randrange(HOSTS)}",
            workload=Workload(workload, "registry.example/batch"),
            image="registry.example/batch:1.4",
            start_event_ns=began_ns,
            engine="unix:///var/run/docker.sock",
            created_ns=began_ns,
            started_ns=began_ns,
            memory_limit_bytes=(256 << chosen.randrange(4)) << 20,
        )
        ended_ns = min(began_ns + lasted_ns, now_ns)
        yield ClassifiedExit(
            Exit(job, code, ended_ns, seen, oom_kills=int(seen.oom_killed or False)),
            classify(code, seen, catalog, job.workload),
        )
