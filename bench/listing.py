"""Time of answers about stored jobs: pages, filters, summaries and one job of the API; the page in HTML."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from bench.engine import EngineProcess
from bench.exporter import Exporter
from bench.percentiles import median, percentile
from bench.recording import make_recording
from bench.scenario import PROMPT
from bench.stored_jobs import RARE_CODE, RARE_REASON, RARE_WORKLOAD, fill_store
from bench.table import Row

MILLISECOND = 0.001
AIM_SECONDS = 0.05

QUERIES: Mapping[str, Mapping[str, str | int]] = {
    "first page": {},
    "first page of 500 jobs": {"limit": 500},
    "status=failed": {"status": "failed"},
    "status=unknown (none)": {"status": "unknown"},
    "a reason of few jobs": {"reason": RARE_REASON},
    "a reason of none": {"reason": "CommandNotFound"},
    "a code of few jobs": {"code": RARE_CODE},
    "a workload of one job in 200": {"workload": "team-7/batch"},
    "a workload of few jobs": {"workload": RARE_WORKLOAD},
    "a workload of none": {"workload": "nobody"},
    "a host": {"host": "node-7"},
    "failed with a code, on a host": {"status": "failed", "code": 137, "host": "node-7"},
    "since 1h": {"since": "1h"},
    "since 30d, of few jobs": {"since": "30d", "reason": RARE_REASON},
    "a day two weeks ago": {"since": "15d", "until": "14d"},
    "text of all": {"text": "BATCH"},
    "text of none": {"text": "nobody"},
    "casualties (none)": {"casualties": "true"},
}
SUMMARIES: Mapping[str, Mapping[str, str]] = {
    "summary of a day": {"since": "1d"},
    "summary of a week": {},
    "summary of 30 days": {"since": "30d"},
    "summary of a week, of one workload": {"workload": "team-7/batch"},
    "summary of a week, on a host": {"host": "node-7"},
}
IN_HTML = "in HTML"
PAGES: Mapping[str, str] = {
    f"{IN_HTML}, the list": "/",
    f"{IN_HTML}, status=failed": "/?status=failed",
    f"{IN_HTML}, text of none": "/?text=nobody",
}


class Answer(NamedTuple):
    """Seconds until an answer was read, and of the exporter's processor time: that of a quiet machine."""

    elapsed: float
    processor: float


def listing(count: int, repeats: int, directory: Path) -> dict[str, list[Answer]]:
    """Return for each query what each repeat took, with so many jobs on record."""
    fill_store(directory, count)
    recording = make_recording(directory, PROMPT, 1, 1)
    with (
        EngineProcess(recording, directory, answered=True, local=True) as engine,
        Exporter(engine.url, directory) as exporter,
    ):
        paths = dict(_paths(exporter, count))
        # Templates are compiled at the first answer, once.
        for name, path in paths.items():
            if name.startswith(IN_HTML):
                exporter.get(path)
        # In turns, so that the load of a machine that varies is the same for all.
        found: dict[str, list[Answer]] = {name: [] for name in paths}
        for _ in range(repeats):
            for name, path in paths.items():
                found[name].append(_answer(exporter, path))
    return found


def _answer(exporter: Exporter, path: str) -> Answer:
    used, begun = exporter.cpu_seconds, time.perf_counter()
    exporter.get(path)
    elapsed = time.perf_counter() - begun
    return Answer(elapsed, exporter.cpu_seconds - used)


def _paths(exporter: Exporter, count: int) -> Iterator[tuple[str, str]]:
    for name, query in QUERIES.items():
        yield name, f"/api/v1/jobs?{urlencode(query)}"
    for name, summarized in SUMMARIES.items():
        yield name, f"/api/v1/summary?{urlencode(summarized)}"
    yield from PAGES.items()
    (middle,) = exporter.page({"text": f"batch-{count - 1}", "limit": 1})["jobs"]
    yield "one job by its name", f"/api/v1/jobs/{quote(middle['name'])}"
    yield f"{IN_HTML}, one job", f"/jobs/{quote(middle['name'])}"
    yield f"{IN_HTML}, its workload", f"/workloads/{quote(middle['workload'], safe='')}"
    yield "one job by the start of its id", f"/api/v1/jobs/{middle['container_id'][:12]}"
    yield "page in the middle", f"/api/v1/jobs?cursor={_cursor_in_the_middle(exporter)}"


def _cursor_in_the_middle(exporter: Exporter) -> str:
    page = exporter.page({"until": "15d", "limit": 1})
    return str(page["next_cursor"])


def listing_rows(found: Sequence[tuple[int, dict[str, list[Answer]]]]) -> Iterator[Row]:
    """Yield a row for each query and number of jobs, compared with the first number of jobs."""
    (fewest, few), *more = found
    for name in few:
        least = median(answer.elapsed for answer in few[name])
        for count, answers in more:
            elapsed = [answer.elapsed for answer in answers[name]]
            usual, slow = median(elapsed), percentile(elapsed, 99)
            computed = percentile((answer.processor for answer in answers[name]), 99)
            yield Row(
                f"{name}, {count:,} jobs",
                f"{slow / MILLISECOND:.1f} ms",
                f"median {usual / MILLISECOND:.1f} ms; {usual / least:.1f} times {fewest:,} jobs; "
                f"p99 of its processor time {computed / MILLISECOND:.1f} ms",
                f"p99 at most {AIM_SECONDS / MILLISECOND:.0f} ms",
                slow <= AIM_SECONDS,
            )
