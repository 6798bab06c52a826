"""Draw the README's pictures from recordings of the corpus; ``--check`` only lists outdated ones.

A picture shows what the command prints: a recording passes through the tracker, the verdict, the API's view
and the command line's table. Only the names of the jobs and the times of their exits are made up.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console, Group, RenderableType
from rich.text import Text

from exporter.cli import tables
from exporter.cli.show import render
from exporter.model import ClassifiedExit, Exit, JobRecord, Workload
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from exporter.web.job_views import job_view
from exporter.wording import cells
from tests.contract.canned_kernel import CannedKernel
from tests.contract.corpus_replay import replay
from tests.contract.tracker_driver import exits
from tests.corpus.cases import load

HERE = Path(__file__).parent / "images"
HOST = "build-7"
NOW_NS = 1_795_860_600 * 10**9
MINUTE_NS = 60 * 10**9
_WIDTH = 104
# Without these, a reader's browser would load a font from another site.
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sample:
    """Recording of one exit, and the name and time that it has in the pictures."""

    name: str
    workload: str
    image: str
    minutes_ago: int
    recording: str


TRAINING = Sample("train-bert", "night/train", "trainer:2.4", 2, "made-up/own_limit_cgroup_v2")
SAMPLES = (
    TRAINING,
    Sample("resize-7", "shop/resize", "resize:1.9", 4, "docker-20.10/docker_kill"),
    Sample("etl-orders", "etl/orders", "etl:3.1", 9, "docker-20.10/kill_from_outside"),
    Sample("web-2", "shop/web", "web:5.0", 12, "made-up/unhealthy_then_killed_by_swarm_29"),
    Sample("web-1", "shop/web", "web:5.0", 13, "docker-20.10/docker_stop_obeyed"),
    Sample("migrate", "shop/db", "migrate:1.0", 21, "docker-20.10/command_not_found"),
    Sample("thumbnail", "shop/resize", "resize:1.9", 34, "docker-20.10/segfault"),
    Sample("report", "night/report", "report:0.8", 47, "docker-20.10/completed"),
)


def ps_picture() -> str:
    """Return the picture of `ps`, with all samples."""
    jobs = [_api_job(each) for each in SAMPLES]
    return _draw("exit-exporter ps", lambda: tables.jobs_table(jobs, verbose=False))


def show_picture() -> str:
    """Return the picture of `show`, with the first sample."""
    return _draw(f"exit-exporter show {TRAINING.name}", lambda: render(_api_job(TRAINING)))


PICTURES: dict[str, Callable[[], str]] = {"ps.svg": ps_picture, "show.svg": show_picture}


def main() -> int:
    """Write the pictures, or check them; return the exit code."""
    drawn = {name: draw() for name, draw in PICTURES.items()}
    old = [name for name, picture in drawn.items() if _on_disk(name) != picture]
    for name in old:
        if "--check" in sys.argv[1:]:
            print(f"docs/images/{name} is out of date; run 'make docs'", file=sys.stderr)
        else:
            (HERE / name).write_text(drawn[name], encoding="utf-8")
            print(f"docs/images/{name} written")
    return 1 if old and "--check" in sys.argv[1:] else 0


def _on_disk(name: str) -> str | None:
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _api_job(sample: Sample) -> cells.JobJson:
    """Return the last exit of a recording as the API returns it, moved to the time of the picture."""
    found = _renamed(_last_exit(sample.recording), sample)
    verdict = classify(found.code, found.evidence, builtin_catalog(), found.job.workload)
    record = JobRecord(found.job, ClassifiedExit(found, verdict))
    return job_view(record, builtin_catalog()).model_dump(mode="json")


def _last_exit(recording: str) -> Exit:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        reported = replay(load(recording), CannedKernel(Path(directory), patch))
    return exits(reported)[-1]


def _renamed(found: Exit, sample: Sample) -> Exit:
    finished_ns = NOW_NS - sample.minutes_ago * MINUTE_NS
    later_ns = finished_ns - found.finished_ns
    job = replace(
        found.job,
        name=sample.name,
        workload=Workload(sample.workload, sample.image.partition(":")[0]),
        image=sample.image,
        instance=HOST,
        created_ns=_moved(found.job.created_ns, later_ns),
        started_ns=_moved(found.job.started_ns, later_ns),
    )
    return replace(found, job=job, finished_ns=finished_ns)


def _moved(at_ns: int | None, by_ns: int) -> int | None:
    return None if at_ns is None else at_ns + by_ns


class _Clock(datetime):
    """Clock that stands still, so that a picture does not change from day to day."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(NOW_NS // 10**9, tz or UTC)


def _draw(command: str, output: Callable[[], RenderableType]) -> str:
    console = Console(
        record=True,
        width=_WIDTH,
        file=StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    with mock.patch.object(cells, "datetime", _Clock):
        # The empty line at the end is the lower margin of the picture.
        console.print(Group(Text(f"$ {command}", "bold"), output(), ""))
    return _FONTS.sub("", console.export_svg(title=command))


if __name__ == "__main__":
    sys.exit(main())
